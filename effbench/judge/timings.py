"""What the raw times of one model say: its median with an interval, its quantiles, its spread between processes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from effbench.records.note import Note
from effbench.records.timing import ProcessRun, StopRule, Timing
from effbench.stats import Interval, Looks, log_median, quantile, spread, typical, worth

QUANTILES = (0.5, 0.9, 0.99)


@dataclass(frozen=True, slots=True)
class Quantile:
    """A quantile of the latency over all calls, each process with the same weight.

    Attributes:
        share: .99 for p99.
        low, high: ends of its 95 % interval; None where the calls do not reach so far.
    """

    share: float
    seconds: float
    low_s: float | None
    high_s: float | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one model's times say, in seconds; None is unknown.

    Attributes:
        median_s: the median call of a typical process: the geometric mean over processes, 10 % trimmed.
        median: the same with its 95 % interval; None for fewer than two processes.
        processes: how many there were; `worth` so many independent ones.
        between: relative standard deviation of medians between processes; None for fewer than two.
        quantiles: p50, p90 and p99.
        first_s: the first call of a typical process.
        calls: steady calls in all.
    """

    model: str
    median_s: float | None
    median: Interval | None
    processes: int
    worth: float
    between: float | None
    quantiles: tuple[Quantile, ...]
    first_s: float | None
    calls: int


def looks_of(rule: StopRule) -> Looks:
    """Returns when a run under this rule is looked at."""
    return Looks(rule.min_rounds, rule.max_rounds)


def log_medians(runs: tuple[ProcessRun, ...]) -> list[float]:
    """Returns the log of each process's median call, in seconds."""
    return [float(log_median(run.samples_s)) for run in runs]


def estimate(timing: Timing) -> Estimate:
    """Returns what a model's times say.

    Coverage of the interval on the simulated machines: `results/timing/simulated.md`. It holds for a run that the rule
    ended; one that was interrupted, perhaps for what an interval showed, has the wider one that holds at every look.
    """
    logs = log_medians(timing.runs)
    samples = [np.asarray(run.samples_s, dtype=np.float64) for run in timing.runs]
    median = typical(logs, looks_of(timing.rule) if timing.interrupted else None)
    firsts = [run.first_s for run in timing.runs]
    return Estimate(
        timing.model,
        _typical_s(logs, median),
        median,
        len(logs),
        worth(logs),
        spread(logs) if len(logs) >= 2 else None,
        tuple(Quantile(share, *quantile(samples, share)) for share in QUANTILES) if samples else (),
        float(np.median(firsts)) if firsts else None,
        sum(map(len, samples)),
    )


def _typical_s(logs: list[float], median: Interval | None) -> float | None:
    if median is not None:
        return median.estimate
    return math.exp(logs[0]) if logs else None


def disturbances(timings: Sequence[Timing]) -> tuple[Note, ...]:
    """Returns what disturbed the rounds, each kind and place once: in how many rounds, and the last one's text."""
    rounds = {run.round for timing in timings for run in timing.runs}
    seen: dict[tuple[str, str], dict[int, str]] = {}
    for run in (run for timing in timings for run in timing.runs):
        for note in run.notes:
            code = (note.code, "rounds" if note.code == "run-again" else note.subject)
            seen.setdefault(code, {})[run.round] = note.text
    return tuple(
        Note(code, subject, f"in {len(texts)} of {len(rounds)} rounds; the last: {texts[max(texts)]}")
        for (code, subject), texts in seen.items()
    )
