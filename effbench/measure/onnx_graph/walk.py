"""Walking an ONNX graph: every node in turn, its shapes inferred, its ops written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from effbench.errors import InputError
from effbench.measure.onnx_graph import products, recurrent, simple, windows
from effbench.measure.onnx_graph.fold import fold
from effbench.measure.onnx_graph.lowering import Node, lower, lowerings, own_name
from effbench.measure.onnx_graph.reading import attributes
from effbench.measure.onnx_graph.scopes import scope_of
from effbench.measure.onnx_graph.shapes import infer, label, stated, type_of_array
from effbench.measure.onnx_graph.tensors import DTYPES, NOTHING_KNOWN, UNKNOWN, Type, small_array
from effbench.measure.onnx_graph.writer import Tensor, Writer
from effbench.measure.paths import owner

if TYPE_CHECKING:
    import onnx

    from effbench.measure.onnx_graph.tensors import Array

_FEW = 16
"""Floating constants of at most so many elements are computed with: scales and sizes, not weights."""
_WITHOUT_PRODUCTS = (simple.__name__, windows.__name__)
_WITH_PRODUCTS = (products.__name__, recurrent.__name__)


@dataclass(frozen=True, slots=True)
class Use:
    """The first node that reads a constant: its module, its op and the place among its inputs."""

    path: str
    op: str
    place: int


@dataclass
class Walk:
    """What is known of a graph while it is walked.

    Attributes:
        types: of every value met, by name; a type without a shape where it could not be inferred.
        said: types that the file states. data: small constants. tensors: values that ops were written for.
        constants: types of initializers and constant nodes. uses: the first reader of each.
        scoped: paths that nodes name as theirs. classes: classes of modules by path, as far as the file tells.
        calls: first inputs and last outputs by module path. ops: the ops of its nodes.
        unshaped: nodes whose shapes stay unknown. decided: nodes whose branch was known beforehand.
    """

    opsets: Mapping[str, int]
    types: dict[str, Type]
    said: dict[str, Type] = field(default_factory=dict)
    data: dict[str, Array] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    constants: dict[str, Type] = field(default_factory=dict)
    uses: dict[str, Use] = field(default_factory=dict)
    scoped: set[str] = field(default_factory=set)
    classes: dict[str, str] = field(default_factory=dict)
    calls: dict[str, tuple[Sequence[Tensor], Sequence[Tensor]]] = field(default_factory=dict)
    ops: dict[str, list[str]] = field(default_factory=dict)
    unshaped: list[str] = field(default_factory=list)
    decided: list[str] = field(default_factory=list)
    writer: Writer = field(default_factory=Writer)

    def graph(self, graph: onnx.GraphProto) -> None:
        """Walks the nodes of a graph or of a branch in order.

        Raises:
            InputError: a node reads what no node before it made, or its inputs do not fit together.
        """
        for tensor in graph.initializer:
            if tensor.name in self.types:
                raise InputError(f"the constant {tensor.name[:80]!r} is there twice")
            self._constant(tensor.name, tensor)
        self.said.update(stated(graph.value_info))
        scopes = [scope_of(node, index) for index, node in enumerate(graph.node)]
        self.scoped.update(scope.path for scope in scopes)
        for node, scope in zip(graph.node, scopes, strict=True):
            self.classes.update({path: kind for path, kind in scope.types.items() if path not in self.classes})
            self._visit(node, scope.path)

    def _visit(self, node: onnx.NodeProto, path: str) -> None:
        for name in node.input:
            if name and name not in self.types:
                raise InputError(
                    f"{label(node)} reads {name[:80]!r}, which nothing before it makes: "
                    "the graph has a cycle or its nodes are out of order"
                )
        if node.op_type == "Constant":
            self._constant_node(node)
        elif node.op_type == "If" and node.input[0] in self.data:
            self._branch(node)
        else:
            self._op(node, path)

    def _constant(self, name: str, tensor: onnx.TensorProto) -> None:
        if min(tensor.dims, default=0) < 0:
            raise InputError(f"the constant {name[:80]!r} has a negative size")
        self.types[name] = self.constants[name] = Type(DTYPES.get(tensor.data_type, UNKNOWN), tuple(tensor.dims))
        array = small_array(tensor)
        if array is not None:
            self.data[name] = array

    def _constant_node(self, node: onnx.NodeProto) -> None:
        name = self._declared(node, {})[0]
        for item in node.attribute:
            if item.name == "value":
                del self.types[name]
                self._constant(name, item.t)
                if self.constants[name].shape and name in self.data and self.data[name].size <= _FEW:
                    del self.constants[name]  # a factor or a size that the exporter wrote out, not a weight
            elif item.name in ("value_int", "value_ints"):
                self.data[name] = np.asarray(item.i if item.name == "value_int" else list(item.ints), np.int64)
            elif item.name in ("value_float", "value_floats"):
                self.data[name] = np.asarray(item.f if item.name == "value_float" else list(item.floats), np.float32)
        if name in self.data:
            self.types[name] = type_of_array(self.data[name])

    def _branch(self, node: onnx.NodeProto) -> None:
        """Walks the branch that a constant condition takes, in place of the node."""
        wanted = "then_branch" if self.data[node.input[0]].any() else "else_branch"
        branch = next((item.g for item in node.attribute if item.name == wanted), None)
        if branch is None or len(branch.output) != len(node.output):
            raise InputError(f"{label(node)}: its {wanted} is missing or gives other outputs")
        self.decided.append(label(node))
        self.graph(branch)
        self._declared(node, {})
        for inner, outer in zip((value.name for value in branch.output), node.output, strict=True):
            if inner not in self.types:
                raise InputError(f"{label(node)}: its {wanted} does not make {inner[:80]!r}")
            for table in (self.types, self.data, self.tensors, self.constants):
                _copy(table, inner, outer)

    def _declared(self, node: onnx.NodeProto, types: Mapping[str, Type]) -> list[str]:
        """Returns the names of a node's outputs after entering what is known of each."""
        names = [name for name in node.output if name]
        for name in names:
            if name in self.types:
                raise InputError(f"{label(node)} makes {name[:80]!r}, which is there already")
            kind = types.get(name, NOTHING_KNOWN)
            self.types[name] = kind if kind.shape is not None else self.said.get(name, kind)
        if not names:
            raise InputError(f"{label(node)} has no output")
        return names

    def _op(self, node: onnx.NodeProto, path: str) -> None:
        names = self._declared(node, infer(node, self.types, self.data, self.opsets))
        if node.op_type == "Identity" and node.input[0] in self.constants:
            self._alias(node.input[0], names[0])
            return
        folded = self._folded(node)
        if folded is not None:
            self.data[names[0]], self.types[names[0]] = folded, type_of_array(folded)
            return
        self.writer.module = path = self._home(node, path)
        for place, name in enumerate(node.input):
            if name in self.constants:
                self.uses.setdefault(name, Use(path, node.op_type, place))
        given = [self._tensor(name) for name in node.input]
        made = self._written(node, names, given)
        self.tensors.update(zip(names, made, strict=False))
        present = [tensor for tensor in given if tensor is not None]
        self.ops.setdefault(path, []).append(node.op_type)
        self.calls[path] = (self.calls[path][0] if path in self.calls else present, made)

    def _alias(self, name: str, alias: str) -> None:
        """Gives a constant a second name; both are one tensor, so both are read as the first."""
        kind, tensor = self.constants[name], self._tensor(name)
        self.types[alias] = kind
        if tensor is not None:
            self.tensors[alias] = tensor
        _copy(self.data, name, alias)

    def _folded(self, node: onnx.NodeProto) -> Array | None:
        """Returns the result of a node that computes with shapes alone."""
        kind = self.types[node.input[0]] if node.input else NOTHING_KNOWN
        given = attributes(node)
        if node.op_type == "Shape" and kind.shape is not None:
            return np.asarray(kind.shape[given.get("start", 0) : given.get("end")], np.int64)
        if node.op_type == "Size" and kind.shape is not None:
            return np.asarray(np.prod(kind.shape, dtype=object) if kind.shape else 1, np.int64)
        arrays = [self.data.get(name) if name else None for name in node.input]
        if any(array is None and name for array, name in zip(arrays, node.input, strict=True)):
            return None
        if any(array is not None and array.dtype.kind not in "bui" and array.size > _FEW for array in arrays):
            return None
        return fold(node.op_type, arrays, given)

    def _home(self, node: onnx.NodeProto, path: str) -> str:
        """Returns the module of a node: its own, or that of a weight whose module lost its nodes to fusion."""
        owners = (owner(name) for name in node.input if name in self.constants and name not in self.data)
        return next((home for home in owners if home and home not in self.scoped), path)

    def _tensor(self, name: str) -> Tensor | None:
        """Returns the value of a name, a new one for a constant not read before; None where it has no shape."""
        if name and name not in self.tensors and self.types[name].shape is not None:
            self.tensors[name] = self.writer.tensor(self.types[name])
        return self.tensors.get(name)

    def _written(self, node: onnx.NodeProto, names: Sequence[str], given: Sequence[Tensor | None]) -> Sequence[Tensor]:
        """Returns the outputs after writing the ops; fewer than there are where shapes stay unknown."""
        outs = [self.types[name] for name in names]
        name = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}::{node.op_type}"
        absent = any(tensor is None and text for tensor, text in zip(given, node.input, strict=True))
        if absent or any(kind.shape is None for kind in outs):
            return self._unshaped(name, node, given)
        data = tuple(self.data.get(text) for text in node.input)
        version = self.opsets.get("" if node.domain == "ai.onnx" else node.domain, 1)
        try:
            return lower(Node(name, version, attributes(node), tuple(given), data, tuple(outs)), self.writer)
        except InputError as error:
            raise InputError(f"{label(node)}: {error}") from None

    def _unshaped(self, name: str, node: onnx.NodeProto, given: Sequence[Tensor | None]) -> Sequence[Tensor]:
        """Writes a node by its own name: without shapes nothing can be counted, and MACs only if it may have any."""
        rule = lowerings.find(name)
        tags = simple.POINTWISE if rule is not None and rule.__module__ in _WITHOUT_PRODUCTS else ()
        present = tuple(tensor for tensor in given if tensor is not None)
        self.writer.call(own_name(name), {"inputs": present}, (), tags=tags)
        self.unshaped.append(label(node))
        return ()


def _copy(table: dict[str, object] | object, inner: str, outer: str) -> None:
    assert isinstance(table, dict)
    if inner in table:
        table[outer] = table[inner]
