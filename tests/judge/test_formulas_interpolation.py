"""Interpolation: a weighted sum of m neighbours takes m multiplications and m−1 additions; nearest is a copy."""

from typing import Any

import pytest
from helpers import counted, expect, traced
from torch.nn import functional as F


@pytest.mark.parametrize(
    ("shape", "mode", "outputs", "neighbours"),
    [
        pytest.param((2, 4, 5), "linear", 2 * 4 * 10, 2, id="1d"),
        pytest.param((2, 4, 5, 6), "bilinear", 2 * 4 * 120, 4, id="2d"),
        pytest.param((2, 4, 5, 6), "bicubic", 2 * 4 * 120, 16, id="2d-cubic"),
        pytest.param((2, 4, 3, 3, 3), "trilinear", 2 * 4 * 216, 8, id="3d"),
    ],
)
@pytest.mark.parametrize("align", [False, True])
def test_weighted_sum(shape: tuple[int, ...], mode: str, outputs: int, neighbours: int, align: bool) -> None:
    other = outputs * (neighbours + neighbours - 1)
    expect(lambda x: F.interpolate(x, None, 2, mode, align_corners=align), shape, other=other)


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
@pytest.mark.parametrize("shape", [(2, 4, 5), (2, 4, 5, 6), (2, 4, 3, 3, 3)])
@pytest.mark.parametrize("size", [{"scale_factor": 2}, {"size": 7}])
def test_nearest_is_a_copy(mode: str, shape: tuple[int, ...], size: dict[str, Any]) -> None:
    expect(lambda x: F.interpolate(x, mode=mode, **size), shape)


def test_area_is_adaptive_average_pooling() -> None:
    """6 → 3: nine windows of 2 · 2 a channel, 3 additions and a division each."""
    expect(lambda x: F.interpolate(x, 3, mode="area"), (1, 4, 6, 6), other=4 * 9 * 4)


def test_antialiased_has_no_macs_and_no_count_under_full() -> None:
    found = traced(lambda x: F.interpolate(x, 3, mode="bilinear", antialias=True), (1, 4, 6, 6))
    assert counted(found).total == 0
    assert counted(found, "full").total is None
