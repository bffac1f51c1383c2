"""`ptflops-aten`: the MACs that ptflops 0.7.5 gives with its aten backend, recomputed from op calls.

Run condition: `get_model_complexity_info(model, …, as_strings=False, backend="aten")` on an x86 CPU, under no_grad with
attention's fused path off, inputs as for `ptflops`. Other conditions give other numbers: under inference_mode linear
layers arrive whole and count nothing; on a GPU an LSTM is one call that is not counted in any precision; with gradients
on, an attention mask that needs one keeps attention from its fused kernel, which is not counted, and so it counts.

Facts read in its source: `mm`, `addmm`, `bmm` and `convolution` count by shape, with their biases, and no other op:
`mv`, `addmv` and `baddbmm` are free. Nothing is divided by the batch.
Facts seen by running it: on the CPU attention is one fused kernel where shapes, strides and mask allow it (their rule
is in PyTorch's sdp_utils_cpp.cpp) and two matrix products elsewhere. A float32 LSTM is one oneDNN call, which is not
counted, unless it projects or reads a packed sequence. RNN and GRU layers multiply all steps by their input weights at
once; where that input is not contiguous, as with `batch_first`, its bias is added apart and not counted.
Not told from the trace of a run without data: where a CPU kernel lays its result out in another order than the rule of
meta tensors, whether a linear layer that reads it adds its bias apart (a batch norm's of a transposed input lies in
order).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from effbench.judge.algebra import ZERO, Expr, elements, product
from effbench.judge.convention import Cost, convention
from effbench.judge.patched import TensorShape as Tensor
from effbench.judge.patched import ToolRaises, broadcast, matmul_macs, numel, whole
from effbench.records import OpCall, Shape, Trace, Value
from effbench.units import Unit

Given = Mapping[str, Value]
"""The tensors of an op call by argument name; "out" is the first one returned."""


def _product(left: str, right: str) -> Callable[[OpCall, Given], Expr]:
    def rule(call: OpCall, given: Given) -> Expr:
        if call.attrs.get("out_dtype") is not None:
            raise ToolRaises("its formula asserts two arguments, and this call has an output dtype")
        return matmul_macs(Tensor(given[left].shape), Tensor(given[right].shape))

    return rule


def _addmm(call: OpCall, given: Given) -> Expr:
    (rows, inner), (_, columns) = given["mat1"].shape, given["mat2"].shape
    return product(rows=rows, inner=inner, columns=columns) + product(rows=rows, columns=columns)


def _convolution(call: OpCall, given: Given) -> Expr:
    source, made = given["input"].shape, given["out"].shape
    walked = source if call.attrs["transposed"] else made
    amount = product(N=source[0]) * elements(given["weight"].shape, "weight") * elements(walked[2:], "out")
    return amount + product(N=source[0]) * elements(made[1:], "bias") if "bias" in given else amount


def _other_convolution(call: OpCall, given: Given) -> Expr:
    raise ToolRaises("its formula asserts nine arguments")


def _attention(call: OpCall, given: Given) -> Expr:
    """Nothing where the fused kernel runs, else two matrix products, batches and heads broadcast."""
    if _is_fused(call, given):
        return ZERO
    query, key, value = (given[name].shape for name in ("query", "key", "value"))
    grouped = bool(call.attrs.get("enable_gqa"))
    scores = _batch(query, key, grouped)
    mask = given["attn_mask"].shape[:-2] if "attn_mask" in given else ()
    weighted = broadcast(broadcast(scores, mask), _batch(query, value, grouped))
    sides = product(Lq=query[-2], Lk=key[-2])
    return elements(scores, "N·H") * sides * product(Dqk=query[-1]) + elements(weighted, "N·H") * sides * product(
        Dv=value[-1]
    )


def _batch(query: Shape, other: Shape, grouped: bool) -> Shape:
    """Returns the dimensions in front of a product's two; grouped heads are repeated to the query's."""
    rest = (*other[:-3], query[-3]) if grouped else other[:-2]
    return broadcast(query[:-2], rest)


def _is_fused(call: OpCall, given: Given) -> bool:
    """Returns whether the CPU's fused kernel takes the call; three dimensions are heads without a batch."""
    tensors = [given[name] for name in ("query", "key", "value")]
    shapes = [_with_batch(item.shape) for item in tensors]
    if any(len(shape) != 4 or 0 in shape for shape in shapes) or call.attrs.get("dropout_p"):
        return False
    (batch, heads, queries, width), key, value = shapes
    alike = key[:3] == value[:3] and key[0] == batch and key[3] == value[3] == width and heads % key[1] == 0
    if not alike or any(item.strides[-1] != 1 for item in tensors):
        return False
    if "attn_mask" not in given:
        return True
    mask = given["attn_mask"].shape
    mask = _with_batch(mask) if len(tensors[0].shape) == 3 else mask
    full = (batch, heads, queries, key[2])
    sizes = zip(mask, full[-len(mask) :], strict=True) if len(mask) in (2, 4) else [(0, 1)]
    return all(size in (1, whole_size) for size, whole_size in sizes)


