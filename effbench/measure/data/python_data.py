"""`path/to/file.py:Name`: a `torch.utils.data.Dataset` class, a function that returns one, or one itself."""

from __future__ import annotations

from typing import Any

from effbench.errors import InputError, UnknownName, one_line
from effbench.measure.data.datasets import Pairs, check_pairs
from effbench.measure.data.source import Data, Request, data_sources, refuse_arguments, refuse_named_only
from effbench.measure.loaders.python_file import importable, run_file, split_target


@data_sources.register("file")
def open_python(request: Request) -> Data:
    """Returns the data set that a Python file holds; `--data-arg` gives arguments to its class or function.

    Raises:
        InputError: the file is missing or raises, or what it names gives no map-style data set.
    """
    refuse_named_only(request)
    path, name = split_target(request.target)
    if not name:
        raise InputError(f"{path}: say which data set of the file, as {path}:Name")
    module = run_file(path)
    found = getattr(module, name, None)
    if found is None:
        public = [each for each in vars(module) if not each.startswith("_")]
        raise UnknownName(f"name in {path.name}", name, public)
    if isinstance(found, type) or not hasattr(found, "__getitem__"):
        if not callable(found):
            raise InputError(
                f"{request.source}: a {type(found).__name__} is no data set and no function that gives one"
            )
        try:
            with importable(path.parent):
                found = found(**request.args)
        except Exception as error:
            raise InputError(f"{request.source}: making the data set raised {one_line(error)}") from error
    else:
        refuse_arguments(request)
    return of_dataset(found, request, f"{path.name}:{name}")


def of_dataset(dataset: Any, request: Request, name: str) -> Data:
    """Returns a data set that is a Python object.

    Raises:
        InputError: it has no length, or no samples by place.
    """
    check_pairs(dataset, name)
    if request.index:
        raise InputError(f"{name}: --class-index is for folders and tables: let the data set give the model's indices")
    text = f"images: {request.preprocess.text}; tensors as the data set gives them"
    return Data(name, Pairs(dataset, request.preprocess, keyed=False), text, size=request.preprocess.size)
