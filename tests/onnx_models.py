"""ONNX files by hand: nodes, inputs and constants in, the counted source out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper

from effbench.judge.convention import conventions
from effbench.judge.count import Counts, count
from effbench.measure.load import load
from effbench.measure.source import Traced

Shapes = Mapping[str, Sequence[int | str | None]]
FLOAT, INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64


def node(op: str, inputs: str, outputs: str = "y", **attrs: Any) -> onnx.NodeProto:
    """A node; its names stand in one text each, "-" for an absent input."""
    names = ["" if name == "-" else name for name in inputs.split()]
    return helper.make_node(op, names, outputs.split(), **attrs)


def weights(**shapes: Sequence[int]) -> list[onnx.TensorProto]:
    """Floating constants of these shapes."""
    return [helper.make_tensor(name, FLOAT, list(shape), np.zeros(shape, np.float32)) for name, shape in shapes.items()]


def ints(**values: Sequence[int]) -> list[onnx.TensorProto]:
    """Lists of integers."""
    return [helper.make_tensor(name, INT64, [len(items)], list(items)) for name, items in values.items()]


def graph(
    nodes: Sequence[onnx.NodeProto],
    inputs: Shapes,
    constants: Sequence[onnx.TensorProto] = (),
    outputs: str = "y",
    kind: int = FLOAT,
) -> onnx.GraphProto:
    """A graph whose inputs have the given shapes; a text or None leaves a size open."""
    given = [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()]
    made = [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs.split()]
    return helper.make_graph(list(nodes), "net", given, made, list(constants))


def model(body: onnx.GraphProto, opset: int = 18, **more: Any) -> onnx.ModelProto:
    """A model of a graph."""
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", opset)], ir_version=10, **more)


def saved(folder: Path, content: onnx.ModelProto | bytes) -> str:
    """The path of a file with this content."""
    path = folder / "net.onnx"
    path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
    return str(path)


def read(folder: Path, content: onnx.ModelProto | bytes, *inputs: str) -> Traced:
    """What the loader gives for a file with this content."""
    found = load(saved(folder, content), inputs=inputs)
    assert isinstance(found, Traced)
    return found


def counts(source: Traced, convention: str = "macs") -> Counts:
    """The counts of a source under a convention by its name."""
    return count(source.trace, conventions.get(convention))


def of_node(
    folder: Path,
    made: onnx.NodeProto | Sequence[onnx.NodeProto],
    inputs: Shapes,
    constants: Sequence[onnx.TensorProto] = (),
    opset: int = 18,
) -> tuple[int | None, int | None]:
    """The totals of one node, or of several, under `macs` and under `full`."""
    nodes = [made] if isinstance(made, onnx.NodeProto) else made
    source = read(folder, model(graph(nodes, inputs, constants), opset))
    return counts(source).total, counts(source, "full").total
