"""Verdicts on pairs of timings whose truth is known; half of what each process says comes from its own luck."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from effbench.errors import InputError
from effbench.judge.verdict import compare, pair_log_ratios
from effbench.measure.timing.drawn import Drawn, drawn
from effbench.measure.timing.run import timed
from effbench.measure.timing.simulated import MACHINES, Machine, SimulatedEntrant, Simulation
from effbench.records import ProcessRun, StopRule, Timing, TimingPlan

RULE = StopRule(min_rounds=6, max_rounds=12)


def timing(name: str, medians_s: list[float], rule: StopRule = RULE, first: int = 0) -> Timing:
    """A model with two equal calls per process, whose other place in each turn is another model's."""
    runs = tuple(
        ProcessRun(first + number, 1.0, (), (median, median), (0, 2) if name == "a" else (1, 3), 2 * median)
        for number, median in enumerate(medians_s)
    )
    return Timing(name, TimingPlan(), rule, runs, 1, converged=False)


def noisy(centre: float, count: int = 12, sd: float = 0.01) -> list[float]:
    return [centre * math.exp(sd * (-1) ** number) for number in range(count)]


@pytest.mark.parametrize(
    ("other", "sd", "verdict"),
    [
        (1.0, 0.001, "same"),
        (1.1, 0.01, "slower"),
        (0.9, 0.01, "faster"),
        (1.01, 0.1, "undecided"),
        (1.01, 0.001, "same"),
    ],
)
def test_four_verdicts(other: float, sd: float, verdict: str) -> None:
    found = compare(timing("a", [1.0] * 12), timing("b", noisy(other, sd=sd)))
    assert found.verdict == verdict
    assert found.ratio is not None
    assert found.ratio.estimate == pytest.approx(other, rel=1e-3)
    assert found.ratio.low < other < found.ratio.high
    assert bool(found.why) == (verdict == "undecided")
    assert (found.base, found.other, found.pairs, found.margin) == ("a", "b", 12, 0.02)


def test_the_smallest_detectable_difference_by_hand() -> None:
    found = compare(timing("a", [1.0] * 12), timing("b", noisy(1.0)))
    sd = 0.01 * math.sqrt(12 / 11)
    assert found.spread == pytest.approx(sd)
    assert found.detectable == pytest.approx(3.24 * sd / math.sqrt(12))
    assert found.pairs_for_margin == pytest.approx((3.24 * sd / 0.02) ** 2)


def test_the_verdict_turns_round_with_the_models() -> None:
    a, b = timing("a", [1.0] * 12), timing("b", noisy(1.1))
    there, back = compare(a, b), compare(b, a)
    assert (there.verdict, back.verdict) == ("slower", "faster")
    assert there.ratio is not None
    assert back.ratio is not None
    assert there.ratio.low == pytest.approx(1 / back.ratio.high)


def test_fewer_pairs_than_the_rule_wants_decide_nothing() -> None:
    found = compare(timing("a", [1.0] * 5), timing("b", noisy(2.0, 5)))
    assert found.verdict == "undecided"
    assert found.why == "5 pairs of processes: a verdict needs 6"
    assert found.ratio is not None


def test_only_rounds_that_both_took_part_in_are_paired() -> None:
    a, b = timing("a", [1.0, 2.0, 3.0]), timing("b", [4.0, 3.0], first=1)
    assert pair_log_ratios(a, b) == pytest.approx((math.log(2), 0.0))


def test_a_dead_model_has_no_verdict() -> None:
    dead = replace(timing("b", []), died="killed by signal 9 (out of memory)")
    found = compare(timing("a", [1.0] * 12), dead)
    assert (found.verdict, found.ratio, found.detectable) == ("undecided", None, None)
    assert found.why == "b died: killed by signal 9 (out of memory)"
    assert compare(timing("a", [1.0]), timing("b", [1.0])).why == "1 pairs of processes: an interval needs 2"


def test_timings_under_different_rules_are_not_of_one_run() -> None:
    with pytest.raises(InputError, match="a and b were timed under different rules: time them in one run"):
        compare(timing("a", [1.0] * 6), timing("b", [1.0] * 6, StopRule(budget_s=1.0)))


def timings(found: Drawn, kept: tuple[np.ndarray, np.ndarray], rounds: int, converged: bool) -> tuple[Timing, Timing]:
    """The first rounds of drawn runs as records, of each model only the turns in `kept`."""
    both = []
    for model in (0, 1):
        runs = tuple(
            ProcessRun(
                number,
                1.0,
                (),
                tuple(np.exp(found.log_s[model, number, kept[model]])),
                tuple(found.order[model, number, kept[model]]),
                1.0,
            )
            for number in range(rounds)
        )
        both.append(Timing("ab"[model], TimingPlan(), replace(RULE, margin=0.0), runs, 1, converged))
    return both[0], both[1]


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_unequal_sample_counts_make_no_false_alarms(machine: Machine) -> None:
    # A model against itself, 20 calls against 7 at random turns; a look after each of 6 to 12 pairs of processes.
    random, alarms = np.random.default_rng(0), 0
    for seed in range(200):
        found = drawn(machine, (0.01, 0.01), 12, 20, 10_000 + seed)
        kept = np.arange(20), np.sort(random.choice(20, 7, replace=False))
        looks = (compare(*timings(found, kept, pairs, converged=pairs < 12)) for pairs in range(6, 13, 2))
        alarms += any(look.verdict in ("faster", "slower") for look in looks)
    assert alarms <= 16


def test_a_slow_down_of_a_whole_run_is_found_and_given_its_ratio() -> None:
    simulation = Simulation(MACHINES[4], 5)
    entrants = [SimulatedEntrant(name, cost, simulation) for name, cost in (("a", 0.01), ("b", 0.0106), ("c", 0.01))]
    a, b, c = timed(entrants, StopRule(until="verdict", calls=20), 0, simulation.clock)
    found = compare(a, b)
    assert found.verdict == "slower"
    assert found.ratio is not None
    assert found.ratio.low < 1.06 < found.ratio.high
    assert compare(a, c).verdict in ("same", "undecided")
