"""Normalisations have no MACs; under `full` each row says its operations."""

import pytest
import torch
from helpers import expect, traced
from torch import nn
from torch.nn import functional as F


def normalise(groups: int, d: int, gamma: bool = True, beta: bool = True) -> int:
    """Per group of d: mean (d−1 add, 1 div), d differences, variance (d mul, d−1 add, 1 div), ε, rsqrt, d mul.

    Then γ multiplies and β adds once per element.
    """
    group = (d - 1) + 1 + d + (d + (d - 1) + 1) + 1 + 1 + d
    return groups * (group + gamma * d + beta * d)


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        pytest.param(nn.BatchNorm1d(6), (4, 6), id="rows"),
        pytest.param(nn.BatchNorm1d(6), (4, 6, 5), id="1d"),
        pytest.param(nn.BatchNorm2d(6), (4, 6, 5, 5), id="2d"),
        pytest.param(nn.BatchNorm3d(6), (4, 6, 5, 5, 5), id="3d"),
        pytest.param(nn.BatchNorm2d(6, affine=False), (4, 6, 5, 5), id="not-affine"),
        pytest.param(nn.InstanceNorm2d(6, track_running_stats=True), (4, 6, 5, 5), id="instance-norm"),
    ],
)
def test_fixed_statistics_are_one_multiplication_and_one_addition(module: nn.Module, shape: tuple[int, ...]) -> None:
    n = torch.Size(shape).numel()
    expect(module, shape, other=n + n)


@pytest.mark.parametrize(
    ("module", "shape", "other"),
    [
        pytest.param(nn.LayerNorm(8), (2, 5, 8), normalise(10, 8), id="layer"),
        pytest.param(nn.LayerNorm((5, 8)), (2, 5, 8), normalise(2, 40), id="layer-two-dimensions"),
        pytest.param(
            nn.LayerNorm(8, elementwise_affine=False), (2, 5, 8), normalise(10, 8, False, False), id="layer-plain"
        ),
        pytest.param(nn.LayerNorm(8, bias=False), (2, 5, 8), normalise(10, 8, True, False), id="layer-no-bias"),
        pytest.param(nn.GroupNorm(3, 6), (2, 6, 4, 4), normalise(2 * 3, 2 * 16), id="group"),
        pytest.param(nn.GroupNorm(1, 6), (2, 6, 4, 4), normalise(2, 6 * 16), id="group-one"),
        pytest.param(nn.GroupNorm(6, 6, affine=False), (2, 6, 4), normalise(12, 4, False, False), id="group-each"),
        pytest.param(nn.InstanceNorm1d(6), (2, 6, 9), normalise(12, 9, False, False), id="instance-1d"),
        pytest.param(nn.InstanceNorm2d(6, affine=True), (2, 6, 4, 4), normalise(12, 16), id="instance-2d"),
        pytest.param(nn.InstanceNorm3d(6), (2, 6, 2, 2, 2), normalise(12, 8, False, False), id="instance-3d"),
        pytest.param(
            nn.BatchNorm2d(6, track_running_stats=False), (2, 6, 4, 4), normalise(6, 32), id="batch-untracked"
        ),
    ],
)
def test_statistics_of_the_input(module: nn.Module, shape: tuple[int, ...], other: int) -> None:
    expect(module, shape, other=other)


def test_batch_norm_while_training_takes_the_batch_s_statistics() -> None:
    """And adds one to the number of batches seen."""
    expect(nn.BatchNorm2d(6), (2, 6, 4, 4), mode="train", other=normalise(6, 32) + 1)


@pytest.mark.parametrize("gamma", [True, False])
def test_rms_norm(gamma: bool) -> None:
    """Per row of 8: 8 squares, 7 add, 1 div, ε, rsqrt, 8 mul, then 8 for γ."""
    module = nn.RMSNorm(8, elementwise_affine=gamma)
    expect(module, (2, 5, 8), other=10 * (8 + 7 + 1 + 1 + 1 + 8 + 8 * gamma))


def test_normalize_divides_by_the_length() -> None:
    """Per row of 8: 8 squares, 7 add, a root, the guard against zero, 8 div."""
    expect(lambda x: F.normalize(x, dim=-1), (5, 8), other=5 * (8 + 7 + 1 + 1 + 8))


def test_weight_norm() -> None:
    """g·v/‖v‖ for 4 rows of 8: 8 squares, 7 add, a root, a div, 8 mul."""
    expect(torch._weight_norm, (4, 8), (4, 1), other=4 * (8 + 7 + 1 + 1 + 8))


def test_a_layer_with_weight_norm_costs_what_the_layer_costs() -> None:
    module = nn.utils.parametrizations.weight_norm(nn.Linear(8, 4))
    expect(module, (3, 8), mac=3 * 8 * 4, other=3 * 4)
    assert [param.name for param in traced(module, (3, 8)).params] == [
        "bias",
        "parametrizations.weight.original0",
        "parametrizations.weight.original1",
    ]
