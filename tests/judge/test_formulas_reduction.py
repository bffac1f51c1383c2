"""Reductions of n elements to m results: n−m operations of their kind and what follows the sum."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from helpers import expect
from torch import Tensor

N = 2 * 3 * 4
VARIANCE_OF_ALL = (N - 1) + 1 + N + N + (N - 1) + 1  # mean, differences, squares, their mean


@pytest.mark.parametrize(
    ("function", "other"),
    [
        pytest.param(lambda x: x.sum(), N - 1, id="sum"),
        pytest.param(lambda x: x.sum(1), N - 8, id="sum-one-dim"),
        pytest.param(lambda x: x.sum((0, 2), keepdim=True), N - 3, id="sum-two-dims"),
        pytest.param(lambda x: x.mean(), N - 1 + 1, id="mean"),
        pytest.param(lambda x: x.mean((1, 2)), N - 2 + 2, id="mean-dims"),
        pytest.param(lambda x: x.prod(), N - 1, id="prod"),
        pytest.param(lambda x: x.amax(-1), N - 6, id="amax"),
        pytest.param(lambda x: x.max(), N - 1, id="max"),
        pytest.param(lambda x: x.max(1), N - 8, id="max-dim"),
        pytest.param(lambda x: x.min(0), N - 12, id="min-dim"),
        pytest.param(lambda x: x.argmax(-1), N - 6, id="argmax"),
        pytest.param(lambda x: x.var(), VARIANCE_OF_ALL, id="var"),
        pytest.param(lambda x: torch.var_mean(x), VARIANCE_OF_ALL, id="var_mean"),
        pytest.param(lambda x: x.std(), VARIANCE_OF_ALL + 1, id="std"),
        pytest.param(lambda x: x.norm(), N + N - 1 + 1, id="norm"),
        pytest.param(lambda x: x.norm(dim=-1), N + N - 6 + 6, id="norm-dim"),
        # max, differences, exponentials, sum, logarithm, and the maximum added again
        pytest.param(lambda x: x.logsumexp(-1), (N - 6) + N + N + (N - 6) + 6 + 6, id="logsumexp"),
        pytest.param(lambda x: x.cumsum(-1), N - 6, id="cumsum"),
        pytest.param(lambda x: x.any(), 0, id="any"),
        pytest.param(lambda x: x.all(), 0, id="all"),
    ],
)
def test_reduction(function: Callable[[Tensor], Any], other: int) -> None:
    expect(function, (2, 3, 4), other=other)
