"""The trace that a graph is written into: values with storages, op calls with what they set free."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from effbench.measure.onnx_graph.tensors import Dtype, Type, nbytes
from effbench.records import Attr, Ids, OpCall, Shape, Value


class Tensor(NamedTuple):
    """One value of the trace while it is written: its id, shape and element type."""

    id: int
    shape: Shape
    dtype: Dtype


Given = Tensor | Sequence[Tensor] | None
"""What an op argument may be: a tensor, a list of them, or absent."""


@dataclass
class Writer:
    """Writes values and calls; `module` is the path that the next calls belong to."""

    module: str = ""
    values: list[Value] = field(default_factory=list)
    calls: list[OpCall] = field(default_factory=list)
    _storages: int = 0
    _made: set[int] = field(default_factory=set)
    _last_use: dict[int, int] = field(default_factory=dict)

    def tensor(self, kind: Type, of: Tensor | None = None) -> Tensor:
        """Returns a new value: in a storage of its own, or in that of the tensor it is a view of."""
        assert kind.shape is not None
        if of is None:
            storage, size = self._storages, nbytes(kind.shape, kind.dtype)
            self._storages += 1
        else:
            storage, size = self.values[of.id].storage, self.values[of.id].nbytes
        number = len(self.values)
        self.values.append(Value(number, kind.shape, _strides(kind.shape), kind.dtype.name, storage, size))
        return Tensor(number, kind.shape, kind.dtype)

    def call(
        self,
        op: str,
        inputs: Mapping[str, Given],
        outs: Sequence[Type],
        attrs: Mapping[str, Attr] | None = None,
        tags: tuple[str, ...] = (),
    ) -> tuple[Tensor, ...]:
        """Returns the tensors that a new call makes."""
        made = tuple(self.tensor(kind) for kind in outs)
        self._made.update(self.values[item.id].storage for item in made)
        self._enter(op, inputs, made, attrs or {}, tags, is_view=False)
        return made

    def view(self, op: str, given: Tensor, shape: Shape, attrs: Mapping[str, Attr] | None = None) -> Tensor:
        """Returns a tensor of another shape in the same storage; the given one where nothing changes."""
        if shape == given.shape and op == "aten::view":
            return given
        seen = self.tensor(Type(given.dtype, shape), given)
        self._enter(op, {"self": given}, (seen,), attrs or {}, (), is_view=True)
        return seen

    def _enter(
        self,
        op: str,
        inputs: Mapping[str, Given],
        outs: Sequence[Tensor],
        attrs: Mapping[str, Attr],
        tags: tuple[str, ...],
        is_view: bool,
    ) -> None:
        ids = {name: _ids(item) for name, item in inputs.items() if item is not None}
        flat = (number for item in ids.values() for number in ((item,) if isinstance(item, int) else item))
        for number in (*flat, *(item.id for item in outs)):
            self._last_use[self.values[number].storage] = len(self.calls)
        self.calls.append(OpCall(op, tags, is_view, (), self.module, ids, tuple(item.id for item in outs), attrs))

    def finished(self, kept: Iterable[Tensor]) -> tuple[OpCall, ...]:
        """Returns the calls, each with the storages that no later call and no kept tensor needs."""
        held = {self.values[item.id].storage for item in kept}
        dies: dict[int, list[int]] = {}
        for storage, index in self._last_use.items():
            if storage in self._made and storage not in held:
                dies.setdefault(index, []).append(storage)
        return tuple(
            replace(call, frees=tuple(dies[index])) if index in dies else call for index, call in enumerate(self.calls)
        )


def _ids(given: Tensor | Sequence[Tensor]) -> Ids:
    return given.id if isinstance(given, Tensor) else tuple(item.id for item in given)


def _strides(shape: Shape) -> Shape:
    strides: list[int] = []
    step = 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))
