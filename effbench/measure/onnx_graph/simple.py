"""ONNX ops that are one op of PyTorch: element-wise functions, and what moves, makes or selects data.

Sources: the operators' definitions in the ONNX specification (Operators.md) beside those of torch's functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from effbench.measure.onnx_graph.lowering import Lowered, Node, lowerings, same_type
from effbench.measure.onnx_graph.writer import Tensor, Writer

_UNARY: Mapping[str, str] = MappingProxyType(
    {
        **{
            name: name.lower()
            for name in (
                *("Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Celu", "Cos", "Cosh", "Erf"),
                *("Exp", "Floor", "HardSigmoid", "HardSwish", "IsInf", "IsNaN", "Log", "Mish", "Neg", "Reciprocal"),
                *("Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Sqrt", "Tan", "Tanh"),
            )
        },
        "BitwiseNot": "bitwise_not",
        "LeakyRelu": "leaky_relu",
        "Not": "logical_not",
        "Swish": "silu",
        "ThresholdedRelu": "threshold",
    }
)
_BINARY: Mapping[str, str] = MappingProxyType(
    {
        "Add": "add",
        "And": "logical_and",
        "BitwiseAnd": "bitwise_and",
        "BitwiseOr": "bitwise_or",
        "BitwiseXor": "bitwise_xor",
        "Div": "div",
        "Equal": "eq",
        "Greater": "gt",
        "GreaterOrEqual": "ge",
        "Less": "lt",
        "LessOrEqual": "le",
        "Mul": "mul",
        "Or": "logical_or",
        "PRelu": "_prelu_kernel",
        "Pow": "pow",
        "Sub": "sub",
        "Xor": "logical_xor",
    }
)
_FOLDED: Mapping[str, str] = MappingProxyType({"Max": "maximum", "Min": "minimum", "Sum": "add"})
"""Ops of any number of inputs, which are taken pair by pair."""

_MOVED: Mapping[str, str] = MappingProxyType(
    {
        "Bernoulli": "bernoulli",
        "Cast": "_to_copy",
        "CastLike": "_to_copy",
        "Col2Im": "col2im",
        "CenterCropPad": "slice_scatter",
        "Compress": "masked_select",
        "Concat": "cat",
        "ConstantOfShape": "full",
        "CumProd": "cumprod",
        "DepthToSpace": "pixel_shuffle",
        "EyeLike": "eye",
        "Gather": "index_select",
        "GatherElements": "gather",
        "GatherND": "index",
        "MaxUnpool": "max_unpool2d",
        "Multinomial": "multinomial",
        "NonZero": "nonzero",
        "OneHot": "one_hot",
        "Pad": "constant_pad_nd",
        "RandomNormal": "randn",
        "RandomNormalLike": "randn_like",
        "RandomUniform": "rand",
        "RandomUniformLike": "rand_like",
        "Range": "arange",
        "ReverseSequence": "flip",
        "Shape": "sym_size",
        "Size": "sym_numel",
        "SpaceToDepth": "pixel_unshuffle",
        "Tile": "repeat",
        "TopK": "topk",
        "Trilu": "tril",
        "Unique": "_unique2",
        "Where": "where",
    }
)
_VIEWED: Mapping[str, str] = MappingProxyType(
    {
        "Expand": "aten::expand",
        "Flatten": "aten::view",
        "Reshape": "aten::view",
        "Slice": "aten::slice",
        "Squeeze": "aten::view",
        "Transpose": "aten::permute",
        "Unsqueeze": "aten::view",
    }
)
_SCATTERS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"ScatterElements": ("scatter", "scatter_reduce"), "Scatter": ("scatter", ""), "ScatterND": ("index_put", "")}
)

NO_PRODUCTS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(
            ["QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"], "scales and rounds each element"
        ),
        **dict.fromkeys(
            ["LRN", "LpNormalization", "LpPool", "GlobalLpPool", "MeanVarianceNormalization"],
            "norms of windows, not of two operands",
        ),
        **dict.fromkeys(["Hardmax"], "compares the elements of a row"),
        **dict.fromkeys(["RotaryEmbedding"], "turns pairs of elements by given angles"),
    }
)
"""Ops without an exact count of their arithmetic, none of which is an inner product, each with the reason."""

POINTWISE = ("pointwise",)
"""The tag that frees an op where only MACs count."""


@lowerings.register(*_UNARY)
def unary(node: Node, writer: Writer) -> Lowered:
    """Returns the function of each element."""
    return writer.call(f"aten::{_UNARY[node.name]}", {"self": node.first}, node.outs)


@lowerings.register(*_BINARY)
def binary(node: Node, writer: Writer) -> Lowered:
    """Returns the function of two elements each, broadcast."""
    return writer.call(f"aten::{_BINARY[node.name]}", {"self": node.first, "other": node.input(1)}, node.outs)


@lowerings.register("Mod")
def modulo(node: Node, writer: Writer) -> Lowered:
    """Returns the remainder with the sign of the divisor, or of the dividend under `fmod`."""
    op = "aten::fmod" if node.attrs.get("fmod") else "aten::remainder"
    return writer.call(op, {"self": node.first, "other": node.input(1)}, node.outs)


@lowerings.register("BitShift")
def shift(node: Node, writer: Writer) -> Lowered:
    """Returns the elements shifted."""
    side = "left" if node.attrs.get("direction") == "LEFT" else "right"
    return writer.call(f"aten::bitwise_{side}_shift", {"self": node.first, "other": node.input(1)}, node.outs)


@lowerings.register(*_FOLDED)
def folded(node: Node, writer: Writer) -> Lowered:
    """Returns n−1 binary ops for n inputs."""
    return (_fold(node, writer, f"aten::{_FOLDED[node.name]}"),)


@lowerings.register("Mean")
def mean(node: Node, writer: Writer) -> Lowered:
    """Returns n−1 additions and a division."""
    return writer.call("aten::div", {"self": _fold(node, writer, "aten::add")}, node.outs)


def _fold(node: Node, writer: Writer, op: str) -> Tensor:
    result = node.first
    for other in node.present[1:]:
        (result,) = writer.call(op, {"self": result, "other": other}, node.outs)
    return result


@lowerings.register("Softsign")
def softsign(node: Node, writer: Writer) -> Lowered:
    """Returns x / (1 + |x|)."""
    (size,) = writer.call("aten::abs", {"self": node.first}, node.outs)
    (below,) = writer.call("aten::add", {"self": size}, node.outs)
    return writer.call("aten::div", {"self": node.first, "other": below}, node.outs)


@lowerings.register("Clip")
def clip(node: Node, writer: Writer) -> Lowered:
    """Returns the elements between bounds, which are attributes before opset 11 and inputs since."""
    bounds = {name: node.attrs.get(name) for name in ("min", "max") if name in node.attrs}
    return writer.call(
        "aten::clamp", {"self": node.first, "min": node.input(1), "max": node.input(2)}, node.outs, bounds
    )


@lowerings.register("Elu")
def elu(node: Node, writer: Writer) -> Lowered:
    """Returns x, or α·(exp(x) − 1) below 0."""
    return writer.call("aten::elu", {"self": node.first}, node.outs, {"alpha": node.attrs.get("alpha", 1.0)})


@lowerings.register("Gelu")
def gelu(node: Node, writer: Writer) -> Lowered:
    """Returns the GELU in its erf or tanh form."""
    return writer.call(
        "aten::gelu", {"self": node.first}, node.outs, {"approximate": node.attrs.get("approximate", "none")}
    )


@lowerings.register("Shrink")
def shrink(node: Node, writer: Writer) -> Lowered:
    """Returns the hard shrinkage, with a bias the soft one."""
    op = "aten::softshrink" if node.attrs.get("bias") else "aten::hardshrink"
    return writer.call(op, {"self": node.first}, node.outs)


@lowerings.register(*_MOVED)
def moved(node: Node, writer: Writer) -> Lowered:
    """Returns copied, made or selected elements."""
    return writer.call(f"aten::{_MOVED[node.name]}", {"inputs": node.present}, node.outs)


@lowerings.register(*_SCATTERS)
def scatter(node: Node, writer: Writer) -> Lowered:
    """Returns a copy with some elements replaced, or reduced into."""
    plain, reducing = _SCATTERS[node.name]
    if node.attrs.get("reduction", "none") == "none":
        return writer.call(f"aten::{plain}", {"inputs": node.present}, node.outs)
    return writer.call(f"aten::{reducing}", {"inputs": node.present}, node.outs) if reducing else None


@lowerings.register(*_VIEWED)
def viewed(node: Node, writer: Writer) -> Lowered:
    """Returns the same elements in another shape; as in torch they are taken to stay where they are."""
    assert node.out.shape is not None
    return (writer.view(_VIEWED[node.name], node.first, node.out.shape),)


@lowerings.register("Split")
def split(node: Node, writer: Writer) -> Lowered:
    """Returns the parts."""
    return [writer.view("aten::split", node.first, kind.shape) for kind in node.outs if kind.shape is not None]


@lowerings.register("Identity", "Dropout")
def identity(node: Node, writer: Writer) -> Lowered:
    """Returns the input itself; dropout acts in training only, which an inference graph asks for by an input."""
    training = node.input(2) is not None and not _is_false(node)
    if node.name == "Dropout" and (training or len(node.outs) > 1):
        return None
    return (node.first,)


def _is_false(node: Node) -> bool:
    flag = node.data[2]
    return flag is not None and not flag.any()


@lowerings.register(*NO_PRODUCTS)
def no_products(node: Node, writer: Writer) -> Lowered:
    """Returns the result of an op that is free where only MACs count, and unknown elsewhere."""
    return writer.call(f"onnx::{node.name}", {"inputs": node.present}, node.outs, tags=POINTWISE)


@lowerings.register("Softmax", "LogSoftmax")
def softmax(node: Node, writer: Writer) -> Lowered:
    """Returns the softmax along one axis; before opset 13 the axes from `axis` on are flattened into one row."""
    op = "aten::_softmax" if node.name == "Softmax" else "aten::_log_softmax"
    shape, rank = node.first.shape, len(node.first.shape)
    axis = int(node.attrs.get("axis", -1 if node.opset >= 13 else 1))
    if node.opset >= 13 or axis % max(rank, 1) == rank - 1:
        return writer.call(op, {"self": node.first}, node.outs, {"dim": axis})
    rows = _product(shape[: axis % rank])
    flat = writer.view("aten::view", node.first, (rows, _product(shape) // max(rows, 1)))
    (made,) = writer.call(op, {"self": flat}, (same_type(flat),), {"dim": 1})
    return (writer.view("aten::view", made, shape),)


def _product(sizes: tuple[int, ...]) -> int:
    product = 1
    for size in sizes:
        product *= size
    return product
