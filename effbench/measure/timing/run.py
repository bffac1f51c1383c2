"""The timer: rounds of fresh processes until the intervals are narrow enough, the verdicts settled or the budget spent.

A model's calls are compared with those of the others made at the same time, in the same round, in random order: noise
that hits all of them alike cancels. What one process says is one value; see `effbench.stats`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from effbench.errors import InputError, Interrupted
from effbench.measure.timing.entrant import Entrant, Now
from effbench.measure.timing.patience import Patience
from effbench.measure.timing.rounds import Interference, Round, RoundPlan, late_to_warm, one_round
from effbench.records.note import Note
from effbench.records.timing import INTERRUPTED, ProcessRun, StopRule, Timing
from effbench.stats import Interval, Looks, log_median, log_ratio, look, typical

_PILOT_CALLS = 100
"""Warm-up calls of the first round, in which a step that comes late is looked for."""

_ROUNDS_IN_BUDGET = 2
"""The budget holds so many times the fewest rounds: a slow model gets fewer calls per round instead of fewer rounds."""

_UNSTEADY = 0.2
"""Share of processes that may look unsteady by chance: a trend is looked for in each at 5 %."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands after a round.

    Attributes:
        round: rounds done; `rounds` is the most that there may be.
        spent_s: seconds of measuring so far; `budget_s` the most.
        intervals: each model's name, and its median in seconds with an interval that holds the truth at every look
            together with 95 %, so that a run may be ended for what it shows; None where nothing is known yet.
        ratios: each later model's name, and its time over the first one's with such an interval.
    """

    round: int
    rounds: int
    spent_s: float
    budget_s: float
    intervals: tuple[tuple[str, Interval | None], ...]
    ratios: tuple[tuple[str, Interval | None], ...] = ()


@dataclass(slots=True)
class _Row:
    """One model during the run."""

    entrant: Entrant
    runs: list[ProcessRun] = field(default_factory=list)
    threads: int = 0
    late: list[int] = field(default_factory=list)
    unsteady: int = 0
    died: str | None = None

    @property
    def least_calls(self) -> int:
        """Returns the warm-up calls of the next process: as many as half of those so far needed, seen from their ends.

        One alone may see warming where the machine only changed its pace.
        """
        return int(median(self.late)) if self.late else _PILOT_CALLS


def timed(
    entrants: Sequence[Entrant],
    rule: StopRule,
    seed: int,
    now: Now,
    on_round: Callable[[Progress], None] | None = None,
    interference: Interference | None = None,
) -> tuple[Timing, ...]:
    """Returns what was measured of each model, in the order given.

    Args:
        entrants: at least one; the first is what the others are compared with.
        rule: when enough was measured.
        seed: of the order of processes and calls.
        now: the clock for budget and wall times.
        on_round: told where the run stands after each round.
        interference: what disturbed a round; a tainted one is run again once, while that helps, and its notes are kept.

    Raises:
        InputError: no model was given, or the rule cannot be kept.
        Interrupted: somebody ended it when a round was finished already; the timings so far are kept.
    """
    _check(entrants, rule)
    rows = [_Row(entrant) for entrant in entrants]
    try:
        _take_rounds(rows, rule, random.Random(seed), now, on_round, interference)
    except KeyboardInterrupt as stop:
        if not any(row.runs for row in rows):
            raise
        raise Interrupted(tuple(_interrupted(row, rows, rule) for row in rows), stop) from stop
    return tuple(_timing(row, rows, rule) for row in rows)


def _take_rounds(
    rows: list[_Row],
    rule: StopRule,
    chance: random.Random,
    now: Now,
    on_round: Callable[[Progress], None] | None,
    interference: Interference | None,
) -> None:
    """Adds rounds to the rows until all are settled, dead, or the budget is spent."""
    spent_s, next_s, patience = 0.0, 0.0, Patience()
    for number in range(rule.max_rounds):
        living = [row for row in rows if row.died is None]
        if not living or spent_s + next_s >= rule.budget_s or _is_settled(rows, rule):
            break
        notes: tuple[Note, ...] = ()
        seen = one_round(*_asked(living, number, rule, spent_s), chance, now, interference)
        spent_s += seen.spent_s
        if patience.wants_again(bool(seen.disturbance.tainted)) and spent_s + seen.spent_s < rule.budget_s:
            _mark_dead(living, seen)
            notes = _run_again(number, seen)
            living = [row for row in living if row.died is None]
            seen = one_round(*_asked(living, number, rule, spent_s), chance, now, interference)
            spent_s += seen.spent_s
            patience.saw_again(bool(seen.disturbance.tainted))
        _keep(living, seen, notes)
        next_s = seen.warmup_s + sum(run.samples_s[-1] for run in seen.runs if run)
        if on_round:
            on_round(_progress(rows, rule, number + 1, spent_s))


def _check(entrants: Sequence[Entrant], rule: StopRule) -> None:
    if not entrants:
        raise InputError("no model to time: give at least one")
    if not 2 <= rule.min_rounds <= rule.max_rounds:
        raise InputError(
            f"rounds: at least {rule.min_rounds}, at most {rule.max_rounds}: an interval needs 2 ≤ least ≤ most"
        )
    for name, value in (("budget", rule.budget_s), ("half-width", rule.half_width), ("calls", rule.calls)):
        if not value > 0:
            raise InputError(f"{name} is {value}: give a number above 0")
    if not rule.margin >= 0:
        raise InputError(f"margin is {rule.margin}: give a number of at least 0")


def _asked(living: list[_Row], number: int, rule: StopRule, spent_s: float) -> tuple[list[Entrant], RoundPlan]:
    share_s = rule.round_s or rule.budget_s / (_ROUNDS_IN_BUDGET * rule.min_rounds)
    least_calls = tuple(row.least_calls for row in living)
    return [row.entrant for row in living], RoundPlan(number, rule.calls, share_s, rule.budget_s - spent_s, least_calls)


def _run_again(number: int, seen: Round) -> tuple[Note, ...]:
    told = "; ".join(note.text for note in seen.disturbance.tainted)
    return (*seen.disturbance.tainted, Note("run-again", f"round {number}", f"run a second time after: {told}"))


def _mark_dead(living: list[_Row], seen: Round) -> None:
    for row, died in zip(living, seen.died, strict=True):
        row.died = died


def _keep(living: list[_Row], seen: Round, notes: tuple[Note, ...]) -> None:
    """Adds the runs of a round to its rows."""
    notes = (*notes, *seen.disturbance.tainted, *seen.disturbance.told)
    _mark_dead(living, seen)
    for row, run, steady, threads in zip(living, seen.runs, seen.steady, seen.threads, strict=True):
        row.threads = row.threads if threads is None else threads
        row.unsteady += run is not None and not steady
        if run is None:
            continue
        row.late.append(late_to_warm(run))
        if not row.runs:
            run = _warmed_later(run, row.late[0])
        row.runs.append(replace(run, notes=notes))


def _warmed_later(run: ProcessRun, warmup_calls: int) -> ProcessRun:
    """Returns the first round's run with steady calls that turned out to be warm-up moved there, all but the last."""
    late = min(warmup_calls - len(run.warmup_s), len(run.samples_s) - 1)
    if late <= 0:
        return run
    kept = run.samples_s[late:]
    return replace(
        run,
        warmup_s=(*run.warmup_s, *run.samples_s[:late]),
        samples_s=kept,
        order=run.order[late:],
        # Around each of the calls passed what passed around the others.
        wall_s=run.wall_s * sum(kept) / sum(run.samples_s),
    )


