"""Products of integers and of packed low-precision weights: as many MACs as of the same product of floats.

A packed weight arrives as the tuple of shapes of what is in it: the weight and, where there is one, the bias. Affine
quantisation is q = clamp(round(x/S) + Z), 1 div, 1 add, 2 cmp per element (a rounding takes none), and back
x = (q − Z)·S, 1 add, 1 mul (Jacob et al., Quantization and training of neural networks for efficient
integer-arithmetic-only inference, 2018, equation 1). A product's sums become quantised results by x·M + Z and a clamp
(its equation 4).
"""

from __future__ import annotations

from collections.abc import Sequence

from effbench.judge.algebra import ZERO, Expr, elements, product
from effbench.judge.formulas.convolution import convolution
from effbench.judge.work import KINDS, Work, formula
from effbench.records import Shape

_ALL_BUT_MACS = frozenset(KINDS) - {"mac"}


def _requantised(out: Shape) -> Work:
    n = elements(out)
    return Work(mul=n, add=n, cmp=n * 2)


def _added(out: Shape, packed: Sequence[Shape]) -> Expr:
    return elements(out) if len(packed) > 1 else ZERO


def _linear(rows: Shape, packed: Sequence[Shape]) -> Expr:
    return elements(rows[:-1], "rows") * product(**{"in": packed[0][1], "out": packed[0][0]})


@formula("quantized::linear")
def linear(X: Shape, W_prepack: Sequence[Shape], out: Shape) -> Work:  # noqa: N803  named by the op's schema
    """Returns rows·in·out MACs, the bias, and the results quantised again."""
    return Work(mac=_linear(X, W_prepack), add=_added(out, W_prepack)) + _requantised(out)


@formula("quantized::linear_relu")
def linear_relu(X: Shape, W_prepack: Sequence[Shape], out: Shape) -> Work:  # noqa: N803
    """Returns the work of a quantised linear layer and one comparison per output."""
    return linear(X, W_prepack, out) + Work(cmp=elements(out))


@formula(
    "quantized::linear_dynamic",
    "quantized::linear_relu_dynamic",
    "quantized::linear_dynamic_fp16",
    "quantized::linear_relu_dynamic_fp16",
    "quantized::linear_leaky_relu",
    "quantized::linear_tanh",
    "quantized::linear_with_input_q_dq_qweight_dq_output_fp32",
    "quantized::linear_with_input_q_dq_qweight_dq_relu_output_fp32",
)
def linear_dynamic(X: Shape, W_prepack: Sequence[Shape]) -> Work:  # noqa: N803
    """Returns rows·in·out MACs; how the input's range is found at run time has no agreed count."""
    return Work(mac=_linear(X, W_prepack), unknown=_ALL_BUT_MACS)


def _convolution(qx: Shape, packed: Sequence[Shape], out: Shape, transposed: bool) -> Expr:
    weight = packed[0]
    kernel = weight[2:]
    if len(kernel) > len(qx) - 2:  # a 1-d convolution is packed as a 2-d one of height 1
        weight = (*weight[:2], *kernel[1:])
    groups = qx[1] // weight[0 if transposed else 1]
    return convolution(qx, weight, None, transposed, groups, out).mac


@formula("quantized::conv1d", "quantized::conv2d", "quantized::conv3d")
def conv(qx: Shape, packed_weight: Sequence[Shape], out: Shape) -> Work:
    """Returns a convolution's MACs, the bias, and the results quantised again."""
    mac = _convolution(qx, packed_weight, out, False)
    return Work(mac=mac, add=_added(out, packed_weight)) + _requantised(out)


@formula("quantized::conv1d_relu", "quantized::conv2d_relu", "quantized::conv3d_relu")
def conv_relu(qx: Shape, packed_weight: Sequence[Shape], out: Shape) -> Work:
    """Returns the work of a quantised convolution and one comparison per output."""
    return conv(qx, packed_weight, out) + Work(cmp=elements(out))


@formula("quantized::conv2d_add")
def conv_add(qx: Shape, packed_weight: Sequence[Shape], out: Shape) -> Work:
    """Returns the work of a quantised convolution and one addition per output."""
    return conv(qx, packed_weight, out) + Work(add=elements(out))


@formula("quantized::conv2d_add_relu")
def conv_add_relu(qx: Shape, packed_weight: Sequence[Shape], out: Shape) -> Work:
    """Returns the work of a quantised convolution, one addition and one comparison per output."""
    return conv_relu(qx, packed_weight, out) + Work(add=elements(out))


@formula("quantized::conv_transpose1d", "quantized::conv_transpose2d", "quantized::conv_transpose3d")
def conv_transpose(qx: Shape, packed_weight: Sequence[Shape], out: Shape) -> Work:
    """Returns a transposed convolution's MACs, the bias, and the results quantised again."""
    mac = _convolution(qx, packed_weight, out, True)
    return Work(mac=mac, add=_added(out, packed_weight)) + _requantised(out)


@formula("quantized::conv1d_dynamic", "quantized::conv2d_dynamic", "quantized::conv3d_dynamic")
def conv_dynamic(qx: Shape, packed_weight: Sequence[Shape], out: Shape) -> Work:
    """Returns a convolution's MACs; how the input's range is found at run time has no agreed count."""
    return Work(mac=_convolution(qx, packed_weight, out, False), unknown=_ALL_BUT_MACS)


