"""ONNX ops over windows and rows: pooling, normalisation, reductions, resizing.

Sources: the operators' definitions in the ONNX specification (Operators.md) beside those of torch's functions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

from effbench.measure.onnx_graph.lowering import Lowered, Node, lowerings, same_type
from effbench.measure.onnx_graph.tensors import Type
from effbench.measure.onnx_graph.writer import Tensor, Writer


@lowerings.register("MaxPool", "AveragePool")
def pool(node: Node, writer: Writer) -> Lowered:
    """Returns the maximum or mean of each window."""
    kernel = tuple(node.attrs.get("kernel_shape", ()))
    if len(kernel) not in (1, 2, 3):
        return None
    op = f"aten::{'max' if node.name == 'MaxPool' else 'avg'}_pool{len(kernel)}d"
    indices = "_with_indices" if node.name == "MaxPool" and len(kernel) > 1 else ""
    return writer.call(op + indices, {"self": node.first}, node.outs, {"kernel_size": kernel})


@lowerings.register("GlobalAveragePool", "GlobalMaxPool")
def global_pool(node: Node, writer: Writer) -> Lowered:
    """Returns the mean or maximum over all positions."""
    op = "aten::mean" if node.name == "GlobalAveragePool" else "aten::amax"
    return writer.call(op, {"self": node.first}, node.outs)


_REDUCTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "ArgMax": ("argmax",),
        "ArgMin": ("argmin",),
        "ReduceL1": ("abs", "sum"),
        "ReduceL2": ("linalg_vector_norm",),
        "ReduceLogSum": ("sum", "log"),
        "ReduceLogSumExp": ("logsumexp",),
        "ReduceMax": ("amax",),
        "ReduceMean": ("mean",),
        "ReduceMin": ("amin",),
        "ReduceProd": ("prod",),
        "ReduceSum": ("sum",),
        "ReduceSumSquare": ("square", "sum"),
    }
)
_BEFORE = frozenset({"abs", "square"})
"""Steps of a reduction that act on every element, before the sum."""


@lowerings.register(*_REDUCTIONS)
def reduction(node: Node, writer: Writer) -> Lowered:
    """Returns the reduction over some axes, with what is done before and after it."""
    result = node.first
    for op in _REDUCTIONS[node.name]:
        (result,) = writer.call(f"aten::{op}", {"self": result}, (same_type(result) if op in _BEFORE else node.out,))
    return (result,)


@lowerings.register("CumSum")
def cumsum(node: Node, writer: Writer) -> Lowered:
    """Returns the running sums along an axis, which must be a constant."""
    axis = node.numbers(1, "axis")
    if axis is None:
        return None
    return writer.call("aten::cumsum", {"self": node.first}, node.outs, {"dim": axis[0]})


@lowerings.register("BatchNormalization")
def batch_norm(node: Node, writer: Writer) -> Lowered:
    """Returns x·a + b with fixed statistics; in training mode the statistics are computed too."""
    given = {"input": node.first, "weight": node.input(1), "bias": node.input(2)}
    if node.attrs.get("training_mode"):
        return writer.call("aten::native_batch_norm", given, node.outs, {"training": True})
    return writer.call("aten::_native_batch_norm_legit_no_training", given, node.outs[:1])


@lowerings.register("InstanceNormalization")
def instance_norm(node: Node, writer: Writer) -> Lowered:
    """Returns each channel of each sample normalised: a batch norm in training over N·C channels, as in torch."""
    shape = node.first.shape
    flat = writer.view("aten::view", node.first, (1, math.prod(shape[:2]), *shape[2:]))
    given = {"input": flat, "weight": node.input(1), "bias": node.input(2)}
    (made,) = writer.call("aten::native_batch_norm", given, (same_type(flat),), {"training": True})
    return (writer.view("aten::view", made, shape),)


@lowerings.register("LayerNormalization", "RMSNormalization")
def layer_norm(node: Node, writer: Writer) -> Lowered:
    """Returns the dimensions from `axis` on normalised."""
    shape = node.first.shape
    rows = shape[int(node.attrs.get("axis", -1)) % max(len(shape), 1) :]
    op = "aten::native_layer_norm" if node.name == "LayerNormalization" else "aten::_fused_rms_norm"
    given: dict[str, Tensor | None] = {"input": node.first, "weight": node.input(1), "bias": node.input(2)}
    return writer.call(op, given, node.outs, {"normalized_shape": rows})


@lowerings.register("GroupNormalization")
def group_norm(node: Node, writer: Writer) -> Lowered:
    """Returns each sample's groups of channels normalised."""
    given = {"input": node.first, "weight": node.input(1), "bias": node.input(2)}
    return writer.call("aten::native_group_norm", given, node.outs, {"group": int(node.attrs["num_groups"])})


_RESIZED: Mapping[tuple[str, int], str] = MappingProxyType(
    {
        ("nearest", 1): "upsample_nearest1d",
        ("nearest", 2): "upsample_nearest2d",
        ("nearest", 3): "upsample_nearest3d",
        ("linear", 1): "upsample_linear1d",
        ("linear", 2): "upsample_bilinear2d",
        ("linear", 3): "upsample_trilinear3d",
        ("cubic", 2): "upsample_bicubic2d",
    }
)


@lowerings.register("Resize", "Upsample")
def resize(node: Node, writer: Writer) -> Lowered:
    """Returns an image of another size; of the axes, the first two are samples and channels."""
    mode, rank = str(node.attrs.get("mode", "nearest")), len(node.first.shape)
    op = _RESIZED.get((mode, rank - 2))
    assert node.out.shape is not None
    odd = node.attrs.get("coordinate_transformation_mode") == "tf_crop_and_resize" or node.attrs.get("antialias")
    if op is None or odd or node.out.shape[:2] != node.first.shape[:2]:
        return None
    return writer.call(f"aten::{op}", {"self": node.first}, node.outs)


@lowerings.register("GridSample")
def grid_sample(node: Node, writer: Writer) -> Lowered:
    """Returns the input read at given positions."""
    dimensions = len(node.first.shape) - 2
    if dimensions not in (2, 3):
        return None
    kind = Type(node.out.dtype, node.out.shape)
    return writer.call(f"aten::grid_sampler_{dimensions}d", {"input": node.first, "grid": node.input(1)}, (kind,))
