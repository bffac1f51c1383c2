"""Element-wise ops: what one output element takes, by the mathematical definition.

The table is the documentation: a row gives the operations per element of the result. A change of sign, a
selection (where, masked_fill), a rounding, a test for NaN or a logical or bitwise op moves or marks data and takes
none. GELU is x·½·(1 + erf(x/√2)); with the tanh approximation ½x·(1 + tanh(√(2/π)·(x + 0.044715·x³))).
"""

from __future__ import annotations

from typing import NamedTuple

from effbench.judge.algebra import ZERO, Expr, elements, product
from effbench.judge.work import Work, formula
from effbench.records import Attr, Shape


class PerElement(NamedTuple):
    """Operations per element of the result."""

    add: int = 0
    mul: int = 0
    div: int = 0
    special: int = 0
    cmp: int = 0


SIGMOID = PerElement(special=1, add=1, div=1)
NOTHING = PerElement()

TABLE: dict[str, PerElement] = {
    # arithmetic
    "mul": PerElement(mul=1),
    "div": PerElement(div=1),
    "true_divide": PerElement(div=1),
    "floor_divide": PerElement(div=1),
    "remainder": PerElement(div=1, mul=1, add=1),
    "fmod": PerElement(div=1, mul=1, add=1),
    "reciprocal": PerElement(div=1),
    "square": PerElement(mul=1),
    "lerp": PerElement(add=2, mul=1),
    "neg": NOTHING,
    "positive": NOTHING,
    "abs": PerElement(cmp=1),
    "sign": PerElement(cmp=1),
    "sgn": PerElement(cmp=1),
    # special functions
    **{
        name: PerElement(special=1)
        for name in [
            "exp",
            "exp2",
            "expm1",
            "log",
            "log2",
            "log10",
            "log1p",
            "sqrt",
            "rsqrt",
            "erf",
            "erfc",
            "erfinv",
            "tanh",
            "pow",
            "sin",
            "cos",
            "tan",
            "asin",
            "acos",
            "atan",
            "atan2",
            "sinh",
            "cosh",
            "asinh",
            "acosh",
            "atanh",
            "lgamma",
            "digamma",
        ]
    },
    "hypot": PerElement(mul=2, add=1, special=1),
    "polar": PerElement(mul=2, special=2),  # r·cos φ + i·r·sin φ
    # comparisons
    **{name: PerElement(cmp=1) for name in ["eq", "ne", "lt", "le", "gt", "ge", "maximum", "minimum", "fmax", "fmin"]},
    "clamp_min": PerElement(cmp=1),
    "clamp_max": PerElement(cmp=1),
    "threshold": PerElement(cmp=1),
    # activations
    "relu": PerElement(cmp=1),
    "relu6": PerElement(cmp=2),
    "hardtanh": PerElement(cmp=2),
    "leaky_relu": PerElement(cmp=1, mul=1),
    "prelu": PerElement(cmp=1, mul=1),
    "_prelu_kernel": PerElement(cmp=1, mul=1),
    "rrelu_with_noise": PerElement(cmp=1, mul=1),
    "celu": PerElement(cmp=1, special=1, add=1, mul=1, div=1),
    "selu": PerElement(cmp=1, special=1, add=1, mul=2),
    "sigmoid": SIGMOID,
    "log_sigmoid_forward": PerElement(special=2, add=1),
    "silu": SIGMOID._replace(mul=1),
    "softplus": PerElement(special=2, add=1),
    "mish": PerElement(special=3, add=1, mul=1),
    "hardsigmoid": PerElement(add=1, cmp=2, div=1),
    "hardswish": PerElement(add=1, cmp=2, div=1, mul=1),
    "hardshrink": PerElement(cmp=1),
    "softshrink": PerElement(cmp=2, add=1),
    # selections, roundings, logic: no arithmetic
    **dict.fromkeys(
        [
            "where",
            "masked_fill",
            "logical_not",
            "logical_and",
            "logical_or",
            "logical_xor",
            "bitwise_not",
            "bitwise_and",
            "bitwise_or",
            "bitwise_xor",
            "isnan",
            "isinf",
            "isfinite",
            "floor",
            "ceil",
            "round",
            "trunc",
            "fill",
            "zero",
            "bitwise_left_shift",
            "bitwise_right_shift",
            "nan_to_num",
        ],
        NOTHING,
    ),
}
"""Operations per element by op; the in-place forms (`relu_`) count the same."""


def _spread(out: Shape, each: PerElement) -> Work:
    n = elements(out)

    def times(count: int) -> Expr:
        return ZERO if count == 0 else n * count

    return Work(
        add=times(each.add),
        mul=times(each.mul),
        div=times(each.div),
        special=times(each.special),
        cmp=times(each.cmp),
    )


