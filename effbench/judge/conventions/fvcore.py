"""`fvcore`: the figure of FlopCountAnalysis (fvcore 0.1.5.post20221221), recomputed from calls before they are opened.

Run condition: `FlopCountAnalysis(model.eval(), inputs).total()` on the CPU with gradients on, as they are by default,
and weights that require them. It calls its unit FLOP and counts one per multiply-add: a MAC, among them per-element
costs of norms, pooling and interpolation.

Facts read in its source: it walks the graph that `torch.jit.trace` records and asks a table by the op's name, overloads
aside. linear, matmul, mm, bmm, addmm, convolution and einsum are multiply-adds; an eval batch norm is 2 per element
(1 without weights), a layer or group norm and a batch norm over the batch 5 (4 without); an instance norm 5 (4);
adaptive_avg_pool2d is 1 per input element, upsample_nearest2d 1 and upsample_bilinear2d and grid_sampler 4 per output
element. The graph holds an op that PyTorch composes of others whole, so what is inside one that the table lacks counts
nothing, and neither does a `torch.autograd.Function`.

Where it is wrong: scaled_dot_product_attention, LSTM, GRU and RNN layers, nn.Bilinear, tensordot, baddbmm, mv, dot and
convolutions with padding="same" or "valid" given as words (one op of its own) count nothing. A matmul whose right side
has more batches than its left is counted once and not per batch. An einsum has half of numpy's "optimized FLOP
count" in the four digits that numpy prints, floored: an outer product, which takes no sum, has half its products.

It raises where a matmul's right side is a vector, where mm or matmul is given out=, where a norm's input has fewer than
2 or more than 5 dimensions, where numpy refuses an equation, and where tracing does (an input that is no tensor or
container of some, a dataclass returned): those calls are unknown here. With weights that require no gradient, or under
no_grad, nn.MultiheadAttention takes a fast path on the CPU that is one op, and counts 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from effbench.judge.algebra import ZERO, Expr, elements, product, repeated
from effbench.judge.convention import Cost, convention
from effbench.records import OpCall, Shape, Trace, Value
from effbench.units import Unit

Rule = Callable[["_Call"], Expr | None]
"""One call → its amount; None where fvcore raises."""


class _Call(NamedTuple):
    """An op call with its shapes at hand."""

    op: OpCall
    values: tuple[Value, ...]

    def shape(self, name: str) -> Shape:
        """Returns the shape of a tensor argument."""
        ids = self.op.inputs[name]
        return self.values[ids if isinstance(ids, int) else ids[0]].shape

    def shapes(self, name: str) -> tuple[Shape, ...]:
        """Returns the shapes of a list of tensors."""
        ids = self.op.inputs[name]
        return tuple(self.values[number].shape for number in ((ids,) if isinstance(ids, int) else ids))

    @property
    def out(self) -> Shape:
        """Returns the shape of the first tensor returned."""
        return self.values[self.op.outputs[0]].shape


def _linear(call: _Call) -> Expr:
    return elements(call.shape("input"), "rows·in") * product(out=call.shape("weight")[0])


def _matmul(left: str, right: str) -> Rule:
    def rule(call: _Call) -> Expr | None:
        given, other = call.shape(left), call.shape(right)
        if "out" in call.op.inputs or len(other) < 2:
            return None
        return elements(given, "rows·in") * product(out=other[-1])

    return rule


def _addmm(call: _Call) -> Expr:
    return elements(call.shape("mat1"), "rows·in") * product(out=call.shape("mat2")[1])


def _convolution(call: _Call) -> Expr:
    given, weight = call.shape("input"), call.shape("weight")
    walked = given if call.op.attrs["transposed"] else call.out
    channels = product(c0=weight[0], c1=weight[1])
    return product(N=given[0]) * elements(walked[2:], "positions") * channels * repeated("k", weight[2:])


def _complex(transposed: bool) -> Rule:
    """Returns the rule of a convolution that is recorded whole, because its numbers are complex."""

    def rule(call: _Call) -> Expr:
        if isinstance(call.op.attrs["padding"], str):
            return ZERO
        given, weight = call.shape("input"), call.shape("weight")
        walked, dimensions = given if transposed else call.out, len(weight) - 2
        batch = walked[0] if len(walked) == len(weight) else 1
        # PyTorch makes it of three real ones.
        return product(N=batch) * elements(walked[-dimensions:], "positions") * elements(weight, "k") * 3

    return rule


def _einsum(call: _Call) -> Expr | None:
    equation = str(call.op.attrs["equation"]).replace(" ", "")
    shapes = call.shapes("tensors")
    known = _renamed(equation)
    if known == "abc,abd->acd":
        return elements(shapes[0]) * product(out=shapes[-1][-1])
    if known == "abc,adc->adb":
        return elements(shapes[0]) * product(out=shapes[-1][1])
    counted = _numpy_count(known, shapes)
    return None if counted is None else product(halved=int(counted // 2))


def _renamed(equation: str) -> str:
    """Returns the equation with its letters called a, b, c, … in the order in which they appear."""
    letters = dict.fromkeys(letter for letter in equation if letter.isalpha())
    return equation.translate({ord(letter): 97 + place for place, letter in enumerate(letters)})


def _numpy_count(equation: str, shapes: Iterable[Shape]) -> float | None:
    """Returns numpy's count for the cheapest order of contraction, as it prints it; None where it refuses."""
    import numpy as np

    try:
        # Of one element each: the path is found by shapes.
        arrays = [np.broadcast_to(np.zeros(()), shape) for shape in shapes]
        report = np.einsum_path(equation, *arrays, optimize="optimal")[1]
    except ValueError:
        return None
    line = next(line for line in str(report).splitlines() if "optimized flop" in line.lower())
    return float(line.rpartition(":")[2])


