"""Mean intersection over union against counting by hand and torchmetrics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multiclass_jaccard_index

from effbench.errors import InputError
from effbench.metrics import evaluation, value_of

WANTED = np.array([[[0, 0], [1, 1]], [[0, 2], [2, 2]]])
GIVEN = np.array([[[0, 1], [1, 1]], [[0, 2], [0, 2]]])
# Class 0: intersections 1, 1, unions 2, 2; class 1: 2, 0 and 3, 0; class 2: 0, 2 and 0, 3.


def value(predictions: Any, targets: Any, **settings: object) -> float:
    return value_of(evaluation("miou", settings, predictions, targets))


def test_miou_sums_over_samples_before_it_divides() -> None:
    kept = evaluation("miou", {"num_classes": 3}, GIVEN, WANTED)
    assert kept.per_sample == {
        "intersection_0": (1, 1),
        "intersection_1": (2, 0),
        "intersection_2": (0, 2),
        "union_0": (2, 2),
        "union_1": (3, 0),
        "union_2": (0, 3),
    }
    assert value_of(kept) == pytest.approx((2 / 4 + 2 / 3 + 2 / 3) / 3)


def test_a_class_that_does_not_occur_is_not_averaged() -> None:
    assert value(GIVEN, WANTED, num_classes=9) == pytest.approx((2 / 4 + 2 / 3 + 2 / 3) / 3)


def test_ignored_pixels_are_not_looked_at() -> None:
    wanted = np.array([[[0, 255], [1, 1]]])
    for there in (0, 1, 255):
        given = np.array([[[0, there], [1, 0]]])  # class 0: 1 of 2, class 1: 1 of 2
        assert value(given, wanted, num_classes=2, ignore_index=255) == (1 / 2 + 1 / 2) / 2
    assert evaluation("miou", {"num_classes": 2}, GIVEN[:1], wanted).left_out == {"label out of range": 1}


def test_an_ignored_class_is_not_averaged() -> None:
    # Without the pixels of class 0: class 1 has 2 of 2, class 2 has 2 of 3 (one answered with 0).
    assert value(GIVEN, WANTED, num_classes=3, ignore_index=0) == pytest.approx((2 / 2 + 2 / 3) / 2)


def test_scores_answer_with_the_best_class_and_ties_are_wrong() -> None:
    scores = np.moveaxis(np.eye(3)[GIVEN], -1, 1)
    assert value(scores, WANTED) == pytest.approx((2 / 4 + 2 / 3 + 2 / 3) / 3)
    assert value(scores, WANTED[:, None]) == pytest.approx((2 / 4 + 2 / 3 + 2 / 3) / 3)
    assert value(np.zeros((2, 3, 2, 2)), WANTED) == 0


def test_samples_that_cannot_be_used_are_named_and_counted() -> None:
    scores = np.moveaxis(np.eye(3)[GIVEN], -1, 1).copy()
    scores[0, 0, 0, 0] = np.nan
    assert evaluation("miou", {}, scores, WANTED).left_out == {"prediction not finite": 1}
    odd = np.array([[[3, 0]], [[-1, 0]], [[0, 0]], [[0, 0]]])
    labels = np.array([[[0.0, 0]], [[0, 0]], [[np.nan, 0]], [[9, 9]]])
    kept = evaluation("miou", {"num_classes": 3, "ignore_index": 9}, odd, labels)
    assert kept.left_out == {
        "label missing (NaN)": 1,
        "no labelled pixel": 1,
        "predicted label out of range": 2,
    }
    assert kept.n == 0


@pytest.mark.parametrize(
    ("settings", "predictions", "targets", "said"),
    [
        ({}, GIVEN, WANTED, "miou of label maps: a setting is missing: add --setting num_classes=N"),
        ({"num_classes": 3}, GIVEN[:, :1], WANTED, "of 2×1×2 and 2×2×2 do not fit"),
        (
            {"num_classes": 4},
            np.zeros((2, 3, 2, 2)),
            WANTED,
            "predictions have 3 scores a sample, but num_classes is 4",
        ),
        ({"num_classes": 3}, [0, 1], [0, 1], "do not fit"),
        ({"num_classes": 3}, GIVEN + 0.5, WANTED, "0.5 is no class label"),
        ({"num_classes": 2.5}, GIVEN, WANTED, "num_classes must be a whole number, not 2.5"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    settings: dict[str, object], predictions: Any, targets: Any, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        evaluation("miou", settings, predictions, targets)


def test_against_torchmetrics_on_random_maps() -> None:
    draw = np.random.default_rng(4)
    for _ in range(60):
        classes, n = int(draw.integers(2, 6)), int(draw.integers(1, 5))
        given, wanted = draw.integers(0, classes, (2, n, 5, 4))
        theirs = torch.from_numpy(given), torch.from_numpy(wanted)
        plain = multiclass_jaccard_index(*theirs, num_classes=classes)
        assert value(given, wanted, num_classes=classes) == pytest.approx(float(plain), abs=1e-6)
        wanted[draw.random(wanted.shape) < 0.3] = 255
        wanted[:, 0, 0] = 0
        partly = multiclass_jaccard_index(theirs[0], torch.from_numpy(wanted), num_classes=classes, ignore_index=255)
        assert value(given, wanted, num_classes=classes, ignore_index=255) == pytest.approx(float(partly), abs=1e-6)
