"""MACs of a training step: the forward pass, and its gradients by hand.

An inner product y = f(a, b) is linear in a and in b. Its gradients are inner products of the gradient of y with the
other operand, over the same index triples: ∂a = g·b and ∂b = a·g take as many MACs each as y itself. So a layer whose
input and weight both need a gradient costs its forward pass twice again; the first layer, whose input is data, once;
a frozen weight saves its share (Rumelhart, Hinton and Williams, Learning representations by back-propagating errors,
1986). Attention is two products (QKᵀ and AV), of which each operand has its gradient; scores that a kernel computes
again save memory and are no work of the step. Everything else of the backward pass, the loss and the optimiser has no
inner product. What the optimiser does, element by element, is in `OPTIMISER_FLOPS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from effbench.errors import InputError
from effbench.judge.convention import MACS_ONLY, weigh
from effbench.judge.training_recurrent import RECURRENT, recurrent_products
from effbench.records import Ids, OpCall, Param, Trace, Value
from effbench.units import Flops, Macs

OPTIMISER_FLOPS: Mapping[str, int] = MappingProxyType({"sgd": 2, "sgd-momentum": 4, "adam": 14, "adamw": 16})
"""FLOPs per trained parameter and step, scalars computed once.

- sgd: p − η·g, 1 mul, 1 sub. sgd-momentum: v ← μ·v + g, p − η·v, 2 mul, 2 add.
- adam (Kingma and Ba, 2015, algorithm 1): m and v are 2 mul, 1 add and 3 mul, 1 add; their corrections 2 div; then
  1 root, 1 add (ε), 1 div, 1 mul (η), 1 sub: 7 + 2 + 5 = 14.
- adamw (Loshchilov and Hutter, 2019, algorithm 2): the same and p − η·λ·p, 1 mul, 1 sub.
"""

_OPERANDS: Mapping[str, tuple[tuple[str, ...], str]] = MappingProxyType(
    {
        **dict.fromkeys(
            [
                f"aten::{name}"
                for name in [
                    *("convolution", "_convolution", "conv1d", "conv2d", "conv3d", "linear"),
                    *("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
                ]
            ],
            (("input",), "weight"),
        ),
        "aten::conv_tbc": (("self",), "weight"),
        "torchvision::deform_conv2d": (("input", "offset", "mask"), "weight"),
        **dict.fromkeys(["aten::mm", "aten::bmm", "aten::_grouped_mm"], (("self",), "mat2")),
        "aten::addmm": (("mat1",), "mat2"),
        **dict.fromkeys(["aten::baddbmm", "aten::addbmm"], (("batch1",), "batch2")),
        "aten::mv": (("self",), "vec"),
        "aten::addmv": (("mat",), "vec"),
        "aten::dot": (("self",), "tensor"),
        "aten::vdot": (("self",), "other"),
        "aten::addr": (("vec1",), "vec2"),
    }
)
"""The operands of each op that is one inner product: those of the first side, and the second. A deformable convolution
weighs columns that its input, offsets and mask make."""

_STOPS = frozenset({"aten::detach", "aten::detach_"})

_QUANTISED = frozenset({"qint8", "quint8", "qint32"})


@dataclass(frozen=True, slots=True)
class TrainingMacs:
    """MACs of one training step.

    Attributes:
        input_gradients: of operands that depend on the model's inputs.
        weight_gradients: of operands that do not: parameters, and what is computed of parameters alone.
        trained: parameters that have a gradient, which the optimiser steps.
    """

    forward: Macs
    input_gradients: Macs
    weight_gradients: Macs
    trained: int

    @property
    def backward(self) -> Macs:
        """Returns the MACs of the backward pass."""
        return self.input_gradients + self.weight_gradients

    @property
    def total(self) -> Macs:
        """Returns the MACs of forward and backward pass."""
        return self.forward + self.backward

    def optimiser_flops(self, name: str) -> Flops:
        """Returns the FLOPs of an optimiser's step.

        Raises:
            InputError: its arithmetic is not in `OPTIMISER_FLOPS`.
        """
        if name not in OPTIMISER_FLOPS:
            raise InputError(f"optimiser {name!r}: known are {', '.join(OPTIMISER_FLOPS)}")
        return Flops(OPTIMISER_FLOPS[name] * self.trained)


def training_macs(trace: Trace) -> TrainingMacs | None:
    """Returns the MACs of a training step on the loss of all outputs; None where an op's own or its gradients' are not
    known (`unknown_in_training` names them).

    The trace is best one of the model in training mode. Gradients are wanted of every trainable parameter that the
    outputs depend on, and of no input.

    Raises:
        InputError: the trace is of no PyTorch module, or not of a whole pass.
    """
    flow = _flow(trace)
    steps = _gradients(trace, flow)
    if any(step is None for step in steps):
        return None
    forward, inputs, weights = (Macs(sum(step[side] for step in steps if step is not None)) for side in range(3))
    return TrainingMacs(forward, inputs, weights, flow.trained)


def unknown_in_training(trace: Trace) -> Mapping[str, int]:
    """Returns the ops that keep the MACs of a training step from being known, with their calls."""
    calls: dict[str, int] = {}
    for call, step in zip(trace.ops, _gradients(trace, _flow(trace)), strict=True):
        if step is None:
            calls[call.op] = calls.get(call.op, 0) + 1
    return calls


_Step = tuple[int, int, int]
"""MACs of one call: forward, gradients of inputs, gradients of parameters."""


def _flow(trace: Trace) -> _Flow:
    if trace.origin != "module":
        raise InputError("a training step is of a PyTorch module, and this is a graph read from a file")
    if trace.failed is not None:
        raise InputError(f"a training step needs a whole forward pass, and {trace.failed}")
    return _Flow(trace)


def _gradients(trace: Trace, flow: _Flow) -> list[_Step | None]:
    return [
        None if cost.amount is None else flow.step(call, cost.amount.value)
        for call, cost in zip(trace.ops, weigh(trace, MACS_ONLY), strict=True)
    ]


class _Flow:
    """Which values of a trace have a gradient: they depend on a trainable parameter, and an output depends on them."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._params = parameter_values(trace)
        self._by_storage: dict[int, list[int]] = {}
        for value in trace.values:
            self._by_storage.setdefault(value.storage, []).append(value.id)
        trainable = {number for number, param in self._params.items() if param.trainable}
        self._from_data = self._forth({item.value for item in trace.inputs}, frozenset(), lambda value: True)
        self._differentiable = self._forth(trainable, _STOPS, _is_continuous)
        self._live = self._back()

    @property
    def trained(self) -> int:
        """Returns the elements of the parameters that get a gradient."""
        return sum(param.numel for number, param in self._params.items() if param.trainable and number in self._live)

    def step(self, call: OpCall, macs: int) -> _Step | None:
        """Returns a call's MACs; None where its gradients have no rule."""
        if not macs or not any(number in self._differentiable and number in self._live for number in call.outputs):
            return macs, 0, 0
        products = _products(call, macs, self._trace.values)
        if products is None:
            return None
        inputs = weights = 0
        for amount, sides in products:
            for side in sides:
                if self._differentiable.isdisjoint(side):
                    continue
                if self._from_data.isdisjoint(side):
                    weights += amount
                else:
                    inputs += amount
        return macs, inputs, weights

    def _forth(self, start: set[int], stops: frozenset[str], passes: Callable[[Value], bool]) -> set[int]:
        """Returns the values that depend on those to start with, by ops that do not stop it and values that pass."""
        values, found = self._trace.values, set(start)
        for call in self._trace.ops:
            if call.op in stops or found.isdisjoint(_ids(call.inputs.values())):
                continue
            made = [*call.outputs, *(other for number in _written(call) for other in self._sharing(number))]
            found.update(number for number in made if passes(values[number]))
        return found

    def _back(self) -> set[int]:
        """Returns the values that the model's outputs depend on in a way that a gradient goes."""
        values = self._trace.values
        outputs = {number for call in self._trace.modules if not call.path for number in call.outputs}
        live = {number for number in outputs if _is_continuous(values[number])}
        for call in reversed(self._trace.ops):
            made = [*call.outputs, *(other for number in _written(call) for other in self._sharing(number))]
            if call.op not in _STOPS and not live.isdisjoint(made):
                live.update(_ids(call.inputs.values()))
        return live

    def _sharing(self, number: int) -> Sequence[int]:
        """Returns the values that share memory with one: what is written to it is seen through all of them."""
        return self._by_storage[self._trace.values[number].storage]


