"""Softmax of n: n−1 comparisons, n differences, n exponentials, n−1 additions, n divisions."""

import pytest
import torch
from helpers import expect
from torch import nn
from torch.nn import functional as F


@pytest.mark.parametrize(
    ("module", "rows", "n"),
    [
        pytest.param(nn.Softmax(-1), 2 * 3, 4, id="last"),
        pytest.param(nn.Softmax(1), 2 * 4, 3, id="middle"),
        pytest.param(nn.Softmax(0), 3 * 4, 2, id="first"),
        pytest.param(nn.Softmin(2), 2 * 3, 4, id="softmin"),  # a softmax of −x
        pytest.param(lambda x: torch.softmax(x, -1), 6, 4, id="torch"),
        pytest.param(lambda x: x.softmax(-1, dtype=torch.float64), 6, 4, id="other-dtype"),
        pytest.param(lambda x: F.softmax(x.flatten(), 0), 1, 24, id="one-row"),
        pytest.param(lambda x: F.softmax(x[..., :1], -1), 6, 1, id="rows-of-one"),
    ],
)
def test_softmax(module: nn.Module, rows: int, n: int) -> None:
    expect(module, (2, 3, 4), other=rows * ((n - 1) + n + n + (n - 1) + n))


@pytest.mark.parametrize(("dim", "rows", "n"), [(-1, 6, 4), (1, 8, 3)])
def test_log_softmax_takes_a_logarithm_and_a_difference_instead_of_the_division(dim: int, rows: int, n: int) -> None:
    expect(nn.LogSoftmax(dim), (2, 3, 4), other=rows * ((n - 1) + n + n + (n - 1) + 1 + n))


def test_softmax_over_channels() -> None:
    expect(nn.Softmax2d(), (1, 5, 2, 2), other=4 * (4 + 5 + 5 + 4 + 5))
