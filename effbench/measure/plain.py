"""Plain values of torch objects: what a record may hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from effbench.records import Attr

_NAMED = (torch.dtype, torch.device, torch.layout, torch.memory_format)


def dtype_name(dtype: torch.dtype) -> str:
    """Returns "float32" for torch.float32."""
    return str(dtype).removeprefix("torch.")


def plain(value: object) -> Attr:
    """Returns the value as a record may hold it; an object of an unknown kind becomes its class name."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, torch.SymInt):
        return int(value)
    if isinstance(value, Sequence):
        return tuple(plain(item) for item in value)
    if isinstance(value, _NAMED):
        return str(value).removeprefix("torch.")
    if isinstance(value, complex):
        return str(value)
    return f"<{type(value).__name__}>"


def hyper_parameters(module: nn.Module) -> Mapping[str, Attr]:
    """Returns the module's public attributes that are plain values, its training flag left out."""
    return {
        name: plain(value)
        for name, value in vars(module).items()
        if not name.startswith("_") and name != "training" and _is_plain(value)
    }


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple | list):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, bool | int | float | str)


def class_name(kind: type) -> str:
    """Returns the fully qualified name of a class."""
    return f"{kind.__module__}.{kind.__qualname__}"
