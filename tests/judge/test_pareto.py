"""Fronts against their definition, volumes against hand calculation and counted cells, and timm's published tables."""

from __future__ import annotations

import csv
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from effbench.errors import InputError
from effbench.judge.pareto import front, front_probability, hypervolume
from effbench.stats import Floats

DATA = Path(__file__).parents[2].parent / "shared" / "data"


def tables(objectives: int) -> st.SearchStrategy[Floats]:
    """Tables with many ties and duplicates."""
    shapes = st.tuples(st.integers(1, 12), st.just(objectives))
    return arrays(np.float64, shapes, elements=st.integers(0, 4).map(float))


SOME = st.integers(1, 4).flatmap(tables)


def dominated(points: Floats) -> list[bool]:
    return [any((other <= own).all() and (other < own).any() for other in points) for own in points]


@given(SOME)
def test_the_front_is_what_nothing_dominates(points: Floats) -> None:
    assert (~front(points)).tolist() == dominated(points)


@given(SOME)
def test_the_order_of_the_models_does_not_matter(points: Floats) -> None:
    turned = np.random.default_rng(len(points)).permutation(len(points))
    assert (front(points)[turned] == front(points[turned])).all()


def test_duplicates_share_their_fate() -> None:
    assert front([[1, 2], [1, 2], [2, 2], [2, 2]]).tolist() == [True, True, False, False]


def test_senses_turn_an_objective_round() -> None:
    # Slow and accurate, fast and inaccurate, slow and inaccurate.
    points = [[2.0, 80.0], [1.0, 70.0], [2.0, 70.0]]
    assert front(points, ("lower", "higher")).tolist() == [True, True, False]
    assert front(points).tolist() == [False, True, False]


@given(st.integers(2, 3).flatmap(lambda k: arrays(np.float64, (5, 8, k), elements=st.integers(0, 3).map(float))))
def test_probabilities_count_the_draws(draws: Floats) -> None:
    assert front_probability(draws) == pytest.approx(np.mean([front(points) for points in draws], axis=0))


def test_probabilities_do_not_depend_on_how_many_draws_are_done_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = np.random.default_rng(0).normal(size=(50, 9, 3))
    whole = front_probability(draws)
    monkeypatch.setattr("effbench.judge.pareto._CELLS", 60)
    assert (front_probability(draws) == whole).all()


def test_areas_by_hand() -> None:
    # Up to (3, 3): 2 × 1 of (1, 2) and 1 × 2 of (2, 1) share 1 × 1. (4, 0) is not better in the first objective.
    assert hypervolume([[1, 2], [2, 1], [2, 2], [4, 0]], (3, 3)).volume == 3
    assert hypervolume([[3, 3]], (3, 3)).volume == 0


def test_volumes_by_hand() -> None:
    # Up to (3, 3, 2): 2 × 1 × 2 of (1, 2, 0) and 1 × 2 × 1 of (2, 1, 1) share 1 × 1 × 1.
    assert hypervolume([[1, 2, 0], [2, 1, 1]], (3, 3, 2)).volume == 5


def test_the_reference_is_a_tenth_of_the_range_beyond_the_worst() -> None:
    found = hypervolume([[0, 10], [10, 0], [5, 5]])
    assert found.reference == pytest.approx((11, 11))
    # 11 × 1 of the first, 1 × 11 of the second and 6 × 6 of the third share 1 × 1 (first, second) and 6 × 1 twice;
    # all three share 1 × 1.
    assert found.volume == pytest.approx(11 + 11 + 36 - 1 - 6 - 6 + 1)


def test_an_objective_in_which_all_are_equal_counts_as_one() -> None:
    points = np.array([[0.0, 10.0], [10.0, 0.0]])
    third = np.column_stack([points, [7.0, 7.0]])
    assert hypervolume(third).reference == (11, 11, 8)
    assert hypervolume(third).volume == pytest.approx(hypervolume(points).volume)


def test_a_quality_s_reference_lies_below_the_worst() -> None:
    found = hypervolume([[0, 90], [10, 100]], senses=("lower", "higher"))
    assert found.reference == pytest.approx((11, 89))
    assert found.volume == pytest.approx(11 * 1 + 1 * 11 - 1 * 1)


@given(st.integers(2, 3).flatmap(tables))
def test_volumes_are_the_cells_that_some_point_dominates(points: Floats) -> None:
    objectives = points.shape[1]
    cells = product(range(5), repeat=objectives)
    counted = sum(any((own <= np.array(cell)).all() for own in points) for cell in cells)
    assert hypervolume(points, (5,) * objectives).volume == pytest.approx(counted)


@pytest.mark.parametrize(
    "call",
    [
        lambda: front([[np.nan, 1]]),
        lambda: front([1, 2, 3]),
        lambda: front([[1, 2]], ("lower",)),
        lambda: front_probability(np.zeros((0, 3, 2))),
        lambda: hypervolume([[1, 2, 3, 4]]),
        lambda: hypervolume(np.zeros((0, 2))),
        lambda: hypervolume([[1, 2]], (3,)),
        lambda: hypervolume([[1, np.inf]]),
    ],
)
def test_what_has_no_front_is_refused(call: object) -> None:
    assert callable(call)
    with pytest.raises(InputError):
        call()


@pytest.mark.skipif(not DATA.is_dir(), reason="needs timm's published tables")
def test_timm_s_tables_have_33_models_on_the_front() -> None:
    """Every published result joined to the speed of its architecture at its image size: 1,556 rows, none aggregated."""
    speed = {
        (row["model"].partition(".")[0], row["infer_img_size"]): 1 / number(row["infer_samples_per_sec"])
        for row in rows("timm-infer-amp-4090.csv")
    }
    points = [
        [speed[row["model"].partition(".")[0], row["img_size"]], number(row["top1"])]
        for row in rows("timm-results-imagenet.csv")
    ]
    assert len(points) == 1556
    assert front(points, ("lower", "higher")).sum() == 33
    assert front_probability(np.array([points]), ("lower", "higher")).sum() == 33


def rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def number(text: str) -> float:
    return float(text.replace(",", ""))
