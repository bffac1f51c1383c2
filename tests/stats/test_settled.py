"""Runs that end with their verdict, and intervals of shares and spreads, against known values."""

from __future__ import annotations

import math

import numpy as np
import pytest

from effbench.stats import Looks, settled, share_interval, spread_interval

LOOKS = Looks(6, 12)


def test_runs_end_with_their_verdict() -> None:
    noise = 0.001 * np.array([(-1.0) ** place for place in range(12)])
    wide = 100 * noise
    found = settled(np.array([0.1 + noise, -0.1 + noise, noise, wide]), LOOKS, math.log(1.02))
    assert found.verdicts.tolist() == [1, -1, 2, 0]
    assert found.values.tolist() == [6, 6, 6, 12]


def test_a_run_that_a_budget_ended_spends_what_is_left_in_its_last_look() -> None:
    # t = 2.76 with 7 degrees of freedom: beyond the 2.36 of one look at 5 %, within the boundary of a look on the way.
    values = np.array([[1.0, -1.0] * 4]) + 1.04 * math.sqrt(8 / 7)
    noise = values - values.mean()
    error = noise.std(ddof=1) / math.sqrt(8)
    at = noise + 2.76 * error
    assert settled(at, Looks(6, 8), 0.0).verdicts.tolist() == [1]
    longer = np.concatenate([at, noise[:, :4] - 2 * at.mean()], axis=-1)
    assert settled(longer, Looks(6, 12), 0.0).verdicts.tolist() == [0]


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [(0, 10, 0.0, 1 - 0.025**0.1), (10, 10, 0.025**0.1, 1.0), (5, 10, 0.1871, 0.8129)],
)
def test_the_interval_of_a_share(hits: int, trials: int, low: float, high: float) -> None:
    assert share_interval(hits, trials) == pytest.approx((low, high), abs=1e-4)


def test_the_interval_of_a_spread() -> None:
    # χ² with 9 degrees of freedom: 2.700 and 19.023 at 2.5 % and 97.5 %.
    low, high = spread_interval(2.0, 10)
    assert (low, high) == pytest.approx((2 * math.sqrt(9 / 19.0228), 2 * math.sqrt(9 / 2.70039)), rel=1e-4)
