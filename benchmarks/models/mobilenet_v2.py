"""MobileNetV2 (Sandler et al. 2018, table 2), for ImageNet at 96 to 224 pixels or for CIFAR at 32."""

from typing import Literal

import torch
from torch import nn
from torch.nn import functional

# expansion t, channels c, blocks n
_STAGES = ((1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1))

# The stride of the stem, then of each stage's first block: CIFAR keeps 32×32 up to the third stage.
_STRIDES = {"imagenet": (2, 1, 2, 2, 2, 1, 2, 1), "cifar": (1, 1, 1, 2, 2, 1, 2, 1)}

_ACTIVATIONS: dict[str, type[nn.ReLU] | type[nn.ReLU6]] = {"relu": nn.ReLU, "relu6": nn.ReLU6}


def _multiple_of_8(channels: float) -> int:
    """The nearest multiple of 8, at least 8 and never more than a tenth below `channels`."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


def _conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    )


class _InvertedResidual(nn.Module):
    def __init__(
        self, inputs: int, outputs: int, expansion: int, stride: int, act: type[nn.ReLU] | type[nn.ReLU6]
    ) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.skip = stride == 1 and inputs == outputs
        self.body = nn.Sequential()
        if expansion > 1:
            self.body.extend([_conv_bn(inputs, hidden, 1), act()])
        self.body.extend([_conv_bn(hidden, hidden, 3, stride, groups=hidden), act()])
        self.body.append(_conv_bn(hidden, outputs, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.body(x)
        return x + y if self.skip else y


class MobileNetV2(nn.Module):
    """Inverted residuals behind a stem, `width` times the paper's channels; returns `num_classes` scores."""

    def __init__(
        self,
        num_classes: int = 1000,
        width: float = 1.0,
        activation: Literal["relu", "relu6"] = "relu6",
        variant: Literal["imagenet", "cifar"] = "imagenet",
    ) -> None:
        super().__init__()
        act = _ACTIVATIONS[activation]
        stem_stride, *stage_strides = _STRIDES[variant]
        inputs = _multiple_of_8(32 * width)
        last = _multiple_of_8(1280 * max(1.0, width))
        self.features = nn.Sequential(_conv_bn(3, inputs, 3, stem_stride), act())
        for (expansion, channels, blocks), first_stride in zip(_STAGES, stage_strides, strict=True):
            outputs = _multiple_of_8(channels * width)
            for stride in (first_stride, *[1] * (blocks - 1)):
                self.features.append(_InvertedResidual(inputs, outputs, expansion, stride, act))
                inputs = outputs
        self.features.extend([_conv_bn(inputs, last, 1), act()])
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, num_classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pooled = functional.adaptive_avg_pool2d(self.features(x), 1)
        scores: torch.Tensor = self.classifier(pooled.flatten(1))
        return scores


def example_inputs() -> tuple[torch.Tensor, ...]:
    """One image at the size of the paper; the CIFAR variant takes 1×3×32×32."""
    return (torch.rand(1, 3, 224, 224),)
