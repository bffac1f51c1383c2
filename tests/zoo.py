"""Fifteen architectures of torchvision, built without weights, for tests that count what others count."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

IMAGE = (1, 3, 224, 224)

ZOO = (
    "alexnet",
    "squeezenet1_0",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "shufflenet_v2_x0_5",
    "resnet18",
    "resnext50_32x4d",
    "mnasnet0_5",
    "efficientnet_b0",
    "googlenet",
    "densenet121",
    "vit_b_16",
    "swin_t",
    "convnext_tiny",
    "lraspp_mobilenet_v3_large",
)


def on_meta(name: str) -> tuple[nn.Module, Tensor]:
    """A model in eval mode and an image, both without data."""
    models = pytest.importorskip("torchvision.models")
    options: dict[str, Any] = {"weights_backbone": None} if name.startswith("lraspp") else {}
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")  # googlenet announces another way of making its weights
        return models.get_model(name, weights=None, **options).eval(), torch.empty(IMAGE)


def on_cpu(name: str) -> tuple[nn.Module, Tensor]:
    """A model whose every weight and buffer is zero, made sooner than one with random weights, and an image."""
    model = on_meta(name)[0].to_empty(device="cpu")
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.zero_()
    return model, torch.zeros(IMAGE)
