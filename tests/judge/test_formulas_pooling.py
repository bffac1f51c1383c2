"""Pooling: per output k−1 comparisons, or k−1 additions and one division; adaptive windows differ in size."""

import math

import pytest
from helpers import expect
from torch import nn
from torch.nn import functional as F


@pytest.mark.parametrize(
    ("module", "shape", "outputs", "window"),
    [
        pytest.param(nn.MaxPool1d(3), (2, 4, 12), 2 * 4 * 4, 3, id="1d"),
        pytest.param(nn.MaxPool1d(3, 2, 1), (4, 13), 4 * 7, 3, id="1d-unbatched"),
        pytest.param(nn.MaxPool2d(3, 2), (1, 64, 55, 55), 64 * 27 * 27, 9, id="2d"),
        pytest.param(nn.MaxPool2d((1, 4)), (1, 2, 3, 8), 2 * 3 * 2, 4, id="2d-oblong"),
        pytest.param(nn.MaxPool2d(2, ceil_mode=True), (1, 2, 5, 5), 2 * 9, 4, id="2d-ceil"),
        pytest.param(nn.MaxPool2d(3, 1, 1, dilation=2), (1, 2, 6, 6), 2 * 16, 9, id="2d-dilation"),
        pytest.param(nn.MaxPool2d(2, return_indices=True), (1, 2, 4, 4), 2 * 4, 4, id="2d-indices"),
        pytest.param(nn.MaxPool3d(2), (1, 2, 4, 4, 4), 2 * 8, 8, id="3d"),
        pytest.param(nn.FractionalMaxPool2d(3, output_size=4), (1, 2, 13, 13), 2 * 16, 9, id="fractional-2d"),
        pytest.param(nn.FractionalMaxPool3d(2, output_size=3), (1, 2, 8, 8, 8), 2 * 27, 8, id="fractional-3d"),
    ],
)
def test_max_pool(module: nn.Module, shape: tuple[int, ...], outputs: int, window: int) -> None:
    expect(module, shape, other=outputs * (window - 1))


@pytest.mark.parametrize(
    ("module", "shape", "outputs", "window"),
    [
        pytest.param(nn.AvgPool1d(3), (2, 4, 12), 2 * 4 * 4, 3, id="1d"),
        pytest.param(nn.AvgPool2d(2), (1, 8, 6, 6), 8 * 9, 4, id="2d"),
        pytest.param(nn.AvgPool2d((3, 1), 1), (1, 2, 5, 4), 2 * 3 * 4, 3, id="2d-oblong"),
        pytest.param(nn.AvgPool2d(3, 1, 1), (2, 2, 4, 4), 2 * 2 * 16, 9, id="2d-padding"),
        pytest.param(nn.AvgPool3d(2), (1, 2, 4, 4, 4), 2 * 8, 8, id="3d"),
    ],
)
def test_average_pool(module: nn.Module, shape: tuple[int, ...], outputs: int, window: int) -> None:
    expect(module, shape, other=outputs * (window - 1) + outputs)


# ⌊i·13/6⌋ … ⌈(i+1)·13/6⌉: 0–3, 2–5, 4–7, 6–9, 8–11, 10–13: six windows of 3
# ⌊i·12/5⌋ … ⌈(i+1)·12/5⌉: 0–3, 2–5, 4–8, 7–10, 9–12: 3, 3, 4, 3, 3
# ⌊i·7/3⌋ … ⌈(i+1)·7/3⌉: 0–3, 2–5, 4–7: three windows of 3
# ⌊i·5/5⌋ … ⌈(i+1)·5/5⌉: five windows of 1
# ⌊i·3/5⌋ … ⌈(i+1)·3/5⌉: 0–1, 0–2, 1–2, 1–3, 2–3: 1, 2, 1, 2, 1
WINDOWS = {(13, 6): [3] * 6, (12, 5): [3, 3, 4, 3, 3], (7, 3): [3] * 3, (5, 5): [1] * 5, (3, 5): [1, 2, 1, 2, 1]}
WINDOWS |= {(size, 1): [size] for size in (4, 7, 13)} | {(12, 4): [3] * 4}


def read(sizes: list[tuple[int, int]]) -> int:
    """The elements that all windows together look at."""
    return math.prod(sum(WINDOWS[size]) for size in sizes)


ADAPTIVE = [
    pytest.param("1d", 5, (2, 4, 12), 8, [(12, 5)], id="1d"),
    pytest.param("1d", 1, (2, 4, 13), 8, [(13, 1)], id="1d-global"),
    pytest.param("2d", 6, (1, 256, 13, 13), 256, [(13, 6), (13, 6)], id="2d-13-to-6"),
    pytest.param("2d", (3, 5), (2, 4, 7, 12), 8, [(7, 3), (12, 5)], id="2d-uneven"),
    pytest.param("2d", 1, (2, 4, 7, 7), 8, [(7, 1), (7, 1)], id="2d-global"),
    pytest.param("2d", (1, 4), (1, 4, 7, 12), 4, [(7, 1), (12, 4)], id="2d-one-axis"),
    pytest.param("2d", (None, 3), (1, 4, 5, 7), 4, [(5, 5), (7, 3)], id="2d-keep-one"),
    pytest.param("2d", 5, (1, 4, 3, 3), 4, [(3, 5), (3, 5)], id="2d-grows"),
    pytest.param("2d", 3, (4, 7, 7), 4, [(7, 3), (7, 3)], id="2d-unbatched"),
    pytest.param("3d", (3, 1, 5), (1, 2, 7, 4, 12), 2, [(7, 3), (4, 1), (12, 5)], id="3d"),
    pytest.param("3d", 1, (1, 2, 7, 4, 7), 2, [(7, 1), (4, 1), (7, 1)], id="3d-global"),
]


@pytest.mark.parametrize(("kind", "size", "shape", "planes", "windows"), ADAPTIVE)
def test_adaptive_average_pool(
    kind: str, size: int, shape: tuple[int, ...], planes: int, windows: list[tuple[int, int]]
) -> None:
    """Per window of w elements w−1 additions and one division: w in all."""
    expect(getattr(nn, f"AdaptiveAvgPool{kind}")(size), shape, other=planes * read(windows))


@pytest.mark.parametrize(("kind", "size", "shape", "planes", "windows"), ADAPTIVE)
def test_adaptive_max_pool(
    kind: str, size: int, shape: tuple[int, ...], planes: int, windows: list[tuple[int, int]]
) -> None:
    outputs = math.prod(len(WINDOWS[window]) for window in windows)
    expect(getattr(nn, f"AdaptiveMaxPool{kind}")(size), shape, other=planes * (read(windows) - outputs))


def test_global_pooling_is_the_same_however_it_is_written() -> None:
    """49 elements a channel: 48 additions and one division."""
    for pool in (
        nn.AdaptiveAvgPool2d(1),
        nn.AvgPool2d(7),
        lambda x: x.mean((2, 3)),
        lambda x: F.adaptive_avg_pool2d(x, (1, 1)),
    ):
        expect(pool, (2, 4, 7, 7), other=2 * 4 * 49)
