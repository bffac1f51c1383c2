"""Convolutions: N·Cout·∏out·(Cin/g)·∏k products, transposed N·Cin·∏in·(Cout/g)·∏k, one addition per biased output.

Each row is (module, input, MACs, additions of the bias); the arithmetic is written out in that order of factors.
"""

import pytest
import torch
from helpers import expect, macs
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

FORWARD = [
    # out = ⌊(in + 2·pad − dilation·(k − 1) − 1) / stride⌋ + 1
    pytest.param(nn.Conv1d(3, 8, 5), (2, 3, 20), 2 * 8 * 16 * 3 * 5, 2 * 8 * 16, id="1d"),
    pytest.param(nn.Conv1d(4, 6, 3, stride=2), (1, 4, 21), 6 * 10 * 4 * 3, 6 * 10, id="1d-stride"),
    pytest.param(nn.Conv1d(4, 4, 3, padding=2, dilation=2, groups=4), (1, 4, 16), 4 * 16 * 1 * 3, 64, id="1d-dw"),
    pytest.param(nn.Conv2d(3, 64, 11, 4, 2, bias=False), (1, 3, 224, 224), 64 * 55 * 55 * 3 * 121, 0, id="2d"),
    pytest.param(nn.Conv2d(3, 5, (3, 1)), (2, 3, 8, 9), 2 * 5 * (6 * 9) * 3 * (3 * 1), 540, id="2d-oblong"),
    pytest.param(nn.Conv2d(2, 3, 3, (2, 3), (1, 2)), (1, 2, 9, 10), 3 * (5 * 4) * 2 * 9, 60, id="2d-uneven-stride"),
    pytest.param(nn.Conv2d(4, 8, 3, dilation=3), (1, 4, 10, 10), 8 * (4 * 4) * 4 * 9, 128, id="2d-dilation"),
    pytest.param(nn.Conv2d(8, 12, 3, groups=4), (1, 8, 6, 6), 12 * 16 * (8 // 4) * 9, 192, id="2d-groups"),
    pytest.param(nn.Conv2d(8, 8, 3, padding=1, groups=8), (1, 8, 6, 6), 8 * 36 * 1 * 9, 288, id="2d-depthwise"),
    pytest.param(nn.Conv2d(4, 12, 1, groups=4), (1, 4, 5, 5), 12 * 25 * 1, 300, id="2d-depth-multiplier"),
    pytest.param(nn.Conv2d(16, 4, 1), (3, 16, 7, 7), 3 * 4 * 49 * 16, 3 * 4 * 49, id="2d-pointwise"),
    pytest.param(nn.Conv2d(3, 4, 4, padding="same"), (1, 3, 9, 9), 4 * 81 * 3 * 16, 4 * 81, id="2d-same"),
    pytest.param(nn.Conv2d(3, 4, 4, padding="valid"), (1, 3, 9, 9), 4 * 36 * 3 * 16, 4 * 36, id="2d-valid"),
    pytest.param(
        nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), (1, 3, 6, 6), 4 * 36 * 27, 144, id="2d-reflect"
    ),
    pytest.param(nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"), (1, 3, 6, 6), 4 * 36 * 27, 144, id="2d-round"),
    pytest.param(nn.Conv2d(3, 4, 3), (3, 6, 6), 4 * 16 * 27, 64, id="2d-unbatched"),
    pytest.param(nn.Conv3d(2, 4, 3), (1, 2, 5, 6, 7), 4 * (3 * 4 * 5) * 2 * 27, 4 * 60, id="3d"),
    pytest.param(
        nn.Conv3d(4, 6, (1, 3, 3), (1, 2, 2), (0, 1, 1), groups=2, bias=False),
        (1, 4, 4, 8, 8),
        6 * (4 * 4 * 4) * (4 // 2) * 9,
        0,
        id="3d-groups",
    ),
    pytest.param(nn.Conv3d(1, 2, 2, dilation=2), (1, 4, 4, 4), 2 * 8 * 1 * 8, 16, id="3d-unbatched-dilation"),
    pytest.param(nn.Conv1d(2, 3, 4), (2, 9), 3 * 6 * 2 * 4, 18, id="1d-unbatched"),
]

TRANSPOSED = [
    # out = (in − 1)·stride − 2·pad + dilation·(k − 1) + output_padding + 1; the products are those of the input
    pytest.param(nn.ConvTranspose2d(3, 1, 2, 2), (1, 3, 2, 2), 3 * 4 * 1 * 4, 16, id="golden-48"),
    pytest.param(nn.ConvTranspose2d(32, 1, 3), (1, 32, 1, 1), 32 * 1 * 1 * 9, 9, id="golden-288"),
    pytest.param(
        nn.ConvTranspose2d(4, 4, 3, 2, 1, 1, groups=4), (2, 4, 8, 8), 4_608, 2 * 4 * 16 * 16, id="golden-4608"
    ),
    pytest.param(nn.ConvTranspose2d(6, 6, 2, 2, groups=3), (2, 6, 8, 8), 6_144, 2 * 6 * 16 * 16, id="golden-6144"),
    pytest.param(nn.ConvTranspose1d(4, 6, 5), (2, 4, 10), 2 * 4 * 10 * 6 * 5, 2 * 6 * 14, id="1d"),
    pytest.param(
        nn.ConvTranspose1d(4, 6, 3, 3, output_padding=2, groups=2),
        (1, 4, 5),
        4 * 5 * (6 // 2) * 3,
        6 * 17,
        id="1d-output-padding",
    ),
    pytest.param(
        nn.ConvTranspose2d(2, 3, 3, dilation=2, bias=False), (1, 2, 4, 4), 2 * 16 * 3 * 9, 0, id="2d-dilation"
    ),
    pytest.param(nn.ConvTranspose2d(2, 3, 3, padding=1), (1, 2, 4, 4), 2 * 16 * 3 * 9, 3 * 16, id="2d-padding"),
    pytest.param(nn.ConvTranspose2d(2, 3, (2, 3), (2, 1)), (2, 5, 6), 2 * 30 * 3 * 6, 3 * 10 * 8, id="2d-unbatched"),
    pytest.param(nn.ConvTranspose3d(2, 4, 2, 2), (1, 2, 3, 4, 5), 2 * 60 * 4 * 8, 4 * 480, id="3d"),
    pytest.param(
        nn.ConvTranspose3d(4, 4, 3, groups=4, bias=False), (1, 4, 2, 2, 2), 4 * 8 * 1 * 27, 0, id="3d-depthwise"
    ),
]


@pytest.mark.parametrize(("module", "shape", "mac", "bias"), FORWARD + TRANSPOSED)
def test_module(module: nn.Module, shape: tuple[int, ...], mac: int, bias: int) -> None:
    expect(module, shape, mac=mac, other=bias)


FUNCTIONS = [
    pytest.param(F.conv1d, [(1, 4, 10), (6, 4, 3), (6,)], 6 * 8 * 4 * 3, 48, id="conv1d"),
    pytest.param(F.conv2d, [(1, 4, 6, 6), (6, 4, 3, 3), (6,)], 6 * 16 * 4 * 9, 96, id="conv2d"),
    pytest.param(F.conv2d, [(1, 4, 6, 6), (6, 4, 3, 3)], 6 * 16 * 4 * 9, 0, id="conv2d-no-bias"),
    pytest.param(F.conv3d, [(1, 2, 4, 4, 4), (3, 2, 3, 3, 3)], 3 * 8 * 2 * 27, 0, id="conv3d"),
    pytest.param(F.conv_transpose1d, [(1, 4, 10), (4, 6, 3)], 4 * 10 * 6 * 3, 0, id="transpose1d"),
    pytest.param(F.conv_transpose2d, [(1, 4, 5, 5), (4, 6, 3, 3)], 4 * 25 * 6 * 9, 0, id="transpose2d"),
    pytest.param(F.conv_transpose3d, [(1, 2, 3, 3, 3), (2, 4, 2, 2, 2)], 2 * 27 * 4 * 8, 0, id="transpose3d"),
    pytest.param(torch.conv2d, [(1, 4, 6, 6), (6, 4, 3, 3), (6,)], 6 * 16 * 4 * 9, 96, id="torch.conv2d"),
]


@pytest.mark.parametrize(("function", "shapes", "mac", "bias"), FUNCTIONS)
def test_function(function: object, shapes: list[tuple[int, ...]], mac: int, bias: int) -> None:
    expect(function, *shapes, mac=mac, other=bias)  # type: ignore[arg-type]


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize("transposed", [False, True])
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_without_padding_ones_convolved_with_ones_add_up_to_the_macs(
    dimensions: int, transposed: bool, data: st.DataObject
) -> None:
    """An output of all-ones tensors is the number of products summed in it, so their sum is the count."""
    size = st.integers(1, 3)
    groups, batch = data.draw(size), data.draw(size)
    kind = getattr(nn, f"Conv{'Transpose' if transposed else ''}{dimensions}d")
    module = kind(
        groups * data.draw(size),
        groups * data.draw(size),
        tuple(data.draw(size) for _ in range(dimensions)),
        stride=tuple(data.draw(size) for _ in range(dimensions)),
        dilation=tuple(data.draw(size) for _ in range(dimensions)),
        groups=groups,
        bias=False,
    )
    x = torch.ones(batch, module.in_channels, *(data.draw(st.integers(7, 9)) for _ in range(dimensions)))
    nn.init.ones_(module.weight)
    with torch.no_grad():
        products = int(module(x).sum().item())
    assert macs(module, x) == products
