"""The golden values of users.md: what the users of today's tools should have been told."""

from typing import Any

import pytest
import torch
from helpers import counted, params, traced
from torch import Tensor, nn
from torch.nn import functional as F


class Twice(nn.Module):
    """One layer, called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(10, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.layer(x))  # type: ignore[no-any-return]


class WithPlainParameter(nn.Module):
    """A parameter that belongs to no layer, beside a convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1024))
        self.convolution = nn.Conv2d(3, 6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.convolution(x) * self.scale[0]  # type: ignore[no-any-return]


QKV = [(1, 12, 64, 64)] * 3
TOKENS = [torch.zeros(1, 1000, 100)] * 3

GOLDEN = [
    pytest.param(F.scaled_dot_product_attention, QKV, 6_291_456, 0, id="attention"),
    pytest.param(nn.MultiheadAttention(100, 1, bias=False, batch_first=True), TOKENS, 240_000_000, 40_000, id="mha"),
    pytest.param(nn.ConvTranspose2d(3, 1, 2, 2), [(1, 3, 2, 2)], 48, 13, id="transposed"),
    pytest.param(nn.ConvTranspose2d(32, 1, 3), [(1, 32, 1, 1)], 288, 289, id="transposed-one-pixel"),
    pytest.param(nn.ConvTranspose2d(4, 4, 3, 2, 1, 1, groups=4), [(2, 4, 8, 8)], 4_608, 40, id="transposed-depthwise"),
    pytest.param(nn.ConvTranspose2d(6, 6, 2, 2, groups=3), [(2, 6, 8, 8)], 6_144, 54, id="transposed-grouped"),
    pytest.param(Twice(), [(1, 10)], 200, 110, id="called-twice"),
    pytest.param(WithPlainParameter(), [(1, 3, 3, 3)], 6 * 27, 1_192, id="plain-parameter"),
    pytest.param(nn.Bilinear(3, 4, 5), [(2, 3), (2, 4)], 160, 65, id="bilinear"),
]


@pytest.mark.parametrize(("model", "inputs", "mac", "parameters"), GOLDEN)
def test_golden(model: Any, inputs: list[Any], mac: int, parameters: int) -> None:
    found = traced(model, *inputs)
    counts = counted(found)
    assert (counts.macs, counts.flops, params(found)) == (mac, 2 * mac, parameters)
    assert not counts.coverage.unknown


@pytest.mark.parametrize(
    ("name", "parameters", "mac"),
    [("vit_b_16", 86_567_656, 17_563_828_224), ("resnet50", 25_557_032, 4_089_184_256)],
)
def test_golden_network(name: str, parameters: int, mac: int) -> None:
    models = pytest.importorskip("torchvision.models")
    with torch.device("meta"):
        found = traced(models.get_model(name), torch.empty(1, 3, 224, 224))
    assert (counted(found).macs, params(found)) == (mac, parameters)


def test_tied_weights_count_once_and_frozen_ones_count() -> None:
    model = nn.Sequential(nn.Linear(10, 10, bias=False), nn.Linear(10, 10, bias=False))
    model[1].weight = model[0].weight
    model.requires_grad_(False)
    found = traced(model, (1, 10))
    assert params(found) == 100
    assert [(param.name, param.alias_of, param.trainable) for param in found.params] == [
        ("0.weight", None, False),
        ("1.weight", "0.weight", False),
    ]
    assert counted(found).macs == 200
