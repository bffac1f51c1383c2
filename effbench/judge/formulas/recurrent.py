"""Recurrent layers and cells in the forms in which PyTorch and vendors' libraries run them in one go.

Where a layer runs step by step its products and gates are counted op by op; these formulas give the same numbers.
A step is one cell given one sample's token; in a packed sequence only tokens that are there are steps. By step, every
weight takes part in one product: H hidden units, I inputs, G gates take G·H·I + G·H·H MACs, a projection P·H more.

Sources: Hochreiter and Schmidhuber, Long short-term memory (1997) with forget gates; Sak et al. (2014) for the
projection; Cho et al. (2014) in cuDNN's form, n = tanh(Wx + b + r∘(Uh + c)), h' = (h − n)∘z + n; Elman (1990).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from effbench.judge.algebra import ZERO, Expr, elements, product, total
from effbench.judge.work import KINDS, Work, formula
from effbench.records import Shape


class Gates(NamedTuple):
    """A cell's gates, and what it does beside its products and their biases, in operations per hidden unit."""

    gates: int
    add: int
    mul: int
    div: int
    special: int
    cmp: int = 0


LSTM = Gates(gates=4, add=4 + 3 + 1, mul=3, div=3, special=3 + 2)
"""The products' sum (4 add), 3 sigmoids (exp, add, div each), 2 tanh, f∘c + i∘g (2 mul, 1 add), o∘tanh(c) (1 mul)."""

GRU = Gates(gates=3, add=3 + 2 + 2, mul=2, div=2, special=2 + 1)
"""The products' sum (3 add), 2 sigmoids, 1 tanh, r∘(Uh + c) (1 mul), (h − n)∘z + n (2 add, 1 mul)."""

TANH = Gates(gates=1, add=1, mul=0, div=0, special=1)
RELU = Gates(gates=1, add=1, mul=0, div=0, special=0, cmp=1)

_BY_MODE = {0: RELU, 1: TANH, 2: LSTM, 3: GRU}
"""cuDNN's numbers for the kinds of cell, which MIOpen's and oneDNN's bindings use too."""


def _cells(steps: Expr, parameters: Sequence[Shape], cell: Gates) -> Work:
    """Returns the work of `steps` steps of cells with these weights (matrices) and biases (vectors)."""
    weights = [shape for shape in parameters if len(shape) == 2]
    biases = [shape for shape in parameters if len(shape) == 1]
    # Of each cell's weights the first is (G·H, inputs), the second (G·H, state), a projection is (P, H).
    hidden = sum(shape[0] for shape in weights if not _is_projection(shape, weights)) // (2 * cell.gates)
    units = steps * product(H=hidden)
    return _gate_work(units, cell) + Work(
        mac=total(steps * product(**{"out": shape[0], "in": shape[1]}) for shape in weights),
        add=steps * product(bias=sum(shape[0] for shape in biases)) if biases else ZERO,
        activations=steps * product(out=sum(shape[0] for shape in weights)),
    )


def _is_projection(shape: Shape, weights: Sequence[Shape]) -> bool:
    """Returns whether a weight is (P, H) for the 4H of its layer: fewer rows than every gate matrix has."""
    return shape[0] < max(other[0] for other in weights)


def _gate_work(units: Expr, cell: Gates) -> Work:
    kinds = {kind: getattr(cell, kind) for kind in ("add", "mul", "div", "special", "cmp")}
    return Work(**{kind: units * each for kind, each in kinds.items() if each})


def _steps(shape: Shape) -> Expr:
    """Returns the steps of tokens laid out as (…, width): sequence × batch, or the tokens of a packed sequence."""
    return elements(shape[:-1], "steps")


@formula("aten::lstm")
def lstm(input: Shape, data: Shape | None, params: Sequence[Shape]) -> Work:
    """Returns the work of an LSTM of any depth and direction; `data` holds the tokens of a packed sequence."""
    return _cells(_steps(data or input), params, LSTM)


@formula("aten::gru")
def gru(input: Shape, data: Shape | None, params: Sequence[Shape]) -> Work:
    """Returns the work of a GRU of any depth and direction."""
    return _cells(_steps(data or input), params, GRU)


@formula("aten::rnn_tanh")
def rnn_tanh(input: Shape, data: Shape | None, params: Sequence[Shape]) -> Work:
    """Returns the work of an Elman network with tanh."""
    return _cells(_steps(data or input), params, TANH)


@formula("aten::rnn_relu")
def rnn_relu(input: Shape, data: Shape | None, params: Sequence[Shape]) -> Work:
    """Returns the work of an Elman network with ReLU."""
    return _cells(_steps(data or input), params, RELU)


@formula("aten::mkldnn_rnn_layer")
def onednn_layer(
    input: Shape, weight0: Shape, weight1: Shape, weight2: Shape, weight3: Shape, mode: int, has_biases: bool
) -> Work:
    """Returns the work of one layer in one direction; `weight2` and `weight3` are zeros where there are no biases."""
    biases = [weight2, weight3] if has_biases else []
    return _cells(_steps(input), [weight0, weight1, *biases], _BY_MODE[mode])


@formula("aten::mkldnn_rnn_layer_backward")
def onednn_layer_backward(input: Shape, weight1: Shape, weight2: Shape, mode: int) -> Work:
    """Returns twice the forward pass's MACs: of each product the gradients of both operands, which the op all gives."""
    forward = _cells(_steps(input), [weight1, weight2], _BY_MODE[mode]).mac
    return Work(mac=forward * 2, unknown=frozenset(KINDS) - {"mac"})


@formula("aten::_cudnn_rnn", "aten::miopen_rnn")
def vendor_rnn(input: Shape, weight: Sequence[Shape], mode: int) -> Work:
    """Returns the work of a whole network of layers, as cuDNN and MIOpen run it."""
    return _cells(_steps(input), weight, _BY_MODE[mode])


@formula("aten::_thnn_fused_lstm_cell")
def fused_lstm_cell(input_gates: Shape, cx: Shape, input_bias: Shape | None, hidden_bias: Shape | None) -> Work:
    """Returns the work of an LSTM cell's gates after their products, which are ops of their own."""
    return _fused_cell(input_gates, cx, [input_bias, hidden_bias], LSTM)


@formula("aten::_thnn_fused_gru_cell")
def fused_gru_cell(input_gates: Shape, hx: Shape, input_bias: Shape | None, hidden_bias: Shape | None) -> Work:
    """Returns the work of a GRU cell's gates after their products, which are ops of their own."""
    return _fused_cell(input_gates, hx, [input_bias, hidden_bias], GRU)


def _fused_cell(products: Shape, state: Shape, biases: Sequence[Shape | None], cell: Gates) -> Work:
    added = [elements(products) for bias in biases if bias is not None]
    return _gate_work(elements(state), cell) + Work(add=total(added))
