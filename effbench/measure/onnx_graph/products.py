"""ONNX ops whose work is inner products: convolutions, matrix products, attention, recurrent layers.

Sources: the operators' definitions in the ONNX specification (Operators.md) beside those of torch's functions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from effbench.errors import InputError
from effbench.measure.onnx_graph.lowering import Lowered, Node, lowerings
from effbench.measure.onnx_graph.tensors import Type
from effbench.measure.onnx_graph.writer import Tensor, Writer
from effbench.records import Shape

_CONV_INPUTS = {"Conv": (0, 1, 2), "ConvTranspose": (0, 1, 2), "ConvInteger": (0, 1, 99), "QLinearConv": (0, 3, 8)}
"""Where the data, the weight and the bias stand."""


@lowerings.register(*_CONV_INPUTS)
def convolution(node: Node, writer: Writer) -> Lowered:
    """Returns the convolution; ONNX lays weights out as torch does, transposed ones too.

    Raises:
        InputError: the weight does not fit the input's channels, which onnx's shape inference lets pass.
    """
    data, weight, bias = (node.input(index) for index in _CONV_INPUTS[node.name])
    groups = int(node.attrs.get("group", 1))
    transposed = node.name == "ConvTranspose"
    if data is None or weight is None or len(data.shape) < 3 or len(weight.shape) != len(data.shape):
        return None
    taken = weight.shape[0] if transposed else weight.shape[1] * groups
    if taken != data.shape[1]:
        raise InputError(f"{node.name}: a weight for {taken} channels is given an input of {data.shape[1]}")
    attrs = {"transposed": transposed, "groups": groups}
    return writer.call("aten::convolution", {"input": data, "weight": weight, "bias": bias}, node.outs, attrs)


@lowerings.register("Gemm")
def gemm(node: Node, writer: Writer) -> Lowered:
    """Returns α·A·B + β·C."""
    left, right = _turned(node, writer, 0, "transA"), _turned(node, writer, 1, "transB")
    alpha, added = node.attrs.get("alpha", 1.0), node.input(2)
    if added is not None:
        factors = {"alpha": alpha, "beta": node.attrs.get("beta", 1.0)}
        return writer.call("aten::addmm", {"self": added, "mat1": left, "mat2": right}, node.outs, factors)
    made = writer.call("aten::mm", {"self": left, "mat2": right}, node.outs)
    return made if alpha == 1.0 else writer.call("aten::mul", {"self": made[0]}, node.outs)


def _turned(node: Node, writer: Writer, index: int, flag: str) -> Tensor:
    given = node.inputs[index]
    assert given is not None
    return writer.view("aten::t", given, given.shape[::-1]) if node.attrs.get(flag) else given


_MATMUL_INPUTS = {"MatMul": (0, 1), "MatMulInteger": (0, 1), "QLinearMatMul": (0, 3)}


@lowerings.register(*_MATMUL_INPUTS)
def matmul(node: Node, writer: Writer) -> Lowered:
    """Returns the product as numpy.matmul defines it: vectors, matrices, batches that broadcast."""
    left, right = (node.input(index) for index in _MATMUL_INPUTS[node.name])
    if left is None or right is None:
        return None
    return (product(writer, left, right, node.out),)


def product(writer: Writer, left: Tensor, right: Tensor, out: Type) -> Tensor:
    """Returns left @ right, written as the op that torch.matmul takes for these ranks."""
    assert out.shape is not None
    if not left.shape or not right.shape or left.shape[-1] != right.shape[max(len(right.shape) - 2, 0)]:
        raise InputError(f"a matrix product of shapes {left.shape} and {right.shape} is not possible")
    if len(right.shape) <= 2:
        flat = writer.view("aten::view", left, (math.prod(left.shape[:-1]), left.shape[-1]))
        op, name = ("aten::mm", "mat2") if len(right.shape) == 2 else ("aten::mv", "vec")
        wide = (flat.shape[0], *right.shape[1:])
        (made,) = writer.call(op, {"self": flat, name: right}, (Type(out.dtype, wide),))
        return writer.view("aten::view", made, out.shape)
    rows = left.shape[-2] if len(left.shape) > 1 else 1
    batch = _broadcast(left.shape[:-2], right.shape[:-2])
    count = math.prod(batch)
    first = writer.view("aten::expand", left, (count, rows, left.shape[-1]))
    second = writer.view("aten::expand", right, (count, *right.shape[-2:]))
    kind = Type(out.dtype, (count, rows, right.shape[-1]))
    (made,) = writer.call("aten::bmm", {"self": first, "mat2": second}, (kind,))
    return writer.view("aten::view", made, out.shape)


def _broadcast(left: Shape, right: Shape) -> Shape:
    longest = max(len(left), len(right))
    padded = [(1,) * (longest - len(shape)) + shape for shape in (left, right)]
    pairs = list(zip(*padded, strict=True))
    if any(a != b and 1 not in (a, b) for a, b in pairs):
        raise InputError(f"batches of shapes {left} and {right} do not broadcast")
    return tuple(b if a == 1 else a for a, b in pairs)


@lowerings.register("Einsum")
def einsum(node: Node, writer: Writer) -> Lowered:
    """Returns the batched product of two operands.

    Three or more have no one order of contraction; ellipses, diagonals, broadcast indices and sums over an index of
    one operand alone are not covered either.
    """
    terms, arrow, result = str(node.attrs.get("equation", "")).replace(" ", "").partition("->")
    sizes = _labelled(terms.split(","), node.present)
    if sizes is None or not arrow or "." in result:
        return None
    left, right = sizes
    shared = left.keys() & right.keys()
    lonely = [name for name in left.keys() ^ right.keys() if name not in result]
    if lonely or any(left[name] != right[name] for name in shared):
        return None
    batch = math.prod(left[name] for name in shared if name in result)
    inner = math.prod(left[name] for name in shared if name not in result)
    rows = math.prod(size for name, size in left.items() if name not in shared)
    columns = math.prod(size for name, size in right.items() if name not in shared)
    first = writer.view("aten::view", node.present[0], (batch, rows, inner))
    second = writer.view("aten::view", node.present[1], (batch, inner, columns))
    kind = Type(node.out.dtype, (batch, rows, columns))
    (made,) = writer.call("aten::bmm", {"self": first, "mat2": second}, (kind,))
    assert node.out.shape is not None
    return (writer.view("aten::view", made, node.out.shape),)


def _labelled(terms: Sequence[str], given: Sequence[Tensor]) -> tuple[dict[str, int], dict[str, int]] | None:
    """Returns the size of each index of two operands; None where the terms are not as plain as that."""
    if len(terms) != 2 or len(given) != 2:
        return None
    pairs = list(zip(terms, (item.shape for item in given), strict=True))
    if any("." in term or len(set(term)) != len(term) or len(term) != len(shape) for term, shape in pairs):
        return None
    left, right = (dict(zip(term, shape, strict=True)) for term, shape in pairs)
    return left, right


@lowerings.register("Attention")
def attention(node: Node, writer: Writer) -> Lowered:
    """Returns scaled dot-product attention; 3-D inputs are (batch, length, heads × width)."""
    query, key, value, mask = (node.input(index) for index in range(4))
    if query is None or key is None or value is None or len(node.present) > 4 or len(node.outs) > 1:
        return None
    heads = (node.attrs.get("q_num_heads", 0), *(node.attrs.get("kv_num_heads", 0),) * 2)
    if len(query.shape) == 3 and 0 in heads:
        return None
    parts = [_by_head(writer, item, count) for item, count in zip((query, key, value), heads, strict=True)]
    out = (*parts[0].shape[:-1], parts[2].shape[-1])
    given = dict(zip(("query", "key", "value", "attn_mask"), (*parts, mask), strict=True))
    (made,) = writer.call("aten::scaled_dot_product_attention", given, (Type(node.out.dtype, out),))
    assert node.out.shape is not None
    return (writer.view("aten::view", made, node.out.shape),)


def _by_head(writer: Writer, given: Tensor, heads: int) -> Tensor:
    if len(given.shape) == 4:
        return given
    batch, length, width = given.shape
    return writer.view("aten::view", given, (batch, heads, length, width // heads))