def _looks(rule: StopRule) -> Looks:
    return Looks(rule.min_rounds, rule.max_rounds)


def _interval(row: _Row, rule: StopRule) -> Interval | None:
    return typical([float(log_median(run.samples_s)) for run in row.runs], _looks(rule))


def _is_narrow(row: _Row, rule: StopRule) -> bool:
    found = _interval(row, rule) if len(row.runs) >= rule.min_rounds else None
    return found is not None and found.half_width <= rule.half_width


def _progress(rows: list[_Row], rule: StopRule, rounds: int, spent_s: float) -> Progress:
    intervals = tuple((row.entrant.name, _interval(row, rule)) for row in rows)
    ratios = tuple((row.entrant.name, _ratio(_log_ratios(row, rows[0]), rule)) for row in rows[1:])
    return Progress(rounds, rule.max_rounds, spent_s, rule.budget_s, intervals, ratios)


def _log_ratios(row: _Row, first: _Row) -> list[float]:
    """Returns one value for each round that both took part in."""
    by_round = {run.round: run for run in first.runs}
    return [
        log_ratio(base.samples_s, base.order, run.samples_s, run.order)
        for run in row.runs
        if (base := by_round.get(run.round))
    ]


def _ratio(log_ratios: list[float], rule: StopRule) -> Interval | None:
    if len(log_ratios) < 2:
        return None
    seen = look(log_ratios, _looks(rule), final=False)
    return Interval(*(math.exp(float(log)) for log in (seen.mean, seen.low, seen.high)))


