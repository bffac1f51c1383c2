"""What an ONNX node is in ops that have formulas: a table of functions, one per ONNX op.

A lowering writes the ops that PyTorch's dispatcher runs for the same mathematics, so that every formula and every
list of free ops holds for both. A node without one is written under its own name, "onnx::Op", and stays unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from effbench.measure.onnx_graph.tensors import Type
from effbench.measure.onnx_graph.writer import Tensor, Writer
from effbench.registry import Registry

if TYPE_CHECKING:
    from effbench.measure.onnx_graph.tensors import Array


@dataclass(frozen=True, slots=True)
class Node:
    """One node with everything known: every input and output has a shape.

    Attributes:
        name: "Conv", or "com.microsoft::FusedMatMul" outside ONNX's own domain.
        opset: the version of its domain that the model asks for.
        attrs: its attributes as plain Python values.
        inputs: None where an optional one is absent. data: their elements where they are small constants.
        outs: the types of its outputs, in order.
    """

    name: str
    opset: int
    attrs: Mapping[str, Any]
    inputs: tuple[Tensor | None, ...]
    data: tuple[Array | None, ...]
    outs: tuple[Type, ...]

    @property
    def first(self) -> Tensor:
        """Returns the first input."""
        given = self.inputs[0]
        assert given is not None
        return given

    @property
    def out(self) -> Type:
        """Returns the type of the first output."""
        return self.outs[0]

    @property
    def present(self) -> tuple[Tensor, ...]:
        """Returns the inputs that are there."""
        return tuple(item for item in self.inputs if item is not None)

    def input(self, index: int) -> Tensor | None:
        """Returns an input, None where it is absent."""
        return self.inputs[index] if index < len(self.inputs) else None

    def numbers(self, index: int, name: str) -> tuple[int, ...] | None:
        """Returns a list of integers that older opsets give as an attribute and newer ones as a constant input."""
        if name in self.attrs:
            given = self.attrs[name]
            return (given,) if isinstance(given, int) else tuple(given)
        array = self.data[index] if index < len(self.data) else None
        return None if array is None else tuple(int(item) for item in array.reshape(-1))


Lowered = Sequence[Tensor] | None
"""The tensors that stand for a node's outputs; None for a form of the op that is not covered."""
Lowering = Callable[[Node, Writer], Lowered]
lowerings: Registry[Lowering] = Registry("ONNX op")


def lower(node: Node, writer: Writer) -> Sequence[Tensor]:
    """Returns the tensors of a node's outputs after writing its calls."""
    rule = lowerings.find(node.name)
    mark = len(writer.calls), len(writer.values)
    made = rule(node, writer) if rule is not None else None
    if made is not None:
        return made
    assert mark == (len(writer.calls), len(writer.values)), f"{node.name}: gave up after writing"
    return writer.call(own_name(node.name), {"inputs": node.present}, node.outs)


def own_name(name: str) -> str:
    """Returns "onnx::Conv" for "Conv"; a name with a domain is left as it is."""
    return name if "::" in name else f"onnx::{name}"


def same_type(tensor: Tensor) -> Type:
    """Returns the type of a tensor, for an op whose result is like its input."""
    return Type(tensor.dtype, tensor.shape)
