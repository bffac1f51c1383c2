"""Pooling: an output element looks at one window of the input; padding is looked at too (the window's definition)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from effbench.judge.algebra import Expr, elements, product
from effbench.judge.work import Work, formula
from effbench.records import Shape


def _less_one(out: Shape, kernel: int | Sequence[int], dimensions: int) -> Expr:
    """Returns outputs·(k−1), k being the number of elements in the window."""
    sizes = (kernel,) if isinstance(kernel, int) else tuple(kernel)
    window = math.prod(sizes) if len(sizes) == dimensions else sizes[0] ** dimensions
    return elements(out) * product(**{"(k−1)": window - 1})


@formula("aten::max_pool2d_with_indices", "aten::max_pool2d", "aten::mkldnn_max_pool2d")
def max_pool2d(kernel_size: Sequence[int], out: Shape) -> Work:
    """Returns k−1 comparisons per output."""
    return Work(cmp=_less_one(out, kernel_size, 2))


@formula("aten::max_pool3d_with_indices", "aten::max_pool3d", "aten::mkldnn_max_pool3d")
def max_pool3d(kernel_size: Sequence[int], out: Shape) -> Work:
    """Returns k−1 comparisons per output."""
    return Work(cmp=_less_one(out, kernel_size, 3))


@formula("aten::max_pool1d", "aten::max_pool1d_with_indices")
def max_pool1d(kernel_size: Sequence[int], out: Shape) -> Work:
    """Returns k−1 comparisons per output."""
    return Work(cmp=_less_one(out, kernel_size, 1))


@formula("aten::fractional_max_pool2d")
def fractional_max_pool2d(kernel_size: Sequence[int], out: Shape) -> Work:
    """Returns k−1 comparisons per output."""
    return Work(cmp=_less_one(out, kernel_size, 2))


@formula("aten::fractional_max_pool3d")
def fractional_max_pool3d(kernel_size: Sequence[int], out: Shape) -> Work:
    """Returns k−1 comparisons per output."""
    return Work(cmp=_less_one(out, kernel_size, 3))


@formula("aten::avg_pool2d")
def avg_pool2d(kernel_size: Sequence[int], out: Shape) -> Work:
    """Returns k−1 additions and one division per output."""
    return Work(add=_less_one(out, kernel_size, 2), div=elements(out))


@formula("aten::avg_pool3d")
def avg_pool3d(kernel_size: Sequence[int], out: Shape) -> Work:
    """Returns k−1 additions and one division per output."""
    return Work(add=_less_one(out, kernel_size, 3), div=elements(out))


@formula("aten::avg_pool1d")
def avg_pool1d(kernel_size: Sequence[int], out: Shape) -> Work:
    """Returns k−1 additions and one division per output."""
    return Work(add=_less_one(out, kernel_size, 1), div=elements(out))


@formula("aten::_adaptive_avg_pool2d", "aten::_adaptive_avg_pool3d", "aten::mkldnn_adaptive_avg_pool2d")
def adaptive_avg_pool(self: Shape, output_size: Sequence[int], out: Shape) -> Work:
    """Returns one division per output and, per window of w elements, w−1 additions."""
    return Work(add=_window_rest(self, output_size, out), div=elements(out))


@formula("aten::adaptive_max_pool2d", "aten::adaptive_max_pool3d")
def adaptive_max_pool(self: Shape, output_size: Sequence[int], out: Shape) -> Work:
    """Returns w−1 comparisons per window of w elements."""
    return Work(cmp=_window_rest(self, output_size, out))


def _window_rest(shape: Shape, output_size: Sequence[int], out: Shape) -> Expr:
    """Returns Σ over outputs of (w−1); output i of a dimension looks at ⌊i·in/out⌋ … ⌈(i+1)·in/out⌉−1."""
    dimensions = len(output_size)
    looked_at = math.prod(
        sum(-((index + 1) * size // -steps) - index * size // steps for index in range(steps))
        for size, steps in zip(shape[-dimensions:], out[-dimensions:], strict=True)
    )
    planes = math.prod(out[:-dimensions])
    return product(rest=planes * (looked_at - math.prod(out[-dimensions:])))
