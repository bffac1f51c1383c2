"""Tensor types and small constants of ONNX files, as numpy arrays and torch's names of dtypes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from effbench.records import Shape

if TYPE_CHECKING:
    import onnx

    Array = np.ndarray[Any, Any]


class Dtype(NamedTuple):
    """torch's name of an element type and its size in bits."""

    name: str
    bits: int

    @property
    def is_floating(self) -> bool:
        """Returns whether it holds real or complex numbers: what gradients, and so trained weights, are made of."""
        return self.name.startswith(("float", "bfloat", "complex"))


# The numbers are those of onnx.TensorProto.DataType (onnx.proto, "DataType").
DTYPES: Mapping[int, Dtype] = MappingProxyType(
    {
        1: Dtype("float32", 32),
        2: Dtype("uint8", 8),
        3: Dtype("int8", 8),
        4: Dtype("uint16", 16),
        5: Dtype("int16", 16),
        6: Dtype("int32", 32),
        7: Dtype("int64", 64),
        9: Dtype("bool", 8),
        10: Dtype("float16", 16),
        11: Dtype("float64", 64),
        12: Dtype("uint32", 32),
        13: Dtype("uint64", 64),
        14: Dtype("complex64", 64),
        15: Dtype("complex128", 128),
        16: Dtype("bfloat16", 16),
        17: Dtype("float8_e4m3fn", 8),
        18: Dtype("float8_e4m3fnuz", 8),
        19: Dtype("float8_e5m2", 8),
        20: Dtype("float8_e5m2fnuz", 8),
        21: Dtype("uint4", 4),
        22: Dtype("int4", 4),
        23: Dtype("float4_e2m1fn_x2", 4),
        24: Dtype("float8_e8m0fnu", 8),
        25: Dtype("uint2", 2),
        26: Dtype("int2", 2),
    }
)
UNKNOWN = Dtype("unknown", 0)
CODES: Mapping[str, int] = MappingProxyType({dtype.name: code for code, dtype in DTYPES.items()})

SMALL = 4096
"""A constant of at most so many elements is kept: shapes, axes and paddings are far smaller, weights far larger."""


class Type(NamedTuple):
    """Element type and shape of a value; a shape that is not known is None."""

    dtype: Dtype
    shape: Shape | None


NOTHING_KNOWN = Type(UNKNOWN, None)


def nbytes(shape: Shape, dtype: Dtype) -> int:
    """Returns the bytes of a dense tensor; elements smaller than a byte are packed."""
    return -(-math.prod(shape) * dtype.bits // 8)


def type_of(proto: onnx.TypeProto) -> Type:
    """Returns the type that a TypeProto states; anything but a tensor of known sizes has no shape."""
    if proto.WhichOneof("value") != "tensor_type":
        return NOTHING_KNOWN
    tensor = proto.tensor_type
    dtype = DTYPES.get(tensor.elem_type, UNKNOWN)
    sizes = [dim.dim_value if dim.HasField("dim_value") else -1 for dim in tensor.shape.dim]
    known = tensor.HasField("shape") and all(size >= 0 for size in sizes)
    return Type(dtype, tuple(sizes) if known else None)


def proto_of(kind: Type) -> onnx.TypeProto:
    """Returns the TypeProto of a type; an unknown shape is left out."""
    from onnx import helper

    return helper.make_tensor_type_proto(CODES.get(kind.dtype.name, 0), kind.shape)


def small_array(tensor: onnx.TensorProto) -> Array | None:
    """Returns the elements of a small constant; None where it is large, lies in another file or is malformed."""
    from onnx import TensorProto, numpy_helper

    small = math.prod(tensor.dims) <= SMALL and all(size >= 0 for size in tensor.dims)
    if not small or tensor.data_location == TensorProto.EXTERNAL or tensor.data_type not in DTYPES:
        return None
    try:
        return np.asarray(numpy_helper.to_array(tensor))
    except (ValueError, TypeError, KeyError):
        return None
