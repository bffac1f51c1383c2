"""What a convention is: a rule that turns a trace into costs, with its unit and its origin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import effbench.judge.formulas  # noqa: F401  fills the table of formulas
from effbench.judge.algebra import ZERO, Expr, total
from effbench.judge.blame import is_theirs, raised, wrong
from effbench.judge.free import MOVES_DATA, NO_INNER_PRODUCT, NOT_IN_MACS
from effbench.judge.number_kinds import restated, touches, unusual
from effbench.judge.work import KINDS, Formula, Work, Works, formulas
from effbench.records import REPARAMETRISES, Fact, OpCall, Trace
from effbench.registry import Registry
from effbench.units import Unit


@dataclass(frozen=True, slots=True)
class Cost:
    """What one call costs under one convention.

    Attributes:
        module: path of the module it belongs to.
        label: the op or, where a convention counts module calls, the module's class.
        amount: in the convention's unit; ZERO for a free call, None where no rule says it.
        beside: the convention's second figure, such as the MACs of a tool that counts them apart from its FLOPs.
        why: what makes the amount unknown, where it is not the want of a formula.
    """

    module: str
    label: str
    amount: Expr | None
    beside: Expr = ZERO
    why: str = ""

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
        beside: the unit of its second figure, by rules of its own; None where it gives one figure.
        about: one line: what it counts, and whose number it gives.
        rule: the costs of a trace's calls, in order.
        needs: facts that the rule reads and that a trace has only where they were asked for.
        graphs: whether it counts graphs read from files too; a tool's own figure is of a PyTorch module alone.
    """

    name: str
    unit: Unit
    about: str
    rule: Rule
    needs: frozenset[Fact] = frozenset()
    beside: Unit | None = None
    graphs: bool = False


conventions: Registry[Convention] = Registry("convention")


def convention(
    name: str,
    unit: Unit,
    about: str,
    needs: frozenset[Fact] = frozenset(),
    beside: Unit | None = None,
    graphs: bool = False,
) -> Callable[[Rule], Rule]:
    """Returns a decorator that registers a rule as a convention."""

    def enter(rule: Rule) -> Rule:
        conventions.add(name, Convention(name, unit, about, rule, needs, beside, graphs))
        return rule

    return enter


def costs_of(trace: Trace, convention: Convention) -> tuple[Cost, ...]:
    """Returns what a convention's rule gives; a user's that raises or gives something else is told as theirs."""
    what = f"the rule of convention {convention.name}"
    try:
        costs = tuple(convention.rule(trace))
    except Exception as error:
        if not is_theirs(convention.rule, error):
            raise
        raise raised(what, convention.rule, error) from error
    odd = next((cost for cost in costs if not isinstance(cost, Cost)), None)
    if odd is not None:
        raise wrong(what, convention.rule, odd, "Costs")
    return costs


@dataclass(frozen=True, slots=True)
class Weights:
    """What one operation of each kind costs, and which ops without a formula are free.

    Attributes:
        kinds: cost by kind of work; a kind left out costs nothing.
        free: reason by op.
        free_tags: torch's tags whose ops are free where no formula says otherwise.
        unknown: reason by op whose formula does not hold under these weights.
    """

    kinds: Mapping[str, int]
    free: Mapping[str, str]
    free_tags: frozenset[str] = frozenset()
    unknown: Mapping[str, str] = field(default_factory=dict)


MACS_ONLY = Weights(
    MappingProxyType({"mac": 1}),
    MappingProxyType({**MOVES_DATA, **NO_INNER_PRODUCT}),
    frozenset({"pointwise", "reduction"}),
    NOT_IN_MACS,
)


def weigh(trace: Trace, weights: Weights, table: Registry[Formula] = formulas) -> Iterable[Cost]:
    """Gives the cost of every op call: its work weighed by kind, nothing where it is free, else unknown."""
    odd = unusual(trace.values)
    works, amounts = Works(table), dict[int, tuple[Work, Expr | None]]()
    for call in trace.ops:
        work = None if REPARAMETRISES in call.tags else works.of(call, trace.values)
        if REPARAMETRISES in call.tags:
            amount: Expr | None = ZERO  # weights are made of weights, which is done once and not for every input
        elif work is None:
            amount = ZERO if is_free(call, weights) else None
        elif call.op in weights.unknown:
            amount = None
        elif odd and touches(call, odd):
            amount = weighed(restated(work, call, trace.values), weights.kinds)
        else:
            known = amounts.get(id(work)) or amounts.setdefault(id(work), (work, weighed(work, weights.kinds)))
            amount = known[1]
        yield Cost(call.module, call.op, amount)


def is_free(call: OpCall, weights: Weights) -> bool:
    """Returns whether an op without a formula is free: a view, on the list, or of a free tag."""
    return call.is_view or call.op in weights.free or not weights.free_tags.isdisjoint(call.tags)


def weighed(work: Work, kinds: Mapping[str, int]) -> Expr | None:
    """Returns the sum of the work's kinds, each times its weight, a weight of 1 left out; None where it is unknown."""
    if any(kinds.get(kind, 0) for kind in work.unknown):
        return None
    parts = ((kinds.get(kind, 0), getattr(work, kind)) for kind in KINDS)
    return total(amount if weight == 1 else amount * weight for weight, amount in parts if weight and amount)
