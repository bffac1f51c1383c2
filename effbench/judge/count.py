"""Trace × Convention → Counts. Pure: no torch, no files, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import effbench.judge.conventions  # noqa: F401  fills the table of conventions
from effbench.errors import InputError
from effbench.judge.algebra import Expr, total
from effbench.judge.convention import Convention, Cost, conventions, costs_of
from effbench.judge.work import Works, formulas
from effbench.records import REPARAMETRISES, Fact, Shape, Trace
from effbench.units import Unit


@dataclass(frozen=True, slots=True)
class Coverage:
    """Calls by how their cost is known; `unknown` names the ops that no rule covers, with their calls."""

    counted: int
    free: int
    unknown: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class LayerCount:
    """One module path with its own share.

    Attributes:
        calls: how often it was called. outputs: shapes its last call returned.
        params: distinct parameters of its own; a shared one counts at its first path.
        amount: in the convention's unit, children left out; None where an op of its own is unknown.
        activations: elements that its own convolutions and matrix products output.
        beside: the convention's second figure; None where unknown or where it gives one figure.
    """

    path: str
    type: str
    calls: int
    outputs: tuple[Shape, ...]
    params: int
    amount: Expr | None
    activations: int
    beside: Expr | None = None


@dataclass(frozen=True)
class Counts:
    """What a trace costs under one convention, as exact integers; sums are made when they are asked for.

    Attributes:
        rule: how it was counted. costs: those of every call, in order.
        trace: what was counted.
    """

    rule: Convention = field(repr=False)
    costs: tuple[Cost, ...] = field(repr=False)
    trace: Trace = field(repr=False)

    @property
    def convention(self) -> str:
        """Returns the name of the convention."""
        return self.rule.name

    @property
    def unit(self) -> Unit:
        """Returns what one of `total` is."""
        return self.rule.unit

    @cached_property
    def layers(self) -> tuple[LayerCount, ...]:
        """Returns one row per module path with its own share; the rows sum to the total."""
        return _layers(self.trace, self.costs, self.rule)

    @cached_property
    def total(self) -> int | None:
        """Returns the sum of all calls; None where an unknown op, or a pass that broke off, makes it unknowable."""
        return _total([cost.amount for cost in self.costs]) if _is_whole(self.trace) else None

    @cached_property
    def beside(self) -> int | None:
        """Returns the convention's second figure, in MACs; None where unknown or where it gives one figure."""
        if self.rule.beside is None or self.total is None:
            return None
        return _total([cost.beside for cost in self.costs])

    @cached_property
    def activations(self) -> int:
        """Returns the elements that convolutions and matrix products output."""
        return sum(layer.activations for layer in self.layers)

    @cached_property
    def coverage(self) -> Coverage:
        """Returns how many calls were counted, free and unknown."""
        return _coverage(self.costs)

    @property
    def macs(self) -> int | None:
        """Returns the total in MACs; None where unknown or where the convention counts FLOPs alone."""
        return self.total if self.unit is Unit.MAC else self.beside

    @property
    def flops(self) -> int | None:
        """Returns the total in FLOPs, 2 per MAC; None where unknown."""
        return None if self.total is None else to_flops(self.total, self.unit)

    @property
    def reasons(self) -> Mapping[str, str]:
        """Returns why calls are unknown that do not lack a formula, by op."""
        return {cost.label: cost.why for cost in reversed(self.costs) if cost.amount is None and cost.why}


def to_flops(amount: int, unit: Unit) -> int:
    """Returns an amount in FLOPs: a MAC is two."""
    return 2 * amount if unit is Unit.MAC else amount


def count(trace: Trace, convention: Convention) -> Counts:
    """Returns the cost of a trace under a convention, per layer and in total, as exact integers.

    Raises:
        InputError: the convention reads facts that were not asked for when the trace was made, or that a graph
            read from a file does not have.
    """
    if trace.origin == "graph" and not convention.graphs:
        own = ", ".join(sorted(name for name, item in conventions.items() if item.graphs))
        raise InputError(
            f"convention {convention.name} gives what that tool makes of a PyTorch module, and this is a graph "
            f"read from a file: count it by {own}"
        )
    absent = missing_facts(trace, convention)
    if absent:
        raise InputError(
            f"convention {convention.name} reads {', '.join(absent)}, which this trace was made without: "
            f"profile the model again under it (--convention {convention.name})"
        )
    return Counts(convention, costs_of(trace, convention), trace)


def missing_facts(trace: Trace, convention: Convention) -> tuple[Fact, ...]:
    """Returns the facts that a convention reads and a trace was made without."""
    return tuple(fact for fact in sorted(convention.needs) if getattr(trace, fact) is None)


def _coverage(costs: Iterable[Cost]) -> Coverage:
    counted, free, unknown = 0, 0, dict[str, int]()
    for cost in costs:
        if cost.amount is None:
            unknown[cost.label] = unknown.get(cost.label, 0) + 1
        elif cost.amount:
            counted += 1
        else:
            free += 1
    return Coverage(counted, free, unknown)