def parameter_values(trace: Trace) -> Mapping[int, Param]:
    """Returns the distinct parameters by the id of their value.

    The recorder numbers a pass's inputs first and then the parameters, in the order of `Trace.params`.

    Raises:
        InputError: the trace was not recorded so.
    """
    inputs = len({item.value for item in trace.inputs})
    distinct = [param for param in trace.params if param.alias_of is None and param.dtype not in _QUANTISED]
    found = dict(enumerate(distinct, inputs))
    for number, param in found.items():
        value = trace.values[number] if number < len(trace.values) else None
        if value is None or (value.shape, value.dtype) != (param.shape, param.dtype):
            raise InputError(f"parameter {param.name} is not where the recorder puts it: trace the model again")
    return found


def _products(call: OpCall, macs: int, values: Sequence[Value]) -> list[tuple[int, list[list[int]]]] | None:
    """Returns the inner products that a call consists of: their MACs, and the value ids behind each operand."""
    if call.op == "aten::scaled_dot_product_attention":
        query, key, value = (list(_ids([call.inputs[name]])) for name in ("query", "key", "value"))
        widths = values[query[0]].shape[-1], values[value[0]].shape[-1]
        scores = macs // sum(widths)
        return [(scores * widths[0], [query, key]), (scores * widths[1], [[*query, *key], value])]
    if call.op in RECURRENT:
        return recurrent_products(call, values)
    if call.op == "aten::_trilinear":
        left, weight, right = (list(_ids([call.inputs[name]])) for name in ("i1", "i2", "i3"))
        spread = macs // (values[weight[0]].shape[-2] + 1)  # rows·out·in2, of rows·out·in2·(in1 + 1)
        return [(macs - spread, [left, weight]), (spread, [[*left, *weight], right])]
    if call.op == "aten::einsum":
        operands = list(_ids([call.inputs["tensors"]]))
        return [(macs, [[number] for number in operands])] if len(operands) == 2 else None
    if call.op not in _OPERANDS:
        return None
    first, second = _OPERANDS[call.op]
    sides = [[number for name in names for number in _named(call, name)] for names in (first, (second,))]
    return [(macs, sides)]


def _written(call: OpCall) -> list[int]:
    return [number for name in call.mutates for number in _named(call, name)]


def _named(call: OpCall, name: str) -> list[int]:
    return list(_ids([call.inputs[name]])) if name in call.inputs else []


def _is_continuous(value: Value) -> bool:
    return "float" in value.dtype or "complex" in value.dtype


def _ids(arguments: Iterable[Ids]) -> Iterable[int]:
    for ids in arguments:
        yield from (ids,) if isinstance(ids, int) else ids
