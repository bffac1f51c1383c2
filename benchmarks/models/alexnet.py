"""CustomAlexNet: AlexNet with 196 channels in its second convolution and 1024 before its last layer."""

import torch
from torch import nn
from torch.nn import functional


class CustomAlexNet(nn.Module):
    """Five convolutions and three linear layers; returns `num_classes` scores per 3×224×224 image."""

    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 11, stride=4, padding=2)
        self.conv2 = nn.Conv2d(64, 196, 5, padding=2)
        self.conv3 = nn.Conv2d(196, 384, 3, padding=1)
        self.conv4 = nn.Conv2d(384, 256, 3, padding=1)
        self.conv5 = nn.Conv2d(256, 256, 3, padding=1)
        self.fc1 = nn.Linear(256 * 6 * 6, 4096)
        self.fc2 = nn.Linear(4096, 1024)
        self.fc3 = nn.Linear(1024, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.max_pool2d(functional.relu(self.conv1(x)), 3, stride=2)  # 55 → 27
        x = functional.max_pool2d(functional.relu(self.conv2(x)), 3, stride=2)  # 27 → 13
        x = functional.relu(self.conv3(x))
        x = functional.relu(self.conv4(x))
        x = functional.max_pool2d(functional.relu(self.conv5(x)), 3, stride=2)  # 13 → 6
        x = functional.relu(self.fc1(x.flatten(1)))
        x = functional.relu(self.fc2(x))
        scores: torch.Tensor = self.fc3(x)
        return scores


def example_inputs() -> tuple[torch.Tensor, ...]:
    """One image at the published size."""
    return (torch.rand(1, 3, 224, 224),)
