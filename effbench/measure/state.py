"""Running a model without changing it.

A forward pass may write buffers, fill caches or set attributes. `borrowed` swaps the model's tensors for
stand-ins, lets the caller run it, and puts back every attribute as it was, also when the run raises.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

Swap = Callable[[torch.Tensor], torch.Tensor]
"""Returns the stand-in of a tensor; called once per distinct tensor."""

_CONTAINERS = (dict, list, set)


def to_meta(tensor: torch.Tensor) -> torch.Tensor:
    """Returns a tensor of the same shape, strides, dtype and class (parameter or not) without data."""
    if tensor.device.type == "meta":
        return tensor
    hollow = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(hollow, requires_grad=tensor.requires_grad)
    return hollow


def private_copy(tensor: torch.Tensor) -> torch.Tensor:
    """Returns a parameter as it is, any other tensor as a copy that may be written to."""
    return tensor if isinstance(tensor, nn.Parameter) else tensor.detach().clone()


@contextmanager
def borrowed(model: nn.Module, swap: Swap, training: bool) -> Iterator[None]:
    """Lends the model with stand-in tensors and the given training flag; restores all of it at the end.

    Restored are every module's attributes, parameters, buffers and children, the contents of its dicts, lists
    and sets, and the state of the random generators of torch (CPU) and Python.
    """
    modules = list(model.modules())
    saved = [(module, _contents(vars(module))) for module in modules]
    python_random = random.getstate()
    torch_random = torch.get_rng_state()
    try:
        stand_ins = _Swapper(swap)
        for module in modules:
            stand_ins.enter(vars(module))
            vars(module)["training"] = training
        yield
    finally:
        for module, contents in saved:
            _restore(vars(module), contents)
        torch.set_rng_state(torch_random)
        random.setstate(python_random)


def _contents(attributes: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """Returns (name, object, shallow copy of its contents or None) of every attribute."""
    return [
        (name, value, value.copy() if isinstance(value, _CONTAINERS) and value else None)
        for name, value in attributes.items()
    ]


def _restore(attributes: dict[str, Any], contents: list[tuple[str, Any, Any]]) -> None:
    attributes.clear()
    for name, value, copy in contents:
        if isinstance(value, dict | set):
            value.clear()
            value.update(copy or ())
        elif isinstance(value, list):
            value[:] = copy or ()
        attributes[name] = value


class _Swapper:
    """Replaces the tensors in a module's attributes, each distinct tensor by one stand-in."""

    def __init__(self, swap: Swap) -> None:
        self._swap = swap
        # Keeps the originals alive, so that an id is never that of another tensor.
        self._done: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def _stand_in(self, tensor: torch.Tensor) -> torch.Tensor:
        known = self._done.get(id(tensor))
        if known is None:
            known = self._done[id(tensor)] = (tensor, self._swap(tensor))
        return known[1]

    def enter(self, attributes: dict[str, Any]) -> None:
        for name, value in attributes.items():
            if isinstance(value, torch.Tensor):
                attributes[name] = self._stand_in(value)
            elif isinstance(value, dict) and name != "_modules":
                self._enter_items(value)
            elif isinstance(value, list):
                value[:] = [self._stand_in(item) if isinstance(item, torch.Tensor) else item for item in value]

    def _enter_items(self, items: dict[Any, Any]) -> None:
        for key, value in items.items():
            if isinstance(value, torch.Tensor):
                items[key] = self._stand_in(value)
