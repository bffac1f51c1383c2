"""Metrics of keypoints against triangles."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from effbench.errors import InputError
from effbench.metrics import evaluation, value_of

PIXELS = {"width": 100, "height": 50, "normalized": 0}
SHARES = {"width": 100, "height": 50, "normalized": 1}
WANTED = np.array([[[10.0, 10, 2], [20, 20, 1], [30, 30, 0]], [[40, 40, 2], [0, 0, 0], [0, 0, 0]]])
GIVEN = np.array([[[13.0, 14], [20, 20], [99, 0]], [[40, 52], [77, 7], [np.nan, 7]]])
# Visible: distances 5 (3, 4), 0, and 12 (0, 12); the others are not looked at, not even the NaN.


def value(metric: str, predictions: Any, targets: Any, **settings: object) -> float:
    return value_of(evaluation(metric, settings, predictions, targets))


def test_pixel_error_is_the_mean_distance_over_visible_keypoints() -> None:
    kept = evaluation("pixel_error", PIXELS, GIVEN, WANTED)
    assert kept.per_sample == {"distance_sum": (5, 12), "visible": (2, 1)}
    assert value_of(kept) == (5 + 0 + 12) / 3
    assert (kept.unit, kept.direction, kept.left_out) == ("pixels", "lower", {})


def test_coordinate_error_is_the_mean_difference_over_coordinates() -> None:
    assert value("coordinate_error", GIVEN, WANTED, **PIXELS) == (3 + 4 + 0 + 0 + 0 + 12) / 6


def test_normalized_coordinates_are_told_in_pixels_of_the_stated_image() -> None:
    scale = np.array([100.0, 50.0])
    given, wanted = GIVEN / scale, np.concatenate([WANTED[:, :, :2] / scale, WANTED[:, :, 2:]], axis=2)
    assert value("pixel_error", given, wanted, **SHARES) == pytest.approx(17 / 3)
    assert value("coordinate_error", given, wanted, **SHARES) == pytest.approx(19 / 6)
    double = {**SHARES, "width": 200, "height": 100}
    assert value("pixel_error", given, wanted, **double) == pytest.approx(2 * 17 / 3)


def test_a_target_that_is_nan_is_not_visible() -> None:
    wanted = np.where(WANTED[:, :, 2:] > 0, WANTED[:, :, :2], np.nan)
    assert value("pixel_error", GIVEN, wanted, **PIXELS) == 17 / 3
    wanted[0, 0, 0] = np.nan  # one coordinate is enough
    assert value("pixel_error", GIVEN, wanted, **PIXELS) == (0 + 12) / 2


def test_flat_and_nested_shapes_are_the_same() -> None:
    flat = GIVEN.reshape(2, 6)
    for wanted in (WANTED, WANTED.reshape(2, 9)):
        assert value("pixel_error", flat, wanted, **PIXELS) == 17 / 3
    assert value("pixel_error", [[0, 0]], [[3, 4]], **PIXELS) == 5
    assert value("pixel_error", torch.tensor([[0.0, 0]], dtype=torch.bfloat16), [[3, 4]], **PIXELS) == 5


@pytest.mark.parametrize(
    ("reference", "length"), [("longer_side", 100), ("diagonal", math.hypot(100, 50)), ("box", 10), ("pair", 200**0.5)]
)
def test_pck_counts_keypoints_within_a_share_of_the_reference(reference: str, length: float) -> None:
    # The first sample: keypoints at (10, 10) and (20, 20), missed by 5 and by 0.
    settings = {**PIXELS, "reference": reference, "first": 0, "second": 1}
    just = 5 / length
    assert value("pck", GIVEN[:1], WANTED[:1], t=just * (1 + 1e-12), **settings) == 2 / 2
    assert value("pck", GIVEN[:1], WANTED[:1], t=just * (1 - 1e-6), **settings) == 1 / 2
    assert value("pck", GIVEN[:1, :2], WANTED[:1, :2], t=just * (1 - 1e-6), **settings) == 1 / 2


def test_pck_counts_the_threshold_itself() -> None:
    assert value("pck", [[3.0, 4]], [[0.0, 0]], t=0.05, reference="longer_side", **PIXELS) == 1


def test_pck_leaves_out_samples_without_a_reference_length() -> None:
    # The second sample has one visible keypoint: its box has no length, and no pair is visible.
    for reference in ("box", "pair"):
        settings = {**PIXELS, "t": 0.6, "reference": reference, "first": 0, "second": 1}
        kept = evaluation("pck", settings, GIVEN, WANTED)
        assert kept.left_out == {"no reference length": 1}
        assert value_of(kept) == 1


def test_samples_that_cannot_be_used_are_named_and_counted() -> None:
    wanted = np.array([[[1.0, 1, 0]], [[1, 1, 2]], [[np.inf, 1, 2]], [[1, 1, 2]], [[1, 1, 2]]])
    given = np.array([[[1.0, 1]], [[np.nan, 1]], [[1, 1]], [[1, np.inf]], [[4, 5]]])
    kept = evaluation("pixel_error", PIXELS, given, wanted)
    assert kept.left_out == {"no visible keypoint": 1, "prediction not finite": 2, "target not finite": 1}
    assert kept.per_sample.get("sample") == (4,)
    assert value_of(kept) == 5
    assert "4 of 5 samples are not in the value" in kept.notes[0].text


@pytest.mark.parametrize(
    ("metric", "settings", "predictions", "targets", "said"),
    [
        (
            "pixel_error",
            {"width": 100, "height": 50},
            GIVEN,
            WANTED,
            "settings are missing: add --setting normalized=N: normalized .1 where coordinates run from 0",
        ),
        (
            "pixel_error",
            {},
            GIVEN,
            WANTED,
            "add --setting width=N --setting height=N --setting normalized=N: width and height .of",
        ),
        ("pixel_error", {**PIXELS, "width": 0}, GIVEN, WANTED, "width must be above 0"),
        ("pixel_error", {**PIXELS, "normalized": 2}, GIVEN, WANTED, "normalized must be one of 0, 1"),
        ("pixel_error", SHARES, GIVEN, WANTED, "a target coordinate is 10, which cannot be from 0 to 1"),
        ("pixel_error", {**PIXELS, "width": 9}, GIVEN, WANTED, "is 20, which cannot be in 9 × 50 pixels"),
        ("pixel_error", PIXELS, GIVEN[:, :2], WANTED, "of 2×2×2 and 2×3×3 numbers are not keypoints of one kind"),
        ("pixel_error", PIXELS, WANTED, WANTED, "not keypoints of one kind"),
        ("pixel_error", PIXELS, [[1, 2, 3]], [[1, 2, 3]], "not keypoints of one kind"),
        ("pixel_error", PIXELS, [1, 2], [1, 2], "not keypoints of one kind"),
        (
            "pck",
            {**PIXELS, "t": 0.1},
            GIVEN,
            WANTED,
            "pck: settings are missing: add --setting reference=NAME: reference .longer_side or",
        ),
        (
            "pck",
            {**PIXELS, "t": 0.1, "reference": "pair"},
            GIVEN,
            WANTED,
            "add --setting first=N --setting second=N: first ",
        ),
        ("pck", {**PIXELS, "t": 0.1, "reference": "pair", "first": 1, "second": 3}, GIVEN, WANTED, "two of keypoints"),
        ("pck", {**PIXELS, "t": 0, "reference": "box"}, GIVEN, WANTED, "t must be above 0"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    metric: str, settings: dict[str, object], predictions: Any, targets: Any, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        evaluation(metric, settings, predictions, targets)


def test_against_torch_on_random_keypoints() -> None:
    draw = np.random.default_rng(0)
    for _ in range(50):
        n, k = int(draw.integers(1, 20)), int(draw.integers(1, 22))
        given, wanted = draw.uniform(0, 224, (2, n, k, 2))
        settings = {"width": 224, "height": 224, "normalized": 0}
        theirs = torch.nn.PairwiseDistance(eps=0)(torch.from_numpy(given), torch.from_numpy(wanted))
        assert value("pixel_error", given, wanted, **settings) == pytest.approx(float(theirs.mean()))
        single = torch.nn.functional.l1_loss(torch.from_numpy(given), torch.from_numpy(wanted))
        assert value("coordinate_error", given, wanted, **settings) == pytest.approx(float(single))
        within = float((theirs <= 0.3 * 224).double().mean())
        assert value("pck", given, wanted, t=0.3, reference="longer_side", **settings) == pytest.approx(within)
