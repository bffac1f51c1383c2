"""Building a model from a class, a factory or an instance, with errors that say what to do."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from effbench.errors import InputError
from effbench.measure.plain_sizes import with_plain_sizes
from effbench.measure.source import Build, already_built


def builder(candidate: object, label: str, args: Mapping[str, Any]) -> Build:
    """Returns how to build a model from what a spec named.

    Raises:
        InputError: it is no model, or its arguments do not fit.
    """
    if isinstance(candidate, nn.Module):
        if args:
            raise InputError(f"{label} is an instance: --arg {next(iter(args))} has nowhere to go; name its class")
        return already_built(candidate)
    if not callable(candidate):
        raise InputError(f"{label} is a {type(candidate).__name__}, not a model: name a class, factory or instance")
    _check_arguments(candidate, label, args)
    return lambda device: _build(candidate, label, args, device)


def _build(candidate: Callable[..., Any], label: str, args: Mapping[str, Any], device: str) -> nn.Module:
    with torch.device(device), _NothingToFill():
        model = candidate(**args)
    if not isinstance(model, nn.Module):
        raise InputError(f"{label} returned a {type(model).__name__}, not a model: it must return an nn.Module")
    return model


class _NothingToFill(TorchFunctionMode):
    """Passes over what fills tensors without data: their first values.

    On meta PyTorch has these ops in Python, and the first of them imports its compiler: see `plain_sizes`.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        filled = args[0] if args else kwargs.get("tensor")  # torch.nn.init's functions hand theirs on by its name
        if func in _FILLS and isinstance(filled, torch.Tensor) and filled.is_meta:
            return filled
        if isinstance(func, FunctionType):  # made of the ops that are built in, which come here by themselves
            return func(*args, **kwargs)
        return with_plain_sizes(lambda: func(*args, **kwargs))


_FILLS = frozenset(
    {
        *(getattr(torch.Tensor, f"{name}_") for name in ("normal", "uniform", "random", "bernoulli", "exponential")),
        # A truncated normal distribution is made of a uniform one.
        *(getattr(torch.Tensor, f"{name}_") for name in ("erfinv", "clamp", "mul", "add", "div", "fill", "zero")),
        *(getattr(nn.init, f"{name}_") for name in ("normal", "uniform", "constant", "ones", "zeros", "trunc_normal")),
        *(getattr(nn.init, f"{kind}_{name}_") for kind in ("kaiming", "xavier") for name in ("normal", "uniform")),
    }
)
"""Ops that write to their first argument and return it."""


def _check_arguments(candidate: Callable[..., Any], label: str, args: Mapping[str, Any]) -> None:
    try:
        parameters = inspect.signature(candidate).parameters
    except (TypeError, ValueError):  # a callable written in C has no signature to check
        return
    open_ended = any(item.kind is item.VAR_KEYWORD for item in parameters.values())
    unknown = [name for name in args if name not in parameters]
    if unknown and not open_ended:
        raise InputError(f"{label} has no argument {unknown[0]!r}: it takes {', '.join(parameters) or 'none'}")
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    missing = [
        name
        for name, item in parameters.items()
        if item.default is item.empty and item.kind not in variadic and name not in args
    ]
    if missing:
        shown = " ".join(f"--arg {name}=…" for name in missing)
        raise InputError(f"{label} needs {', '.join(missing)}: pass {shown}")
