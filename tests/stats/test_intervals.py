"""Trimmed means, intervals and decisions against hand arithmetic, scipy and truths by construction."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from effbench.stats import (
    Interval,
    Looks,
    centre,
    detectable_difference,
    look,
    pairs_needed,
    power,
    spread,
    student_quantile,
    typical,
    worth,
)


def test_centre_by_hand() -> None:
    # One of twenty is left out at each end; winsorised: 2, 2, 3, …, 18, 19, 19 with mean 10.5.
    values = [1000.0, *map(float, range(19, 1, -1)), -70.0]
    found = centre(values)
    assert found.mean == pytest.approx(sum(range(2, 20)) / 18)
    variance = sum((value - 10.5) ** 2 for value in (2, *range(2, 20), 19)) / 19
    assert found.standard_error == pytest.approx(math.sqrt(variance) * math.sqrt(19 / (18 * 17)))
    assert found.freedom == 17


def test_below_twenty_values_centre_is_student_s_mean() -> None:
    values = np.random.default_rng(0).standard_normal(9)
    found = centre(values)
    assert found.mean == pytest.approx(values.mean())
    assert found.standard_error == pytest.approx(scipy_stats.sem(values))
    expected = scipy_stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    seen = look(values, Looks(9, 9), final=True)
    assert (float(seen.low), float(seen.high)) == pytest.approx((expected.low, expected.high))


def test_student_s_quantile() -> None:
    assert student_quantile(0.05, 5) == pytest.approx(2.570582)
    assert student_quantile(0.10, 30) == pytest.approx(scipy_stats.t.ppf(0.95, 30))


def test_spread_is_the_standard_deviation_of_normal_values() -> None:
    assert spread([1.0, 2.0, 3.0]) == pytest.approx(1.0)
    drawn = np.random.default_rng(1).standard_normal(4000) * 0.05
    assert spread(drawn) == pytest.approx(0.05, rel=0.05)


def test_looks_at_many_repetitions_are_looks_at_each() -> None:
    values = np.random.default_rng(2).standard_normal((5, 20)) * 0.05 + 0.02
    together = look(values, Looks(6, 40), final=False, margin=0.03)
    for row, repetition in enumerate(values):
        alone = look(repetition, Looks(6, 40), final=False, margin=0.03)
        assert [float(field[row]) for field in together] == pytest.approx([float(field) for field in alone])


def test_what_a_look_concludes() -> None:
    near, far = [0.001, -0.001, 0.0005, -0.0005, 0.0002, -0.0002], [0.1, 0.101, 0.099, 0.1, 0.1005, 0.0995]
    looks = Looks(6, 6)
    assert (bool(look(near, looks, final=True, margin=0.02).same), bool(look(near, looks, final=True).same)) == (
        True,
        False,
    )
    assert not look(near, looks, final=True).different
    assert look(far, looks, final=True, margin=0.02).different
    assert not look(far, looks, final=True, margin=0.02).same


def test_typical_is_a_geometric_mean_with_its_interval() -> None:
    logs = [math.log(value) for value in (2.0, 4.0, 8.0)]
    found = typical(logs)
    assert found is not None
    assert found.estimate == pytest.approx(4.0)
    factor = math.exp(4.302653 * math.log(2) / math.sqrt(3))  # t with 2 degrees of freedom
    assert (found.low, found.high) == pytest.approx((4 / factor, 4 * factor), rel=1e-5)
    assert typical([0.0]) is None
    assert typical([0.0] * 5) == Interval(1.0, 1.0, 1.0)


def test_an_interval_good_at_every_look_is_wider() -> None:
    logs = np.random.default_rng(3).standard_normal(12) * 0.01
    once, ever = typical(logs), typical(logs, Looks(6, 40))
    assert once is not None
    assert ever is not None
    assert once.half_width < ever.half_width


def test_intervals_looked_at_all_the_time_hold_the_truth() -> None:
    random, looks = np.random.default_rng(4), Looks(6, 30)
    held = []
    for _ in range(300):
        logs = random.standard_normal(30) * 0.02
        found = [typical(logs[:count], looks) for count in range(6, 31)]
        held.append(all(each is not None and each.low <= 1 <= each.high for each in found))
    assert 0.92 <= np.mean(held) <= 0.985


def test_values_that_remember_are_worth_less() -> None:
    random = np.random.default_rng(5)
    alone = [worth(random.standard_normal(40)) for _ in range(200)]
    assert np.mean(np.array(alone) == 40) > 0.9
    remembered = []
    for _ in range(200):
        walk = random.standard_normal(40)
        for place in range(1, 40):
            walk[place] = 0.7 * walk[place - 1] + math.sqrt(1 - 0.49) * walk[place]
        remembered.append(worth(walk))
    # 40 × .3 / 1.7
    assert 3.0 < np.median(remembered) < 12.0


def test_pairs_needed_and_what_they_find() -> None:
    assert pairs_needed(0.05, 0.03) == pytest.approx((3.24 * 0.05 / 0.03) ** 2)
    assert pairs_needed(0.05, 0.03) == pytest.approx(29.16)
    assert detectable_difference(0.05, 30) == pytest.approx(3.24 * 0.05 / math.sqrt(30))
    assert power(0.05, detectable_difference(0.05, 30), 30) == pytest.approx(0.90, abs=0.001)
    assert power(0.05, 0.0, 30) == pytest.approx(0.05, abs=1e-6)
