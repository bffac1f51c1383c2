"""Why two conventions give different totals: the difference by what causes it, summing to it exactly."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from effbench.judge.convention import Cost
from effbench.judge.count import Counts, to_flops
from effbench.units import Unit


@dataclass(frozen=True, slots=True)
class Cause:
    """One class of modules whose cost differs.

    Attributes:
        type: the modules' class. paths: those of them that differ.
        ops: what either convention counts in them: ops, or the class where a convention counts module calls.
        base, other: what each convention gives them. All amounts are in the difference's unit.
    """

    type: str
    paths: tuple[str, ...]
    ops: tuple[str, ...]
    base: int
    other: int

    @property
    def difference(self) -> int:
        """Returns what these modules add to the other convention's total."""
        return self.other - self.base


@dataclass(frozen=True, slots=True)
class Attribution:
    """The difference between two totals; `causes` add up to it, the largest first."""

    unit: Unit
    difference: int
    causes: tuple[Cause, ...]


def attribute(base: Counts, other: Counts) -> Attribution | None:
    """Returns why `other` differs from `base`, in MACs if both count them, else in FLOPs; None where one is unknown."""
    if base.total is None or other.total is None:
        return None
    unit = Unit.MAC if base.unit is other.unit is Unit.MAC else Unit.FLOP
    ours, theirs = _by_path(base, unit), _by_path(other, unit)
    types = {layer.path: layer.type for layer in (*base.layers, *other.layers)}
    differing: dict[str, list[str]] = {}
    for path, kind in types.items():
        if ours[path] != theirs[path]:
            differing.setdefault(kind, []).append(path)
    labels = _labels((*base.costs, *other.costs))
    causes = (
        Cause(
            kind,
            tuple(paths),
            tuple(sorted({label for path in paths for label in labels.get(path, ())})),
            sum(ours[path] for path in paths),
            sum(theirs[path] for path in paths),
        )
        for kind, paths in differing.items()
    )
    ordered = tuple(sorted(causes, key=lambda cause: (-abs(cause.difference), cause.type)))
    return Attribution(unit, sum(theirs.values()) - sum(ours.values()), ordered)


def _by_path(counts: Counts, unit: Unit) -> dict[str, int]:
    """Returns each path's own amount in the unit."""

    def amount(value: int) -> int:
        return value if unit is counts.unit else to_flops(value, counts.unit)

    return {layer.path: amount(layer.amount.value if layer.amount else 0) for layer in counts.layers}


def _labels(costs: Iterable[Cost]) -> dict[str, set[str]]:
    """Returns what is counted in each path, free calls left out."""
    found: dict[str, set[str]] = {}
    for cost in costs:
        if cost.amount:
            found.setdefault(cost.module, set()).add(cost.label)
    return found
