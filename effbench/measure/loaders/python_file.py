"""`path/to/file.py:Name`: a class, factory or instance in a Python file, which is run to find it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from effbench.errors import InputError, UnknownName, one_line
from effbench.measure.load import Request, loaders
from effbench.measure.source import Build, Loaded, ModelInputs

if TYPE_CHECKING:
    from torch import nn


@loaders.register("file")
def load_file(request: Request) -> Loaded:
    """Returns the model that a Python file holds, with the file's `example_inputs()` unless inputs are given.

    Raises:
        InputError: the file is missing, raises, or does not have exactly one model that could be meant.
    """
    from effbench.measure.construct import builder

    path, name = split_target(request.target)
    module = run_file(path)
    name = name or _only_candidate(module, path)
    candidate = getattr(module, name, None)
    if candidate is None:
        raise UnknownName(f"name in {path.name}", name, _written_in(module))
    inputs = _inputs(request, module, f"{path.name}:{name}")
    build = builder(candidate, f"{path.name}:{name}", request.args)
    return Loaded(name, request.spec, _beside(path, build), inputs)


def split_target(target: str) -> tuple[Path, str]:
    """Returns (the file, the name in it; "" where none is given).

    Raises:
        InputError: there is no such file.
    """
    text, _, name = target.partition(".py:")
    path = Path(text if text.endswith(".py") else f"{text}.py")
    if not path.is_file():
        raise InputError(f"{path}: no such file; a model file is named as path/to/file.py:Name")
    return path, name


def run_file(path: Path) -> ModuleType:
    """Returns the file's module, run anew, so that a second load sees a file that has changed.

    Raises:
        InputError: running it raised.
    """
    name = f"effbench_source_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path}: Python cannot read this as a module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles of the file look themselves up here
    try:
        with importable(path.parent):
            spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if not isinstance(error, Exception):  # the file ends the process, or the user does
            raise
        raise InputError(f"{path}: running the file raised {one_line(error)}; it must import without error") from error
    return module


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Lets the file import its neighbours, as `python file.py` would."""
    entry = str(folder.resolve())
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        if entry in sys.path:
            sys.path.remove(entry)


def _beside(path: Path, build: Build) -> Build:
    def built(device: str) -> nn.Module:
        with importable(path.parent):
            return build(device)

    return built


def _public(module: ModuleType) -> list[str]:
    listed = getattr(module, "__all__", None)
    return list(listed) if listed is not None else [name for name in vars(module) if not name.startswith("_")]


def _written_in(module: ModuleType) -> list[str]:
    """Returns the names of what the file itself defines and may be a model: no imports, not its example inputs."""
    from torch import nn

    public = {name: getattr(module, name, None) for name in _public(module) if name != "example_inputs"}
    return [
        name
        for name, item in public.items()
        if isinstance(item, nn.Module) or (callable(item) and getattr(item, "__module__", None) == module.__name__)
    ]


def _only_candidate(module: ModuleType, path: Path) -> str:
    """Returns the name of the file's only model: a module class written in it, else an instance."""
    from torch import nn

    public = {name: getattr(module, name, None) for name in _public(module)}
    classes = [
        name
        for name, item in public.items()
        if isinstance(item, type) and issubclass(item, nn.Module) and item.__module__ == module.__name__
    ]
    instances = [name for name, item in public.items() if isinstance(item, nn.Module)]
    found = classes or instances
    if not found:
        raise InputError(
            f"{path}: no model in this file: it has no nn.Module class or instance; name a factory as {path}:name"
        )
    if len(found) > 1:
        raise InputError(f"{path}: several models in this file: {', '.join(found)}; say which, as {path}:{found[-1]}")
    return found[0]


def _inputs(request: Request, module: ModuleType, label: str) -> ModelInputs:
    from effbench.measure.inputs import HINT, as_inputs, parse_inputs

    if request.inputs:
        return parse_inputs(request.inputs)
    example = getattr(module, "example_inputs", None)
    if example is None:
        raise InputError(f"{label}: the file has no example_inputs(); {HINT}")
    try:
        return as_inputs(example())
    except Exception as error:
        raise InputError(f"{label}: example_inputs() raised {one_line(error)}") from error
