"""Locations, ratios and quantiles of calls against hand arithmetic and truths by construction."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from effbench.stats import log_median, log_ratio, quantile


def test_log_median_by_hand() -> None:
    assert log_median([4.0, 1.0, 2.0]) == pytest.approx(math.log(2))
    assert log_median([[1.0, 9.0, 1.0], [3.0, 3.0, 5.0]]) == pytest.approx([0.0, math.log(3)])


def turns(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The places of two models' calls that alternate in random order, with a rest after each."""
    first = np.random.default_rng(seed).integers(0, 2, count)
    return 4 * np.arange(count) + 2 * first, 4 * np.arange(count) + 2 * (1 - first)


def test_a_drift_that_hits_both_cancels_to_what_one_call_adds() -> None:
    # Each call takes 0.1 % more than the one before it, two places earlier; b costs 3 % more.
    a, b = turns(200, 0)
    ratio = log_ratio(np.exp(0.0005 * a), a, 1.03 * np.exp(0.0005 * b), b)
    assert ratio == pytest.approx(math.log(1.03), abs=0.001)


def test_unequal_counts_pair_what_was_called_in_a_row() -> None:
    # Called at 0, 3, 8 and at all other places: 1 to 2, 4 to 7 and 9 in a row, of medians 1.5, 5.5 and 9.
    a_order, b_order = np.array([0, 3, 8]), np.array([1, 2, 4, 5, 6, 7, 9])
    cost = np.exp(0.5 * np.arange(10.0))
    expected = [0.5 * (1.5 - 0), 0.5 * (5.5 - 3), 0.5 * (9 - 8)]
    assert log_ratio(cost[a_order], a_order, cost[b_order], b_order) == pytest.approx(np.median(expected))
    assert log_ratio(cost[b_order], b_order, cost[a_order], a_order) == pytest.approx(-np.median(expected))


def test_a_cold_first_call_of_every_turn_does_not_decide_which_is_faster() -> None:
    # Turns of 35 calls of a and 31 of b, b 10 % slower; each turn's first call takes twice as long.
    places = np.arange(10 * 66)
    of_a = places % 66 < 35
    turn = np.where(of_a, places % 66, places % 66 - 35)
    cost = np.where(of_a, 1.0, 1.1) * np.where(turn == 0, 2.0, 1.0)
    a, b = places[of_a], places[~of_a]
    assert log_ratio(cost[a], a, cost[b], b) == pytest.approx(math.log(1.1))
    assert log_ratio(cost[b], b, cost[a], a) == pytest.approx(-math.log(1.1))


@pytest.mark.parametrize("kept", [20, 5, 1])
def test_unequal_counts_find_the_same_ratio(kept: int) -> None:
    a, b = turns(60, 1)
    some = np.sort(np.random.default_rng(2).choice(60, kept, replace=False))
    assert log_ratio(np.ones(60), a, np.full(kept, 1.1), b[some]) == pytest.approx(math.log(1.1))


def test_one_stray_call_does_not_move_the_ratio() -> None:
    a, b = turns(50, 3)
    slow = np.full(50, 1.02)
    slow[17] = 40.0
    assert log_ratio(np.ones(50), a, slow, b) == pytest.approx(math.log(1.02))


def test_quantiles_by_hand() -> None:
    calls = np.arange(1.0, 101.0)
    estimate, low, high = quantile([calls], 0.9)
    assert (estimate, low, high) == (90.0, None, None)  # one process: nothing is known of others
    # Two processes of weight one half each, whatever their number of calls.
    assert quantile([np.full(10, 1.0), np.full(90, 2.0)], 0.5)[0] == 1.0
    assert quantile([np.full(10, 1.0), np.full(90, 2.0)], 0.51)[0] == 2.0


def test_a_quantile_beyond_every_call_has_no_upper_end() -> None:
    # The shares of calls up to 9, which is the 80th of 100 in order, are .9, .7 and .8.
    samples = [np.arange(1.0, 11.0) + shift for shift in (0.0, 2.0, 1.0)]
    estimate, low, high = quantile(samples, 0.8)
    assert estimate == 9.0
    # Shares of ten independent calls would spread by .126, more than these by .1; t with 2 degrees of freedom.
    width = 4.302653 * math.sqrt(0.8 * 0.2 / 10) / math.sqrt(3)
    assert 0.4 < 0.8 - width < 0.5
    assert 0.8 + width > 1
    assert high is None
    assert low == 6.0  # half of the calls are no greater, of 5 only two fifths


def test_quantile_intervals_hold_the_truth_though_calls_cluster_in_processes() -> None:
    # log calls = process (sd 1) + call (sd 1): over all calls normal with sd √2.
    random = np.random.default_rng(4)
    truth = math.exp(math.sqrt(2) * scipy_stats.norm.ppf(0.9))
    held = wrong = 0
    for _ in range(400):
        samples = list(np.exp(random.standard_normal((20, 1)) + random.standard_normal((20, 50))))
        _, low, high = quantile(samples, 0.9)
        held += (low is not None and low <= truth) and (high is None or truth <= high)
        flat = np.sort(np.concatenate(samples))
        ends = scipy_stats.binom.ppf([0.025, 0.975], 1000, 0.9).astype(int)
        wrong += flat[ends[0]] <= truth <= flat[ends[1]]
    assert 0.90 <= held / 400 <= 0.98
    assert wrong / 400 < 0.6  # the interval that pools calls holds it far less often
