"""The roofline's op calls together, by the module that they are of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from effbench.judge.roofline import OpRoof, Roofline
from effbench.units import Flops

Number = TypeVar("Number", int, float)


@dataclass(frozen=True, slots=True)
class LayerRoof:
    """The op calls of one module path together; a figure is None where one of theirs is not known."""

    path: str
    calls: int
    flops: Flops | None
    nbytes: int | None
    attainable_s: float | None
    measured_s: float | None


def by_layer(found: Roofline) -> tuple[LayerRoof, ...]:
    """Returns the ops summed by module path, in the order in which the paths first ran."""
    groups: dict[str, list[OpRoof]] = {}
    for op in found.ops:
        groups.setdefault(op.module, []).append(op)
    return tuple(_layer(path, ops) for path, ops in groups.items())


def _layer(path: str, ops: Sequence[OpRoof]) -> LayerRoof:
    flops = _sum(None if op.flops is None else op.flops.count for op in ops)
    return LayerRoof(
        path,
        len(ops),
        None if flops is None else Flops(flops),
        _sum(op.nbytes for op in ops),
        _sum(op.attainable_s for op in ops),
        _sum(op.measured_s for op in ops),
    )


def _sum(parts: Iterable[Number | None]) -> Number | None:
    total: Number | None = None
    for part in parts:
        if part is None:
            return None
        total = part if total is None else total + part
    return total
