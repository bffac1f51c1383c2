"""Plain values of torch objects: what a record may hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import torch
from torch import nn

from effbench.records import Attr

_PLAIN = frozenset({bool, int, float, str, type(None)})
_NAMED = (torch.dtype, torch.device, torch.layout, torch.memory_format)


@cache
def _name(item: object) -> str:
    return str(item).removeprefix("torch.")


def dtype_name(dtype: torch.dtype) -> str:
    """Returns "float32" for torch.float32."""
    return _name(dtype)


def plain(value: object) -> Attr:
    """Returns the value as a record may hold it; an object of an unknown kind becomes its class name."""
    if type(value) in _PLAIN:
        return value  # type: ignore[return-value]  # the classes are Attr's own
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, torch.SymInt):
        return int(value)
    if isinstance(value, list | tuple):
        return tuple([plain(item) for item in value])
    if isinstance(value, _NAMED):
        return _name(value)
    if isinstance(value, Sequence):
        return tuple([plain(item) for item in value])
    if isinstance(value, complex):
        return str(value)
    return f"<{type(value).__name__}>"


def hyper_parameters(module: nn.Module) -> Mapping[str, Attr]:
    """Returns the module's public attributes that are plain values, its training flag left out."""
    found: dict[str, Attr] = {}
    for name, value in vars(module).items():
        if name[0] == "_":
            continue
        kind = type(value)
        if kind in _PLAIN or (kind is tuple and _PLAIN.issuperset(map(type, value))):
            found[name] = value
        elif _is_plain(value):
            found[name] = plain(value)
    found.pop("training", None)
    return found


def _is_plain(value: object) -> bool:
    if type(value) in _PLAIN:
        return True
    return (
        all(map(_is_plain, value)) if isinstance(value, tuple | list) else isinstance(value, bool | int | float | str)
    )


def class_name(kind: type) -> str:
    """Returns the fully qualified name of a class."""
    return f"{kind.__module__}.{kind.__qualname__}"
