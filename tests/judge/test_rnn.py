"""Recurrent layers and cells: steps × weights, however PyTorch runs them.

PyTorch unrolls a recurrent layer into products and gates on some devices and runs it as one kernel on others. It is
recorded as one call, which must have the number that a person gets: per step G·H·(IN + R) MACs, with G gates, H hidden
units, IN inputs and a state of R = H, or R = P with a projection that takes P·H more.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import pytest
import torch
from helpers import OnRealTensors, counted, traced, traced_for_real
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from effbench.records import OpCall, Shape, Trace, Value

T, N, IN, H, P = 4, 3, 6, 5, 2


class Kind(NamedTuple):
    """A kind of recurrent layer: gates, and per hidden unit what a step does beside its products and biases."""

    layer: Callable[..., nn.RNNBase]
    cell: Callable[..., nn.RNNCellBase]
    gates: int
    other: int


SIGMOID = 3  # exp, add, div
KINDS = {
    # the products' sum; 3 sigmoids; 2 tanh; f·c, i·g and their sum; o·tanh(c)
    "lstm": Kind(nn.LSTM, nn.LSTMCell, 4, 4 + 3 * SIGMOID + 2 + 3 + 1),
    # the products' sum; 2 sigmoids; tanh; r·(Uh + c); (h − n)·z + n
    "gru": Kind(nn.GRU, nn.GRUCell, 3, 3 + 2 * SIGMOID + 1 + 1 + 3),
    # the products' sum; tanh
    "rnn": Kind(nn.RNN, nn.RNNCell, 1, 1 + 1),
}


def step_macs(kind: str, inputs: int, state: int) -> int:
    """One step of one cell; a state that is not as wide as the H units is a projection of them."""
    return KINDS[kind].gates * H * (inputs + state) + (state * H if state != H else 0)


def by_hand(kind: str, steps: int, layers: int, directions: int, state: int, bias: bool) -> tuple[int, int]:
    """(MACs, other operations) of layers on `steps` steps; all but the first read what both directions give."""
    widths = [IN] + [state * directions] * (layers - 1)
    mac = steps * directions * sum(step_macs(kind, width, state) for width in widths)
    gates, other = KINDS[kind].gates, KINDS[kind].other
    return mac, steps * directions * layers * (other + 2 * gates * bias) * H


def totals(found: Trace) -> tuple[int | None, int | None, int]:
    counts = counted(found)
    assert not counts.coverage.unknown
    return counts.total, counted(found, "full").total, counts.activations


LAYERS = [
    pytest.param(kind, layers, directions, state, batch_first, id=f"{kind}-{layers}-{directions}-{state}-{batch_first}")
    for kind, layers, directions, state, batch_first in product(KINDS, (1, 2), (1, 2), (H, P), (False, True))
    if state == H or kind == "lstm"
]


@pytest.mark.parametrize(("kind", "layers", "directions", "state", "batch_first"), LAYERS)
@pytest.mark.parametrize("bias", [True, False])
def test_layers(kind: str, layers: int, directions: int, state: int, batch_first: bool, bias: bool) -> None:
    options: dict[str, Any] = {"proj_size": state} if state != H else {}
    module = KINDS[kind].layer(
        IN, H, layers, bias=bias, batch_first=batch_first, bidirectional=directions == 2, **options
    )
    x = torch.rand((N, T, IN) if batch_first else (T, N, IN))
    mac, other = by_hand(kind, T * N, layers, directions, state, bias)
    hollow, real = totals(traced(module, x)), totals(traced_for_real(module, x))
    assert hollow == real
    assert hollow[:2] == (mac, 2 * mac + other)


class Unrolled(nn.Module):
    """A layer asked of the dispatcher by its op, which it takes apart; as a function of torch it is one call."""

    def __init__(self, layer: nn.RNNBase, name: str) -> None:
        super().__init__()
        self.layer = layer
        self.op: Any = getattr(torch.ops.aten, name).input

    def forward(self, x: Tensor) -> Any:
        layer, batch = self.layer, x.shape[0 if self.layer.batch_first else 1]
        count = layer.num_layers * (2 if layer.bidirectional else 1)
        hidden, cell = (x.new_zeros(count, batch, size) for size in (layer.proj_size or H, H))
        state = [hidden, cell] if layer.mode == "LSTM" else hidden
        options = (layer.bias, layer.num_layers, 0.0, False, layer.bidirectional, layer.batch_first)
        return self.op(x, state, layer._flat_weights, *options)


@pytest.mark.parametrize(("kind", "layers", "directions", "state", "batch_first"), LAYERS)
def test_one_call_has_the_work_of_the_ops_it_is_made_of(
    kind: str, layers: int, directions: int, state: int, batch_first: bool
) -> None:
    options: dict[str, Any] = {"proj_size": state} if state != H else {}
    module = KINDS[kind].layer(IN, H, layers, batch_first=batch_first, bidirectional=directions == 2, **options)
    name = {"rnn": "rnn_tanh"}.get(kind, kind)
    x = torch.rand((N, T, IN) if batch_first else (T, N, IN))
    unrolled, whole = traced(Unrolled(module, name), x), traced(module, x)
    assert f"aten::{name}" in {call.op for call in whole.ops}
    assert f"aten::{name}" not in {call.op for call in unrolled.ops}
    assert totals(whole) == totals(unrolled)
    assert returned(whole) == returned(unrolled) == returned(traced_for_real(module, x))


def returned(found: Trace) -> list[tuple[Shape, Shape, str]]:
    """Shape, strides and dtype of what a model returns."""
    values = [found.values[number] for number in found.modules[-1].outputs]
    return [(value.shape, value.strides, value.dtype) for value in values]


def test_relu_instead_of_tanh_compares_instead() -> None:
    mac, other = by_hand("rnn", T * N, 1, 1, H, True)
    assert totals(traced(nn.RNN(IN, H, nonlinearity="relu"), (T, N, IN)))[:2] == (mac, 2 * mac + other)


@pytest.mark.parametrize("kind", KINDS)
def test_one_sequence_without_a_batch_and_a_state_given(kind: str) -> None:
    module = KINDS[kind].layer(IN, H, 2)
    mac, other = by_hand(kind, T, 2, 1, H, True)
    first = torch.rand(2, H)
    state: Any = (first, first) if kind == "lstm" else first
    for given in ((), (state,)):
        assert totals(traced(module, (T, IN), *given))[:2] == (mac, 2 * mac + other)


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_between_layers_leaves_the_macs_alone(kind: str) -> None:
    module = KINDS[kind].layer(IN, H, 2, dropout=0.5)
    mac, _ = by_hand(kind, T * N, 2, 1, H, True)
    assert counted(traced(module, (T, N, IN), mode="train")).total == mac


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_cells(kind: str, bias: bool) -> None:
    module = KINDS[kind].cell(IN, H, bias)
    mac, other = by_hand(kind, N, 1, 1, H, bias)
    assert totals(traced(module, (N, IN))) == totals(traced_for_real(module, (N, IN)))
    assert totals(traced(module, (N, IN)))[:2] == (mac, 2 * mac + other)


# Packed sequences: only tokens that are there are steps

LENGTHS = (7, 3, 1)


class Packs(nn.Module):
    """Packs what it is given, runs a layer, unpacks."""

    def __init__(self, layer: nn.RNNBase, in_order: bool) -> None:
        super().__init__()
        self.layer = layer
        self.in_order = in_order

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(x, lengths, enforce_sorted=self.in_order)
        return pad_packed_sequence(self.layer(packed)[0])[0]


@pytest.mark.parametrize(("layers", "directions"), [(1, 1), (2, 1), (1, 2), (2, 2)])
@pytest.mark.parametrize("kind", KINDS)
def test_packed_sequences(kind: str, layers: int, directions: int) -> None:
    """Golden: lengths 7, 3 and 1 are 11 steps, whether the model packs them or is given them packed."""
    module = KINDS[kind].layer(IN, H, layers, bidirectional=directions == 2)
    x = torch.rand(7, 3, IN)
    mac, other = by_hand(kind, 11, layers, directions, H, True)
    packed = pack_padded_sequence(x, torch.tensor(LENGTHS))
    shuffled = pack_padded_sequence(x, torch.tensor([1, 7, 3]), enforce_sorted=False)
    ways = [
        traced(Packs(module, True), x, torch.tensor(LENGTHS)),
        traced(module, packed),
        traced(module, shuffled),
        traced(OnRealTensors(Second(module)), torch.zeros(()), packed),
    ]
    for found in ways:
        assert totals(found)[:2] == (mac, 2 * mac + other)
    sorting = counted(traced(Packs(module, False), x, torch.tensor([3, 1, 7])), "full")
    assert counted(traced(Packs(module, False), x, torch.tensor([3, 1, 7]))).total == mac
    assert sorting.coverage.unknown == {"aten::sort": 1}  # of the lengths


class Second(nn.Module):
    """Hands on its second input."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, _: Tensor, x: PackedSequence) -> Any:
        return self.model(x)


