"""Recomputing what documents publish: one verdict a figure."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from effbench.errors import InputError
from effbench.judge.convention import conventions
from effbench.judge.count import count, own_params
from effbench.judge.scores import Facts, scores
from effbench.judge.summary import Summary, summarise
from effbench.records import CostFigure, Published, SummaryFigure, Trace
from effbench.store import read_text
from effbench.suites.plan import Job, Suite
from effbench.units import Unit, parse_cost, unit_of

Tracer = Callable[[Job], Trace]
"""Returns the trace of a job that has a spec."""

Witness = Callable[[Job, str], int]
"""Returns the MACs that the named tool itself gives for a job that has a spec; raises InputError where it cannot."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One published figure beside the recomputed one.

    Attributes:
        verdict: "equal", "differs", or "stated" where nothing can be recomputed; `reason` says why.
    """

    model: str
    figure: str
    published: str
    recomputed: str
    verdict: str
    reason: str = ""


def check(suite: Suite, tracer: Tracer, witness: Witness | None = None) -> Iterator[tuple[Job, tuple[Verdict, ...]]]:
    """Gives each job with the verdicts on its figures, in the suite's order.

    With a witness, the tool that a published cost was counted with is run beside effbench's own count of it.
    """
    for job in suite.models:
        yield job, (*_check_job(job, suite.folder, tracer), *_hear(job, witness))


def _hear(job: Job, witness: Witness | None) -> Iterable[Verdict]:
    cost = job.published.cost if job.published is not None else None
    if witness is None or cost is None or job.spec is None:
        return
    unit = unit_of(cost.unit)[0]
    figure, stated = f"{unit.value}s by {cost.convention} itself", f"{_stated(cost):,}"
    try:
        made = f"{witness(job, cost.convention) * (2 if unit is Unit.FLOP else 1):,}"
    except InputError as error:
        yield Verdict(job.name, figure, stated, "", "stated", str(error))
        return
    yield Verdict(job.name, figure, stated, made, _equal(stated, made))


def _check_job(job: Job, folder: Path, tracer: Tracer) -> Iterable[Verdict]:
    published = job.published
    if published is None:
        return
    costly = published.params is not None or published.cost is not None or published.summary is not None
    trace = tracer(job) if job.spec is not None and costly else None
    yield from _check_cost(job, published, trace)
    if published.summary is not None and trace is not None:
        yield from _check_summary(job.name, published.summary, summarise(trace), folder)
    if published.score is not None:
        yield _check_score(job, published, trace)
    elif not costly:
        for name, figure in published.errors.items():
            yield Verdict(job.name, name, f"{figure.value} {figure.unit}", "", "stated", "no cost figure published")


def _check_cost(job: Job, published: Published, trace: Trace | None) -> Iterable[Verdict]:
    if published.params is not None:
        recomputed = None if trace is None else sum(own_params(trace).values())
        yield _compare(job, "params", f"{published.params:,}", None if recomputed is None else f"{recomputed:,}")
    if published.cost is not None:
        cost = published.cost
        unit = unit_of(cost.unit)[0]
        label = f"{unit.value}s ({cost.convention})"
        made = None if trace is None else _recount(trace, cost)
        yield _compare(job, label, f"{_stated(cost):,}", None if made is None else f"{made:,}", cost.note)


def _stated(cost: CostFigure) -> int:
    try:
        return parse_cost(cost.value, cost.unit)
    except ValueError as error:
        raise InputError(str(error)) from None


def _recount(trace: Trace, cost: CostFigure) -> int | None:
    """Returns the cost under the figure's convention, in the figure's unit."""
    counts = count(trace, conventions.get(cost.convention))
    return counts.macs if unit_of(cost.unit)[0] is Unit.MAC else counts.flops


def _compare(job: Job, figure: str, published: str, recomputed: str | None, note: str = "") -> Verdict:
    if job.spec is None:
        return Verdict(job.name, figure, published, "", "stated", "architecture not published")
    made = "unknown" if recomputed is None else recomputed
    return Verdict(job.name, figure, published, made, _equal(published, made), note)


def _equal(published: str, recomputed: str) -> str:
    return "equal" if published == recomputed else "differs"


def _check_summary(model: str, figure: SummaryFigure, summary: Summary, folder: Path) -> Iterable[Verdict]:
    sizes = (
        ("summary input (MB)", figure.input_mb, summary.input_mb),
        ("summary forward/backward (MB)", figure.forward_backward_mb, summary.forward_backward_mb),
        ("summary params (MB)", figure.params_mb, summary.params_mb),
        ("summary total (MB)", figure.total_mb, summary.total_mb),
    )
    for label, stated, made in sizes:
        yield Verdict(model, label, f"{stated:.2f}", f"{made:.2f}", _equal(f"{stated:.2f}", f"{made:.2f}"))
    made_rows = [(row.layer, row.output_shape, row.params) for row in summary.rows]
    published_rows = list(_published_rows(figure, folder))
    agree = sum(a == b for a, b in zip(made_rows, published_rows, strict=False))
    verdict = "equal" if made_rows == published_rows and figure.rows == len(made_rows) else "differs"
    first = next((a[0] for a, b in zip(published_rows, made_rows, strict=False) if a != b), "")
    yield Verdict(
        model,
        "summary rows",
        f"{figure.rows}",
        f"{agree} of {len(made_rows)} the same",
        verdict,
        f"first difference at {first}" if first else "",
    )


def _published_rows(figure: SummaryFigure, folder: Path) -> Iterable[tuple[str, str, int]]:
    if figure.table is None:
        return figure.layers
    text = read_text(folder / figure.table, "table of layers")
    rows = csv.DictReader(io.StringIO(text))
    return [(row["layer"], row["output_shape"], int(row["params"])) for row in rows]


def _check_score(job: Job, published: Published, trace: Trace | None) -> Verdict:
    """Returns the verdict on a score: from recomputed cost where the model is known, else from its own figures."""
    stated = published.score
    assert stated is not None
    error = published.errors.get(stated.error)
    if published.params is None or published.cost is None or error is None:
        raise InputError(f"{job.name}: a published score needs params, cost and the error {stated.error!r}")
    params, flops = published.params, _flops(published.cost)
    reason = "from its own published figures"
    if trace is not None:
        counts = count(trace, conventions.get(published.cost.convention))
        params, flops = sum(own_params(trace).values()), counts.flops or 0
        reason = f"from recomputed cost and the published {stated.error}"
    value = scores.get(stated.name).value(Facts(params, flops, error.value))
    shown, made = repr(stated.value), _to_digits_of(value, stated.value)
    return Verdict(job.name, f"score {stated.name}", shown, made, _equal(shown, made), reason)


def _flops(cost: CostFigure) -> int:
    return _stated(cost) * (2 if unit_of(cost.unit)[0] is Unit.MAC else 1)


def _to_digits_of(value: float, published: float) -> str:
    """Returns the value rounded to as many decimals as the published figure was printed with."""
    return repr(round(value, len(repr(published).partition(".")[2])))
