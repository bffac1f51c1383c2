"""Running a model without changing it.

A forward pass may write buffers, fill caches or set attributes. `borrowed` swaps the model's tensors for
stand-ins, lets the caller run it, and puts back every attribute as it was, also when the run raises.
"""

from __future__ import annotations

import operator
import random
import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterable, Iterator
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
_META = torch.device("meta")


def is_shapeless(tensor: torch.Tensor) -> bool:
    """Returns whether it belongs to a lazy module that has not run yet: its shape comes with the first input."""
    if type(tensor) in _TENSORS:  # isinstance asks a metaclass in Python, 0.3 µs for every parameter
        return False
    return isinstance(tensor, UninitializedParameter | UninitializedBuffer)


def to_meta(tensor: torch.Tensor) -> torch.Tensor:
    """Returns a tensor of the same shape, strides, dtype and class (parameter or not) without data."""
    if is_shapeless(tensor):
        return _shapeless_like(tensor, _META)
    if tensor.is_meta:
        return tensor
    if tensor.layout is not torch.strided:
        return tensor.detach().to("meta")
    hollow = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=_META)
    return _of_same_class(tensor, hollow)


def private_copy(tensor: torch.Tensor) -> torch.Tensor:
    """Returns a copy that may be written to; forward passes write to parameters too (clipping, first-batch scaling)."""
    if is_shapeless(tensor):
        return _shapeless_like(tensor, tensor.device)
    return _of_same_class(tensor, tensor.detach().clone())


def _of_same_class(tensor: torch.Tensor, stand_in: torch.Tensor) -> torch.Tensor:
    if type(tensor) is torch.Tensor or not isinstance(tensor, nn.Parameter):
        return stand_in
    return nn.Parameter(stand_in, tensor.requires_grad)


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

_TABLES = frozenset({dict, OrderedDict, list, set, deque})
"""Classes of which an empty object has nothing to save: a module has a dozen empty tables of hooks."""

_TENSORS = frozenset({torch.Tensor, nn.Parameter})


@contextmanager
def borrowed(model: nn.Module, swap: Swap, training: bool) -> Iterator[None]:
    """Lends the model with stand-in tensors and the given training flag; restores all of it at the end.

    Restored are every module's class, attributes, parameters, buffers and children, and the contents of the
    containers and plain objects (a cache, a state) that its attributes hold.
    """
    modules = list(model.modules())
    kinds = [type(module) for module in modules]
    held = _Held()
    for module in modules:
        held.enter(vars(module), True)
    saved = [(holder, holder.copy()) for holder in held.holders]
    try:
        _swap_tensors(held.swapped, swap)
        for module in modules:
            vars(module)["training"] = training
        yield
    finally:
        for module, kind in zip(modules, kinds, strict=True):
            if type(module) is not kind:  # a lazy module becomes another one when it runs
                module.__class__ = kind
        for holder in held.empty:
            if holder:
                holder.clear()
        for holder, contents in saved:
            _restore(holder, contents)


class _Held:
    """The modules' attributes and what can be written to below them, each once.

    The way leads through containers of any depth and through one plain object, not from object to object: a
    model that knows its trainer does not make the trainer's data its own.
    """

    def __init__(self) -> None:
        self.holders: list[Holder] = []
        self.empty: list[Holder] = []
        self.swapped: list[Holder] = []
        self._known: set[int] = set()

    def enter(self, holder: Holder, through_object: bool) -> None:
        """Takes up a holder and what lies below it."""
        if id(holder) in self._known:
            return
        self._known.add(id(holder))
        self.holders.append(holder)
        swaps = False
        for value in holder.values() if isinstance(holder, dict) else holder:
            kind = type(value)
            if kind in _LEAVES:
                continue
            if kind in _TENSORS:
                swaps = True
            elif kind in _TABLES and not value:
                self.empty.append(value)
            elif kind is tuple and _LEAVES.issuperset(map(type, value)):
                continue
            else:
                swaps |= self._visit(value, through_object)
        if swaps and not isinstance(holder, set):
            self.swapped.append(holder)

    def _visit(self, value: object, through_object: bool) -> bool:
        """Returns whether the value is or, as a tuple, holds a tensor; takes up the holders below it."""
        if isinstance(value, torch.Tensor):
            return True
        if isinstance(value, tuple):
            # All of them are visited, so a list: any() of a generator would stop at the first tensor.
            return True in [self._visit(item, through_object) for item in value if type(item) not in _LEAVES]
        if isinstance(value, _HOLDERS):
            self.enter(value, through_object)
        elif through_object and _is_plain_object(value):
            self.enter(vars(value), False)
        return False


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


def _same(left: Collection[object], right: Collection[object]) -> bool:
    return len(left) == len(right) and all(map(operator.is_, left, right))


def _swap_tensors(holders: Iterable[Holder], swap: Swap) -> None:
    """Replaces the tensors in holders, each distinct tensor by one stand-in."""
    # Keeps the originals alive, so that an id is never that of another tensor.
    done: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def fresh(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            known = done.get(id(value))
            if known is None:
                known = done[id(value)] = (value, swap(value))
            return known[1]
        if isinstance(value, tuple):
            items = [fresh(item) for item in value]
            if not _same(items, value):
                return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
        return value

    for holder in holders:
        entries: Any = holder
        for key, value in list(holder.items() if isinstance(holder, dict) else enumerate(holder)):
            if type(value) not in _LEAVES:
                entries[key] = fresh(value)
