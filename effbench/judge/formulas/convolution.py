"""Convolutions of any dimension, stride, dilation and grouping, forward and transposed.

Source: the definition in Dumoulin and Visin, A guide to convolution arithmetic for deep learning (2016). Each
output element of a convolution is an inner product over (Cin/g)·∏k; each input element of a transposed one takes
part in (Cout/g)·∏k products.
"""

from __future__ import annotations

from effbench.judge.algebra import Expr, elements, product, repeated
from effbench.judge.work import NO_WORK, Work, formula
from effbench.records import Shape

_AXES = {1: ("L",), 2: ("H", "W"), 3: ("D", "H", "W")}


@formula(
    "aten::convolution",
    "aten::_convolution",
    "aten::convolution_overrideable",
    "aten::cudnn_convolution",
    "aten::miopen_convolution",
    "aten::mkldnn_convolution",
)
def convolution(
    input: Shape, weight: Shape, bias: Shape | None, transposed: bool | None, groups: int, out: Shape
) -> Work:
    """Returns N·Cout·∏out·(Cin/g)·∏k MACs, transposed N·Cin·∏in·(Cout/g)·∏k, and one addition per biased output.

    `weight` is (Cout, Cin/g, *k), transposed (Cin, Cout/g, *k); an input without a batch dimension is one sample.
    """
    dimensions = len(weight) - 2
    # Over the output's positions a forward convolution sums, over the input's a transposed one spreads.
    walked, walked_name, inner_name = (input, "Cin", "Cout/g") if transposed else (out, "Cout", "Cin/g")
    if groups == 1:
        inner_name = inner_name.removesuffix("/g")
    batch = walked[0] if len(walked) == dimensions + 2 else 1
    channels, positions = walked[-dimensions - 1], walked[-dimensions:]
    mac = (
        product(N=batch)
        * _positions(positions, dimensions)
        * product(**{walked_name: channels, inner_name: weight[1]})
        * repeated("k", weight[2:])
    )
    return Work(mac=mac, add=elements(out)) if bias is not None else Work(mac=mac)


@formula("aten::cudnn_convolution_transpose", "aten::miopen_convolution_transpose")
def convolution_transpose(input: Shape, weight: Shape, groups: int, out: Shape) -> Work:
    """Returns the work of a transposed convolution that a vendor library serves; these take no bias."""
    return convolution(input, weight, None, True, groups, out) if input else NO_WORK


@formula("aten::miopen_depthwise_convolution", "aten::_conv_depthwise2d", "aten::conv_depthwise3d")
def convolution_depthwise(input: Shape, weight: Shape, bias: Shape | None, out: Shape) -> Work:
    """Returns the work of a convolution with one filter per channel; `weight` is (Cout, 1, *k)."""
    channels = input[-len(weight) + 1]
    return convolution(input, weight, bias, False, channels, out)


def _positions(sizes: Shape, dimensions: int) -> Expr:
    names = _AXES.get(dimensions, tuple(f"d{index}" for index in range(dimensions)))
    return product(**dict(zip(names, sizes, strict=True)))
