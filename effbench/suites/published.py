"""Recomputing what documents publish: one verdict a figure."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from effbench.errors import InputError
from effbench.judge.convention import conventions
from effbench.judge.count import count, own_params
from effbench.judge.scores import score_of, value_of_one
from effbench.judge.summary import Summary, summarise
from effbench.records import CostFigure, Published, SummaryFigure, Trace
from effbench.store import read_text
from effbench.suites.plan import Job, Suite
from effbench.units import Unit, parse_cost, unit_of

Tracer = Callable[[Job], Trace]
"""Returns the trace of a job that has a spec."""

Witness = Callable[[Job, str], int]
"""Returns the figure that the named tool itself gives, in its convention's unit; raises InputError where it cannot."""


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

    Raises:
        InputError: a job's figures cannot be read, or its model cannot be found; the job is named.
    """
    for job in suite.models:
        try:
            found = (*_check_job(job, suite.folder, tracer), *_hear(job, witness))
        except InputError as error:
            raise InputError(f"{job.name}: {error}") from error
        yield job, found


def _hear(job: Job, witness: Witness | None) -> Iterable[Verdict]:
    cost = job.published.cost if job.published is not None else None
    if witness is None or cost is None or job.spec is None:
        return
    unit, amount = _stated(cost)
    figure, stated = f"{unit.value}s by {cost.convention} itself", f"{amount:,}"
    try:
        told = conventions.get(cost.convention).unit
        if told is Unit.FLOP and unit is Unit.MAC:
            raise InputError(f"{cost.convention} tells FLOPs alone, the figure is in MACs")
        made = f"{witness(job, cost.convention) * (2 if told is Unit.MAC and unit is Unit.FLOP else 1):,}"
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
    if published.summary is not None:
        made = None if trace is None else summarise(trace)
        yield from _check_summary(job, published.summary, made, folder)
    reason = "measured on data" if costly else "measured on data; no cost figure published"
    for name, figure in published.errors.items():
        unit = "" if figure.unit == "none" else f" {figure.unit}"
        yield Verdict(job.name, name, f"{figure.value}{unit}", "", "stated", reason)
    if published.score is not None:
        yield _check_score(job, published, trace)


def _check_cost(job: Job, published: Published, trace: Trace | None) -> Iterable[Verdict]:
    if published.params is not None:
        recomputed = None if trace is None else sum(own_params(trace).values())
        yield _compare(job, "params", f"{published.params:,}", None if recomputed is None else f"{recomputed:,}")
    if published.cost is not None:
        cost = published.cost
        unit, stated = _stated(cost)
        made = None if trace is None else _recount(trace, cost)
        label = f"{unit.value}s ({cost.convention})"
        yield _compare(job, label, f"{stated:,}", None if made is None else f"{made:,}", cost.note)


def _stated(cost: CostFigure) -> tuple[Unit, int]:
    """Returns a published cost as (unit, exact count)."""
    try:
        return unit_of(cost.unit)[0], parse_cost(cost.value, cost.unit)
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


def _check_summary(job: Job, figure: SummaryFigure, summary: Summary | None, folder: Path) -> Iterable[Verdict]:
    sizes = (
        ("summary input (MB)", figure.input_mb, summary and summary.input_mb),
        ("summary forward/backward (MB)", figure.forward_backward_mb, summary and summary.forward_backward_mb),
        ("summary params (MB)", figure.params_mb, summary and summary.params_mb),
        ("summary total (MB)", figure.total_mb, summary and summary.total_mb),
    )
    for label, stated, made in sizes:
        yield _compare(job, label, f"{stated:.2f}", None if made is None else f"{made:.2f}")
    if summary is None:
        yield _compare(job, "summary rows", f"{figure.rows}", None)
        return
    made_rows = [(row.layer, row.output_shape, row.params) for row in summary.rows]
    published_rows = list(_published_rows(figure, folder))
    agree = sum(a == b for a, b in zip(made_rows, published_rows, strict=False))
    same = made_rows == published_rows and figure.rows == len(made_rows)
    verdict = "equal" if same else "differs"
    first = next((a[0] for a, b in zip(published_rows, made_rows, strict=False) if a != b), "")
    recomputed, reason = f"{agree} of {len(made_rows)} the same", f"first difference at {first}" if first else ""
    yield Verdict(job.name, "summary rows", f"{figure.rows}", recomputed, verdict, reason)


def _published_rows(figure: SummaryFigure, folder: Path) -> Iterable[tuple[str, str, int]]:
    if figure.table is None:
        return figure.layers
    path = folder / figure.table
    rows = csv.DictReader(io.StringIO(read_text(path, "table of layers")))
    try:
        return [(row["layer"], row["output_shape"], int(row["params"])) for row in rows]
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{path}: each row needs layer, output_shape and a whole number of params") from None


def _check_score(job: Job, published: Published, trace: Trace | None) -> Verdict:
    """Returns the verdict on a score: from recomputed cost where the model is known, else from its own figures."""
    stated = published.score
    assert stated is not None
    error = published.errors.get(stated.error)
    if published.params is None or published.cost is None or error is None:
        raise InputError(f"a published score needs params, cost and the error {stated.error!r}")
    params: int = published.params
    flops: int | None = _flops(published.cost)
    reason = "from its own published figures"
    if trace is not None:
        counts = count(trace, conventions.get(published.cost.convention))
        params, flops = sum(own_params(trace).values()), counts.flops
        reason = f"from recomputed cost and the published {stated.error}"
    score, shown, made = score_of(stated.name), repr(stated.value), "unknown"
    if flops is not None:
        known = {"params": params, "flops": flops, "macs": flops / 2, "error": error.value}
        made = _to_digits_of(value_of_one(score, known), stated.value)
    return Verdict(job.name, f"score {stated.name}", shown, made, _equal(shown, made), reason)


def _flops(cost: CostFigure) -> int:
    unit, amount = _stated(cost)
    return 2 * amount if unit is Unit.MAC else amount


def _to_digits_of(value: float, published: float) -> str:
    """Returns the value rounded to as many decimals as the published figure was printed with."""
    exponent = Decimal(repr(published)).as_tuple().exponent
    return repr(round(value, -exponent)) if isinstance(exponent, int) else repr(value)
