"""Spec string → source: finds the loader that a spec belongs to."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from effbench.errors import InputError
from effbench.measure.source import Source
from effbench.registry import Registry

_MODULE_SPEC = re.compile(r"[A-Za-z_]\w*(\.\w+)*:[A-Za-z_]\w*(\.\w+)*")


@dataclass(frozen=True, slots=True)
class Request:
    """What a loader is asked for.

    Attributes:
        spec: the whole text. target: the part that the loader reads (without its prefix).
        args: constructor arguments. inputs: texts of `--input`; none means the source's own default.
        unsafe: whether a file may run code of its own while it is read.
    """

    spec: str
    target: str
    args: Mapping[str, Any]
    inputs: Sequence[str]
    unsafe: bool = False


Loader = Callable[[Request], Source]
loaders: Registry[Loader] = Registry("loader")


_ENDINGS: Mapping[str, str] = MappingProxyType(
    {
        ".onnx": "onnx",
        ".safetensors": "safetensors",
        ".pt2": "export",
        **dict.fromkeys((".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle"), "checkpoint"),
    }
)
"""Loaders by a file's ending; a Python file and an import path are told apart by their colons too."""

_PLAIN = (str, int, float, bool, list, tuple, dict, type(None))
"""What `--arg` can state."""


def load(spec: str, args: Mapping[str, Any] | None = None, inputs: Sequence[str] = (), unsafe: bool = False) -> Source:
    """Returns what a spec names: a model ready to be built with its inputs, or what a file says without being run.

    Args:
        spec: the text that names it.
        args: constructor arguments.
        inputs: texts of `--input`; none takes the source's own default.
        unsafe: whether a file may run code of its own while it is read, as a pickled model does.

    Raises:
        InputError: nothing is found there, or it cannot be told which model is meant.
    """
    import effbench.measure.loaders  # noqa: F401  fills the table of loaders

    found = _which(spec)
    if found is None:
        raise InputError(
            f"{spec!r} names no model: write path/to/file.py:Name, package.module:Name, torchvision:resnet50, "
            "timm:vit_base_patch16_224, hf:DIR or a file ending in .pt2, .pt, .onnx, .safetensors or .pth"
        )
    name, target = found
    source = loaders.get(name)(Request(spec, target, dict(args or {}), tuple(inputs), unsafe))
    return replace(source, spec=spec_with(spec, args or {}))


def spec_with(spec: str, args: Mapping[str, Any]) -> str:
    """Returns what tells a model from the others of its class, `net.py:Net(width=8)`: its spec and arguments."""
    return f"{spec}({', '.join(f'{name}={_plain(args[name])}' for name in sorted(args))})" if args else spec


def _plain(value: object) -> str:
    """Returns an argument as text; of an object its class, since its own text may be another in each process."""
    return repr(value) if isinstance(value, _PLAIN) else type(value).__name__


def names_a_model(text: str) -> bool:
    """Returns whether a text is written as a spec is; whether the model is there is another matter."""
    import effbench.measure.loaders  # noqa: F401  fills the table of loaders

    return _which(text) is not None


def existing_file(request: Request) -> Path:
    """Returns the file that a spec names.

    Raises:
        InputError: there is no such file.
    """
    path = Path(request.target)
    if not path.is_file():
        raise InputError(f"{path}: {'is a folder, not a file' if path.is_dir() else 'no such file'}")
    return path


def without_arguments(request: Request) -> None:
    """Refuses constructor arguments for a source that is built already.

    Raises:
        InputError: there are any.
    """
    if request.args:
        raise InputError(f"{request.spec}: is built already: --arg {next(iter(request.args))} has nowhere to go")


def without_inputs(request: Request) -> None:
    """Refuses inputs for a source that has no forward pass.

    Raises:
        InputError: there are any.
    """
    if request.inputs:
        raise InputError(f"{request.spec}: has no forward pass that --input {request.inputs[0]} could go to")


def _which(spec: str) -> tuple[str, str] | None:
    """Returns (loader's name, what it reads), None where the text is no spec."""
    prefix, colon, rest = spec.partition(":")
    if colon and loaders.find(prefix) is not None:
        return prefix, rest
    if re.search(r"\.py(:[\w.]+)?$", spec):
        return "file", spec
    ending = _ENDINGS.get(Path(spec).suffix.lower())
    if ending is not None:
        return ending, spec
    if _MODULE_SPEC.fullmatch(spec):
        return "module", spec
    return None
