"""ResNet-18 for MNIST: torchvision's, not pretrained, with a one-channel stem and one linear layer."""

import torch
from torch import nn
from torchvision import models


class MnistResNet18(nn.Module):
    """Ten scores per 1×28×28 digit."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.net = models.resnet18(weights=None, num_classes=num_classes)
        self.net.conv1 = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.net(x)
        return scores


def example_inputs() -> tuple[torch.Tensor, ...]:
    """One digit at the published size."""
    return (torch.rand(1, 1, 28, 28),)
