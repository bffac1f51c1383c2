"""Winners of log_cost + k·error, against hand calculation and against the winner at many k."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from effbench.errors import InputError
from effbench.judge.break_points import break_points, tie_point

FIGURES = st.integers(-20, 20).map(lambda number: number / 4)
PAIRS = st.lists(st.tuples(FIGURES, FIGURES), min_size=1, max_size=8)


def test_three_winners_by_hand() -> None:
    # 0 + 10k and 1 + 5k meet where 5k = 1; 1 + 5k and 2 + 4k where k = 1. The fourth is above the second everywhere.
    found = break_points([0, 1, 2, 1.5], [10, 5, 4, 6])
    assert found == ((0, 0.2, 0), (0.2, 1, 1), (1, math.inf, 2))


def test_a_model_that_only_touches_the_envelope_wins_nowhere() -> None:
    # All three meet in k = 1 at the value 3: 1 + 2k, 2 + k and 3 + 0k.
    assert break_points([1, 2, 3], [2, 1, 0]) == ((0, 1, 0), (1, math.inf, 2))


def test_of_equal_costs_the_smaller_error_wins_from_zero_on() -> None:
    assert break_points([1, 1], [2, 1]) == ((0, math.inf, 1),)


def test_of_equal_models_the_first_is_named() -> None:
    assert break_points([1, 0, 0], [1, 1, 1]) == ((0, math.inf, 1),)


def test_rounding_makes_no_winner() -> None:
    # In binary .1 + .2 is more than .3: in doubles the three crossings agree to the last digit but one.
    costs, errors = [0.1, 0.2, 0.3], [0.3, 0.2, 0.1]
    exact = [(Fraction(cost), Fraction(error)) for cost, error in zip(costs, errors, strict=True)]
    first = (exact[1][0] - exact[0][0]) / (exact[0][1] - exact[1][1])
    second = (exact[2][0] - exact[1][0]) / (exact[1][1] - exact[2][1])
    winners = [reign.winner for reign in break_points(costs, errors)]
    assert winners == ([0, 1, 2] if first < second else [0, 2])


@given(PAIRS)
def test_each_reign_is_the_best_at_every_k_of_a_grid(pairs: list[tuple[float, float]]) -> None:
    costs, errors = map(list, zip(*pairs, strict=True))
    found = break_points(costs, errors)
    assert found[0].k_from == 0
    assert found[-1].k_to == math.inf
    assert all(before.k_to == after.k_from for before, after in pairwise(found))
    assert all(reign.k_from < reign.k_to for reign in found)
    grid = [Fraction(step, 7) for step in range(0, 7 * 45, 6)]
    for k in grid:
        values = [Fraction(cost) + k * Fraction(error) for cost, error in pairs]
        (inside, *_) = [reign for reign in found if reign.k_from <= k <= reign.k_to]
        assert float(values[inside.winner] - min(values)) == pytest.approx(0, abs=1e-12)
    for reign in found:
        middle = Fraction(reign.k_from + min(reign.k_to, reign.k_from + 2)) / 2
        best = min(Fraction(cost) + middle * Fraction(error) for cost, error in pairs)
        winning = {pair for pair in pairs if Fraction(pair[0]) + middle * Fraction(pair[1]) == best}
        assert winning == {pairs[reign.winner]}


@given(PAIRS)
def test_dropping_a_model_that_never_wins_changes_nothing(pairs: list[tuple[float, float]]) -> None:
    names = [(reign.k_from, pairs[reign.winner]) for reign in break_points(*zip(*pairs, strict=True))]
    kept = [pair for _, pair in names]
    assert [(reign.k_from, kept[reign.winner]) for reign in break_points(*zip(*kept, strict=True))] == names


def test_the_tie_of_two_models() -> None:
    assert tie_point((0, 1), (10, 5)) == 0.2
    assert tie_point((1, 0), (5, 10)) == 0.2
    assert tie_point((0, 1), (5, 10)) is None  # one is better at every k
    assert tie_point((0, 1), (5, 5)) is None
    assert tie_point((1, 1), (2, 3)) == 0


def test_a_tie_is_where_the_winner_of_two_changes() -> None:
    random = np.random.default_rng(0)
    for costs, errors in random.normal(size=(50, 2, 2)):
        found = break_points(costs, errors)
        tie = tie_point(tuple(costs), tuple(errors))
        assert (tie is None) == (len(found) == 1)
        assert tie is None or found[0].k_to == tie


@pytest.mark.parametrize(("costs", "errors"), [([], []), ([1], [1, 2]), ([math.inf], [1]), ([1], [math.nan])])
def test_what_has_no_winner_is_refused(costs: list[float], errors: list[float]) -> None:
    with pytest.raises(InputError):
        break_points(costs, errors)


def test_a_tie_of_unknown_figures_is_refused() -> None:
    with pytest.raises(InputError):
        tie_point((math.nan, 1.0), (1.0, 2.0))
