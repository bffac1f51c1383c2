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

# A user's decorator comes from here: effbench's own formulas have entered by then, and a second one is the user's.
from effbench.judge.work import formula

__all__ = [
    "attention",
    "convolution",
    "elementwise",
    "fft",
    "formula",
    "interpolation",
    "matmul",
    "normalization",
    "pooling",
    "quantized",
    "recurrent",
    "reduction",
    "softmax",
]
