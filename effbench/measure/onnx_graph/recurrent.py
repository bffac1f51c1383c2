"""ONNX's recurrent layers, step by step, as torch runs its own.

Sources: the equations of LSTM, GRU and RNN in the ONNX specification (Operators.md).
"""

from __future__ import annotations

from typing import NamedTuple

from effbench.measure.onnx_graph.lowering import Lowered, Node, lowerings
from effbench.measure.onnx_graph.tensors import Type
from effbench.measure.onnx_graph.writer import Tensor, Writer


class _Cell(NamedTuple):
    """The number of gates, and the element-wise ops of one step, each on as many elements as the state has."""

    gates: int
    ops: tuple[str, ...]


_CELLS = {
    # i, f and o are sigmoids, g and the output's are tanh; c = f·c + i·g, h = o·tanh(c)
    "LSTM": _Cell(4, ("sigmoid",) * 3 + ("tanh",) * 2 + ("mul",) * 3 + ("add",)),
    # r and z are sigmoids, n = tanh(x + r·h), h = n + z·(h − n); x + … is counted with the sum of the products
    "GRU": _Cell(3, ("sigmoid",) * 2 + ("tanh",) + ("mul",) * 2 + ("sub", "add")),
    "RNN": _Cell(1, ("tanh",)),
}
_MOST_STEPS = 10_000
_DEFAULT_ACTIVATIONS = {
    "LSTM": ("Sigmoid", "Tanh", "Tanh"),
    "GRU": ("Sigmoid", "Tanh"),
    "RNN": ("Tanh",),
}


@lowerings.register("LSTM", "GRU", "RNN")
def recurrent(node: Node, writer: Writer) -> Lowered:
    """Returns one product for all inputs, then one product with the state and the cell's gates per time step.

    Sequences of their own lengths, peepholes and activations other than the default ones are not covered.
    """
    data, weight, state_weight, bias = (node.input(index) for index in range(4))
    directions = 2 if node.attrs.get("direction") == "bidirectional" else 1
    usual = tuple(node.attrs.get("activations", ())) in ((), _DEFAULT_ACTIVATIONS[node.name] * directions)
    if data is None or weight is None or state_weight is None or not usual or len(data.shape) != 3:
        return None
    odd = any(node.attrs.get(name) for name in ("clip", "layout", "input_forget"))
    if odd or node.input(4) is not None or node.input(7) is not None or data.shape[0] > _MOST_STEPS:
        return None
    states = [_direction(node.name, writer, data, weight, state_weight, bias) for _ in range(directions)]
    return writer.call("aten::stack", {"tensors": states}, node.outs)


def _direction(
    name: str, writer: Writer, data: Tensor, weight: Tensor, state_weight: Tensor, bias: Tensor | None
) -> Tensor:
    steps, batch, width = data.shape
    hidden = state_weight.shape[-1]
    gates = _CELLS[name].gates * hidden
    flat = writer.view("aten::view", data, (steps * batch, width))
    inputs = _product(writer, flat, writer.view("aten::t", weight, (width, gates)), bias)
    turned = writer.view("aten::t", state_weight, (hidden, gates))
    like_state, like_gates = Type(data.dtype, (batch, hidden)), Type(data.dtype, (batch, gates))
    (state,) = writer.call("aten::zeros", {}, (like_state,))
    for _ in range(steps):
        made = _product(writer, state, turned, bias)
        (both,) = writer.call("aten::add", {"self": made, "other": inputs}, (like_gates,))
        state = writer.view("aten::slice", both, (batch, hidden))
        for op in _CELLS[name].ops:
            (state,) = writer.call(f"aten::{op}", {"self": state}, (like_state,))
    return state


def _product(writer: Writer, left: Tensor, right: Tensor, bias: Tensor | None) -> Tensor:
    kind = Type(left.dtype, (left.shape[0], right.shape[1]))
    if bias is None:
        return writer.call("aten::mm", {"self": left, "mat2": right}, (kind,))[0]
    row = writer.view("aten::slice", bias, (right.shape[1],))
    return writer.call("aten::addmm", {"self": row, "mat1": left, "mat2": right}, (kind,))[0]
