"""Changes of layers between two models, from turns written by hand."""

from __future__ import annotations

import math

import pytest

from effbench.judge.layer_changes import layer_changes


def test_the_change_is_the_mean_difference_of_turns_and_its_noise_students() -> None:
    base = [{"a": 1.0}, {"a": 2.0}, {"a": 3.0}]
    other = [{"a": 2.0}, {"a": 4.0}, {"a": 6.0}]
    (row,) = layer_changes(base, other)
    assert (row.base_s, row.other_s, row.change_s) == pytest.approx((2.0, 4.0, 2.0))
    assert row.noise_s == pytest.approx(4.302653 * 1.0 / math.sqrt(3))  # t of 2 degrees; differences 1, 2, 3
    assert not row.changed


def test_a_drift_that_hits_both_alike_is_no_noise() -> None:
    base = [{"a": 1.0 + turn} for turn in range(6)]
    other = [{"a": 1.5 + turn} for turn in range(6)]
    (row,) = layer_changes(base, other)
    assert row.change_s == pytest.approx(0.5)
    assert row.noise_s == pytest.approx(0, abs=1e-12)
    assert row.changed


def test_a_layer_of_one_model_takes_no_time_in_the_other() -> None:
    base, other = [{"a": 1.0, "old": 0.5}] * 2, [{"a": 1.0, "new": 0.25}] * 2
    old, new, a = layer_changes(base, other)
    assert (old.path, old.present, old.base_s, old.other_s, old.change_s) == ("old", "base", 0.5, None, -0.5)
    assert (new.path, new.present, new.base_s, new.other_s, new.change_s) == ("new", "other", None, 0.25, 0.25)
    assert (a.path, a.present, a.change_s) == ("a", "both", 0.0)


def test_an_unknown_time_stays_unknown_and_comes_last() -> None:
    rows = layer_changes([{"a": None, "b": 1.0}, {"a": 1.0, "b": 1.0}], [{"a": 1.0, "b": 1.0}] * 2)
    assert [row.path for row in rows] == ["b", "a"]
    assert (rows[1].base_s, rows[1].change_s, rows[1].noise_s, rows[1].changed) == (None, None, None, False)


def test_one_turn_has_no_noise_to_compare_with() -> None:
    (row,) = layer_changes([{"a": 1.0}], [{"a": 9.0}])
    assert (row.change_s, row.noise_s, row.changed) == (8.0, None, False)
