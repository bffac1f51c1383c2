"""Ops by the names that files give them. A file may name any op, so only those that compute are run."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch

from effbench.errors import InputError

COMPUTING = frozenset({"aten", "prims", "torchvision", "quantized", "quantized_decomposed", "torchao"})
"""Namespaces whose ops read and write tensors alone; others open files (image), talk to other machines, run code."""
_OPENING_FILES = frozenset({"aten::from_file", "aten::save"})
_LARGEST = 2**63


def find_op(name: str, overload: str, unsafe: bool = False) -> Any:
    """Returns the overload of an op, "aten::mul" and "Tensor".

    Raises:
        InputError: torch has none here, or it is one that a file may not run.
    """
    namespace, _, local = name.partition("::")
    if not unsafe and (namespace not in COMPUTING or name in _OPENING_FILES):
        raise InputError(
            f"its op {name[:80]} is none that computes with tensors alone: "
            "where you trust the author, import what brings it with --plugin and pass --unsafe-load"
        )
    try:
        return getattr(getattr(getattr(torch.ops, namespace), local), overload or "default")
    except (AttributeError, RuntimeError):
        raise InputError(f"its op {name[:80]} is not in this torch: import what brings it with --plugin") from None


def bounded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns the function with its integers kept within 64 bits: a file may multiply sizes without end."""

    def call(*args: Any) -> Any:
        if function is operator.pow and not all(abs(item) <= 64 for item in args):
            raise InputError("a power of sizes is beyond any tensor")
        made = function(*args)
        if isinstance(made, int) and abs(made) >= _LARGEST:
            raise InputError("a size is beyond any tensor")
        return made

    return call


def _either(condition: Any, left: Any, right: Any) -> Any:
    return left if condition else right


# The functions of sizes that the exporter keeps (torch/_export/serde/serialize.py, _SYM_OPS), by its names for them.
ON_SIZES: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        **{
            f"_operator.{name}": bounded(getattr(operator, name))
            for name in [
                "add",
                "sub",
                "mul",
                "floordiv",
                "truediv",
                "mod",
                "neg",
                "pos",
                "pow",
                "eq",
                "ne",
                "le",
                "ge",
                "lt",
                "gt",
                "and_",
                "or_",
            ]
        },
        "math.trunc": math.trunc,
        "torch.sym_float": float,
        "torch.sym_int": int,
        "torch.sym_ite": _either,
        "torch.sym_max": max,
        "torch.sym_min": min,
        "torch.sym_not": operator.not_,
        "torch.sym_sqrt": math.sqrt,
    }
)
