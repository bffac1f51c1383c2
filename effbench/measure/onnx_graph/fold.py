"""Arithmetic on small constants: what exporters compute shapes with, done while reading the graph."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from effbench.measure.onnx_graph.tensors import DTYPES, SMALL

if TYPE_CHECKING:
    from effbench.measure.onnx_graph.tensors import Array

Attrs = Mapping[str, Any]
Arrays = Sequence["Array | None"]
Fold = Callable[[Arrays, Attrs], Any]


def fold(op: str, arrays: Arrays, attrs: Attrs) -> Array | None:
    """Returns the result of an op on small constants; None where it is no shape arithmetic, or would be large.

    Source: the operators' definitions in the ONNX specification (Operators.md).
    """
    rule = _RULES.get(op)
    if rule is None or not arrays or arrays[0] is None:
        return None
    try:
        with np.errstate(all="ignore"):
            made = rule(arrays, attrs)
    except (ValueError, TypeError, IndexError, ZeroDivisionError, OverflowError, MemoryError):
        return None  # not a constant that the op takes: its shape inference says what is wrong with it
    return None if made is None or np.size(made) > SMALL else np.asarray(made)


def _binary(function: Callable[[Any, Any], Any]) -> Fold:
    def apply(arrays: Arrays, attrs: Attrs) -> Any:
        left, right = arrays
        if left is None or right is None or math.prod(np.broadcast_shapes(left.shape, right.shape)) > SMALL:
            return None
        return function(left, right)

    return apply


def _unary(function: Callable[[Any], Any]) -> Fold:
    return lambda arrays, attrs: function(arrays[0])


def _divide(left: Any, right: Any) -> Any:
    """Returns the quotient; integers are divided as C divides them, towards zero."""
    if left.dtype.kind != "i":
        return left / right
    return (np.sign(left) * np.sign(right) * (np.abs(left) // np.abs(right))).astype(left.dtype)


def _axes(arrays: Arrays, attrs: Attrs) -> tuple[int, ...] | None:
    given = attrs.get("axes")
    if given is None and len(arrays) > 1 and arrays[1] is not None:
        given = arrays[1].tolist()
    return None if given is None else tuple(int(axis) for axis in given)


def _reduction(function: Callable[..., Any]) -> Fold:
    def apply(arrays: Arrays, attrs: Attrs) -> Any:
        return function(arrays[0], axis=_axes(arrays, attrs), keepdims=bool(attrs.get("keepdims", 1)))

    return apply


def _concat(arrays: Arrays, attrs: Attrs) -> Any:
    known = [item for item in arrays if item is not None]
    if len(known) < len(arrays) or sum(item.size for item in known) > SMALL:
        return None
    return np.concatenate(known, axis=attrs["axis"])


def _cast(arrays: Arrays, attrs: Attrs) -> Any:
    from onnx import helper

    return np.asarray(arrays[0]).astype(helper.tensor_dtype_to_np_dtype(attrs["to"])) if attrs["to"] in DTYPES else None


def _gather(arrays: Arrays, attrs: Attrs) -> Any:
    data, indices = np.asarray(arrays[0]), arrays[1]
    return None if indices is None else np.take(data, indices.astype(np.int64), axis=attrs.get("axis", 0))


def _slice(arrays: Arrays, attrs: Attrs) -> Any:
    data = np.asarray(arrays[0])
    given = [item.tolist() if item is not None else None for item in arrays[1:]] if len(arrays) > 1 else []
    starts, ends, axes, steps = [*given, *[None] * 4][:4] if given else _slice_attrs(attrs)
    cuts = [slice(None)] * data.ndim
    if starts is None or ends is None:
        return None
    for place, (start, end) in enumerate(zip(starts, ends, strict=True)):
        step = steps[place] if steps else 1
        cuts[axes[place] if axes else place] = slice(start, None if step < 0 and end < -data.size else end, step)
    return data[tuple(cuts)]


def _slice_attrs(attrs: Attrs) -> tuple[Any, Any, Any, Any]:
    return attrs.get("starts"), attrs.get("ends"), attrs.get("axes"), None


def _squeeze(arrays: Arrays, attrs: Attrs) -> Any:
    return np.squeeze(np.asarray(arrays[0]), axis=_axes(arrays, attrs))


def _unsqueeze(arrays: Arrays, attrs: Attrs) -> Any:
    axes = _axes(arrays, attrs)
    return None if axes is None else np.expand_dims(np.asarray(arrays[0]), axes)


def _reshape(arrays: Arrays, attrs: Attrs) -> Any:
    data, wanted = np.asarray(arrays[0]), arrays[1]
    if wanted is None:
        return None
    sizes = [data.shape[i] if size == 0 and not attrs.get("allowzero") else int(size) for i, size in enumerate(wanted)]
    return data.reshape(sizes)


def _where(arrays: Arrays, attrs: Attrs) -> Any:
    condition, left, right = arrays
    if condition is None or left is None or right is None:
        return None
    big = math.prod(np.broadcast_shapes(condition.shape, left.shape, right.shape)) > SMALL
    return None if big else np.where(condition, left, right)


def _range(arrays: Arrays, attrs: Attrs) -> Any:
    if any(item is None for item in arrays):
        return None
    start, limit, delta = (np.asarray(item).item() for item in arrays)
    if not delta or abs((limit - start) / delta) > SMALL:
        return None
    return np.arange(start, limit, delta, dtype=np.asarray(arrays[0]).dtype)


def _full(arrays: Arrays, attrs: Attrs) -> Any:
    shape = [int(size) for size in np.asarray(arrays[0])]
    if math.prod(shape) > SMALL:
        return None
    value = attrs.get("value")
    filler = np.zeros(1, np.float32) if value is None else np.asarray(value)
    return np.full(shape, filler.reshape(-1)[0], filler.dtype)


def _expand(arrays: Arrays, attrs: Attrs) -> Any:
    data, wanted = np.asarray(arrays[0]), arrays[1]
    if wanted is None:
        return None
    shape = np.broadcast_shapes(data.shape, tuple(int(size) for size in wanted))
    return None if math.prod(shape) > SMALL else np.broadcast_to(data, shape).copy()


def _transpose(arrays: Arrays, attrs: Attrs) -> Any:
    return np.transpose(np.asarray(arrays[0]), attrs.get("perm"))


def _clip(arrays: Arrays, attrs: Attrs) -> Any:
    low, high = [*arrays[1:], None, None][:2]
    return None if low is None and high is None else np.clip(np.asarray(arrays[0]), low, high)


_RULES: Mapping[str, Fold] = {
    "Abs": _unary(np.abs),
    "Add": _binary(np.add),
    "And": _binary(np.logical_and),
    "Cast": _cast,
    "Ceil": _unary(np.ceil),
    "Clip": _clip,
    "Concat": _concat,
    "ConstantOfShape": _full,
    "Div": _binary(_divide),
    "Equal": _binary(np.equal),
    "Expand": _expand,
    "Floor": _unary(np.floor),
    "Gather": _gather,
    "Greater": _binary(np.greater),
    "GreaterOrEqual": _binary(np.greater_equal),
    "Identity": _unary(np.asarray),
    "Less": _binary(np.less),
    "LessOrEqual": _binary(np.less_equal),
    "Max": _binary(np.maximum),
    "Min": _binary(np.minimum),
    "Mod": _binary(np.mod),
    "Mul": _binary(np.multiply),
    "Neg": _unary(np.negative),
    "Not": _unary(np.logical_not),
    "Or": _binary(np.logical_or),
    "Range": _range,
    "ReduceMax": _reduction(np.max),
    "ReduceMin": _reduction(np.min),
    "ReduceProd": _reduction(np.prod),
    "ReduceSum": _reduction(np.sum),
    "Reshape": _reshape,
    "Round": _unary(np.round),
    "Slice": _slice,
    "Sqrt": _unary(np.sqrt),
    "Squeeze": _squeeze,
    "Sub": _binary(np.subtract),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Where": _where,
}
