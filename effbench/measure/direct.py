"""Calls of `module.forward(x)` past `module(x)`: no hook sees them, and yet their ops are that module's."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import nn

Entering = Callable[[nn.Module], AbstractContextManager[None] | None]
"""Returns None for a module that is running already, else a context that says it runs."""


class _Forward:
    """A module's forward that says when it is called past the module."""

    __slots__ = ("__wrapped__", "_entering", "_module")

    def __init__(self, module: nn.Module, entering: Entering) -> None:
        self.__wrapped__ = module.forward
        self._module = module
        self._entering = entering

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        direct = self._entering(self._module)
        if direct is None:
            return self.__wrapped__(*args, **kwargs)
        with direct:
            return self.__wrapped__(*args, **kwargs)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Returns the copied module's own forward: a model may copy a part of itself while it runs."""
        return copy.deepcopy(self.__wrapped__, memo)


@contextmanager
def direct_calls_seen(modules: Iterable[nn.Module], entering: Entering) -> Iterator[None]:
    """Wraps every module's forward until the end of the block; TorchScript modules have none that can be."""
    wrapped = [module for module in modules if not isinstance(module, torch.jit.ScriptModule)]
    held = [vars(module).get("forward") for module in wrapped]
    for module in wrapped:
        vars(module)["forward"] = _Forward(module, entering)
    try:
        yield
    finally:
        for module, own in zip(wrapped, held, strict=True):
            if own is not None:
                vars(module)["forward"] = own
            else:
                vars(module).pop("forward", None)
