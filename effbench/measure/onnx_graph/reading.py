"""An ONNX file as a graph that can be walked: parsed, without functions, its inputs of known sizes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from effbench.errors import InputError, one_line
from effbench.measure.asked import Asked, by_name
from effbench.measure.onnx_graph.tensors import Type, small_array, type_of
from effbench.records import Shape

if TYPE_CHECKING:
    import onnx

_MOST_NODES = 1_000_000
"""Functions may call functions, each level doubling the graph; no model that anyone runs is as large as this."""
_DEEPEST_CALLS = 100


def read_model(path: Path) -> onnx.ModelProto:
    """Returns the model in a file, its functions put in where they are called; weights in other files stay there.

    Raises:
        InputError: onnx is not installed, or the file is missing, truncated or no ONNX model.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    except ImportError:
        raise InputError("onnx is not installed: pip install 'effbench[onnx]'") from None
    try:
        model = onnx.load_model(path, format="protobuf", load_external_data=False)
    except (DecodeError, OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as ONNX, is it truncated? {one_line(error)}") from None
    if not model.graph.node or not model.opset_import:
        raise InputError(f"{path}: no ONNX model: it has no nodes or names no set of operators")
    if not all(isinstance(text, str) for text in _texts(model)):
        raise InputError(f"{path}: no ONNX model: its names are no UTF-8")
    return _without_functions(model, path) if model.functions else model


def _texts(model: onnx.ModelProto) -> Iterator[object]:
    """Gives the names in a model, which protobuf hands out as bytes where they are malformed."""
    yield from (item.domain for item in model.opset_import)
    yield from (item.domain for item in model.functions)
    yield from (item.name for item in (*model.graph.input, *model.graph.output, *model.graph.value_info))
    yield from (item.name for item in model.graph.initializer)
    for node in _all_nodes([*model.graph.node, *(node for item in model.functions for node in item.node)]):
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (text for item in node.metadata_props for text in (item.key, item.value))
        yield from (item.name for item in node.attribute)


def _without_functions(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    from onnx import inliner

    _check_functions(model, path)
    try:
        return inliner.inline_local_functions(model)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{path}: its functions cannot be put in: {one_line(error)}") from None


def _check_functions(model: onnx.ModelProto, path: Path) -> None:
    """Refuses functions that call themselves, or that grow beyond measure when they are put in."""
    bodies = {(item.domain, item.name, item.overload): item.node for item in model.functions}
    calls = {key: [_callee(node) for node in _all_nodes(nodes)] for key, nodes in bodies.items()}
    sizes: dict[tuple[str, str, str], tuple[int, int]] = {}
    try:
        for key in TopologicalSorter(calls).static_order():
            below = [sizes.get(callee, (1, 0)) for callee in calls.get(key, ())]
            nodes, depth = sum(size for size, _ in below), max((depth for _, depth in below), default=0)
            sizes[key] = (nodes, depth + 1) if key in calls else (1, 0)
    except CycleError:
        raise InputError(f"{path}: its functions call each other in a circle") from None
    total = sum(sizes.get(_callee(node), (1, 0))[0] for node in _all_nodes(model.graph.node))
    if max(total, *(size for size, _ in sizes.values())) > _MOST_NODES:
        raise InputError(f"{path}: its functions grow to more than {_MOST_NODES:,} nodes")
    if max(depth for _, depth in sizes.values()) > _DEEPEST_CALLS:
        raise InputError(f"{path}: its functions call each other more than {_DEEPEST_CALLS} deep")


def _callee(node: onnx.NodeProto) -> tuple[str, str, str]:
    return (node.domain, node.op_type, node.overload)


def _all_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """Gives the nodes and those of the graphs inside them, which protobuf lets nest 100 deep at most."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from _all_nodes(graph.node)


def attributes(node: onnx.NodeProto) -> Mapping[str, Any]:
    """Returns a node's attributes as plain values: texts decoded, small tensors as arrays, graphs left out.

    Raises:
        InputError: an attribute is of no kind that ONNX has.
    """
    from onnx import AttributeProto, helper

    found: dict[str, Any] = {}
    for item in node.attribute:
        if item.type == AttributeProto.TENSOR:
            found[item.name] = small_array(item.t)
        elif item.type in (AttributeProto.INT, AttributeProto.FLOAT, AttributeProto.INTS, AttributeProto.FLOATS):
            found[item.name] = helper.get_attribute_value(item)
        elif item.type == AttributeProto.STRING:
            found[item.name] = item.s.decode(errors="replace")
        elif item.type == AttributeProto.STRINGS:
            found[item.name] = tuple(text.decode(errors="replace") for text in item.strings)
    return found


def bound_inputs(graph: onnx.GraphProto, asked: Sequence[Asked], spec: str) -> Mapping[str, Type]:
    """Returns the types of a graph's inputs, their open sizes taken from what was asked for.

    Raises:
        InputError: a size stays open, or what was asked for does not fit the graph.
    """
    constants = {item.name for item in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    shapes = by_name(asked, [value.name for value in inputs], spec, "graph")
    return {value.name: _bound(value, shapes.get(value.name), spec) for value in inputs}


def _bound(value: onnx.ValueInfoProto, asked: Asked | None, spec: str) -> Type:
    if value.type.WhichOneof("value") != "tensor_type":
        raise InputError(f"{spec}: its input {value.name!r} is no tensor: such graphs are not covered")
    dtype = type_of(value.type).dtype
    dims = [
        dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?" for dim in value.type.tensor_type.shape.dim
    ]
    if asked is None:
        fixed = tuple(size for size in dims if isinstance(size, int))
        if len(fixed) != len(dims) or min(fixed, default=0) < 0 or not value.type.tensor_type.HasField("shape"):
            raise InputError(f"{spec}: the input {_shown(value.name, dims)} has open sizes: {_hint(value.name, dims)}")
        return Type(dtype, fixed)
    if asked.dtype not in (None, dtype.name):
        raise InputError(f"{spec}: the input {value.name!r} is {dtype.name} in this graph, not {asked.dtype}")
    if value.type.tensor_type.HasField("shape") and not _fits(asked.shape, dims):
        raise InputError(f"{spec}: the input {_shown(value.name, dims)} cannot be {'×'.join(map(str, asked.shape))}")
    return Type(dtype, asked.shape)


def _fits(shape: Shape, dims: Sequence[int | str]) -> bool:
    """Returns whether a shape has the sizes that a graph fixes; a name that stands twice is one size."""
    named: dict[str, int] = {}
    return len(shape) == len(dims) and all(
        size == dim if isinstance(dim, int) else dim == "?" or named.setdefault(dim, size) == size
        for size, dim in zip(shape, dims, strict=True)
    )


def _shown(name: str, dims: Sequence[int | str]) -> str:
    return f"{name!r} of {'×'.join(map(str, dims)) or 'unknown shape'}"


def _hint(name: str, dims: Sequence[int | str]) -> str:
    sizes = "x".join(str(size) if isinstance(size, int) else "1" for size in dims) or "1x3x224x224"
    return f"pass them, for example --input {name}:{sizes}"
