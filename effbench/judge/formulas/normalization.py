"""Normalisations: y = (x − mean)·rstd·γ + β over groups of elements.

Sources: Ioffe and Szegedy (2015), Ba et al. (2016), Wu and He (2018), Zhang and Sennrich (2019).
"""

from __future__ import annotations

import math

from effbench.judge.algebra import ZERO, Expr, elements, product
from effbench.judge.work import Work, formula
from effbench.records import Shape


@formula("aten::_native_batch_norm_legit_no_training")
def batch_norm_eval(input: Shape) -> Work:
    """Returns n mul and n add: with fixed statistics a batch norm is x·a + b."""
    return Work(mul=elements(input), add=elements(input))


@formula(
    "aten::native_batch_norm",
    "aten::_native_batch_norm_legit",
    "aten::_native_batch_norm_legit_functional",
    "aten::_batch_norm_with_update",
    "aten::cudnn_batch_norm",
    "aten::miopen_batch_norm",
)
def batch_norm(
    input: Shape, weight: Shape | None, bias: Shape | None, training: bool | None, train: bool | None
) -> Work:
    """Returns x·a + b with fixed statistics, else the work of normalising each channel over the batch."""
    if not (training or train or (training is None and train is None)):
        return batch_norm_eval(input)
    return _normalise(input, input[1], weight, bias)


@formula("aten::_batch_norm_no_update")
def batch_norm_no_update(input: Shape) -> Work:
    """Returns n mul and n add."""
    return batch_norm_eval(input)


@formula("aten::native_layer_norm")
def layer_norm(input: Shape, normalized_shape: tuple[int, ...], weight: Shape | None, bias: Shape | None) -> Work:
    """Returns the work of normalising the last dimensions of each row."""
    groups = math.prod(input[: len(input) - len(normalized_shape)])
    return _normalise(input, groups, weight, bias)


@formula("aten::native_group_norm")
def group_norm(input: Shape, group: int, weight: Shape | None, bias: Shape | None) -> Work:
    """Returns the work of normalising each sample's channel groups."""
    return _normalise(input, input[0] * group, weight, bias)


@formula("aten::_weight_norm_interface")
def weight_norm(v: Shape, g: Shape) -> Work:
    """Returns the work of g·v / ‖v‖ per row of d (Salimans and Kingma, 2016): d mul, d−1 add, a root, a div, d mul."""
    n, rows = elements(v), elements(g)
    return Work(mul=n + n, add=product(**{"(n−rows)": math.prod(v) - math.prod(g)}), special=rows, div=rows)


@formula("aten::_fused_rms_norm", "aten::rms_norm")
def rms_norm(input: Shape, normalized_shape: tuple[int, ...], weight: Shape | None) -> Work:
    """Returns the work of x / √(mean(x²) + ε)·γ: per row d mul, d−1 add, one div, add and rsqrt, then d mul."""
    rows = product(rows=math.prod(input[: len(input) - len(normalized_shape)]))
    size = math.prod(normalized_shape)
    n = elements(input)
    scale = n if weight is not None else ZERO
    return Work(mul=n + n + scale, add=rows * product(**{"(d−1)": size - 1}) + rows, div=rows, special=rows)


def _normalise(shape: Shape, groups: int, weight: Shape | None, bias: Shape | None) -> Work:
    """Returns the work of normalising `groups` groups of d elements each.

    Per group: the mean (d−1 add, one div), the differences (d sub), the variance (d mul, d−1 add, one div), ε and
    rsqrt (one add, one special), the scaling (d mul); γ: d mul; β: d add.
    """
    n = elements(shape)
    count = product(groups=groups)
    sums: Expr = count * product(**{"(d−1)": max(math.prod(shape) // max(groups, 1) - 1, 0)})
    gain = n if weight is not None else ZERO
    shift = n if bias is not None else ZERO
    return Work(mul=n + n + gain, add=sums + n + sums + count + shift, div=count + count, special=count)