def _with_batch(shape: Shape) -> Shape:
    return (1, *shape) if len(shape) == 3 else shape


OPS: Mapping[str, Callable[[OpCall, Given], Expr]] = MappingProxyType(
    {
        "aten::mm": _product("self", "mat2"),
        "aten::bmm": _product("self", "mat2"),
        "aten::matmul": _product("self", "other"),
        "aten::addmm": _addmm,
        "aten::convolution": _convolution,
        "aten::_convolution": _other_convolution,
        "aten::scaled_dot_product_attention": _attention,
    }
)

_RECURRENT = frozenset(f"aten::{name}" for name in ("lstm", "gru", "rnn_tanh", "rnn_relu"))
_ONEDNN_EVERYWHERE, _ONEDNN_SOMEWHERE = "float32", ("bfloat16", "float16")


def _recurrent(call: OpCall, given: Given, values: Sequence[Value]) -> Expr:
    """Returns what a recurrent layer multiplies on the CPU, all directions and depths."""
    packed = "data" in given
    source = given["data" if packed else "input"]
    cells = _cells(call, values)
    projects = any(len(cell) == 3 + 2 * bool(call.attrs["has_biases"]) for cell in cells)
    if call.op == "aten::lstm" and not packed and not projects:
        if source.dtype == _ONEDNN_EVERYWHERE:
            return ZERO
        if source.dtype in _ONEDNN_SOMEWHERE:
            raise ToolRaises(f"whether an LSTM in {source.dtype} is counted depends on the processor")
    shape, strides = source.shape, source.strides
    if packed:
        shape, strides = (shape[0], 1, shape[1]), (strides[0], 0, strides[1])
    elif call.attrs["batch_first"]:
        shape, strides = (shape[1], shape[0], shape[2]), (strides[1], strides[0], strides[2])
    directions = 2 if call.attrs["bidirectional"] else 1
    per_row = 0
    for index, cell in enumerate(cells):
        per_row += sum(numel(weight) for weight in cell if len(weight) == 2)
        if call.attrs["has_biases"]:
            per_row += cell[0][0] * (2 if index >= directions or _is_contiguous(shape, strides) else 1)
    return product(T=shape[0], N=shape[1]) * whole(per_row)


def _cells(call: OpCall, values: Sequence[Value]) -> list[tuple[Shape, ...]]:
    """Returns the shapes of each direction's and depth's parameters: two weights, two biases, a projection."""
    ids = call.inputs["params"]
    shapes = tuple(values[number].shape for number in ((ids,) if isinstance(ids, int) else ids))
    depth = call.attrs["num_layers"]
    assert isinstance(depth, int)
    each = len(shapes) // (2 * depth if call.attrs["bidirectional"] else depth)
    return [shapes[start : start + each] for start in range(0, len(shapes), each)]


def _is_contiguous(shape: Shape, strides: Shape) -> bool:
    expected = 1
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True


@convention(
    "ptflops-aten", Unit.MAC, "the figure of ptflops's aten backend: mm, addmm, bmm, convolution; biases included"
)
def ptflops_aten(trace: Trace) -> Iterable[Cost]:
    """Gives the costs of every op call, those of recurrent layers as the CPU would have made them."""
    for call in trace.ops:
        try:
            yield Cost(call.module, call.op, _amount(call, trace))
        except ToolRaises as error:
            told = "cannot be told from the trace" if call.op in _RECURRENT else "is where ptflops itself gives up"
            yield Cost(call.module, call.op, None, why=f"{told} ({error})")


def _amount(call: OpCall, trace: Trace) -> Expr:
    if call.op in _RECURRENT:
        return _recurrent(call, _given(call, trace), trace.values)
    rule = OPS.get(call.op)
    return ZERO if rule is None else rule(call, _given(call, trace))


def _given(call: OpCall, trace: Trace) -> Given:
    given = {name: trace.values[ids] for name, ids in call.inputs.items() if isinstance(ids, int)}
    return {**given, "out": trace.values[call.outputs[0]]} if call.outputs else given
