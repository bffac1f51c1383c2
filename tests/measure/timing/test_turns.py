"""Turns of models of known speed, by hand."""

from __future__ import annotations

import pytest

from effbench.measure.timing.turns import Turn, turn_alone, turn_among_others


@pytest.mark.parametrize(
    ("call_s", "calls"), [(0.0, 200), (0.00001, 200), (0.0001, 50), (0.001, 5), (0.005, 1), (0.01, 1), (9.0, 1)]
)
def test_alone_about_5_ms(call_s: float, calls: int) -> None:
    assert turn_alone(call_s) == Turn(calls, cold_calls=0, rests=False)


@pytest.mark.parametrize(
    ("call_s", "cold", "kept"),
    [(0.00001, 200, 200), (0.0001, 50, 100), (0.001, 5, 10), (0.004, 1, 2), (0.01, 1, 1), (0.05, 1, 1), (0.06, 0, 1)],
)
def test_among_others_5_ms_of_cold_caches_and_10_ms_that_are_kept(call_s: float, cold: int, kept: int) -> None:
    turn = turn_among_others(call_s)
    assert (turn.cold_calls, turn.calls, turn.rests) == (cold, kept, True)
    assert turn.all_calls == cold + kept
