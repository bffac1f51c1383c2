"""Element-wise ops: no MACs; under `full` the operations that one element of the result takes."""

from collections.abc import Callable

import pytest
import torch
from helpers import expect
from torch import Tensor, nn
from torch.nn import functional as F

N = 2 * 3 * 4
SIGMOID = 3  # exp, add, div
RELU6 = 2  # two comparisons

ACTIVATIONS = [
    (nn.ReLU(), 1),
    (nn.ReLU(inplace=True), 1),
    (nn.ReLU6(), RELU6),
    (nn.Hardtanh(), 2),
    (nn.LeakyReLU(), 1 + 1),  # compare, multiply
    (nn.PReLU(), 1 + 1),
    (nn.PReLU(3), 1 + 1),
    (nn.RReLU(), 1 + 1),
    (nn.Threshold(0.1, 0.0), 1),
    (nn.ELU(), 1 + 1 + 1 + 1),  # compare, exp, −1, ·α
    (nn.CELU(), 1 + 1 + 1 + 1 + 1),  # compare, /α, exp, −1, ·α
    (nn.SELU(), 1 + 1 + 1 + 2),  # compare, exp, −1, ·α, ·scale
    (nn.Sigmoid(), SIGMOID),
    (nn.LogSigmoid(), 1 + 1 + 1),  # exp, add, log
    (nn.SiLU(), SIGMOID + 1),
    (nn.SiLU(inplace=True), SIGMOID + 1),
    (nn.Softplus(), 1 + 1 + 1),  # exp, add, log
    (nn.Mish(), 3 + 1 + 1),  # softplus, tanh, multiply
    (nn.Tanh(), 1),
    (nn.Tanhshrink(), 1 + 1),  # tanh, subtract
    (nn.Softsign(), 1 + 1 + 1),  # |x| compares, add, divide
    (nn.Hardsigmoid(), 1 + RELU6 + 1),  # relu6(x + 3) / 6
    (nn.Hardswish(), 1 + RELU6 + 1 + 1),  # x · relu6(x + 3) / 6
    (nn.GELU(), 1 + 1 + 1 + 1 + 1),  # ½x · (1 + erf(x/√2))
    (nn.GELU(approximate="tanh"), 6 + 2 + 1),  # ½x · (1 + tanh(√(2/π)·(x + 0.044715·x·x·x)))
    (nn.Softshrink(), 2 + 1),
    (nn.Hardshrink(), 1),
    (nn.Identity(), 0),
    (nn.Dropout(), 0),  # eval mode
    (nn.Dropout2d(), 0),
]


@pytest.mark.parametrize(("module", "each"), ACTIVATIONS, ids=lambda item: str(item))
def test_activation(module: nn.Module, each: int) -> None:
    expect(module, (2, 3, 4), other=N * each)


def test_a_gated_unit_halves_its_input() -> None:
    expect(nn.GLU(), (2, 3, 8), other=N * (SIGMOID + 1))


UNARY: list[tuple[Callable[[Tensor], Tensor], int]] = [
    (torch.exp, 1),
    (torch.log, 1),
    (torch.log1p, 1),
    (torch.sqrt, 1),
    (torch.rsqrt, 1),
    (torch.erf, 1),
    (torch.sin, 1),
    (torch.cos, 1),
    (torch.atan, 1),
    (torch.reciprocal, 1),
    (torch.square, 1),
    (torch.abs, 1),
    (torch.sign, 1),
    (torch.neg, 0),
    (torch.floor, 0),
    (torch.round, 0),
    (torch.isnan, 0),
    (torch.logical_not, 0),
    (torch.ones_like, 0),
]


@pytest.mark.parametrize(("function", "each"), UNARY, ids=lambda item: getattr(item, "__name__", str(item)))
def test_unary(function: Callable[[Tensor], Tensor], each: int) -> None:
    expect(function, (2, 3, 4), other=N * each)


