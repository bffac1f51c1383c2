"""MobileNetV3-small (Howard et al. 2019, table 2) that regresses 21 hand keypoints, inside one outer module.

Class names and module order are those of the published torchsummary table: 162 rows, one per module call.
"""

from typing import Literal

import torch
from torch import nn

__all__ = ["HandKeypointNet"]

_ACTIVATIONS: dict[str, type[nn.ReLU] | type[nn.Hardswish]] = {"RE": nn.ReLU, "HS": nn.Hardswish}

# kernel, expanded channels, squeezed channels (0: no squeeze-excitation), output channels, activation, stride
_BLOCKS: tuple[tuple[int, int, int, int, Literal["RE", "HS"], int], ...] = (
    (3, 16, 8, 16, "RE", 2),
    (3, 72, 0, 24, "RE", 2),
    (3, 88, 0, 24, "RE", 1),
    (5, 96, 24, 40, "HS", 2),
    (5, 240, 64, 40, "HS", 1),
    (5, 240, 64, 40, "HS", 1),
    (5, 120, 32, 48, "HS", 1),
    (5, 144, 40, 48, "HS", 1),
    (5, 288, 72, 96, "HS", 2),
    (5, 576, 144, 96, "HS", 1),
    (5, 576, 144, 96, "HS", 1),
)


def _conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=0.001, momentum=0.01),
    )


class SqueezeExcitation(nn.Module):
    """Channels scaled by a gate computed from their means."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, squeezed, 1),
            nn.ReLU(),
            nn.Conv2d(squeezed, channels, 1),
            nn.Hardsigmoid(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate: torch.Tensor = self.gate(x)
        return x * gate


class InvertedResidual(nn.Module):
    """Expand, depth-wise convolution, gate, project; a skip where input and output have one shape."""

    def __init__(
        self,
        inputs: int,
        kernel: int,
        expanded: int,
        squeezed: int,
        outputs: int,
        activation: str,
        stride: int,
    ) -> None:
        super().__init__()
        act = _ACTIVATIONS[activation]
        self.skip = stride == 1 and inputs == outputs
        self.body = nn.Sequential()
        if expanded != inputs:
            self.body.extend([_conv_bn(inputs, expanded, 1), act()])
        self.body.extend([_conv_bn(expanded, expanded, kernel, stride, groups=expanded), act()])
        if squeezed:
            self.body.append(SqueezeExcitation(expanded, squeezed))
        self.body.append(_conv_bn(expanded, outputs, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.body(x)
        return x + y if self.skip else y


class MobileNetV3(nn.Module):
    """The small network: a stem, eleven blocks, a 576-channel convolution and two linear layers."""

    def __init__(self, num_outputs: int) -> None:
        super().__init__()
        self.features = nn.Sequential(_conv_bn(3, 16, 3, stride=2), nn.Hardswish())
        inputs = 16
        for kernel, expanded, squeezed, outputs, activation, stride in _BLOCKS:
            self.features.append(InvertedResidual(inputs, kernel, expanded, squeezed, outputs, activation, stride))
            inputs = outputs
        self.features.extend([_conv_bn(inputs, 576, 1), nn.Hardswish()])
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Sequential(nn.Linear(576, 1024), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(1024, num_outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.head(self.pool(self.features(x)).flatten(1))
        return y


class HandKeypointNet(nn.Module):
    """The published model: x and y of 21 keypoints from a 3×224×224 image."""

    def __init__(self, num_outputs: int = 42) -> None:
        super().__init__()
        self.backbone = MobileNetV3(num_outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        keypoints: torch.Tensor = self.backbone(x)
        return keypoints


def example_inputs() -> tuple[torch.Tensor, ...]:
    """One image at the published size."""
    return (torch.rand(1, 3, 224, 224),)
