"""Metrics of images against decibels by hand and torchmetrics."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torchmetrics.functional import image as peer
from torchmetrics.functional import regression

from effbench.errors import InputError
from effbench.metrics import evaluation, value_of


def value(metric: str, predictions: Any, targets: Any, **settings: object) -> float:
    return value_of(evaluation(metric, settings, predictions, targets))


def flat(level: float, size: int = 16, dtype: Any = float) -> Any:
    return np.full((1, size, size), level, dtype=dtype)


def test_psnr_by_hand() -> None:
    # Off by 1 everywhere: MSE 1, and 10·log10(255²/1) = 48.1308 dB.
    assert value("psnr", flat(101), flat(100), data_range=255) == pytest.approx(20 * math.log10(255))
    assert value("psnr", flat(0.6), flat(0.5), data_range=1) == pytest.approx(20)


def test_psnr_is_the_mean_of_the_images_own_and_not_that_of_the_mean_error() -> None:
    given, wanted = np.concatenate([flat(1.1), flat(1.001)]), np.concatenate([flat(1.0), flat(1.0)])
    assert value("psnr", given, wanted, data_range=1) == pytest.approx((20 + 60) / 2)
    pooled = -10 * math.log10((0.1**2 + 0.001**2) / 2)
    assert pooled < 24


def test_a_perfect_image_is_named_and_counted() -> None:
    given, wanted = np.concatenate([flat(0.6), flat(0.5)]), np.concatenate([flat(0.5), flat(0.5)])
    kept = evaluation("psnr", {"data_range": 1}, given, wanted)
    assert kept.left_out == {"prediction equals target: PSNR is infinite": 1}
    assert value_of(kept) == pytest.approx(20)
    tiny = evaluation("psnr", {"data_range": 1}, flat(1e-200), flat(0))  # its square is 0 in doubles
    assert tiny.left_out == {"prediction equals target: PSNR is infinite": 1}


def test_bytes_do_not_wrap_round() -> None:
    given, wanted = flat(250, dtype=np.uint8), flat(255, dtype=np.uint8)
    assert value("mse", given, wanted) == 25
    assert value("mae", given, wanted) == 5
    assert value("psnr", given, wanted, data_range=255) == pytest.approx(10 * math.log10(255**2 / 25))
    lowest, highest = flat(-128, dtype=np.int8), flat(127, dtype=np.int8)
    assert value("mae", lowest, highest) == 255


def test_mse_and_mae_by_hand() -> None:
    given, wanted = [[1.0, 2.0], [3.0, 7.0]], [[1.0, 4.0], [3.0, 4.0]]
    assert value("mse", given, wanted) == (0 + 4 + 0 + 9) / 4
    assert value("mae", given, wanted) == (0 + 2 + 0 + 3) / 4
    assert value("mse", [1.0, 2.0], [1.0, 4.0]) == (0 + 4) / 2


def test_ssim_of_flat_images_by_hand() -> None:
    # Without variance its second factor is 1; the first is (2·μ·ν + C)/(μ² + ν² + C), C = (.01·1)².
    expected = (2 * 0.5 * 0.25 + 1e-4) / (0.5**2 + 0.25**2 + 1e-4)
    assert value("ssim", flat(0.5), flat(0.25), data_range=1) == pytest.approx(expected, rel=1e-9)
    noise = np.random.default_rng(0).random((2, 3, 12, 15))
    assert value("ssim", noise, noise, data_range=1) == pytest.approx(1)


def test_squares_beyond_doubles_are_named_and_counted() -> None:
    kept = evaluation("mse", {}, [1e200, 3.0], [0.0, 1.0])
    assert kept.left_out == {"its statistics are not finite": 1}
    assert kept.per_sample.get("sample") == (1,)
    assert value_of(kept) == 4
    assert evaluation("mae", {}, [1.7e308], [-1.7e308]).left_out == {"its statistics are not finite": 1}
    with pytest.raises(InputError, match="its value is inf"):
        value("mse", [1.3e154] * 8, [0.0] * 8)


def test_what_is_not_finite_is_named_and_counted() -> None:
    kept = evaluation("mse", {}, [[np.nan, 1], [1, np.inf], [0, 0], [2, 2]], [[1, 1], [1, 1], [np.nan, 1], [0, 0]])
    assert kept.left_out == {"prediction not finite": 2, "target not finite": 1}
    assert value_of(kept) == 4


@pytest.mark.parametrize(
    ("metric", "settings", "predictions", "targets", "said"),
    [
        (
            "psnr",
            {},
            flat(0),
            flat(1),
            "psnr: settings are missing: add --setting data_range=N: data_range .largest difference",
        ),
        ("psnr", {"data_range": 1}, flat(0, 15), flat(1, 16), "the shape 1×15×15 but targets 1×16×16"),
        ("mse", {}, [[1, 2]], [[1]], "the shape 1×2 but targets 1×1"),
        ("mse", {}, np.zeros((2, 0)), np.zeros((2, 0)), "samples hold no numbers"),
        ("psnr", {"data_range": 1}, [1.0], [1.0], "1 numbers are no images"),
        (
            "psnr",
            {"data_range": 1},
            flat(0),
            255 * np.eye(16)[None],
            "run from 0 to 255, which is more than data_range=1",
        ),
        ("psnr", {"data_range": 0}, flat(0), flat(1), "data_range must be above 0"),
        ("psnr", {"data_range": "large"}, flat(0), flat(1), "data_range must be a number, not 'large'"),
        ("psnr", {"data_range": float("nan")}, flat(0), flat(1), "data_range must be a number, not nan"),
        ("ssim", {"data_range": 1}, flat(0, 10), flat(1, 10), "10×10 pixels are smaller than its window of 11×11"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    metric: str, settings: dict[str, object], predictions: Any, targets: Any, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        evaluation(metric, settings, predictions, targets)


def test_against_torchmetrics_on_random_images() -> None:
    draw = np.random.default_rng(3)
    for _ in range(50):
        shape = (int(draw.integers(1, 4)), int(draw.integers(1, 4)), *draw.integers(11, 20, 2))
        given, wanted = draw.random((2, *shape))
        theirs = torch.from_numpy(given), torch.from_numpy(wanted)
        psnr = peer.peak_signal_noise_ratio(*theirs, data_range=1.0, dim=(1, 2, 3))
        assert value("psnr", given, wanted, data_range=1) == pytest.approx(float(psnr), rel=1e-6)
        ssim = peer.structural_similarity_index_measure(*theirs, data_range=1.0)
        assert value("ssim", given, wanted, data_range=1) == pytest.approx(float(ssim), abs=1e-6)
        mse = regression.mean_squared_error(*theirs)
        assert value("mse", given, wanted) == pytest.approx(float(mse), rel=1e-6)
        mae = regression.mean_absolute_error(*theirs)
        assert value("mae", given, wanted) == pytest.approx(float(mae), rel=1e-6)
