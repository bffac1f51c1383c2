"""CiresanNet for MNIST: 5×5 convolutions, plain, reduced or with residual blocks, then linear layers."""

from itertools import pairwise
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

_CHANNELS = (48, 128, 192, 192, 192, 192, 192)
_HIDDEN = 512


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 5, padding=2)


class _Residual(nn.Module):
    def __init__(self, inputs: int, middle: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = _conv(inputs, middle)
        self.conv2 = _conv(middle, outputs)
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.conv2(functional.relu(self.conv1(x))) + self.shortcut(x))


def _plain(channels: tuple[int, ...]) -> list[nn.Module]:
    return [layer for pair in pairwise(channels) for layer in (_conv(*pair), nn.ReLU())]


def _residual(channels: tuple[int, ...]) -> list[nn.Module]:
    triples = zip(channels[:-2:2], channels[1:-1:2], channels[2::2], strict=True)
    return [_Residual(*triple) for triple in triples]


_VARIANTS = {
    "plain": (_CHANNELS, _plain),
    "reduced": (_CHANNELS[:4], _plain),
    "residual": (_CHANNELS, _residual),
}


class CiresanNet(nn.Module):
    """Seven convolutions (reduced: four) and 2 to 5 linear layers; returns ten scores per 1×28×28 digit."""

    def __init__(self, variant: Literal["plain", "reduced", "residual"] = "plain", linear_layers: int = 3) -> None:
        super().__init__()
        channels, body = _VARIANTS[variant]
        stem = (_conv(1, channels[0]), nn.ReLU(), nn.MaxPool2d(3))  # 28 → 9
        self.features = nn.Sequential(*stem, *body(channels), nn.MaxPool2d(3))  # 9 → 3
        widths = (channels[-1] * 3 * 3, *[_HIDDEN] * (linear_layers - 1), 10)
        layers = [layer for pair in pairwise(widths) for layer in (nn.Linear(*pair), nn.ReLU())]
        self.classifier = nn.Sequential(nn.Flatten(), *layers[:-1])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.classifier(self.features(x))
        return scores


def example_inputs() -> tuple[torch.Tensor, ...]:
    """One digit at the published size."""
    return (torch.rand(1, 1, 28, 28),)
