"""`thop`: the figure that thop 0.1.1 returns as "MACs", recomputed from module calls.

Run condition: `thop.profile(model, inputs)` on any device; it sets eval mode and no_grad. Facts read in its
source: a hook on every module whose exact class is in its table; other classes, functional calls and operators
count nothing; a shared module is hooked once per path and added once per path. A packed sequence counts as many steps
as its longest for every sample. Hooks see positional inputs alone: given by name, most rules raise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from effbench.judge.algebra import ZERO, Expr, elements, product, repeated
from effbench.judge.convention import Cost, convention
from effbench.records import ModuleCall, Shape, Trace, TreeNode
from effbench.units import Unit

Rule = Callable[[Mapping[str, Any], Shape, Shape], Expr]
"""(hyper-parameters, shape of the first input, shape of the first output) → amount."""


def _convolution(attrs: Mapping[str, Any], given: Shape, out: Shape) -> Expr:
    # The second dimension of the input is taken for its channels and the output is walked, transposed or not.
    return (
        elements(out, "out") * product(**{"Cin/g": given[1] // attrs["groups"]}) * repeated("k", attrs["kernel_size"])
    )


def _linear(attrs: Mapping[str, Any], given: Shape, out: Shape) -> Expr:
    return product(**{"in": attrs["in_features"]}) * elements(out, "out")


def _normalization(attrs: Mapping[str, Any], given: Shape, out: Shape) -> Expr:
    affine = attrs.get("affine", False) or attrs.get("elementwise_affine", False)
    return elements(given) * (4 if affine else 2)


def _per_input(attrs: Mapping[str, Any], given: Shape, out: Shape) -> Expr:
    return elements(given)


def _per_output(attrs: Mapping[str, Any], given: Shape, out: Shape) -> Expr:
    return elements(out)


def _nothing(attrs: Mapping[str, Any], given: Shape, out: Shape) -> Expr:
    return ZERO


def _softmax(attrs: Mapping[str, Any], given: Shape, out: Shape) -> Expr:
    features = given[attrs["dim"]]
    return product(rows=math.prod(given) // features, **{"(3n−1)": 3 * features - 1})


def _adaptive_average(attrs: Mapping[str, Any], given: Shape, out: Shape) -> Expr:
    # in/out is a double there and the product is cut to an integer at the end.
    window = math.prod(size / steps for size, steps in zip(given[2:], out[2:], strict=True)) + 1
    if window == int(window):
        return elements(out) * product(**{"(k+1)": int(window)})
    return product(cut=int(window * math.prod(out)))


_PER_OUTPUT_BY_MODE = {"nearest": 1, "linear": 5, "bilinear": 11, "bicubic": 224 + 35}


def _upsample(attrs: Mapping[str, Any], given: Shape, out: Shape) -> Expr:
    times = _PER_OUTPUT_BY_MODE.get(attrs["mode"])
    return ZERO if times is None else elements(out) * times


def _recurrent(gates: Callable[[int, int, bool], int]) -> Rule:
    def rule(attrs: Mapping[str, Any], given: Shape, out: Shape) -> Expr:
        batch, steps = (given[0], given[1]) if attrs["batch_first"] else (given[1], given[0])
        directions = 2 if attrs["bidirectional"] else 1
        hidden, bias = attrs["hidden_size"], attrs["bias"]
        first = gates(attrs["input_size"], hidden, bias) * directions
        later = gates(hidden * directions, hidden, bias) * directions
        per_step = first + later * (attrs["num_layers"] - 1)
        return product(steps=steps, N=batch, cell=per_step)

    return rule


def _cell(gates: Callable[[int, int, bool], int]) -> Rule:
    def rule(attrs: Mapping[str, Any], given: Shape, out: Shape) -> Expr:
        return product(N=given[0], cell=gates(attrs["input_size"], attrs["hidden_size"], attrs["bias"]))

    return rule


def _gate(inputs: int, hidden: int, bias: bool) -> int:
    return hidden * (inputs + hidden) + hidden + (2 * hidden if bias else 0)


def _lstm_gates(inputs: int, hidden: int, bias: bool) -> int:
    return 4 * _gate(inputs, hidden, bias) + 4 * hidden


def _gru_gates(inputs: int, hidden: int, bias: bool) -> int:
    return 3 * _gate(inputs, hidden, bias) + 4 * hidden


_NN = "torch.nn.modules"
_DIMENSIONS = ("1d", "2d", "3d")

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        **{f"{_NN}.conv.Conv{d}": _convolution for d in _DIMENSIONS},
        **{f"{_NN}.conv.ConvTranspose{d}": _convolution for d in _DIMENSIONS},
        **{f"{_NN}.batchnorm.BatchNorm{d}": _normalization for d in _DIMENSIONS},
        **{f"{_NN}.instancenorm.InstanceNorm{d}": _normalization for d in _DIMENSIONS},
        f"{_NN}.batchnorm.SyncBatchNorm": _normalization,
        f"{_NN}.normalization.LayerNorm": _normalization,
        f"{_NN}.activation.PReLU": _per_input,
        f"{_NN}.activation.Softmax": _softmax,
        **{f"{_NN}.pooling.AvgPool{d}": _per_output for d in _DIMENSIONS},
        **{f"{_NN}.pooling.AdaptiveAvgPool{d}": _adaptive_average for d in _DIMENSIONS},
        f"{_NN}.linear.Linear": _linear,
        f"{_NN}.upsampling.Upsample": _upsample,
        f"{_NN}.upsampling.UpsamplingBilinear2d": _upsample,
        f"{_NN}.upsampling.UpsamplingNearest2d": _upsample,
        f"{_NN}.rnn.RNNCell": _cell(_gate),
        f"{_NN}.rnn.GRUCell": _cell(_gru_gates),
        f"{_NN}.rnn.LSTMCell": _cell(_lstm_gates),
        f"{_NN}.rnn.RNN": _recurrent(_gate),
        f"{_NN}.rnn.GRU": _recurrent(_gru_gates),
        f"{_NN}.rnn.LSTM": _recurrent(_lstm_gates),
        **{
            f"{_NN}.{name}": _nothing
            for name in [
                "padding.ZeroPad2d",
                "activation.ReLU",
                "activation.ReLU6",
                "activation.LeakyReLU",
                "dropout.Dropout",
                "container.Sequential",
                "pixelshuffle.PixelShuffle",
                "pooling.MaxPool1d",
                "pooling.MaxPool2d",
                "pooling.MaxPool3d",
                "pooling.AdaptiveMaxPool1d",
                "pooling.AdaptiveMaxPool2d",
                "pooling.AdaptiveMaxPool3d",
            ]
        },
    }
)
"""Amount by exact class; a class that is not here counts nothing in thop."""

_READ_NO_INPUT = frozenset({_linear, _per_output, _nothing})
_RECURRENT = frozenset(f"{_NN}.rnn.{name}" for name in ("RNN", "GRU", "LSTM"))

_SEQUENTIAL = f"{_NN}.container.Sequential"
_MODULE_LIST = f"{_NN}.container.ModuleList"


@convention("thop", Unit.MAC, "the figure thop.profile returns: module calls by exact class, norms and pools included")
def thop(trace: Trace) -> Iterable[Cost]:
    """Gives the cost of every module call; classes outside thop's table are free here, as they are there."""
    times = _times_added(trace.tree)
    for call in trace.modules:
        rule = RULES.get(call.type)
        repeats = times.get(call.path, 0)
        if rule is None or repeats == 0:
            yield Cost(call.path, call.type, ZERO)
            continue
        given = _given(trace, call)
        if given is None and rule not in _READ_NO_INPUT:
            why = "is where thop itself raises (no tensor comes first by position)"
            yield Cost(call.path, call.type, None, why=why)
            continue
        amount = rule(call.attrs, given or (), _shape(trace, call.outputs))
        yield Cost(call.path, call.type, amount if repeats == 1 else amount * repeats)


