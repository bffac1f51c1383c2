"""What a ranking reads of a record: everything but its samples, which are reduced to what rankings make of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from effbench.records import Direction, Energy, ErrorFigure, Evaluation, Note, Published, Record, Timing, TimingPlan
from effbench.records.environment import Environment


@dataclass(frozen=True, slots=True)
class TimingView:
    """One timing without its calls.

    Attributes:
        rounds, log_medians: of each process its round and the logarithm of its median call in seconds; minus infinity
            where the clock read nothing.
        peak_bytes: by kind, the most memory that any of the processes held.
    """

    model: str
    plan: TimingPlan
    threads: int
    converged: bool
    died: str | None
    samples: int | None
    rounds: tuple[int, ...]
    log_medians: tuple[float, ...]
    peak_bytes: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    run: str = ""
    energy: Energy | None = None


@dataclass(frozen=True, slots=True)
class EvaluationView:
    """One evaluation without its values, which `RecordView.evaluation` reads; the names are those of `Evaluation`.

    Attributes:
        values: digest that the values are stored under: equal ones hold the same values. "" where they are in the
            record itself.
    """

    metric: str
    unit: str
    direction: Direction
    n: int
    settings: Mapping[str, str | int | float] = field(default_factory=dict)
    data: str = ""
    digest: str = ""
    left_out: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    values: str = ""


@dataclass(frozen=True, slots=True)
class RecordView:
    """One record as a ranking reads it; the names are those of `Record`.

    Attributes:
        trace: its digest.
        environment: one object for all records that were measured alike, so that what is derived from it can be kept
            by identity.
        source: the folder and name of the file that it was read from, or the record itself where it was in none.
    """

    name: str
    spec: str | None
    trace: str | None
    errors: Mapping[str, ErrorFigure]
    published: Published | None
    notes: tuple[Note, ...]
    timings: tuple[TimingView, ...]
    environment: Environment | None
    evaluations: tuple[EvaluationView, ...]
    source: tuple[Path, str] | Record

    def full(self) -> Record:
        """Returns the whole record, read anew from its file.

        Raises:
            InputError: the file has gone or was damaged since.
        """
        if isinstance(self.source, Record):
            return self.source
        from effbench.store.reading import read_record

        folder, name = self.source
        return read_record(folder / name)

    def evaluation(self, place: int) -> Evaluation:
        """Returns one of its evaluations with all values.

        Raises:
            InputError: its file has gone or was damaged since.
        """
        return self.full().evaluations[place]


def view(record: Record, source: tuple[Path, str] | None = None, values: Sequence[str] = ()) -> RecordView:
    """Returns a record as rankings read it.

    Args:
        record: the facts.
        source: the folder and name of its file.
        values: of each evaluation, the digest that its values are stored under; "" where they are in the record.
    """
    digests = values or [""] * len(record.evaluations)
    return RecordView(
        name=record.name,
        spec=record.spec,
        trace=record.trace,
        errors=record.errors,
        published=record.published,
        notes=record.notes,
        timings=tuple(map(_timing, record.timings)),
        environment=record.environment,
        evaluations=tuple(map(_evaluation, record.evaluations, digests)),
        source=record if source is None else source,
    )


def _evaluation(one: Evaluation, values: str) -> EvaluationView:
    return EvaluationView(
        one.metric, one.unit, one.direction, one.n, one.settings, one.data, one.digest, one.left_out, one.notes, values
    )


def _timing(timing: Timing) -> TimingView:
    peaks: dict[str, int] = {}
    for run in timing.runs:
        for kind, size in run.peak_bytes:
            peaks[kind] = max(size, peaks.get(kind, 0))
    runs = [run for run in timing.runs if run.samples_s]
    return TimingView(
        model=timing.model,
        plan=timing.plan,
        threads=timing.threads,
        converged=timing.converged,
        died=timing.died,
        samples=timing.samples,
        rounds=tuple(run.round for run in runs),
        log_medians=tuple(log_median(run.samples_s) for run in runs),
        peak_bytes=peaks,
        notes=timing.notes,
        run=timing.run,
        energy=timing.energy,
    )


def log_median(samples_s: Sequence[float]) -> float:
    """Returns the logarithm of the median, `stats.log_median` of one process without numpy: it is asked for a million.

    A clock that read nothing gives minus infinity.
    """
    ordered, half = sorted(samples_s), len(samples_s) // 2
    median = ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
    return math.log(median) if median > 0 else -math.inf