BINARY: list[tuple[Callable[[Tensor, Tensor], Tensor], int]] = [
    (torch.add, 1),
    (torch.sub, 1),
    (torch.mul, 1),
    (torch.div, 1),
    (torch.maximum, 1),
    (torch.minimum, 1),
    (torch.pow, 1),
    (torch.atan2, 1),
    (torch.eq, 1),
    (torch.lt, 1),
    (torch.max, 1),
    (torch.min, 1),
    (torch.logical_and, 0),
]


@pytest.mark.parametrize(("function", "each"), BINARY, ids=lambda item: getattr(item, "__name__", str(item)))
def test_binary_counts_the_broadcast_result(function: Callable[[Tensor, Tensor], Tensor], each: int) -> None:
    expect(function, (2, 1, 4), (3, 1), other=N * each)


@pytest.mark.parametrize(
    ("function", "each"),
    [
        pytest.param(lambda x: x + 1, 1, id="add-number"),
        pytest.param(lambda x: 1 - x, 1, id="number-sub"),
        pytest.param(lambda x: torch.add(x, x, alpha=2), 2, id="add-alpha"),
        pytest.param(lambda x: torch.sub(x, x, alpha=1), 1, id="sub-alpha-one"),
        pytest.param(lambda x: 2 / x, 2, id="number-div"),  # written as a reciprocal times 2
        pytest.param(lambda x: x.clamp(0, 1), 2, id="clamp"),
        pytest.param(lambda x: x.clamp(min=0), 1, id="clamp-below"),
        pytest.param(lambda x: x.clamp(max=0), 1, id="clamp-above"),
        pytest.param(lambda x: x.clamp_min(0), 1, id="clamp_min"),
        pytest.param(lambda x: torch.addcmul(x, x, x), 2, id="addcmul"),
        pytest.param(lambda x: torch.addcmul(x, x, x, value=2), 3, id="addcmul-value"),
        pytest.param(lambda x: torch.addcdiv(x, x, x), 2, id="addcdiv"),
        pytest.param(lambda x: torch.lerp(x, x, 0.5), 3, id="lerp"),  # x + w·(y − x)
        pytest.param(lambda x: torch.where(x > 0, x, 0.0), 1, id="where"),  # the comparison
        pytest.param(lambda x: x.masked_fill(x == 0, 1.0), 1, id="masked_fill"),
        pytest.param(lambda x: x**2, 1, id="power"),
        pytest.param(lambda x: F.hardtanh(x, -2, 2), 2, id="hardtanh"),
        pytest.param(lambda x: x * torch.sigmoid(x), 1 + SIGMOID, id="silu-written-out"),
        pytest.param(lambda x: x * F.relu6(x + 3) / 6, 5, id="hardswish-written-out"),
        pytest.param(lambda x: x.add_(1).mul_(2), 2, id="in-place"),
    ],
)
def test_expression(function: Callable[[Tensor], Tensor], each: int) -> None:
    expect(function, (2, 3, 4), other=N * each)


def test_dropout_while_training_compares_and_scales() -> None:
    expect(nn.Dropout(0.5), (2, 3, 4), mode="train", other=N * 2)


def test_embedding_bag_adds_and_divides() -> None:
    """2 bags of 3 rows of 4: the sum takes 2 additions per column, the mean one division more."""
    ids = torch.zeros(2, 3, dtype=torch.long)
    expect(nn.EmbeddingBag(10, 4, mode="sum"), ids, other=2 * 2 * 4)
    expect(nn.EmbeddingBag(10, 4, mode="mean"), ids, other=2 * 2 * 4 + 2 * 4)
    expect(nn.EmbeddingBag(10, 4, mode="max"), ids, other=2 * 2 * 4)
    weights = torch.rand(2, 3)
    expect(nn.EmbeddingBag(10, 4, mode="sum"), ids, None, weights, other=2 * 2 * 4 + 6 * 4)
