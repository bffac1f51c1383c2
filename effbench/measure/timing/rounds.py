"""One round of the timer: a fresh process per model, all alive together, called in turns in random order."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from effbench.measure.machine.interference import Disturbance
from effbench.measure.timing.entrant import Died, Entrant, Now, Session
from effbench.measure.timing.warmup import WarmedUp, WarmUpLimit, steady_from, warm_up
from effbench.records.timing import ProcessRun

Interference = Callable[[], Disturbance]
"""What disturbed the machine since it was last asked: `interference.Watch`, or a fake one."""

_TURN_S = 0.005
"""A turn of one model takes this or longer, so that what passes around it (two pipes, 0.1 ms) is a small part."""

_MOST_IN_A_TURN = 200
_FEWEST_TURNS = 10

_MOST_FIRST = 0.25
"""Share of the budget that one warm-up call of every model may take, judged by the first calls."""


@dataclass(frozen=True, slots=True)
class RoundPlan:
    """What one round may take.

    Attributes:
        number: of the round.
        calls: steady calls of each model.
        share_s: seconds for warming up and steady calls; half of them at most for warming up.
        budget_s: seconds left in all; not even the first steady call of a model begins after them.
        least_calls: warm-up calls that each model needs at least.
    """

    number: int
    calls: int
    share_s: float
    budget_s: float
    least_calls: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Round:
    """What one round saw; models have the places that they were given in.

    Attributes:
        runs: None where the model died or the budget ended before a steady call.
        died: one line for each model whose process ended, by its place.
        steady: whether each model's warm-up ended steady.
        threads: intra-op threads of each model; None where its process did not start.
        warmup_s, spent_s: seconds of measuring, in warm-up and in all.
    """

    runs: tuple[ProcessRun | None, ...]
    died: tuple[str | None, ...]
    steady: tuple[bool, ...]
    threads: tuple[int | None, ...]
    warmup_s: float
    spent_s: float
    disturbance: Disturbance


@dataclass(slots=True)
class _Lane:
    """One model during the round."""

    entrant: Entrant
    session: Session | None = None
    warmed: WarmedUp | None = None
    samples_s: list[float] = field(default_factory=list)
    order: list[int] = field(default_factory=list)
    wall_s: float = 0.0
    peak_bytes: tuple[tuple[str, int], ...] = ()
    died: str | None = None

    @property
    def lives(self) -> bool:
        return self.died is None and self.warmed is not None

    def typical_s(self) -> float:
        """Returns what a call takes, by the last ones."""
        assert self.warmed
        return median((self.samples_s or list(self.warmed.samples_s) or [self.warmed.first_s])[-5:])

    def at_once(self) -> int:
        """Returns how many calls make one turn."""
        return min(_MOST_IN_A_TURN, max(1, math.ceil(_TURN_S / self.typical_s())))


def one_round(
    entrants: Sequence[Entrant], plan: RoundPlan, chance: random.Random, now: Now, interference: Interference | None
) -> Round:
    """Returns what fresh processes of these models saw; one that dies costs its own run only.

    Interference is asked about from the first steady call to the last.
    """
    lanes = [_Lane(entrant) for entrant in entrants]
    try:
        for place in chance.sample(range(len(lanes)), len(lanes)):
            _open(lanes[place], plan, plan.least_calls[place], len(lanes), now)
        warmup_s = sum(lane.warmed.spent_s for lane in lanes if lane.warmed)
        if interference:
            interference()
        steady_s = _take_turns([lane for lane in lanes if lane.lives], plan, warmup_s, chance, now)
        disturbance = interference() if interference else Disturbance()
        for lane in lanes:
            _ask_peak(lane)
    finally:
        for lane in lanes:
            if lane.session is not None:
                lane.session.close()
    return Round(
        tuple(_run(lane, plan.number) for lane in lanes),
        tuple(lane.died for lane in lanes),
        tuple(lane.warmed is not None and lane.warmed.steady for lane in lanes),
        tuple(lane.session.threads if lane.session else None for lane in lanes),
        warmup_s,
        warmup_s + steady_s,
        disturbance,
    )


def _open(lane: _Lane, plan: RoundPlan, least_calls: int, models: int, now: Now) -> None:
    limit = WarmUpLimit(
        least_calls,
        most_s=min(plan.share_s / 2, plan.budget_s) / models,
        most_first_s=_MOST_FIRST * plan.budget_s / models,
    )
    try:
        lane.session = lane.entrant.start(plan.number)
        lane.warmed = warm_up(lane.session, limit, now)
    except Died as death:
        lane.died = str(death)


def _take_turns(lanes: list[_Lane], plan: RoundPlan, warmup_s: float, chance: random.Random, now: Now) -> float:
    """Returns the seconds that the steady calls took; what they saw is left in the lanes."""
    fewest = min((lane.at_once() for lane in lanes), default=1)
    turns = plan.calls if fewest == 1 else max(_FEWEST_TURNS, math.ceil(plan.calls / fewest))
    begin_s, place = now(), 0
    for turn in range(turns):
        living = [lane for lane in lanes if lane.lives]
        expected_s = sum(lane.typical_s() * lane.at_once() for lane in living)
        spent_s = warmup_s + now() - begin_s
        # The first turn is taken whatever the share of the round, so that every round has something to compare.
        if not living or (turn and spent_s + expected_s > min(plan.share_s, plan.budget_s)):
            break
        for lane in chance.sample(living, len(living)):
            if warmup_s + now() - begin_s >= plan.budget_s:
                break
            place += _take_turn(lane, place, now)
    return now() - begin_s


def _take_turn(lane: _Lane, place: int, now: Now) -> int:
    """Returns how many calls one model made."""
    assert lane.session
    times = lane.at_once()
    before_s = _wall_s(lane.session, now)
    try:
        samples_s = lane.session.call(times)
    except Died as death:
        lane.died = str(death)
        return 0
    lane.wall_s += _wall_s(lane.session, now) - before_s
    lane.samples_s += samples_s
    lane.order += range(place, place + times)
    return times


def _wall_s(session: Session, now: Now) -> float:
    """Returns the time by the session's own counter: waiting for the pipes to its process is no part of a call."""
    own: float | None = getattr(session, "wall_s", None)
    return now() if own is None else own


def _ask_peak(lane: _Lane) -> None:
    if lane.session is None or lane.died is not None:
        return
    try:
        lane.peak_bytes = lane.session.peak_bytes()
    except Died as death:
        lane.died = str(death)


def _run(lane: _Lane, number: int) -> ProcessRun | None:
    if not lane.lives or not lane.samples_s:
        return None
    assert lane.warmed
    return ProcessRun(
        number,
        lane.warmed.first_s,
        lane.warmed.samples_s,
        tuple(lane.samples_s),
        tuple(lane.order),
        lane.wall_s,
        lane.warmed.first_s if lane.entrant.plan.compiled else None,
        lane.peak_bytes,
    )


def late_to_warm(run: ProcessRun) -> int:
    """Returns the warm-up calls that a run needed, seen from its end: more than it had where it became steady later."""
    return max(0, steady_from((run.first_s, *run.warmup_s, *run.samples_s)) - 1)
