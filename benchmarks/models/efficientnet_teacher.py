"""The student's teacher: EfficientNet-B0 features, one wide convolution and a small MLP."""

import torch
from torch import nn
from torchvision import models


class EfficientNetTeacher(nn.Module):
    """Two logits, adult and child, of a 3×185×160 portrait."""

    def __init__(self) -> None:
        super().__init__()
        self.features = models.efficientnet_b0(weights=None).features
        self.reduce = nn.Conv2d(1280, 128, 3, padding=1)
        self.pool = nn.AdaptiveAvgPool2d(1)  # a module: thop counts it
        self.classifier = nn.Sequential(nn.Linear(128, 100), nn.PReLU(), nn.Linear(100, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pooled = self.pool(self.reduce(self.features(x)))
        logits: torch.Tensor = self.classifier(pooled.flatten(1))
        return logits


def example_inputs() -> tuple[torch.Tensor, ...]:
    """One portrait at the published size."""
    return (torch.rand(1, 3, 185, 160),)
