"""What the raw times of one model say, against hand arithmetic and simulated truths."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from effbench.judge.timings import disturbances, estimate
from effbench.measure.timing.run import timed
from effbench.measure.timing.simulated import MACHINES, SimulatedEntrant, Simulation
from effbench.records import Note, ProcessRun, StopRule, Timing, TimingPlan


def timing(*processes: tuple[float, ...], rule: StopRule | None = None) -> Timing:
    runs = tuple(
        ProcessRun(number, 1.0 + number, (), samples, tuple(range(len(samples))), sum(samples))
        for number, samples in enumerate(processes)
    )
    return Timing("net", TimingPlan(), rule or StopRule(), runs, 1, converged=False)


def test_an_estimate_by_hand() -> None:
    found = estimate(timing((1.0, 2.0, 30.0), (3.0, 4.0, 5.0), (8.0, 8.0, 8.0)))
    assert found.median_s == pytest.approx(4.0)  # geometric mean of 2, 4 and 8
    assert found.median is not None
    factor = math.exp(4.302653 * math.log(2) / math.sqrt(3))
    assert (found.median.low, found.median.high) == pytest.approx((4 / factor, 4 * factor), rel=1e-5)
    assert (found.processes, found.worth, found.calls) == (3, 3.0, 9)
    assert found.between == pytest.approx(math.log(2))
    assert found.first_s == 2.0
    assert [quantile.share for quantile in found.quantiles] == [0.5, 0.9, 0.99]
    assert [quantile.seconds for quantile in found.quantiles] == [5.0, 30.0, 30.0]
    assert found.quantiles[2].high_s is None


def test_one_process_has_no_interval() -> None:
    found = estimate(timing((1.0, 2.0, 4.0)))
    assert (found.median_s, found.median, found.between) == (2.0, None, None)
    assert [(each.low_s, each.high_s) for each in found.quantiles] == [(None, None)] * 3


def test_nothing_measured_is_unknown() -> None:
    found = estimate(timing())
    assert (found.median_s, found.median, found.first_s, found.quantiles, found.calls) == (None, None, None, (), 0)


def test_more_calls_in_a_process_make_no_narrower_interval() -> None:
    few = estimate(timing((1.0, 1.0), (1.1, 1.1), (1.2, 1.2)))
    many = estimate(timing((1.0,) * 1000, (1.1,) * 1000, (1.2,) * 1000))
    assert few.median == many.median


def test_the_challenge_log() -> None:
    # Its first call is no steady one, so it is not among the samples; the others take 9.82 ms on average.
    others = 9.82e-3 * np.exp(0.03 * np.random.default_rng(0).standard_normal(199))
    found = estimate(timing(tuple(map(float, others))))
    assert found.median_s is not None
    assert round(found.median_s * 1e3, 1) == 9.8


def test_intervals_of_runs_that_stopped_where_they_were_narrow_hold_the_truth() -> None:
    held, rounds = [], []
    for seed in range(150):
        simulation = Simulation(MACHINES[0], seed)
        entrant = SimulatedEntrant("net", 0.01, simulation)
        rule = StopRule(half_width=0.03, max_rounds=30, calls=10, budget_s=20.0)
        (run,) = timed([entrant], rule, seed, simulation.clock)
        median = estimate(run).median
        assert median is not None
        held.append(median.low <= 0.01 <= median.high)
        rounds.append(len(run.runs))
    assert len(set(rounds)) > 5  # they did stop at different rounds
    assert 0.90 <= np.mean(held) <= 0.99


def test_disturbances_are_said_once_with_the_rounds_they_were_in() -> None:
    made = timing((1.0,), (1.0,), (1.0,), (1.0,))
    steal = [(), (Note("steal", "cpu", "3 %"),), (), (Note("steal", "cpu", "5 %"), Note("thermal", "cpu", "hot"))]
    shaken = replace(made, runs=tuple(replace(run, notes=notes) for run, notes in zip(made.runs, steal, strict=True)))
    # Both models of a round have its notes: they are one disturbance.
    assert disturbances([shaken, shaken]) == (
        Note("steal", "cpu", "in 2 of 4 rounds; the last: 5 %"),
        Note("thermal", "cpu", "in 1 of 4 rounds; the last: hot"),
    )


def test_rounds_that_were_run_again_are_one_note() -> None:
    made = timing((1.0,), (1.0,))
    runs = tuple(replace(run, notes=(Note("run-again", f"round {run.round}", "steal"),)) for run in made.runs)
    (note,) = disturbances([replace(made, runs=runs)])
    assert note == Note("run-again", "rounds", "in 2 of 2 rounds; the last: steal")
