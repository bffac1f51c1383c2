"""One round of the timer: a fresh process per model, all alive together, called in turns in random order."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

from effbench.measure.machine.interference import Disturbance
from effbench.measure.timing.entrant import Died, Entrant, Now, Session
from effbench.measure.timing.turns import Turn, turn_alone, turn_among_others
from effbench.measure.timing.warmup import WarmedUp, WarmUpLimit, steady_from, warm_up
from effbench.records.timing import ProcessRun

Interference = Callable[[], Disturbance]
"""What disturbed the machine since it was last asked: `interference.Watch`, or a fake one."""

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


_ONE_CALL = Turn(1)


@dataclass(slots=True)
class _Lane:
    """One model during the round."""

    entrant: Entrant
    session: Session | None = None
    threads: int | None = None
    warmed: WarmedUp | None = None
    turn: Turn = _ONE_CALL
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


def one_round(
    entrants: Sequence[Entrant], plan: RoundPlan, chance: random.Random, now: Now, interference: Interference | None
) -> Round:
    """Returns what fresh processes of these models saw; one that dies costs its own run only.

    Interference is asked about from the first steady call to the last.
    """
    lanes = [_Lane(entrant) for entrant in entrants]
    try:
        order = chance.sample(range(len(lanes)), len(lanes))
        for place in order:
            _start(lanes[place], plan.number)
        for lane in lanes:
            _load(lane)  # each before the first call of any: what loads disturbs what is timed
        for place in order:
            _warm(lanes[place], plan, plan.least_calls[place], len(lanes), now)
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
        tuple(lane.threads for lane in lanes),
        warmup_s,
        warmup_s + steady_s,
        disturbance,
    )


@contextmanager
def _may_die(lane: _Lane) -> Iterator[None]:
    """Keeps the death of a lane's process to the lane."""
    try:
        yield
    except Died as death:
        lane.died = str(death)


def _start(lane: _Lane, number: int) -> None:
    with _may_die(lane):
        lane.session = lane.entrant.start(number)


def _load(lane: _Lane) -> None:
    if lane.session is None:
        return
    with _may_die(lane):
        lane.session.ready()
        lane.threads = lane.session.threads


def _warm(lane: _Lane, plan: RoundPlan, least_calls: int, models: int, now: Now) -> None:
    if lane.session is None or lane.died is not None:
        return
    limit = WarmUpLimit(
        least_calls,
        most_s=min(plan.share_s / 2, plan.budget_s) / models,
        most_first_s=_MOST_FIRST * plan.budget_s / models,
    )
    with _may_die(lane):
        lane.warmed = warm_up(lane.session, limit, now)
        lane.session.rest()


def _take_turns(lanes: list[_Lane], plan: RoundPlan, warmup_s: float, chance: random.Random, now: Now) -> float:
    """Returns the seconds that the steady calls took; what they saw is left in the lanes."""
    kind = turn_alone if len(lanes) == 1 else turn_among_others
    for lane in lanes:
        lane.turn = kind(lane.typical_s())
    fewest = min((lane.turn.calls for lane in lanes), default=1)
    count = plan.calls if fewest == 1 else max(_FEWEST_TURNS, math.ceil(plan.calls / fewest))
    begin_s, place = now(), 0
    for number in range(count):
        living = [lane for lane in lanes if lane.lives]
        expected_s = sum(lane.typical_s() * lane.turn.all_calls for lane in living)
        spent_s = warmup_s + now() - begin_s
        # The first turn is taken whatever the share of the round, so that every round has something to compare.
        if not living or (number and spent_s + expected_s > min(plan.share_s, plan.budget_s)):
            break
        for lane in chance.sample(living, len(living)):
            if warmup_s + now() - begin_s >= plan.budget_s:
                break
            _take_turn(lane, place, now)
            place += lane.turn.all_calls + 1  # a turn that follows one of its own is another turn
    return now() - begin_s


def _take_turn(lane: _Lane, place: int, now: Now) -> None:
    assert lane.session
    turn = lane.turn
    try:
        if turn.cold_calls:
            lane.session.call(turn.cold_calls)
        before_s = _wall_s(lane.session, now)
        samples_s = lane.session.call(turn.calls)
        lane.wall_s += _wall_s(lane.session, now) - before_s
        if turn.rests:
            lane.session.rest()
    except Died as death:
        lane.died = str(death)
        return
    lane.samples_s += samples_s
    lane.order += range(place + turn.cold_calls, place + turn.all_calls)


def _wall_s(session: Session, now: Now) -> float:
    """Returns the time by the session's own counter: waiting for the pipes to its process is no part of a call."""
    own: float | None = getattr(session, "wall_s", None)
    return now() if own is None else own


def _ask_peak(lane: _Lane) -> None:
    if lane.session is None or lane.died is not None:
        return
    with _may_die(lane):
        lane.peak_bytes = lane.session.peak_bytes()


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