def _is_decided(row: _Row, first: _Row, rule: StopRule) -> bool:
    """Returns whether this model is faster or slower than the first, or the same, for certain."""
    log_ratios = _log_ratios(row, first)
    if len(log_ratios) < rule.min_rounds:
        return False
    seen = look(log_ratios, _looks(rule), final=False, margin=math.log1p(rule.margin))
    return bool(seen.different | seen.same)


def _has_converged(row: _Row, rows: list[_Row], rule: StopRule) -> bool:
    if row.died is not None:
        return False
    if rule.until == "interval" or len(rows) == 1:
        return _is_narrow(row, rule)
    if row is rows[0]:
        return all(_is_decided(other, row, rule) for other in rows[1:] if other.died is None)
    return _is_decided(row, rows[0], rule)


def _is_settled(rows: list[_Row], rule: StopRule) -> bool:
    return all(_has_converged(row, rows, rule) for row in rows if row.died is None)


def _timing(row: _Row, rows: list[_Row], rule: StopRule) -> Timing:
    converged = _has_converged(row, rows, rule)
    notes = []
    if not row.runs and row.died is None:
        notes.append(Note("no-samples", row.entrant.name, f"{rule.budget_s:g} s ended before its first steady call"))
    elif not converged and row.died is None:
        notes.append(Note("not-converged", row.entrant.name, _shortfall(row, rows, rule)))
    if row.unsteady > _UNSTEADY * len(row.runs):
        told = f"in {row.unsteady} of {len(row.runs)} processes the warm-up ended before calls were steady"
        notes.append(Note("not-steady", row.entrant.name, told))
    return Timing(
        row.entrant.name, row.entrant.plan, rule, tuple(row.runs), row.threads, converged, row.died, tuple(notes)
    )


def _interrupted(row: _Row, rows: list[_Row], rule: StopRule) -> Timing:
    """Returns the timing of a run that was ended from outside: nothing of it has converged by its rule."""
    found = _timing(row, rows, rule)
    others = [note for note in found.notes if note.code not in ("no-samples", "not-converged")]
    told = Note(INTERRUPTED, row.entrant.name, _shortfall(row, rows, rule))
    return replace(found, converged=False, notes=(*others, told) if row.died is None else tuple(others))


def _shortfall(row: _Row, rows: list[_Row], rule: StopRule) -> str:
    processes = f"stopped after {len(row.runs)} {'process' if len(row.runs) == 1 else 'processes'}"
    if rule.until == "verdict" and len(rows) > 1:
        if _has_converged(row, rows, rule):
            return f"{processes} with its verdict settled"
        return f"{processes} without a settled verdict: raise the budget, the rounds or the margin"
    found = _interval(row, rule)
    width = (
        "an interval that is not known"
        if found is None
        else f"±{found.half_width:.2%}"
        if found.half_width < 1
        else "more than ±100%"
    )
    return (
        f"{processes} at {width}, wanted ±{rule.half_width:.2%}, by the 95 % interval that allows for a look after each"
    )