def _norm(call: _Call) -> Expr | None:
    given = call.shape("input")
    return elements(given) * (5 if "weight" in call.op.inputs else 4) if 2 <= len(given) <= 5 else None


def _batch_norm(call: _Call) -> Expr | None:
    if call.op.attrs["training"]:
        return _norm(call)
    return elements(call.shape("input")) * (2 if "weight" in call.op.inputs else 1)


def _per_output(times: int) -> Rule:
    return lambda call: elements(call.out) * times


def _per_input(name: str) -> Rule:
    return lambda call: elements(call.shape(name))


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "aten::linear": _linear,
        "aten::addmm": _addmm,
        "aten::mm": _matmul("self", "mat2"),
        "aten::bmm": _matmul("self", "mat2"),
        "aten::matmul": _matmul("self", "other"),
        # The tracer writes it down under the other name.
        "aten::linalg_matmul": _matmul("self", "other"),
        # The tracer opens a convolution down to this; below gradients it is the one op.
        "aten::convolution": _convolution,
        "aten::_convolution": _convolution,
        **{f"aten::conv{d}d": _complex(False) for d in (1, 2, 3)},
        **{f"aten::conv_transpose{d}d": _complex(True) for d in (1, 2, 3)},
        "aten::einsum": _einsum,
        "aten::batch_norm": _batch_norm,
        "aten::group_norm": _norm,
        "aten::layer_norm": _norm,
        "aten::instance_norm": _norm,
        "aten::upsample_nearest2d": _per_output(1),
        "aten::upsample_bilinear2d": _per_output(4),
        "aten::adaptive_avg_pool2d": _per_input("self"),
        "aten::grid_sampler": _per_output(4),
    }
)
"""Amount by op; one that is not here counts nothing in fvcore."""


@convention(
    "fvcore",
    Unit.MAC,
    "the figure of fvcore's FlopCountAnalysis: multiply-adds, norms, pooling and interpolation, fused attention as 0",
    needs=frozenset({"composites"}),
)
def fvcore(trace: Trace) -> Iterable[Cost]:
    """Gives the cost of every call that the model made; ops outside fvcore's table are free here, as they are there."""
    for op in trace.composites or ():
        rule = RULES.get(op.op)
        amount = ZERO if rule is None else rule(_Call(op, trace.values))
        yield Cost(op.module, op.op, amount, why="fvcore raises at this call" if amount is None else "")
