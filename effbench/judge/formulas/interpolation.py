"""Interpolation: an output element is a weighted sum of its neighbours, the weights given (definition)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from effbench.judge.algebra import elements, product
from effbench.judge.work import NO_WORK, Work, formula
from effbench.records import Shape


def _weighted_sum(out: Shape, neighbours: int) -> Work:
    """Returns m multiplications and m−1 additions per output."""
    return Work(mul=elements(out) * product(m=neighbours), add=elements(out) * product(**{"(m−1)": neighbours - 1}))


@formula(
    "aten::upsample_nearest1d",
    "aten::upsample_nearest2d",
    "aten::upsample_nearest3d",
    "aten::_upsample_nearest_exact1d",
    "aten::_upsample_nearest_exact2d",
    "aten::_upsample_nearest_exact3d",
)
def nearest() -> Work:
    """Returns no work: each output is a copy of one input."""
    return NO_WORK


@formula("aten::upsample_linear1d")
def linear(out: Shape) -> Work:
    """Returns a weighted sum of 2 neighbours per output."""
    return _weighted_sum(out, 2)


@formula("aten::upsample_bilinear2d")
def bilinear(out: Shape) -> Work:
    """Returns a weighted sum of 4 neighbours per output."""
    return _weighted_sum(out, 4)


@formula("aten::upsample_trilinear3d")
def trilinear(out: Shape) -> Work:
    """Returns a weighted sum of 8 neighbours per output."""
    return _weighted_sum(out, 8)


@formula("aten::upsample_bicubic2d")
def bicubic(out: Shape) -> Work:
    """Returns a weighted sum of 16 neighbours per output."""
    return _weighted_sum(out, 16)


@formula("aten::affine_grid_generator", "aten::cudnn_affine_grid_generator")
def affine_grid(theta: Shape, size: Sequence[int], N: int | None, H: int | None, W: int | None) -> Work:  # noqa: N803
    """Returns the MACs of θ·(x, y, 1) per output position: a product with a 2×3 (in three dimensions 3×4) matrix."""
    positions = math.prod((size[0], *size[2:])) if size else (N or 0) * (H or 0) * (W or 0)
    return Work(mac=product(positions=positions, rows=theta[-2], columns=theta[-1]))
