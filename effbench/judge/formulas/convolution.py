"""Convolutions of any dimension, stride, dilation and grouping, forward and transposed.

Source: the definition in Dumoulin and Visin, A guide to convolution arithmetic for deep learning (2016). Each
output element of a convolution is an inner product over (Cin/g)·∏k; each input element of a transposed one takes
part in (Cout/g)·∏k products.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from effbench.judge.algebra import ZERO, Expr, elements, product, repeated, total
from effbench.judge.work import KINDS, NO_WORK, Work, formula
from effbench.records import Attr, Shape

_AXES = {1: ("L",), 2: ("H", "W"), 3: ("D", "H", "W")}


@formula(
    "aten::convolution",
    "aten::_convolution",
    "aten::convolution_overrideable",
    "aten::cudnn_convolution",
    "aten::miopen_convolution",
    "aten::mkldnn_convolution",
    "aten::conv1d",
    "aten::conv2d",
    "aten::conv3d",
    "aten::_nnpack_spatial_convolution",
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


@formula("aten::conv_transpose1d", "aten::conv_transpose2d", "aten::conv_transpose3d")
def transposed(input: Shape, weight: Shape, bias: Shape | None, groups: int, out: Shape) -> Work:
    """Returns the work of a transposed convolution that is recorded under the name it was called by."""
    return convolution(input, weight, bias, True, groups, out)


@formula(
    "aten::_slow_conv2d_forward", "aten::slow_conv3d_forward", "aten::slow_conv_dilated2d", "aten::slow_conv_dilated3d"
)
def slow_convolution(self: Shape, weight: Shape, bias: Shape | None, out: Shape) -> Work:
    """Returns the work of a convolution without groups that no library serves."""
    return convolution(self, weight, bias, False, 1, out)


@formula("aten::slow_conv_transpose2d", "aten::slow_conv_transpose3d")
def slow_transposed(self: Shape, weight: Shape, bias: Shape | None, out: Shape) -> Work:
    """Returns the work of a transposed convolution without groups that no library serves."""
    return convolution(self, weight, bias, True, 1, out)


@formula("aten::cudnn_convolution_relu", "aten::miopen_convolution_relu")
def convolution_relu(self: Shape, weight: Shape, bias: Shape | None, groups: int, out: Shape) -> Work:
    """Returns the work of a convolution and of the ReLU that is fused into it."""
    return convolution(self, weight, bias, False, groups, out) + Work(cmp=elements(out))


@formula("aten::cudnn_convolution_add_relu", "aten::miopen_convolution_add_relu")
def convolution_add_relu(self: Shape, weight: Shape, bias: Shape | None, alpha: Attr, groups: int, out: Shape) -> Work:
    """Returns the work of a convolution, of the scaled sum and of the ReLU that are fused into it."""
    scale = elements(out) if alpha not in (None, 1) else ZERO
    return convolution_relu(self, weight, bias, groups, out) + Work(add=elements(out), mul=scale)


@formula("aten::conv_tbc")
def convolution_tbc(self: Shape, weight: Shape, out: Shape) -> Work:
    """Returns the work of a 1-d convolution laid out (time, batch, channels); `weight` is (k, Cin, Cout)."""
    mac = product(N=out[1], L=out[0], Cout=out[2], Cin=weight[1], k=weight[0])
    return Work(mac=mac, add=elements(out))


@formula("torchvision::deform_conv2d")
def deformable(input: Shape, weight: Shape, bias: Shape | None, groups: int, out: Shape) -> Work:
    """Returns a convolution's MACs; where its window looks is interpolation, whose work depends on the offsets."""
    return convolution(input, weight, bias, False, groups, out) + Work(unknown=frozenset(KINDS) - {"mac"})


@formula("aten::convolution_backward", "aten::convolution_backward_overrideable")
def convolution_backward(
    grad_output: Shape, input: Shape, weight: Shape, transposed: bool, groups: int, output_mask: Sequence[bool]
) -> Work:
    """Returns the forward pass's MACs for each gradient asked for, of the input and of the weight.

    Every product of the forward pass, input × weight, gives one of gradient × weight and one of gradient × input. The
    bias's gradient is a sum over all but the channels.
    """
    each = convolution(input, weight, None, transposed, groups, grad_output).mac
    asked = [each for wanted in output_mask[:2] if wanted]
    channels = weight[1] * groups if transposed else weight[0]
    summed = product(rest=math.prod(grad_output) - channels) if output_mask[2] else ZERO
    return Work(mac=total(asked), add=summed)


@formula("aten::miopen_depthwise_convolution", "aten::_conv_depthwise2d", "aten::conv_depthwise3d")
def convolution_depthwise(input: Shape, weight: Shape, bias: Shape | None, out: Shape) -> Work:
    """Returns the work of a convolution with one filter per channel; `weight` is (Cout, 1, *k)."""
    channels = input[-len(weight) + 1]
    return convolution(input, weight, bias, False, channels, out)


def _positions(sizes: Shape, dimensions: int) -> Expr:
    names = _AXES.get(dimensions, tuple(f"d{index}" for index in range(dimensions)))
    return product(**dict(zip(names, sizes, strict=True)))
