"""The tensors of one pass, each with a number; their storages are followed until they die.

Tensors and storages are known by weak references, so that recording keeps none alive.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TypeAlias

import torch

from effbench.errors import InputError
from effbench.measure.layouts import Fresh, Layout, layout_of
from effbench.measure.plain import dtype_name
from effbench.records import Value

Seen: TypeAlias = tuple["weakref.ref[torch.Tensor]", int, Layout | None]
"""A tensor that was met: a reference, its number, and how it lies; None where no rule's answer can be remembered.

A bare tuple: it is made once for every tensor, and a named one takes six times as long.
"""


class _StorageRef(weakref.ref[torch.UntypedStorage]):
    """A storage with its number, and the address that it is known by as long as it lives."""

    __slots__ = ("key", "number")

    key: int
    number: int


class Tensors:
    """Numbers tensors in the order in which they are met; `died` is told the number of a storage that is gone."""

    def __init__(self, died: Callable[[int], None]) -> None:
        self.values: list[Value] = []
        self._seen: dict[int, Seen] = {}
        self._died = died
        self._storages: dict[int, _StorageRef] = {}
        self._count = 0

    def seen(self, tensor: torch.Tensor) -> Seen:
        """Returns what is known of a tensor, anew where it was not met or has another shape or type by now."""
        known = self._seen.get(id(tensor))
        if known is not None and known[0]() is tensor:
            layout = known[2]
            if layout is None:
                if self.values[known[1]].shape == tensor.shape:
                    return known
            elif layout[0] == tensor.shape and layout[2] is tensor.dtype:
                return known
        return self._meet(tensor)

    def number(self, tensor: torch.Tensor) -> int:
        """Returns the number of a tensor, by its identity alone: no op has changed it since it was last seen."""
        known = self._seen.get(id(tensor))
        return known[1] if known is not None and known[0]() is tensor else self._meet(tensor)[1]

    def made(self, tensor: torch.Tensor, fresh: Fresh) -> int:
        """Returns the number of a tensor that was just made after a remembered answer."""
        return self._add(tensor, fresh, self._followed(tensor.untyped_storage()), fresh.nbytes)

    def viewed(self, tensor: torch.Tensor, fresh: Fresh, base: torch.Tensor) -> int:
        """Returns the number of a tensor that was just made as a view of another, or is that."""
        if tensor is base:
            return self.number(tensor)
        of = self.values[self.number(base)]
        return self._add(tensor, fresh, of.storage, of.nbytes)

    def _add(self, tensor: torch.Tensor, fresh: Fresh, storage: int, nbytes: int) -> int:
        values = self.values
        number, layout = len(values), fresh[0]
        values.append(Value(number, layout[0], layout[1], fresh[1], storage, nbytes))
        self._seen[id(tensor)] = (weakref.ref(tensor), number, layout)
        return number

    def _meet(self, tensor: torch.Tensor) -> Seen:
        if tensor.layout is torch.jagged:
            return self.seen(tensor.values().detach())
        layout = layout_of(tensor)
        strides = _strides(tensor) if layout is None else layout.strides  # which refuses a tensor without a shape
        shape = tuple(tensor.shape) if layout is None else layout.shape
        number = len(self.values)
        self.values.append(Value(number, shape, strides, dtype_name(tensor.dtype), *self._storage_of(tensor)))
        seen = self._seen[id(tensor)] = (weakref.ref(tensor), number, layout)
        return seen

    def _storage_of(self, tensor: torch.Tensor) -> tuple[int, int]:
        """Returns (number, bytes) of its storage; a tensor without one of its own (sparse) gets a new number."""
        try:
            storage = tensor.untyped_storage()
        except (NotImplementedError, RuntimeError):
            self._count += 1
            return self._count - 1, tensor.numel() * tensor.element_size()
        return self._followed(storage), storage.nbytes()

    def _followed(self, storage: torch.UntypedStorage) -> int:
        key = storage._cdata
        known = self._storages.get(key)
        if known is None:
            known = self._storages[key] = _StorageRef(storage, self._gone)
            known.key, known.number = key, self._count
            self._count += 1
        return known.number

    def _gone(self, ref: weakref.ref[torch.UntypedStorage]) -> None:
        assert isinstance(ref, _StorageRef)
        self._storages.pop(ref.key, None)
        self._died(ref.number)


def _strides(tensor: torch.Tensor) -> tuple[int, ...]:
    """Returns a dense tensor's strides, as if contiguous where oneDNN has an order of its own; of a sparse one none.

    Raises:
        InputError: it is nested in the older layout, in which sequences may differ in every dimension.
    """
    if tensor.layout is not torch.strided:
        return torch.empty(tensor.shape, device="meta").stride() if tensor.is_mkldnn else ()
    try:
        return tensor.stride()
    except RuntimeError as error:
        if not tensor.is_nested:
            raise
        text = "a nested tensor of the strided layout has no shape: build it with layout=torch.jagged"
        raise InputError(text) from error
