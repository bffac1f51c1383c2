"""`torchvision:NAME`: a data set of torchvision under --root; fetched only where --download is given."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from inspect import Parameter, signature
from typing import Any

from effbench.errors import InputError, UnknownName, one_line
from effbench.measure.data.datasets import Pairs, check_pairs
from effbench.measure.data.source import Data, Request, data_sources

_HELD_OUT = ("test", "val", "valid")
"""Splits that are taken where none is named: the first that the data set has."""


@data_sources.register("torchvision")
def open_torchvision(request: Request) -> Data:
    """Returns a data set of torchvision, its held-out part unless --split names another.

    Raises:
        InputError: torchvision is not installed, has no such data set, or does not find its files.
    """
    try:
        datasets = importlib.import_module("torchvision.datasets")
    except ImportError:
        raise InputError("torchvision is not installed: pip install 'effbench[zoo]'") from None
    if request.target not in datasets.__all__:
        raise UnknownName("torchvision data set", request.target, datasets.__all__)
    kind = getattr(datasets, request.target)
    parameters = signature(kind).parameters
    found, split = _made(kind, parameters, request)
    check_pairs(found, request.source)
    classes = getattr(found, "classes", ())
    return Data(
        f"{request.target} {split}".strip(),
        Pairs(found, request.preprocess, keyed=True),
        request.preprocess.text,
        tuple(map(_class_name, classes)) if isinstance(classes, list | tuple) else (),
        size=request.preprocess.size,
    )


def _class_name(name: object) -> str:
    """Returns a class's name; ImageNet's has several, of which the first is taken."""
    return str(name[0]) if isinstance(name, tuple | list) and name else str(name)


def _made(kind: Any, parameters: Mapping[str, Parameter], request: Request) -> tuple[Any, str]:
    """Returns (the data set, what its split is called; "" where it has none)."""
    given = dict(request.args)
    for name in given:
        if name not in parameters:
            raise InputError(f"{request.source}: has no argument {name!r}: it takes {', '.join(parameters)}")
    if "root" in parameters:
        if request.root is None:
            raise InputError(f"{request.source}: say which folder its files lie in, with --root DIR")
        given["root"] = str(request.root)
    if request.download:
        if "download" not in parameters:
            raise InputError(f"{request.source}: torchvision cannot fetch it: get its files from where it is published")
        given["download"] = True
    if "train" in parameters:
        if request.split not in (None, "train", "test"):
            raise InputError(f"{request.source}: has no split {request.split!r}: it has train and test")
        given.setdefault("train", request.split == "train")
        return _call(kind, given, request), "train" if given["train"] else "test"
    if "split" not in parameters or "split" in given:
        if request.split is not None:
            raise InputError(f"{request.source}: takes no --split")
        return _call(kind, given, request), str(given.get("split", ""))
    for split in (request.split,) if request.split is not None else _HELD_OUT:
        try:
            return _call(kind, {**given, "split": split}, request), split
        except ValueError as error:  # torchvision names the splits that there are
            why = one_line(error, 200)
    raise InputError(f"{request.source}: {why}; name one with --split")


def _call(kind: Any, given: Mapping[str, Any], request: Request) -> Any:
    try:
        return kind(**given)
    except ValueError:
        raise
    except Exception as error:
        where = f" under {request.root}" if request.root is not None else ""
        told = one_line(error, 200)
        advice = "" if request.download else "; pass --download to fetch it, where torchvision can"
        if "download" not in signature(kind).parameters:
            advice = "; torchvision cannot fetch it: get its files from where it is published"
        raise InputError(f"{request.source}: not found{where}: {told}{advice}") from None
