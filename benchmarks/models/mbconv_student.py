"""The student that tells adults from children: a small stack of MBConv blocks with channel attention.

A block always expands, also where t is 1. Every average pool is an `nn.AdaptiveAvgPool2d`, which thop counts.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

_STEM, _FEATURES = 8, 128


def _conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    )


class _EfficientChannelAttention(nn.Module):
    """ECA: one 3-wide convolution along the channels' means (Wang et al. 2020)."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.conv = nn.Conv1d(1, 1, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        means = self.pool(x).flatten(2).transpose(1, 2)  # batch × 1 × channels
        gate: torch.Tensor = self.conv(means).sigmoid()
        return x * gate.transpose(1, 2).unsqueeze(-1)


class _SqueezeExcitation(nn.Module):
    """SE: two linear layers on the channels' means (Hu et al. 2018)."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.gate = nn.Sequential(nn.Linear(channels, squeezed), nn.SiLU(), nn.Linear(squeezed, channels), nn.Sigmoid())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate: torch.Tensor = self.gate(self.pool(x).flatten(1))
        return x * gate[:, :, None, None]


def _attention(kind: str, inputs: int, hidden: int) -> nn.Module:
    if kind == "eca":
        return _EfficientChannelAttention()
    if kind == "se":
        quarter = (inputs // 4 + 4) // 8 * 8  # to the nearest multiple of 8
        return _SqueezeExcitation(hidden, squeezed=max(8, quarter))
    raise ValueError(f"attention is 'eca' or 'se', not {kind!r}")


class _MBConv(nn.Module):
    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int, *, fused: bool, attention: str) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.skip = stride == 1 and inputs == outputs
        if fused:
            self.body = nn.Sequential(_conv_bn(inputs, hidden, 3, stride), nn.SiLU())
        else:
            self.body = nn.Sequential(_conv_bn(inputs, hidden, 1), nn.SiLU())
            self.body.extend([_conv_bn(hidden, hidden, 3, stride, groups=hidden), nn.SiLU()])
        self.body.extend([_attention(attention, inputs, hidden), _conv_bn(hidden, outputs, 1)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.body(x)
        return x + y if self.skip else y


class MBConvStudent(nn.Module):
    """Returns (128 features, 2 logits) of a 3×185×160 portrait; a row of `config` is (t, c, n, s, fused)."""

    def __init__(
        self,
        config: Sequence[Sequence[int]] = ((2, 8, 6, 1, 0), (2, 16, 4, 1, 0)),
        attention: Literal["eca", "se"] = "eca",
    ) -> None:
        super().__init__()
        self.features = nn.Sequential(_conv_bn(3, _STEM, 3, stride=2), nn.SiLU())
        inputs = _STEM
        for expansion, outputs, blocks, first_stride, fused in config:
            for stride in (first_stride, *[1] * (blocks - 1)):
                self.features.append(
                    _MBConv(inputs, outputs, expansion, stride, fused=bool(fused), attention=attention)
                )
                inputs = outputs
        self.features.extend([_conv_bn(inputs, _FEATURES, 1), nn.SiLU()])
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(_FEATURES, 2)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features: torch.Tensor = self.pool(self.features(x)).flatten(1)
        return features, self.classifier(features)


def example_inputs() -> tuple[torch.Tensor, ...]:
    """One portrait at the published size."""
    return (torch.rand(1, 3, 185, 160),)
