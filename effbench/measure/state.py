"""Running a model without changing it.

A forward pass may write buffers, fill caches or set attributes. `borrowed` swaps the model's tensors for
stand-ins, lets the caller run it, and puts back every attribute as it was, also when the run raises.
"""

from __future__ import annotations

import random
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

Swap = Callable[[torch.Tensor], torch.Tensor]
"""Returns the stand-in of a tensor; called once per distinct tensor."""

Holder = dict[Any, Any] | list[Any] | set[Any] | deque[Any]
"""Something that can be written to and may hold tensors: a container, or the attributes of an object."""

_HOLDERS = (dict, list, set, deque)


def is_shapeless(tensor: torch.Tensor) -> bool:
    """Returns whether it belongs to a lazy module that has not run yet: its shape comes with the first input."""
    return isinstance(tensor, UninitializedParameter | UninitializedBuffer)


def to_meta(tensor: torch.Tensor) -> torch.Tensor:
    """Returns a tensor of the same shape, strides, dtype and class (parameter or not) without data."""
    if is_shapeless(tensor):
        return _shapeless_like(tensor, torch.device("meta"))
    if tensor.device.type == "meta":
        return tensor
    if tensor.layout is not torch.strided:
        return tensor.detach().to("meta")
    hollow = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
    return _of_same_class(tensor, hollow)


def private_copy(tensor: torch.Tensor) -> torch.Tensor:
    """Returns a copy that may be written to; forward passes write to parameters too (clipping, first-batch scaling)."""
    if is_shapeless(tensor):
        return _shapeless_like(tensor, tensor.device)
    return _of_same_class(tensor, tensor.detach().clone())


def _of_same_class(tensor: torch.Tensor, stand_in: torch.Tensor) -> torch.Tensor:
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(stand_in, requires_grad=tensor.requires_grad)
    return stand_in


def _shapeless_like(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    kind: Any = type(tensor)
    fresh: torch.Tensor = kind(requires_grad=tensor.requires_grad, device=device, dtype=tensor.dtype)
    return fresh


@contextmanager
def same_random_state() -> Iterator[None]:
    """Puts back the random generators of torch, Python and, where it is loaded, numpy at the end."""
    numpy = sys.modules.get("numpy")
    python_state, torch_state = random.getstate(), torch.get_rng_state()
    numpy_state = None if numpy is None else numpy.random.get_state()
    on_cuda = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    cuda_states = torch.cuda.get_rng_state_all() if on_cuda else []
    try:
        yield
    finally:
        random.setstate(python_state)
        torch.set_rng_state(torch_state)
        if numpy is not None:
            numpy.random.set_state(numpy_state)
        if cuda_states:
            torch.cuda.set_rng_state_all(cuda_states)


_LEAVES = frozenset({bool, int, float, str, type(None)})
"""Classes whose objects hold nothing: passed over first, since most attributes are of these."""


@contextmanager
def borrowed(model: nn.Module, swap: Swap, training: bool) -> Iterator[None]:
    """Lends the model with stand-in tensors and the given training flag; restores all of it at the end.

    Restored are every module's class, attributes, parameters, buffers and children, and the contents of the
    containers and plain objects (a cache, a state) that its attributes hold.
    """
    modules = list(model.modules())
    kinds = [type(module) for module in modules]
    holders = _holders(modules)
    # Most are a module's empty tables of hooks: nothing to save, only to empty again.
    empty = [holder for holder in holders if not holder]
    saved = [(holder, holder.copy()) for holder in holders if holder]
    try:
        stand_ins = _Swapper(swap)
        for holder, _ in saved:
            stand_ins.enter(holder)
        for module in modules:
            vars(module)["training"] = training
        yield
    finally:
        for module, kind in zip(modules, kinds, strict=True):
            if type(module) is not kind:  # a lazy module becomes another one when it runs
                module.__class__ = kind
        for holder in empty:
            if holder:
                holder.clear()
        for holder, contents in saved:
            _restore(holder, contents)


def _holders(modules: Iterable[nn.Module]) -> list[Holder]:
    """Returns, each once, the modules' attributes and what can be written to below them.

    The way leads through containers of any depth and through one plain object, not from object to object: a
    model that knows its trainer does not make the trainer's data its own.
    """
    found: dict[int, Holder] = {}

    def visit(value: object, through_object: bool) -> None:
        if type(value) in _LEAVES:
            return
        if isinstance(value, tuple):
            for item in value:
                visit(item, through_object)
        elif isinstance(value, _HOLDERS):
            if id(value) not in found:
                found[id(value)] = value
                for item in value.values() if isinstance(value, dict) else value:
                    visit(item, through_object)
        elif through_object and _is_plain_object(value):
            visit(vars(value), False)

    for module in modules:
        visit(vars(module), True)
    return list(found.values())


def _is_plain_object(value: object) -> bool:
    if callable(value) or isinstance(value, torch.Tensor | nn.Module | ModuleType):
        return False
    return isinstance(getattr(value, "__dict__", None), dict)


def _restore(holder: Holder, contents: Holder) -> None:
    """Gives a holder its contents back; one that still has them is not touched."""
    if isinstance(holder, dict) and isinstance(contents, dict):
        if not _same(holder.values(), contents.values()) or list(holder) != list(contents):
            holder.clear()
            holder.update(contents)
    elif isinstance(holder, set) and isinstance(contents, set):
        if holder != contents:
            holder.clear()
            holder.update(contents)
    elif isinstance(holder, list | deque) and not _same(holder, contents):
        holder.clear()
        holder.extend(contents)


def _same(left: Iterable[object], right: Iterable[object]) -> bool:
    return list(map(id, left)) == list(map(id, right))


class _Swapper:
    """Replaces the tensors in holders, each distinct tensor by one stand-in."""

    def __init__(self, swap: Swap) -> None:
        self._swap = swap
        # Keeps the originals alive, so that an id is never that of another tensor.
        self._done: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def enter(self, holder: Holder) -> None:
        if isinstance(holder, set):
            return
        for key, value in list(holder.items() if isinstance(holder, dict) else enumerate(holder)):
            if type(value) in _LEAVES:
                continue
            fresh = self._fresh(value)
            if fresh is not value:
                holder[key] = fresh

    def _fresh(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            known = self._done.get(id(value))
            if known is None:
                known = self._done[id(value)] = (value, self._swap(value))
            return known[1]
        if isinstance(value, tuple):
            items = [self._fresh(item) for item in value]
            if not _same(items, value):
                return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
        return value
