"""Formulas of PyTorch's own ops, one file per family; importing this package registers them all."""

from effbench.judge.formulas import (
    attention,
    convolution,
    elementwise,
    fft,
    interpolation,
    matmul,
    normalization,
    pooling,
    quantized,
    recurrent,
    reduction,
    softmax,
)

__all__ = [
    "attention",
    "convolution",
    "elementwise",
    "fft",
    "interpolation",
    "matmul",
    "normalization",
    "pooling",
    "quantized",
    "recurrent",
    "reduction",
    "softmax",
]
