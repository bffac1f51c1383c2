"""False alarms, power and undecided verdicts of the same rule on each simulated machine."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from effbench.measure.timing.operating import Outcome, coverage, outcome, outcome_of, typical_s, verdicts_of
from effbench.measure.timing.simulated import MACHINES, Machine
from effbench.records.timing import StopRule

RULE = StopRule()
RUNS = 200


def named(machine: Machine) -> str:
    return machine.name


@cache
def compared(machine: Machine, difference: float, rule: StopRule = RULE) -> Outcome:
    return outcome(machine, difference, rule, RUNS, seed=0)


@pytest.mark.parametrize("machine", MACHINES, ids=named)
def test_a_model_differs_from_itself_in_one_run_of_twenty_at_most(machine: Machine) -> None:
    # A look after every pair, stopped when settled; 16 of 200 is the 98 % point of a true 5 %.
    found = compared(machine, 0.0)
    assert (found.slower + found.faster) * RUNS <= 16


def test_false_alarms_over_all_machines() -> None:
    # 1,200 runs: 6.3 % is the 98 % point of a true 5 %.
    found = [compared(machine, 0.0) for machine in MACHINES]
    assert np.mean([each.slower + each.faster for each in found]) <= 0.063


@pytest.mark.parametrize("machine", MACHINES, ids=named)
def test_three_percent_is_found_within_40_pairs(machine: Machine) -> None:
    assert compared(machine, 0.03).pairs_allowed == 40
    # 86 % is the 3 % point of a true 90 % in 200 runs; all six together have to show the 90 %.
    assert compared(machine, 0.03).slower >= 0.86
    assert np.mean([compared(each, 0.03).slower for each in MACHINES]) >= 0.9


def test_one_percent_is_found_within_300_pairs() -> None:
    found = outcome(MACHINES[0], 0.01, replace(RULE, max_rounds=300, margin=0.005), 100, seed=0)
    assert found.slower >= 0.8


@pytest.mark.parametrize("machine", MACHINES, ids=named)
def test_ten_percent_is_found_at_once(machine: Machine) -> None:
    found = compared(machine, 0.10)
    assert found.slower == 1.0
    assert found.pairs_used < 12


def test_models_at_the_margin_are_seldom_called_the_same() -> None:
    assert np.mean([compared(machine, RULE.margin).same for machine in MACHINES]) <= 0.063


@pytest.mark.parametrize("machine", MACHINES, ids=named)
def test_the_timer_is_not_always_undecided(machine: Machine) -> None:
    # From the runs whose false alarms were counted above.
    found = compared(machine, 0.0)
    assert found.same >= 0.35
    assert found.undecided <= 0.62
    assert found.same + found.undecided + found.slower + found.faster == pytest.approx(1.0)


def test_error_rates_over_many_looks_at_normal_values() -> None:
    values = 0.05 * np.random.default_rng(0).standard_normal((20_000, 40))
    error = outcome_of("normal", 0.0, replace(RULE, margin=0.0), values)
    assert 0.035 < error.slower + error.faster <= 0.05
    at_margin = outcome_of("normal", 0.02, RULE, values + np.log(1.02))
    assert 0.035 < at_margin.same <= 0.052


def test_stopping_at_every_p_below_5_percent_would_not_do() -> None:
    # What the boundaries are for: 40 looks with Student's own quantiles.
    from scipy import stats as scipy_stats

    values = np.random.default_rng(1).standard_normal((2000, 40))
    alarmed = np.zeros(2000, dtype=bool)
    for count in range(6, 41):
        alarmed |= scipy_stats.ttest_1samp(values[:, :count], 0.0, axis=-1).pvalue < 0.05
    assert alarmed.mean() > 0.15


def test_verdicts_by_hand() -> None:
    noise = np.tile([0.001, -0.001], 6)
    values = np.stack([noise, 0.2 + noise, noise - 0.2, 0.03 + 60 * noise])
    verdicts, pairs = verdicts_of(values, replace(RULE, max_rounds=12))
    assert list(verdicts) == [2, 1, -1, 0]
    assert pairs[3] == 12
    assert max(pairs[:3]) < 12


STILL = [machine for machine in MACHINES if machine.name in ("quiet", "autocorrelated", "drifting", "bimodal")]


@pytest.mark.parametrize("machine", STILL, ids=named)
def test_intervals_hold_the_truth_in_93_to_97_percent(machine: Machine) -> None:
    found = coverage(machine, rounds=20, runs=1000)
    assert 0.93 <= found.held <= 0.97


@pytest.mark.parametrize("machine", [machine for machine in STILL if not machine.switches], ids=named)
def test_without_slow_states_the_truth_is_the_cost(machine: Machine) -> None:
    assert typical_s(replace(machine, drift_per_minute=0.0), 20) == pytest.approx(0.01, rel=0.003)


def test_a_drifting_machine_s_truth_is_at_the_middle() -> None:
    (drifting,) = (machine for machine in MACHINES if machine.drift_per_minute)
    still = replace(drifting, drift_per_minute=0.0)
    # 120 rounds of half a second, half a second between them: the middle is at one minute.
    assert typical_s(drifting, 120) / typical_s(still, 120) == pytest.approx(1.02, abs=1e-4)
