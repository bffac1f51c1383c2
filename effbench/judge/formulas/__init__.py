"""Formulas of PyTorch's own ops, one file per family; importing this package registers them all."""

from effbench.judge.formulas import (
    attention,
    convolution,
    elementwise,
    interpolation,
    matmul,
    normalization,
    pooling,
    reduction,
    softmax,
)

__all__ = [
    "attention",
    "convolution",
    "elementwise",
    "interpolation",
    "matmul",
    "normalization",
    "pooling",
    "reduction",
    "softmax",
]
