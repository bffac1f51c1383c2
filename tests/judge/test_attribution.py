"""Each difference between two conventions is explained by causes that sum to it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from effbench.judge.attribution import attribute
from effbench.judge.convention import conventions
from effbench.judge.count import count
from effbench.measure.source import Loaded, ModelInputs, already_built
from effbench.measure.trace import trace
from effbench.records import Trace
from effbench.units import Unit


class Small(nn.Module):
    """A convolution, a norm, a matrix product that modules do not see, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = self.norm(self.conv(x)).flatten(2).mean(2)
        attended: torch.Tensor = self.head((rows @ rows.T) @ rows)
        return attended


def traced(model: nn.Module, *inputs: torch.Tensor) -> Trace:
    needs = frozenset().union(*(conventions.get(name).needs for name in conventions.names()))
    return trace(Loaded("small", None, already_built(model), ModelInputs(inputs)), needs=needs)


@pytest.fixture(scope="module")
def small() -> Trace:
    return traced(Small(), torch.zeros(2, 3, 10, 10))


def test_thop_lacks_the_products_and_adds_the_norm(small: Trace) -> None:
    found = attribute(count(small, conventions.get("macs")), count(small, conventions.get("thop")))
    assert found is not None
    assert found.unit is Unit.MAC
    by_type = {cause.type.rpartition(".")[2]: cause for cause in found.causes}
    # 2 × 8 × 8 × 8 elements, 4 each with affine weights; (2, 8) @ (8, 2) and (2, 2) @ (2, 8).
    assert by_type["BatchNorm2d"].difference == 4 * (2 * 8 * 8 * 8)
    assert by_type["Small"].difference == -(2 * 8 * 2 + 2 * 2 * 8)
    assert by_type["Small"].paths == ("",)
    assert by_type["BatchNorm2d"].paths == ("norm",)
    assert found.difference == 4 * 1024 - 64
    assert set(by_type) == {"BatchNorm2d", "Small"}


@pytest.mark.parametrize("name", conventions.names())
def test_causes_sum_to_the_difference_of_the_totals(name: str, small: Trace) -> None:
    base, other = count(small, conventions.get("macs")), count(small, conventions.get(name))
    found = attribute(base, other)
    assert found is not None
    assert base.macs is not None
    totals = (base.macs, other.total) if found.unit is Unit.MAC else (2 * base.macs, other.flops)
    assert totals[1] is not None
    assert found.difference == totals[1] - totals[0]
    assert sum(cause.difference for cause in found.causes) == found.difference
    sizes = [abs(cause.difference) for cause in found.causes]
    assert sizes == sorted(sizes, reverse=True)


def test_a_convention_does_not_differ_from_itself(small: Trace) -> None:
    counts = count(small, conventions.get("macs"))
    found = attribute(counts, counts)
    assert found is not None
    assert (found.difference, found.causes) == (0, ())


def test_an_unknown_total_is_not_explained() -> None:
    class Distances(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cdist(x, x)

    unknown = traced(Distances(), torch.zeros(4, 3))
    assert attribute(count(unknown, conventions.get("macs")), count(unknown, conventions.get("thop"))) is None
