"""Whole runs on simulated machines: a fake clock, seeded costs, truths that are known. Nothing here waits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import pytest

from effbench.errors import InputError
from effbench.measure.machine.interference import Disturbance
from effbench.measure.timing.run import Progress, timed
from effbench.measure.timing.simulated import (
    MACHINES,
    Death,
    Machine,
    SimulatedEntrant,
    SimulatedSession,
    Simulation,
    WarmUp,
)
from effbench.records import Note, StopRule, Timing, TimingPlan

QUIET = MACHINES[0]
STILL = replace(QUIET, name="still", call_sd=0.001, process_sd=0.001)
SHORT = StopRule(min_rounds=2, max_rounds=4, calls=10, half_width=1e-6)
"""Too few rounds to conclude anything, and few calls: for what does not depend on them."""


@dataclass
class Seen:
    """What a run told while it ran."""

    progress: list[Progress] = field(default_factory=list)

    def __call__(self, progress: Progress) -> None:
        self.progress.append(progress)

    @property
    def spent_s(self) -> float:
        return self.progress[-1].spent_s


def run(
    costs: Sequence[float], rule: StopRule, machine: Machine = QUIET, seed: int = 0
) -> tuple[tuple[Timing, ...], Seen, Simulation]:
    simulation, seen = Simulation(machine, seed), Seen()
    entrants = [SimulatedEntrant("abcdefghijklmnopqrst"[place], cost, simulation) for place, cost in enumerate(costs)]
    return timed(entrants, rule, seed, simulation.clock, seen), seen, simulation


def medians(timing: Timing) -> list[float]:
    return [float(np.median(each.samples_s)) for each in timing.runs]


# Rounds, order, warm-up


def test_every_round_is_a_fresh_process_of_each_model_called_in_turns_in_random_order() -> None:
    (a, b), _, _ = run([0.01, 0.02], SHORT)
    assert [each.round for each in a.runs] == [each.round for each in b.runs] == [0, 1, 2, 3]
    firsts = []
    for one, two in zip(a.runs, b.runs, strict=True):
        assert len(one.samples_s) == len(two.samples_s) == len(one.order) == 10
        # A turn is a cold call that is not kept, one that is, and a rest.
        assert sorted((*one.order, *two.order)) == list(range(1, 60, 3))
        for mine, others in zip(one.order, two.order, strict=True):
            assert mine // 6 == others // 6  # both in the same turn
        firsts += [mine < others for mine, others in zip(one.order, two.order, strict=True)]
    assert 10 < sum(firsts) < 30
    assert sum(before != after for before, after in pairwise(firsts)) > 5


@dataclass
class Noting:
    """An entrant whose sessions note what they are asked for."""

    name: str
    entrant: SimulatedEntrant
    log: list[str]
    plan: TimingPlan = TimingPlan()  # noqa: RUF009  frozen

    def start(self, number: int) -> NotingSession:
        return NotingSession(self.name, self.entrant.start(number), self.log)


@dataclass
class NotingSession:
    name: str
    session: SimulatedSession
    log: list[str]
    threads: int = 1

    def call(self, times: int) -> tuple[float, ...]:
        self.log.append(f"{self.name} {times}")
        return self.session.call(times)

    def ready(self) -> None:
        self.log.append(f"{self.name} loaded")

    def rest(self) -> None:
        self.log.append(f"{self.name} rests")

    def peak_bytes(self) -> tuple[tuple[str, int], ...]:
        return ()

    def close(self) -> None:
        self.session.close()


def test_nobody_is_called_before_the_others_rest() -> None:
    log: list[str] = []
    simulation = Simulation(STILL, 0)
    entrants = [Noting("a", SimulatedEntrant("a", 0.01, simulation), log)]
    entrants += [Noting("b", SimulatedEntrant("b", 0.004, simulation), log)]
    timed(entrants, replace(SHORT, max_rounds=2), 0, simulation.clock)
    assert log.index("a loaded") < 2
    assert log.index("b loaded") < 2  # before anybody is called
    turns = [("a 1", "a 1", "a rests"), ("b 1", "b 2", "b rests")]  # a cold call, then what is kept
    last = list(zip(log[-60::3], log[-59::3], log[-58::3], strict=True))  # ten turns of each
    assert sorted(last) == sorted(turns * 10)
    assert all("rests" in before or "loaded" in after for before, after in pairwise(log) if before[0] != after[0])


@pytest.mark.parametrize("end", [InputError("b: no such model"), KeyboardInterrupt()])
@pytest.mark.parametrize("order", range(4))
def test_what_ends_a_round_while_models_load_ends_their_processes(end: BaseException, order: int) -> None:
    simulation, begun = Simulation(STILL, 0), list[NotingSession]()

    class Ending(NotingSession):
        def ready(self) -> None:
            if self.name == "b":
                raise end

    class Starting(Noting):
        def start(self, number: int) -> NotingSession:
            begun.append(Ending(self.name, self.entrant.start(number), self.log))
            return begun[-1]

    entrants = [Starting(name, SimulatedEntrant(name, 0.01, simulation), []) for name in "abc"]
    with pytest.raises(type(end)) as caught:
        timed(entrants, SHORT, order, simulation.clock)
    assert caught.value is end
    assert sorted(one.name for one in begun) == ["a", "b", "c"]
    assert all(one.session.closed for one in begun)


def test_alone_a_model_keeps_every_call_and_does_not_rest() -> None:
    log: list[str] = []
    simulation = Simulation(STILL, 0)
    timed([Noting("a", SimulatedEntrant("a", 0.01, simulation), log)], SHORT, 0, simulation.clock)
    assert log[-10:] == ["a 1"] * 10


def test_the_seed_decides_the_order() -> None:
    orders = []
    for seed in (1, 1, 2):
        simulation = Simulation(QUIET, 0)
        found = timed([SimulatedEntrant(name, 0.01, simulation) for name in "ab"], SHORT, seed, simulation.clock)
        orders.append([each.order for each in found[0].runs])
    assert orders[0] == orders[1] != orders[2]


def test_the_first_call_is_apart_and_warm_up_is_found() -> None:
    (found,), _, _ = run([0.01], replace(SHORT, calls=50), replace(STILL, warm_up=WarmUp(150.0, 0.5, 10.0)))
    for each in found.runs:
        assert each.first_s == pytest.approx(1.5, rel=0.02)
        assert len(each.warmup_s) >= 20
        assert np.median(each.samples_s) == pytest.approx(0.01, rel=0.01)
        assert each.compile_s is None


@pytest.mark.parametrize("step_at", [30, 90, 105])
def test_a_step_that_comes_late_is_looked_for_in_the_first_round(step_at: int) -> None:
    # 100 calls of warming up and 50 steady ones: a step within them teaches the rounds that follow.
    machine = replace(STILL, call_sd=0.01, warm_up=WarmUp(first=5.0, step=1.3, step_at=step_at))
    (found,), _, _ = run([0.01], replace(SHORT, calls=50), machine)
    for each in found.runs:
        assert np.median(each.samples_s) == pytest.approx(0.01, rel=0.01)
        assert 1 + len(each.warmup_s) > step_at - 5  # medians of five calls are looked at
        assert len(each.samples_s) == len(each.order)
        assert each.wall_s == pytest.approx(sum(each.samples_s), rel=0.01)


def test_warming_that_only_the_first_round_saw_is_not_asked_of_the_others() -> None:
    simulation = Simulation(STILL, 0)

    class OnceSlow:
        """A model that gets faster in the first round only, at its 90th call."""

        name = "a"
        plan = TimingPlan()

        def start(self, number: int) -> SimulatedSession:
            step = WarmUp(first=5.0, step=1.3 if number == 0 else 1.0, step_at=90)
            return SimulatedEntrant("a", 0.01, simulation, warm_up=step).start(number)

    (found,) = timed([OnceSlow()], replace(SHORT, calls=50, max_rounds=6), 0, simulation.clock)
    calls = [len(each.warmup_s) for each in found.runs]
    assert calls[0] >= 85
    assert calls[1] >= 85  # nothing else is known yet
    assert calls[2] < calls[1]
    assert max(calls[3:]) <= 15


def test_a_warm_up_that_ends_at_its_limit_is_a_note() -> None:
    (found,), _, _ = run([0.01], SHORT, replace(STILL, warm_up=WarmUp(3.0, 50.0, 500.0)))
    assert "not-steady" in {note.code for note in found.notes}
    (steady,), _, _ = run([0.01], SHORT, STILL)
    assert "not-steady" not in {note.code for note in steady.notes}


def test_samples_sum_to_the_wall_time_around_them() -> None:
    timings, _, _ = run([0.01, 0.0001, 0.00002], replace(SHORT, calls=20))
    for timing in timings:
        for each in timing.runs:
            assert each.wall_s == pytest.approx(sum(each.samples_s), rel=0.05)
            assert each.wall_s > sum(each.samples_s)


def test_short_calls_are_made_in_bursts() -> None:
    (fast, slow), _, _ = run([0.0001, 0.02], replace(SHORT, calls=20))
    assert [len(each.samples_s) for each in slow.runs] == [20] * 4
    for each in fast.runs:
        assert len(each.samples_s) > 20 * 30
        assert len(each.order) == len(each.samples_s)


def test_a_compiled_model_s_first_call_is_its_compilation() -> None:
    simulation = Simulation(STILL, 0)
    entrant = SimulatedEntrant("a", 0.01, simulation, plan=TimingPlan(compiled=True))
    (found,) = timed([entrant], SHORT, 0, simulation.clock)
    assert found.plan.compiled
    assert [each.compile_s for each in found.runs] == [each.first_s for each in found.runs]


# When to stop


def test_one_model_stops_where_its_interval_is_narrow() -> None:
    rule = StopRule(half_width=0.02)
    (found,), seen, _ = run([0.01], rule, replace(QUIET, process_sd=0.01))
    assert found.converged
    assert found.notes == ()
    assert rule.min_rounds <= len(found.runs) < 20
    last, before = seen.progress[-1].intervals[0][1], seen.progress[-2].intervals[0][1]
    assert last is not None
    assert before is not None
    assert last.half_width <= 0.02
    assert len(found.runs) == rule.min_rounds or before.half_width > 0.02
    assert last.low < 0.01 < last.high


@pytest.mark.parametrize("cost", [0.0103 * 1.03, 0.0097])
def test_two_models_stop_where_the_verdict_is_settled(cost: float) -> None:
    machine = replace(QUIET, process_sd=0.008)
    (base, other), seen, _ = run([0.01, cost], StopRule(until="verdict"), machine)
    assert base.converged
    assert other.converged
    assert len(seen.progress) < 20
    assert np.median(medians(other)) / np.median(medians(base)) == pytest.approx(cost / 0.01, rel=0.02)


def test_a_run_without_convergence_says_so_and_keeps_its_budget() -> None:
    (found,), seen, _ = run([0.01], StopRule(half_width=1e-5, budget_s=10.0))
    assert not found.converged
    (note,) = found.notes
    assert note.code == "not-converged"
    assert "wanted ±0.00%" in note.text
    assert 9.0 < seen.spent_s <= 11.0 + 0.012


def test_one_process_alone_has_no_interval() -> None:
    (found,), _, _ = run([4.0], StopRule(budget_s=5.0))
    assert len(found.runs) == 1
    (text,) = [note.text for note in found.notes if note.code == "not-converged"]
    assert text.startswith("stopped after 1 process at an interval that is not known, wanted ±1.00%")


@pytest.mark.parametrize("models", [1, 2, 20])
@pytest.mark.parametrize("cost_s", [0.0005, 0.01, 0.3, 4.0])
def test_the_budget_is_kept_within_a_tenth_and_a_call(models: int, cost_s: float) -> None:
    rule = StopRule(half_width=1e-6, budget_s=20.0, max_rounds=100)
    found, seen, simulation = run([cost_s] * models, rule, replace(QUIET, warm_up=WarmUp(first=2.0)))
    assert seen.spent_s <= 1.1 * rule.budget_s + 1.2 * cost_s
    measured = [value for timing in found for each in timing.runs for value in (*each.warmup_s, *each.samples_s)]
    assert sum(measured) <= seen.spent_s <= simulation.clock.now_s
    if cost_s * models <= 1.0:  # enough for the fewest rounds
        assert min(len(timing.runs) for timing in found) >= rule.min_rounds
        assert seen.spent_s > 0.8 * rule.budget_s or len(found[0].runs) == rule.max_rounds


def test_a_slow_model_gets_fewer_calls_per_round_and_not_fewer_rounds() -> None:
    (found,), _, _ = run([0.2], StopRule(half_width=1e-6, budget_s=30.0))
    assert len(found.runs) >= 6
    assert max(len(each.samples_s) for each in found.runs) < 50


def test_a_budget_that_no_call_fits_leaves_nothing_and_says_so() -> None:
    found, _, _ = run([5.0, 5.0, 5.0], StopRule(budget_s=1.0))
    without = [timing for timing in found if not timing.runs]
    assert without
    for timing in without:
        assert [note.code for note in timing.notes] == ["no-samples"]
        assert not timing.converged


def test_progress_is_told_after_each_round() -> None:
    _, seen, _ = run([0.01, 0.02], SHORT)
    assert [each.round for each in seen.progress] == [1, 2, 3, 4]
    assert [each.rounds for each in seen.progress] == [4] * 4
    assert seen.progress[0].intervals == (("a", None), ("b", None))
    assert seen.progress[0].ratios == (("b", None),)
    ((name, ratio),) = seen.progress[-1].ratios
    assert name == "b"
    assert ratio is not None
    assert ratio.low < 2.0 < ratio.high
    assert all(before.spent_s < after.spent_s for before, after in pairwise(seen.progress))


# Dying


@pytest.mark.parametrize(
    "death", [Death(0, None), Death(2, None), Death(2, 0), Death(2, 5), Death(1, 18), Death(0, 105)]
)
def test_a_process_that_dies_costs_its_own_row_only(death: Death) -> None:
    simulation = Simulation(QUIET, 0)
    entrants = [
        SimulatedEntrant("a", 0.01, simulation),
        SimulatedEntrant("b", 0.01, simulation, death=death),
        SimulatedEntrant("c", 0.01, simulation),
    ]
    a, b, c = timed(entrants, SHORT, 0, simulation.clock)
    assert (a.died, b.died, c.died) == (None, "killed by signal 9", None)
    assert len(a.runs) == len(c.runs) == 4
    assert len(b.runs) == death.round
    assert not b.converged
    assert all(len(each.samples_s) == 10 for each in (*a.runs, *c.runs))


def test_all_may_die() -> None:
    simulation = Simulation(QUIET, 0)
    found = timed([SimulatedEntrant("a", 0.01, simulation, death=Death(1, None))], SHORT, 0, simulation.clock)
    assert (len(found[0].runs), found[0].died, found[0].notes) == (1, "killed by signal 9", ())


def test_sessions_are_closed_whatever_happens() -> None:
    simulation = Simulation(QUIET, 0)
    sessions: list[SimulatedSession] = []

    class Entrant(SimulatedEntrant):
        def start(self, number: int) -> SimulatedSession:
            sessions.append(SimulatedEntrant.start(self, number))
            return sessions[-1]

    def stop(_: Progress) -> None:
        raise KeyboardInterrupt

    entrants = [Entrant("a", 0.01, simulation), Entrant("b", 0.01, simulation, death=Death(0, 40))]
    with pytest.raises(KeyboardInterrupt):
        timed(entrants, SHORT, 0, simulation.clock, stop)
    assert [session.closed for session in sessions] == [True, True]


# Interference

STEAL = Note("steal", "cpu", "the hypervisor gave 7.0% of the wanted CPU time to others")
PRESSURE = Note("pressure", "cpu", "threads waited for a core")


class Watch:
    """Says what it was told to, for each block that it is asked about; a round asks before and after."""

    def __init__(self, *blocks: Disturbance) -> None:
        self._blocks = list(blocks)
        self._asked = 0

    def __call__(self) -> Disturbance:
        self._asked += 1
        if self._asked % 2:
            return Disturbance(tainted=(Note("start", "", "before the round: nobody's business"),))
        return self._blocks.pop(0) if self._blocks else Disturbance()

    @property
    def rounds(self) -> int:
        return self._asked // 2


def watched(watch: Watch) -> Timing:
    simulation = Simulation(QUIET, 0)
    (found,) = timed([SimulatedEntrant("a", 0.01, simulation)], SHORT, 0, simulation.clock, interference=watch)
    return found


def test_a_tainted_round_is_run_again_once_and_its_notes_are_kept() -> None:
    watch = Watch(Disturbance(), Disturbance(tainted=(STEAL,)), Disturbance(told=(PRESSURE,)))
    found = watched(watch)
    assert watch.rounds == 5
    assert [each.round for each in found.runs] == [0, 1, 2, 3]
    assert [note.code for note in found.runs[1].notes] == ["steal", "run-again", "pressure"]
    assert [each.notes for each in (found.runs[0], *found.runs[2:])] == [()] * 3


def test_a_round_that_is_tainted_again_stays_with_both_notes() -> None:
    watch = Watch(Disturbance(tainted=(STEAL,)), Disturbance(tainted=(STEAL,)))
    found = watched(watch)
    assert watch.rounds == 5
    assert [note.code for note in found.runs[0].notes] == ["steal", "run-again", "steal"]


def test_rounds_are_run_again_while_that_helps() -> None:
    watch = Watch(*[Disturbance(tainted=(STEAL,))] * 200)
    found = watched(watch)
    assert watch.rounds == 6  # of four rounds the first two twice, in vain
    codes = [[note.code for note in each.notes] for each in found.runs]
    assert codes == [["steal", "run-again", "steal"]] * 2 + [["steal"]] * 2


def test_a_clean_round_makes_running_again_worth_while_once_more() -> None:
    dirty = Disturbance(tainted=(STEAL,))
    # Round 0 twice in vain, 1 clean, 2 twice in vain, 3 twice: only two in vain in a row would end that.
    watch = Watch(dirty, dirty, Disturbance(), dirty, dirty, dirty, dirty)
    watched(watch)
    assert watch.rounds == 7


def test_rounds_run_again_count_into_the_budget() -> None:
    simulation, seen = Simulation(QUIET, 0), Seen()
    watch = Watch(*[Disturbance(tainted=(STEAL,)), Disturbance()] * 100)
    rule = StopRule(half_width=1e-6, budget_s=10.0)
    (found,) = timed([SimulatedEntrant("a", 0.01, simulation)], rule, 0, simulation.clock, seen, watch)
    assert seen.spent_s <= 11.0
    taken = sum(sum(each.samples_s) + sum(each.warmup_s) for each in found.runs)
    assert taken < 0.7 * seen.spent_s


# The whole timer on each machine


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_a_planted_slow_down_is_found_on_every_machine(machine: Machine) -> None:
    rule = StopRule(until="verdict", calls=20)
    (a, b), seen, _ = run([0.01, 0.01 * 1.08], rule, machine, seed=3)
    ratios = np.log(medians(b)) - np.log(medians(a))
    assert np.mean(ratios) == pytest.approx(math.log(1.08), abs=4 * np.std(ratios) / math.sqrt(len(ratios)))
    assert (a.converged, b.converged) == (True, True)
    assert seen.spent_s < 40


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (StopRule(min_rounds=1), "2 ≤ least ≤ most"),
        (StopRule(min_rounds=9, max_rounds=8), "2 ≤ least ≤ most"),
        (StopRule(budget_s=0.0), "budget is 0.0"),
        (StopRule(half_width=-1.0), "half-width is -1.0"),
        (StopRule(calls=0), "calls is 0"),
        (StopRule(margin=-0.1), "margin is -0.1"),
        (StopRule(budget_s=math.nan), "budget is nan"),
    ],
)
def test_a_rule_that_cannot_be_kept(rule: StopRule, text: str) -> None:
    simulation = Simulation(QUIET, 0)
    with pytest.raises(InputError, match=text):
        timed([SimulatedEntrant("a", 0.01, simulation)], rule, 0, simulation.clock)


def test_nothing_to_time() -> None:
    with pytest.raises(InputError, match="no model to time"):
        timed([], StopRule(), 0, Simulation(QUIET, 0).clock)
