"""What a convention is: a rule that turns a trace into costs, with its unit and its origin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import effbench.judge.formulas  # noqa: F401  fills the table of formulas
from effbench.judge.algebra import ZERO, Expr, total
from effbench.judge.free import MOVES_DATA, NO_INNER_PRODUCT
from effbench.judge.work import KINDS, Formula, Work, formulas
from effbench.records import OpCall, Trace, Value
from effbench.registry import Registry
from effbench.units import Unit


@dataclass(frozen=True, slots=True)
class Cost:
    """What one call costs under one convention.

    Attributes:
        module: path of the module it belongs to.
        label: the op or, where a convention counts module calls, the module's class.
        amount: in the convention's unit; ZERO for a free call, None where no rule says it.
    """

    module: str
    label: str
    amount: Expr | None

    @property
    def status(self) -> str:
        """Returns "counted", "free" or "unknown"."""
        if self.amount is None:
            return "unknown"
        return "counted" if self.amount else "free"


Rule = Callable[[Trace], Iterable[Cost]]


@dataclass(frozen=True, slots=True)
class Convention:
    """A way of counting.

    Attributes:
        unit: what one of its counts is: a MAC or a FLOP.
        about: one line: what it counts, and whose number it gives.
        rule: the costs of a trace's calls, in order.
    """

    name: str
    unit: Unit
    about: str
    rule: Rule


conventions: Registry[Convention] = Registry("convention")


def convention(name: str, unit: Unit, about: str) -> Callable[[Rule], Rule]:
    """Returns a decorator that registers a rule as a convention."""

    def enter(rule: Rule) -> Rule:
        conventions.add(name, Convention(name, unit, about, rule))
        return rule

    return enter


@dataclass(frozen=True, slots=True)
class Weights:
    """What one operation of each kind costs, and which ops without a formula are free.

    Attributes:
        kinds: cost by kind of work; a kind left out costs nothing.
        free: reason by op.
        free_tags: torch's tags whose ops are free where no formula says otherwise.
    """

    kinds: Mapping[str, int]
    free: Mapping[str, str]
    free_tags: frozenset[str] = frozenset()


MACS_ONLY = Weights(
    MappingProxyType({"mac": 1}),
    MappingProxyType({**MOVES_DATA, **NO_INNER_PRODUCT}),
    frozenset({"pointwise", "reduction"}),
)


def weigh(trace: Trace, weights: Weights, table: Registry[Formula] = formulas) -> Iterable[Cost]:
    """Gives the cost of every op call: its work weighed by kind, nothing where it is free, else unknown."""
    for call in trace.ops:
        entry = table.find(call.op)
        if entry is None:
            amount = ZERO if is_free(call, weights) else None
        elif _reads_sparse(call, trace.values):
            amount = None  # formulas are of shapes, and the work is of the non-zero elements
        else:
            amount = weighed(entry.work(call, trace.values), weights.kinds)
        yield Cost(call.module, call.op, amount)


def _reads_sparse(call: OpCall, values: Sequence[Value]) -> bool:
    """Returns whether an input has a layout without strides, which `Value.strides` records as none."""
    given = (number for ids in call.inputs.values() for number in ((ids,) if isinstance(ids, int) else ids))
    return any(values[number].shape and not values[number].strides for number in given)


def is_free(call: OpCall, weights: Weights) -> bool:
    """Returns whether an op without a formula is free: a view, on the list, or of a free tag."""
    return call.is_view or call.op in weights.free or not weights.free_tags.isdisjoint(call.tags)


def weighed(work: Work, kinds: Mapping[str, int]) -> Expr:
    """Returns the sum of the work's kinds, each times its weight; kinds of weight 1 stand without it."""
    parts = ((kinds.get(kind, 0), getattr(work, kind)) for kind in KINDS)
    return total(amount if weight == 1 else amount * weight for weight, amount in parts if weight and amount)
