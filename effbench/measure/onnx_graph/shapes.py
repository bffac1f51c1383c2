"""The types of a node's outputs, from those of its inputs: ONNX's own shape inference, one node at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from effbench.errors import InputError, one_line
from effbench.measure.onnx_graph.tensors import DTYPES, NOTHING_KNOWN, Type, proto_of, type_of

if TYPE_CHECKING:
    import onnx

    from effbench.measure.onnx_graph.tensors import Array

# Ops that the specification defines by a function body, for which onnx infers no shape: the output's is the input's.
_LIKE_INPUT = frozenset({"GroupNormalization", "MeanVarianceNormalization", "Swish", "LpNormalization"})


def infer(
    node: onnx.NodeProto, types: Mapping[str, Type], data: Mapping[str, Array], opsets: Mapping[str, int]
) -> Mapping[str, Type]:
    """Returns the types of a node's outputs by name, as far as they follow from its inputs' types and constants.

    Raises:
        InputError: the node's inputs do not fit together.
    """
    if any(name and name not in types for name in node.input):
        return {}
    if node.op_type in _LIKE_INPUT and node.input:
        return {node.output[0]: types[node.input[0]]}
    return _asked(node, types, data, opsets)


def _asked(
    node: onnx.NodeProto, types: Mapping[str, Type], data: Mapping[str, Array], opsets: Mapping[str, int]
) -> Mapping[str, Type]:
    from onnx import checker, defs, helper, numpy_helper, shape_inference

    domain = "" if node.domain == "ai.onnx" else node.domain
    try:
        schema = defs.get_schema(node.op_type, opsets.get(domain, 1), domain)
    except defs.SchemaError:
        return {}
    given = {name: proto_of(types[name]) for name in node.input if name}
    constants = {name: numpy_helper.from_array(data[name], name) for name in node.input if name in data}
    imports = [helper.make_opsetid(name, version) for name, version in opsets.items()]
    try:
        found = shape_inference.infer_node_outputs(schema, node, given, constants, opset_imports=imports)
    except shape_inference.InferenceError as error:
        raise InputError(f"{label(node)}: its inputs do not fit together: {one_line(error)}") from None
    except (checker.ValidationError, RuntimeError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{label(node)}: onnx cannot read this node: {one_line(error)}") from None
    return {name: type_of(proto) for name, proto in found.items() if name}


def stated(values: Sequence[onnx.ValueInfoProto]) -> Mapping[str, Type]:
    """Returns the types that a graph states of its inner values; those of unknown sizes are left out."""
    types = {value.name: type_of(value.type) for value in values}
    return {name: kind for name, kind in types.items() if kind.shape is not None}


def label(node: onnx.NodeProto) -> str:
    """Returns a node's name and op for a message, its name cut where it is long."""
    name = (node.name or (node.output[0] if node.output else ""))[:80]
    return f"node {name!r} ({node.op_type})"


def type_of_array(array: Array) -> Type:
    """Returns the type of a constant."""
    from onnx import helper

    return Type(DTYPES.get(helper.np_dtype_to_tensor_dtype(array.dtype), NOTHING_KNOWN.dtype), tuple(array.shape))