def test_a_packed_input_needs_no_data() -> None:
    packed = pack_padded_sequence(torch.rand(7, 3, IN), torch.tensor(LENGTHS))
    found = traced(nn.LSTM(IN, H), packed)
    assert [note.code for note in found.notes] == []
    assert found.inputs[0].shape == (11, IN)


def test_golden_packed_lstm() -> None:
    packed = pack_padded_sequence(torch.rand(7, 3, 4), torch.tensor(LENGTHS))
    assert counted(traced(nn.LSTM(4, 5), packed)).total == 11 * 4 * 5 * (4 + 5)


def test_a_projection_of_a_packed_sequence() -> None:
    packed = pack_padded_sequence(torch.rand(7, 3, IN), torch.tensor(LENGTHS))
    mac, other = by_hand("lstm", 11, 2, 1, P, True)
    assert totals(traced(nn.LSTM(IN, H, 2, proj_size=P), packed))[:2] == (mac, 2 * mac + other)


# A layer that reads its own output, and state that outlives a call


class Decoder(nn.Module):
    """Feeds a cell its own output for five steps, and keeps its state for the next call."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(H, H)
        self.state: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        state = x if self.state is None else self.state
        for _ in range(5):
            state = self.cell(state, state)
        self.state = state
        return state


def test_a_cell_called_five_times_and_its_state_across_calls() -> None:
    module = Decoder()
    for _ in range(2):
        found = traced(module, (N, H))
        assert counted(found).total == 5 * N * 3 * H * (H + H)
        assert {layer.path: layer.calls for layer in counted(found).layers} == {"": 1, "cell": 5}
        assert module.state is None
    module(torch.rand(N, H))
    assert counted(traced(module, (N, H))).total == 5 * N * 3 * H * (H + H)


# Forms that this machine does not run: the formula gives what the unrolled layer gave


def one_call(op: str, inputs: Mapping[str, Shape | Sequence[Shape]], **attrs: Any) -> Trace:
    """A trace of one op call on tensors of these shapes."""
    values: list[Value] = []

    def value(shape: Shape) -> int:
        values.append(Value(len(values), shape, tuple(1 for _ in shape), "float32", len(values), 4))
        return len(values) - 1

    ids = {
        name: value(given) if isinstance(given, tuple) else tuple(value(shape) for shape in given)
        for name, given in inputs.items()
    }
    call = OpCall(op, (), False, (), "", ids, (), attrs)
    return Trace((), tuple(values), (call,), (), traced(nn.Identity(), (1,)).tree, (), ())


MODES = {"lstm": 2, "gru": 3, "rnn": 1}
OPS = {"lstm": "aten::lstm", "gru": "aten::gru", "rnn": "aten::rnn_tanh"}


@pytest.mark.parametrize(("layers", "directions"), [(1, 1), (2, 2)])
@pytest.mark.parametrize(("kind", "state"), [("lstm", H), ("lstm", P), ("gru", H), ("rnn", H)])
@pytest.mark.parametrize("bias", [True, False])
def test_whole_layers(kind: str, state: int, layers: int, directions: int, bias: bool) -> None:
    """cuDNN, MIOpen and PyTorch's own composite op take a list of weights (and biases)."""
    options: dict[str, Any] = {"proj_size": state} if state != H else {}
    module = KINDS[kind].layer(IN, H, layers, bias=bias, bidirectional=directions == 2, **options)
    weights = [tuple(weight.shape) for weight in module.parameters()]
    unrolled = totals(traced(module, (T, N, IN)))
    for form in (
        one_call("aten::_cudnn_rnn", {"input": (T, N, IN), "weight": weights}, mode=MODES[kind]),
        one_call("aten::_cudnn_rnn", {"input": (T * N, IN), "weight": weights}, mode=MODES[kind]),
        one_call("aten::miopen_rnn", {"input": (N, T, IN), "weight": weights}, mode=MODES[kind]),
        one_call(OPS[kind], {"input": (T, N, IN), "params": weights}),
        one_call(OPS[kind], {"data": (T * N, IN), "params": weights}),
    ):
        assert totals(form) == unrolled


@pytest.mark.parametrize(
    ("kind", "op", "state"),
    [("lstm", "aten::_thnn_fused_lstm_cell", "cx"), ("gru", "aten::_thnn_fused_gru_cell", "hx")],
)
def test_fused_gates(kind: str, op: str, state: str) -> None:
    """On a GPU a cell's two products are ops of their own and its gates one call."""
    gates = KINDS[kind].gates * H
    biases: dict[str, Shape] = {"input_bias": (gates,), "hidden_bias": (gates,)}
    found = one_call(op, {"input_gates": (N, gates), "hidden_gates": (N, gates), state: (N, H), **biases})
    _, other = by_hand(kind, N, 1, 1, H, True)
    assert totals(found)[:2] == (0, other)