_NEVER_IN_PLACE = frozenset(
    [
        "_prelu_kernel",
        "fmax",
        "fmin",
        "hardshrink",
        "isfinite",
        "isinf",
        "isnan",
        "log_sigmoid_forward",
        "maximum",
        "minimum",
        "polar",
        "positive",
        "prelu",
        "softplus",
        "softshrink",
        "where",
    ]
)


def _register(name: str, each: PerElement) -> None:
    in_place = () if name in _NEVER_IN_PLACE else (f"aten::{name}_",)

    def per_element(out: Shape) -> Work:
        return _spread(out, each)

    kinds = " and ".join(f"{count} {kind}" for kind, count in each._asdict().items() if count)
    per_element.__doc__ = f"Returns {kinds or 'no operation'} per element."
    formula(f"aten::{name}", *in_place)(per_element)


for _name, _each in TABLE.items():
    _register(_name, _each)


@formula("aten::add", "aten::add_", "aten::sub", "aten::sub_", "aten::rsub")
def add(out: Shape, alpha: Attr) -> Work:
    """Returns one addition per element, and one multiplication where `alpha` scales the second operand."""
    return _spread(out, PerElement(add=1, mul=int(alpha not in (None, 1))))


@formula("aten::addcmul", "aten::addcmul_")
def addcmul(out: Shape, value: Attr) -> Work:
    """Returns one multiplication and one addition, and a multiplication where `value` scales the product."""
    return _spread(out, PerElement(add=1, mul=1 + int(value not in (None, 1))))


@formula("aten::addcdiv", "aten::addcdiv_")
def addcdiv(out: Shape, value: Attr) -> Work:
    """Returns one division and one addition, and a multiplication where `value` scales the quotient."""
    return _spread(out, PerElement(add=1, div=1, mul=int(value not in (None, 1))))


@formula("aten::clamp", "aten::clamp_", "aten::clip", "aten::clip_")
def clamp(out: Shape, min: Attr, max: Attr) -> Work:
    """Returns one comparison per element and bound; a bound is a number or a tensor (whose shape arrives here)."""
    return _spread(out, PerElement(cmp=int(min is not None) + int(max is not None)))


@formula("aten::elu", "aten::elu_")
def elu(out: Shape, scale: Attr, input_scale: Attr) -> Work:
    """Returns compare, exp, −1 and ·α per element, and one multiplication for each scale; SELU is an ELU with one."""
    scales = int(scale not in (None, 1)) + int(input_scale not in (None, 1))
    return _spread(out, PerElement(cmp=1, special=1, add=1, mul=1 + scales))


@formula("aten::gelu", "aten::gelu_")
def gelu(out: Shape, approximate: str) -> Work:
    """Returns erf form: 2 mul, 1 div, 1 add, 1 special; tanh form: 6 mul, 2 add, 1 special per element."""
    tanh_form = PerElement(mul=6, add=2, special=1)
    return _spread(out, tanh_form if approximate == "tanh" else PerElement(mul=2, div=1, add=1, special=1))


@formula("aten::glu")
def glu(out: Shape) -> Work:
    """Returns a sigmoid and a multiplication per element of the result, half the input."""
    return _spread(out, SIGMOID._replace(mul=1))


@formula("aten::hann_window", "aten::hamming_window")
def raised_cosine(out: Shape) -> Work:
    """Returns the work of α − (1 − α)·cos(2πi/N): 2 mul, 1 special, 1 add per element."""
    return _spread(out, PerElement(add=1, mul=2, special=1))


@formula("aten::native_dropout")
def dropout(out: Shape, train: bool | None) -> Work:
    """Returns a comparison and a multiplication per element while training, else nothing."""
    return _spread(out, PerElement(cmp=1, mul=1) if train else NOTHING)


@formula("aten::linalg_cross")
def cross(out: Shape) -> Work:
    """Returns 2 multiplications and 1 subtraction per element."""
    return Work(mul=elements(out) * 2, add=elements(out))


@formula("aten::_embedding_bag", "aten::_embedding_bag_forward_only")
def embedding_bag(indices: Shape, out: Shape, mode: int, per_sample_weights: Shape | None) -> Work:
    """Returns one addition (maximum) per looked-up element beyond the first of each bag; a mean divides as well.

    `mode` is 0 for the sum, 1 for the mean and 2 for the maximum; a weighted sum takes one multiplication per
    looked-up element.
    """
    looked_up = indices[0] * out[-1]
    rest = product(rest=max(looked_up - out[0] * out[-1], 0))
    if mode == 2:
        return Work(cmp=rest)
    weighted = product(rows=looked_up) if per_sample_weights is not None else ZERO
    return Work(add=rest, mul=weighted, div=elements(out) if mode == 1 else ZERO)