def _layers(trace: Trace, costs: Iterable[Cost], convention: Convention) -> tuple[LayerCount, ...]:
    own: dict[str, list[Cost]] = {}
    for cost in costs:
        own.setdefault(cost.module, []).append(cost)
    calls: dict[str, int] = {}
    outputs: dict[str, tuple[Shape, ...]] = {}
    for call in trace.modules:
        calls[call.path] = calls.get(call.path, 0) + 1
        outputs[call.path] = tuple(trace.values[number].shape for number in call.outputs)
    params = own_params(trace)
    activations = _activations(trace)
    # Where a pass broke off, or there was none, a module that did not return has an unknown share.
    known = {node.path for node in trace.tree if trace.failed is None or node.path in calls}
    return tuple(
        LayerCount(
            node.path,
            node.type,
            calls.get(node.path, 0),
            outputs.get(node.path, ()),
            params.get(node.path, 0),
            _sum(own.get(node.path, [])) if node.path in known else None,
            activations.get(node.path, 0),
            _sum_beside(own.get(node.path, [])) if convention.beside is not None and node.path in known else None,
        )
        for node in trace.tree
    )


def _is_whole(trace: Trace) -> bool:
    """Returns whether every module did what it does: where a pass broke off, or there was none, some did not."""
    return trace.failed is None or {node.path for node in trace.tree} <= {call.path for call in trace.modules}


def _total(amounts: Sequence[Expr | None]) -> int | None:
    """Returns the sum; the amounts of equal calls are one object, which is worked out once."""
    if None in amounts:
        return None
    values: dict[int, int] = {}
    total = 0
    for amount in amounts:
        if amount:
            known = values.get(id(amount))
            total += known if known is not None else values.setdefault(id(amount), amount.value)
    return total


def _sum(costs: Iterable[Cost]) -> Expr | None:
    amounts = [cost.amount for cost in costs]
    if None in amounts:
        return None
    return total(amount for amount in amounts if amount is not None).merged()


def _sum_beside(costs: Iterable[Cost]) -> Expr | None:
    known = list(costs)
    if any(cost.amount is None for cost in known):
        return None
    return total(cost.beside for cost in known).merged()


def own_params(trace: Trace) -> dict[str, int]:
    """Returns the number of parameters by the module path that holds them; a shared one counts once."""
    sums: dict[str, int] = {}
    for param in trace.params:
        if param.alias_of is None:
            path = param.name.rpartition(".")[0]
            sums[path] = sums.get(path, 0) + param.numel
    return sums


def _activations(trace: Trace) -> dict[str, int]:
    """Returns the elements that convolutions and matrix products output, by module path."""
    sums: dict[str, int] = {}
    works = Works(formulas)
    for call in trace.ops:
        work = None if REPARAMETRISES in call.tags else works.of(call, trace.values)
        if work is None or not work.mac:
            continue
        made = work.activations.value if work.activations else sum(trace.values[i].numel for i in call.outputs)
        sums[call.module] = sums.get(call.module, 0) + made
    return sums


@dataclass(frozen=True, slots=True)
class Group:
    """A sum over all calls of one kind: a module class or an op; `beside` as in `LayerCount`."""

    name: str
    calls: int
    params: int
    amount: int | None
    beside: int | None = None


def by_op(counts: Counts) -> tuple[Group, ...]:
    """Returns the costs summed by op, dearest first; they add up to the total."""
    groups: dict[str, list[Cost]] = {}
    for cost in counts.costs:
        groups.setdefault(cost.label, []).append(cost)
    two = any(layer.beside is not None for layer in counts.layers)
    made = (
        Group(name, len(costs), 0, _value(_sum(costs)), _value(_sum_beside(costs)) if two else None)
        for name, costs in groups.items()
    )
    return tuple(sorted(made, key=_dearest_first))


def by_type(counts: Counts) -> tuple[Group, ...]:
    """Returns own costs and parameters summed by module class, dearest first; they add up to the totals."""
    groups: dict[str, list[LayerCount]] = {}
    for layer in counts.layers:
        groups.setdefault(layer.type, []).append(layer)
    made = (
        Group(
            name,
            sum(layer.calls for layer in layers),
            sum(layer.params for layer in layers),
            _all_known(layer.amount for layer in layers),
            _all_known(layer.beside for layer in layers),
        )
        for name, layers in groups.items()
    )
    return tuple(sorted(made, key=_dearest_first))


def _value(amount: Expr | None) -> int | None:
    return None if amount is None else amount.value


def _all_known(amounts: Iterable[Expr | None]) -> int | None:
    found = list(amounts)
    return None if None in found else sum(amount.value for amount in found if amount is not None)


def _dearest_first(group: Group) -> tuple[bool, int, str]:
    return (group.amount is not None, -(group.amount or 0), group.name)
