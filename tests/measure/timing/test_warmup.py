"""Warm-up shapes whose steady cost is known: the median that is left is within 1 % of it."""

from __future__ import annotations

import numpy as np
import pytest

from effbench.measure.timing.simulated import MACHINES, SimulatedEntrant, Simulation, WarmUp
from effbench.measure.timing.warmup import WarmUpLimit, is_steady, steady_from, warm_up

SHAPES = {
    "first call 150 times": WarmUp(first=150.0),
    "slow decay": WarmUp(first=150.0, decay=0.5, decay_calls=10.0),
    "slower decay": WarmUp(first=3.0, decay=0.5, decay_calls=40.0),
    "late step": WarmUp(first=20.0, step=1.3, step_at=200),
    "small late step": WarmUp(first=2.0, step=1.05, step_at=100),
}


def series(shape: WarmUp, calls: int, seed: int, sd: float = 0.02) -> list[float]:
    """Calls of 10 ms, one in a hundred of them interrupted for 40 ms."""
    random = np.random.default_rng(seed)
    cost = 0.01 * np.array([shape.factor(number) for number in range(calls)])
    taken = cost * np.exp(sd * random.standard_normal(calls)) + 0.04 * (random.random(calls) < 0.01)
    return [float(each) for each in taken]


@pytest.mark.parametrize("name", SHAPES)
def test_the_steady_median_is_within_one_percent(name: str) -> None:
    errors = []
    for seed in range(100):
        taken = series(SHAPES[name], 400, seed)
        errors.append(abs(np.median(taken[steady_from(taken) :]) / 0.01 - 1))
    assert np.quantile(errors, 0.95) < 0.01


@pytest.mark.parametrize("name", ["slow decay", "slower decay", "late step"])
def test_without_the_cut_the_median_is_off(name: str) -> None:
    taken = series(SHAPES[name], 400, 0)
    assert np.mean(taken) / 0.01 > 1.01
    assert np.mean(taken[steady_from(taken) :]) < np.mean(taken)


def test_a_step_is_found_where_it_is() -> None:
    cuts = [steady_from(series(SHAPES["late step"], 400, seed)) for seed in range(100)]
    assert np.median(cuts) == pytest.approx(200, abs=5)


def test_the_challenge_log() -> None:
    # 200 timed calls: the first 1033.76 ms, the others 9.82 ms on average. The score was built on their mean.
    others = 9.82e-3 * np.exp(0.03 * np.random.default_rng(0).standard_normal(199))
    others *= 9.82e-3 / others.mean()
    taken = [1.03376, *map(float, others)]
    assert np.mean(taken) == pytest.approx(14.94e-3, abs=0.01e-3)
    kept = taken[steady_from(taken) :]
    assert round(float(np.median(kept)) * 1e3, 1) == 9.8


def test_the_first_call_never_counts() -> None:
    assert steady_from([1.0] * 100) == 1
    assert [steady_from([1.0] * count) for count in range(5)] == [0, 1, 1, 1, 1]


def test_unwarmed_calls_are_not_steady() -> None:
    falling = [2.0 - 0.01 * number for number in range(100)]
    assert not is_steady(falling)
    assert is_steady([1.0] * 21)
    assert not is_steady([1.0] * 9)


def session(shape: WarmUp, seed: int = 0) -> tuple[Simulation, SimulatedEntrant]:
    simulation = Simulation(MACHINES[0], seed)
    return simulation, SimulatedEntrant("net", 0.01, simulation, warm_up=shape)


def test_warming_up_ends_when_calls_are_steady() -> None:
    shape, left, lengths = SHAPES["slow decay"], [], []
    for seed in range(40):
        simulation, entrant = session(shape, seed)
        found = warm_up(entrant.start(0), WarmUpLimit(), simulation.clock)
        assert found.steady
        assert found.first_s > 1.0
        warm = 1 + len(found.samples_s)
        assert warm < 200
        lengths.append(warm)
        # What the median of the next 50 calls would still be off, without noise.
        left.append(np.median([shape.factor(warm + number) for number in range(50)]) - 1)
        assert found.spent_s == pytest.approx(sum(found.samples_s), rel=0.01)
    assert np.median(left) < 0.01
    assert max(left) < 0.02
    assert np.median(lengths) < 60


def test_warming_up_ends_at_its_limits() -> None:
    never = WarmUp(decay=100.0, decay_calls=50.0)
    simulation, entrant = session(never)
    by_calls = warm_up(entrant.start(0), WarmUpLimit(most_calls=50), simulation.clock)
    assert (by_calls.steady, len(by_calls.samples_s)) == (False, 50)
    by_time = warm_up(entrant.start(0), WarmUpLimit(most_s=3.0), simulation.clock)
    assert not by_time.steady
    assert 3.0 <= by_time.spent_s < 4.2  # a call of about one second that began is finished


def test_after_a_first_call_longer_than_the_budget_allows_there_is_no_other() -> None:
    simulation, entrant = session(WarmUp(first=150.0))
    found = warm_up(entrant.start(0), WarmUpLimit(most_first_s=1.0), simulation.clock)
    assert (found.samples_s, found.steady, found.spent_s) == ((), False, 0.0)


def test_at_least_so_many_calls() -> None:
    simulation, entrant = session(WarmUp())
    found = warm_up(entrant.start(0), WarmUpLimit(least_calls=80), simulation.clock)
    assert 80 <= len(found.samples_s) < 100
