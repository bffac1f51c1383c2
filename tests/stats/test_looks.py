"""Boundaries against walks that are simulated, and how much a look may spend by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from effbench.stats import DIFFERENT, SAME, TYPICAL, Looks, Spending, nominal_error


@pytest.mark.parametrize("spending", [DIFFERENT, SAME, TYPICAL])
@pytest.mark.parametrize("last", [12, 40])
def test_walks_cross_as_often_as_was_spent(spending: Spending, last: int) -> None:
    looks, walks = Looks(6, last), 100_000
    steps = np.random.default_rng(0).standard_normal((walks, last), dtype=np.float32)
    sums = np.abs(np.cumsum(steps, axis=-1))
    crossed = np.zeros(walks, dtype=bool)
    for count in range(looks.first, looks.last + 1):
        error = nominal_error(looks, count, False, spending)
        crossed |= sums[:, count - 1] > scipy_stats.norm.isf(error / 2) * np.sqrt(count)
        spent = spending.share * spending.error * (count / last) ** spending.power
        sd = np.sqrt(spent * (1 - spent) / walks)
        assert crossed.mean() == pytest.approx(spent, abs=4 * sd)


def test_a_series_that_ends_early_spends_what_is_left() -> None:
    looks, walks, end = Looks(6, 40), 100_000, 15
    sums = np.abs(np.cumsum(np.random.default_rng(1).standard_normal((walks, end)), axis=-1))
    crossed = np.zeros(walks, dtype=bool)
    for count in range(looks.first, end + 1):
        error = nominal_error(looks, count, count == end, DIFFERENT)
        crossed |= sums[:, count - 1] > scipy_stats.norm.isf(error / 2) * np.sqrt(count)
    total = DIFFERENT.share * DIFFERENT.error
    assert crossed.mean() == pytest.approx(total, abs=4 * np.sqrt(total / walks))


def test_two_looks_against_the_bivariate_normal() -> None:
    # After 1 of 2 parts t² of the error is spent; the second bound follows from the joint normal distribution.
    spending = Spending(0.05, 1.0, 2.0)
    first, second = (scipy_stats.norm.isf(nominal_error(Looks(50, 51), n, False, spending) / 2) for n in (50, 51))
    assert 2 * scipy_stats.norm.sf(first) == pytest.approx(0.05 * (50 / 51) ** 2, rel=1e-3)
    both = scipy_stats.multivariate_normal(cov=[[1, np.sqrt(50 / 51)], [np.sqrt(50 / 51), 1]])
    inside = both.cdf([first, second], lower_limit=[-first, -second])
    assert 1 - inside == pytest.approx(0.05, abs=2e-4)


def test_one_look_has_the_whole_error() -> None:
    assert nominal_error(Looks(8, 8), 8, True, DIFFERENT) == 0.05
    assert nominal_error(Looks(6, 40), 4, True, SAME) == 0.10


def test_looks_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="2 ≤ first ≤ last"):
        Looks(1, 5)
    with pytest.raises(ValueError, match="40 were planned at most"):
        nominal_error(Looks(6, 40), 41, False, DIFFERENT)