@formula(
    "quantized::conv_transpose1d_dynamic",
    "quantized::conv_transpose2d_dynamic",
    "quantized::conv_transpose3d_dynamic",
)
def conv_transpose_dynamic(qx: Shape, packed_weight: Sequence[Shape], out: Shape) -> Work:
    """Returns a transposed convolution's MACs; how the input's range is found has no agreed count."""
    return Work(mac=_convolution(qx, packed_weight, out, True), unknown=_ALL_BUT_MACS)


@formula("quantized::matmul")
def matmul(qa: Shape, qb: Shape, out: Shape) -> Work:
    """Returns rows·in·out MACs per matrix, and the results quantised again."""
    return Work(mac=elements(out) * product(**{"in": qa[-1]})) + _requantised(out)


@formula("quantized::add", "quantized::add_relu", "quantized::mul", "quantized::mul_relu")
def elementwise(out: Shape) -> Work:
    """Returns no MACs; the rest depends on how the scales are matched."""
    return Work(unknown=_ALL_BUT_MACS)


@formula(
    "quantized::quantized_lstm_cell_dynamic",
    "quantized::quantized_gru_cell_dynamic",
    "quantized::quantized_rnn_tanh_cell_dynamic",
    "quantized::quantized_rnn_relu_cell_dynamic",
)
def recurrent_cell(input: Shape, w_ih: Sequence[Shape], w_hh: Sequence[Shape]) -> Work:
    """Returns a cell's two products; the rest has no agreed count, as for a dynamic linear layer."""
    steps = elements(input[:-1], "steps")
    mac = steps * elements(w_ih[0], "G·H·I") + steps * elements(w_hh[0], "G·H·H")
    return Work(mac=mac, unknown=_ALL_BUT_MACS)


@formula("aten::quantized_lstm", "aten::quantized_gru")
def recurrent_layers(input: Shape | None, data: Shape | None, params: Sequence[Shape]) -> Work:
    """Returns every step's products with every weight; `data` holds the tokens of a packed sequence."""
    steps = elements((data or input or ())[:-1], "steps")
    weights = [shape for shape in params if len(shape) == 2]
    mac = sum((steps * product(**{"out": shape[0], "in": shape[1]}) for shape in weights), start=ZERO)
    made = steps * product(out=sum(shape[0] for shape in weights))
    return Work(mac=mac, activations=made, unknown=_ALL_BUT_MACS)


@formula(
    "aten::quantize_per_tensor", "aten::quantize_per_channel", "quantized_decomposed::quantize_per_tensor",
    "quantized_decomposed::quantize_per_channel",
)  # fmt: skip
def quantize(out: Shape) -> Work:
    """Returns 1 div, 1 add and 2 cmp per element."""
    n = elements(out)
    return Work(div=n, add=n, cmp=n * 2)


@formula(
    "aten::dequantize", "quantized_decomposed::dequantize_per_tensor",
    "quantized_decomposed::dequantize_per_channel",
)  # fmt: skip
def dequantize(out: Shape) -> Work:
    """Returns 1 add and 1 mul per element."""
    n = elements(out)
    return Work(add=n, mul=n)


@formula(
    "aten::fake_quantize_per_tensor_affine_cachemask",
    "aten::fake_quantize_per_channel_affine_cachemask",
    "aten::_fake_quantize_per_tensor_affine_cachemask_tensor_qparams",
)
def fake_quantize(out: Shape) -> Work:
    """Returns the work of quantising and back again."""
    return quantize(out) + dequantize(out)


@formula("aten::_weight_int8pack_mm")
def int8_weights(self: Shape, mat2: Shape, out: Shape) -> Work:
    """Returns rows·in·out MACs and one scaling per output; `mat2` is (out, in)."""
    return Work(mac=product(rows=self[0], **{"in": self[1], "out": mat2[0]}), mul=elements(out))


@formula(
    "aten::_weight_int4pack_mm",
    "aten::_weight_int4pack_mm_for_cpu",
    "aten::_weight_int4pack_mm_with_scales_and_zeros",
    "aten::_scaled_mm",
    "aten::_scaled_mm_v2",
)
def scaled_mm(self: Shape, out: Shape) -> Work:
    """Returns rows·in·out MACs; scales stand by tensor, row, block or group, so their work is unknown."""
    return Work(mac=elements(out) * product(**{"in": self[-1]}), unknown=_ALL_BUT_MACS)


@formula("aten::_mixed_dtypes_linear")
def mixed_linear(input: Shape, out: Shape) -> Work:
    """Returns rows·in·out MACs of floats with packed integers."""
    return Work(mac=elements(out) * product(**{"in": input[-1]}), unknown=_ALL_BUT_MACS)


@formula("aten::_dyn_quant_matmul_4bit")
def int4_linear(inp: Shape, in_features: int, out_features: int) -> Work:
    """Returns rows·in·out MACs of dynamically quantised rows with packed 4-bit weights."""
    mac = elements(inp[:-1], "rows") * product(**{"in": in_features, "out": out_features})
    return Work(mac=mac, unknown=_ALL_BUT_MACS)
