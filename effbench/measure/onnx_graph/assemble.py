"""From a walked ONNX graph to a trace: parameters, buffers, the tree of modules, notes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from effbench.measure.onnx_graph.tensors import Type, nbytes
from effbench.measure.onnx_graph.walk import Use, Walk
from effbench.measure.paths import below, children_of, owner, with_parents, word
from effbench.records import Buffer, Input, ModuleCall, Note, Param, Trace, TreeNode

if TYPE_CHECKING:
    import onnx

_STATISTICS: Mapping[str, frozenset[int]] = MappingProxyType(
    {
        "BatchNormalization": frozenset({3, 4}),
        "QuantizeLinear": frozenset({1, 2}),
        "DequantizeLinear": frozenset({1, 2}),
        "QLinearConv": frozenset({1, 2, 4, 5, 6, 7}),
        "QLinearMatMul": frozenset({1, 2, 4, 5, 6, 7}),
        "LSTM": frozenset({5, 6}),
        "GRU": frozenset({5}),
        "RNN": frozenset({5}),
        "Resize": frozenset({1, 2}),
        "Upsample": frozenset({1}),
    }
)
"""Floating inputs, by place, that are no weights: running statistics, scales, first states, sizes."""
_QUANTISED: Mapping[str, frozenset[int]] = MappingProxyType(
    {
        "DequantizeLinear": frozenset({0}),
        "QLinearConv": frozenset({3, 8}),
        "QLinearMatMul": frozenset({0, 3}),
        "ConvInteger": frozenset({1}),
        "MatMulInteger": frozenset({0, 1}),
    }
)
"""Integer inputs, by place, that are weights."""
_HOW_WEIGHTS_ARE_TOLD = (
    "ONNX does not say which constants were trained: floating-point ones with dimensions and quantised weights count "
    "as parameters; statistics of normalisations, scales and integers as buffers"
)


def assemble(walk: Walk, graph: onnx.GraphProto, inputs: Mapping[str, Type], name: str) -> Trace:
    """Returns the trace of a walked graph."""
    given = [walk.tensors[item] for item in inputs]
    results = [walk.tensors[item.name] for item in graph.output if item.name in walk.tensors]
    calls = walk.writer.finished([*given, *results])
    params, buffers = _weights(walk)
    paths = with_parents([*(call.module for call in calls), *(param.name.rpartition(".")[0] for param in params)])
    made = {path: (tuple(t.id for t in first), tuple(t.id for t in last)) for path, (first, last) in walk.calls.items()}
    made[""] = (tuple(item.id for item in given), tuple(item.id for item in results))
    types = {path: _class(path, walk) for path in paths}
    return Trace(
        inputs=tuple(Input(key, item.shape, item.dtype.name, item.id) for key, item in zip(inputs, given, strict=True)),
        values=tuple(walk.writer.values),
        ops=calls,
        modules=tuple(
            ModuleCall(path, types[path], *made[path], "tensor" if len(made[path][1]) == 1 else "sequence", {})
            for path in made
            if path in types
        ),
        tree=_tree(paths, types, params),
        params=params,
        buffers=buffers,
        notes=tuple(_notes(walk, name)),
        origin="graph",
    )


def _class(path: str, walk: Walk) -> str:
    """Returns the class that the file states, else the op of a path's only node, else what a path of several is."""
    ops = walk.ops.get(path, ())
    alone = f"onnx.{ops[0]}" if len(ops) == 1 else "onnx.Scope"
    return walk.classes.get(path, alone if path else "onnx.Graph")


def _tree(paths: Sequence[str], types: Mapping[str, str], params: Sequence[Param]) -> tuple[TreeNode, ...]:
    children = children_of(paths)
    own: dict[str, list[tuple[str, str]]] = {path: [] for path in paths}
    for param in params:
        path, _, local = param.name.rpartition(".")
        own[path].append((local, param.name))
    return tuple(
        TreeNode(path, number, types[path], (), tuple(children[path]), tuple(own[path]), {})
        for number, path in enumerate(paths)
    )


def _weights(walk: Walk) -> tuple[tuple[Param, ...], tuple[Buffer, ...]]:
    """Returns the constants with dimensions: what counts as a parameter, and the rest."""
    params: list[Param] = []
    buffers: list[Buffer] = []
    taken: set[str] = set()
    for name, kind in walk.constants.items():
        use = walk.uses.get(name)
        if not kind.shape or (use is None and name in walk.data):
            continue  # a scalar, or what shapes were computed with: no part of the network
        size = nbytes(kind.shape, kind.dtype)
        if _is_weight(kind, use):
            params.append(Param(_placed(name, use, walk, taken), kind.shape, kind.dtype.name, True, size))
        elif kind.dtype.is_floating or name not in walk.data:
            buffers.append(Buffer(name, kind.shape, kind.dtype.name, size))  # small integers are shapes and axes
    return tuple(params), tuple(buffers)


def _is_weight(kind: Type, use: Use | None) -> bool:
    if use is None:
        return kind.dtype.is_floating
    if kind.dtype.is_floating:
        return use.place not in _STATISTICS.get(use.op, ())
    return use.place in _QUANTISED.get(use.op, ())


def _placed(name: str, use: Use | None, walk: Walk, taken: set[str]) -> str:
    """Returns a weight's name below the module it belongs to: its own dotted name, or that of its first reader."""
    home = owner(name)
    path = use.path if use is not None else ""
    if home and (home == path or home in walk.scoped or home in walk.classes):
        label = below(home, name.rpartition(".")[2])
    else:
        label = below(path, word(name))
    while label in taken:
        label += "_"
    taken.add(label)
    return label


def _notes(walk: Walk, name: str) -> Iterator[Note]:
    yield Note("onnx-weights", name, _HOW_WEIGHTS_ARE_TOLD)
    if walk.unshaped:
        text = f"{len(walk.unshaped)} nodes have shapes that depend on data or cannot be inferred: they are not counted"
        yield Note("unknown-shape", walk.unshaped[0], text)
    if walk.decided:
        yield Note(
            "branch", walk.decided[0], f"{len(walk.decided)} branches are decided by constants: one side is counted"
        )
