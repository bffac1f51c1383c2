"""Records → candidates: a figure for each term that a ranking may read, its conditions, and why others are missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from effbench.errors import InputError
from effbench.judge.candidate import Candidate, Figure
from effbench.judge.comparable import Conditions
from effbench.rankings.metric_choice import MetricChoice
from effbench.rankings.rounding import with_rounding
from effbench.rankings.speeds import Speeds
from effbench.rankings.trace_costs import Costs
from effbench.records import CostFigure, Published
from effbench.store import RecordView
from effbench.units import Unit, parse_cost, unit_of

DESCRIBED = {"input": ("cost", "speed"), "data": ("error",)}
"""Conditions that a document states by these names and that its figures depend on; what else it states describes."""

_NAMES = {"batch": "batch of the cost"}
"""A trace counts its own batch, a document one sample; neither is the batch that was timed."""

_NOT_PROFILED = "not profiled: effbench profile SPEC --record DIR adds what it costs"


@dataclass(frozen=True, slots=True)
class Known:
    """A record as a ranking reads it, and what was derived from its trace.

    Attributes:
        costs: `costs_of` its trace; None where it has none, an error where it cannot be read.
        source: the folder or suite that it was read from; "" where it was in none.
    """

    view: RecordView
    costs: Costs | InputError | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What candidates are to bring.

    Attributes:
        convention: how FLOPs are counted.
        error: what the term `error` is; None where there is none.
        qualities: metrics that the score, a filter or a column reads by their own name.
    """

    convention: str
    error: MetricChoice | None
    qualities: tuple[str, ...] = ()


@dataclass(slots=True)
class _Found:
    """The figures of one model while they are gathered."""

    figures: dict[str, Figure] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    inputs: Conditions = ()


Metrics: TypeAlias = list[tuple[str, MetricChoice]]
"""Terms and the metrics that they are."""


def candidates_of(records: Sequence[Known], wanted: Wanted) -> tuple[Candidate, ...]:
    """Returns each record as a candidate.

    Raises:
        InputError: a record holds several figures of a metric, and it is not said which one is meant.
    """
    speeds = Speeds([known.view for known in records])
    shared: dict[int, _Found] = {}
    metrics = _metrics(wanted)
    return tuple([_candidate(known, wanted.convention, metrics, speeds, shared) for known in records])


def _candidate(known: Known, convention: str, metrics: Metrics, speeds: Speeds, shared: dict[int, _Found]) -> Candidate:
    costs, published = known.costs, known.view.published
    if costs is None and published is None:
        found = _Found(missing=dict.fromkeys(("params", "macs", "flops"), _NOT_PROFILED))
    elif costs is None:
        assert published is not None
        found = _published_costs(published)
    else:  # many records share few traces
        if id(costs) not in shared:
            shared[id(costs)] = _trace_costs(costs, convention)
        found = shared[id(costs)]
    figures, missing = dict(found.figures), dict(found.missing)
    times, slow = speeds.of(known.view, found.inputs)
    figures.update(times)
    missing.update(slow)
    for term, choice in metrics:
        figure = choice.figure(known.view)
        if isinstance(figure, str):
            missing[term] = figure
        else:
            figures[term] = figure if term == "error" else _with_unit(term, figure)
    if published is not None and published.rounded:
        error = next((choice.metric for term, choice in metrics if term == "error"), "")
        figures = with_rounding(figures, published, error, known.view.name)
    source = "published" if costs is None and published is not None else "measured"
    return Candidate(known.view.name, figures, missing, source, _also(known.view))


def _with_unit(term: str, figure: Figure) -> Figure:
    """Returns a figure read by its own name, which no unit is turned into another for: its unit is a condition."""
    if not figure.unit:
        return figure
    return replace(figure, conditions=(*figure.conditions, (f"unit of {term}", figure.unit)))


def _metrics(wanted: Wanted) -> Metrics:
    error = wanted.error
    if error is None:
        return [(name, MetricChoice(name)) for name in wanted.qualities]
    # What tells the error from others of its name tells a term of that name from them, too.
    settings = {error.metric: error.settings}
    return [("error", error), *((name, MetricChoice(name, None, settings.get(name, {}))) for name in wanted.qualities)]


def _also(view: RecordView) -> Mapping[str, str]:
    published = view.published
    if published is None:
        return {}
    described = {name: str(value) for name, value in published.conditions.items()}
    return described if published.source is None else {"document": published.source, **described}


def _inputs(costs: Costs) -> Conditions:
    return tuple([(name, costs[name]) for name in ("input", "dtype") if costs[name]])


def _trace_costs(costs: Costs | InputError, convention: str) -> _Found:
    if isinstance(costs, InputError):
        return _Found({}, dict.fromkeys(("params", "macs", "flops"), str(costs)))
    conditions = tuple([(_NAMES.get(name, name), costs[name]) for name in ("batch", "input") if costs[name]])
    found = _Found({"params": Figure(costs["params"])}, inputs=_inputs(costs))
    for term in ("macs", "flops"):
        if costs[term] is None:
            found.missing[term] = costs["obstacle"] or f"{convention} gives no {term.upper()}"
        else:
            found.figures[term] = Figure(costs[term], (("convention", convention), *conditions))
    peak = costs.get("peak_bytes")
    if peak is not None:
        kind = (("memory", "activations, from the trace"), *conditions, ("dtype", costs["dtype"]))
        found.figures["memory"] = Figure(peak, kind)
    return found


def _published_costs(published: Published) -> _Found:
    found = _Found()
    if published.params is None:
        found.missing["params"] = "no parameters published"
    else:
        found.figures["params"] = Figure(published.params, source="published")
    flops = _flops(published.cost)
    if isinstance(flops, str):
        found.missing.update(flops=flops, macs=flops)
        return found
    assert published.cost is not None
    one_sample = (("convention", published.cost.convention), (_NAMES["batch"], "1"))
    conditions = (*one_sample, *stated_conditions(published, "cost"))
    found.figures["flops"] = Figure(flops, conditions, source="published")
    found.figures["macs"] = Figure(flops // 2 if flops % 2 == 0 else flops / 2, conditions, source="published")
    return found


def _flops(cost: CostFigure | None) -> int | str:
    """Returns a published cost in FLOPs, two per MAC, or why there is none."""
    if cost is None:
        return "no FLOPs published"
    try:
        amount = parse_cost(cost.value, cost.unit)
    except ValueError as error:
        return str(error)
    return amount * (2 if unit_of(cost.unit)[0] is Unit.MAC else 1)


def stated_conditions(published: Published, of: str) -> Conditions:
    """Returns the conditions that a document states of its "cost", "speed" or "error"."""
    given = published.conditions
    return tuple([(name, str(given[name])) for name, parts in DESCRIBED.items() if of in parts and name in given])