def _given(trace: Trace, call: ModuleCall) -> Shape | None:
    """Returns the shape of the first positional input, of a packed sequence as it was padded; None where none is."""
    kind = call.argument_kinds[0] if call.argument_kinds else "none"
    if kind == "sequence" and call.type in _RECURRENT:
        # Its tokens and its batch size at each step; the layer's last state is (layers, batch, hidden).
        steps, batch = trace.values[call.inputs[1]].shape[0], trace.values[call.outputs[-1]].shape[1]
        return (batch, steps) if call.attrs["batch_first"] else (steps, batch)
    return _shape(trace, call.inputs) if kind == "tensor" else None


def _shape(trace: Trace, ids: tuple[int, ...]) -> Shape:
    return trace.values[ids[0]].shape if ids else ()


def _times_added(tree: Iterable[TreeNode]) -> dict[str, int]:
    """Returns, by first path, how often thop adds one call of a module into its total.

    It registers a hook per visit of `Module.apply` and sums per visit of its own walk, which does not go below
    a module that has a rule, save containers; both visit one object once per parent.
    """
    nodes = {node.path: node for node in tree}
    first = {node.identity: node.path for node in reversed(list(nodes.values()))}
    hooked: dict[int, int] = {}
    summed: dict[int, int] = {}

    def visit(path: str, inside_rule: bool) -> None:
        node = nodes[path]
        hooked[node.identity] = hooked.get(node.identity, 0) + 1
        if not inside_rule:
            summed[node.identity] = summed.get(node.identity, 0) + 1
        container = _SEQUENTIAL in node.bases or _MODULE_LIST in node.bases
        closed = inside_rule or (node.type in RULES and not container and path != "")
        seen: set[int] = set()
        for name in node.children:
            below = nodes.get(f"{path}.{name}" if path else name)
            if below is not None and below.identity not in seen:
                seen.add(below.identity)
                visit(below.path, closed)

    visit("", False)
    return {first[identity]: count * summed.get(identity, 0) for identity, count in hooked.items()}
