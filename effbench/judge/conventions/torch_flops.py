"""`torch`: the figure of torch.utils.flop_counter.FlopCounterMode (torch 2.14.1), recomputed from op calls.

Run condition: on meta tensors, in eval mode, under no_grad, with weights that require no gradient. It gives 2 FLOPs
per MAC; its MACs are half of them.

Facts read in its source: it watches the dispatcher, opens an op that PyTorch composes of others, and adds the formula
of each op in its table. The table's forward part holds mm, addmm, bmm, baddbmm, _scaled_mm, convolution under its
names, the kernels of fused attention, and flex_attention. All formulas are the definition, dense also under a mask.

Where it is wrong: an op outside the table counts 0, and mv, addmv, dot, addr, addbmm, nn.Bilinear's kernel, in-place
forms (addmm_, baddbmm_), sparse and quantised products are outside it. A complex MAC counts as one real MAC in a matrix
product and as three in a convolution, which PyTorch makes of three real ones.

Where it differs: on meta attention is opened into two bmm and counted; on the CPU it is one kernel outside the table,
as a layer of an LSTM is, and counts 0 (vit_b_16 in MACs: 17.56 G on meta, 11.27 G on the CPU); fused kernels of CUDA
are counted. Under no_grad nn.MultiheadAttention and nn.TransformerEncoderLayer take a fast path on the CPU that counts
less; on meta there is none and the grad mode changes nothing.

Where it raises: a model that reads a value of a tensor has no figure on meta, and neither has flex_attention, nor
nn.TransformerEncoder given a padding mask with its nested tensors on. Under no_grad it raises where a module is given a
view of a weight that requires a gradient (timm's cait and pit hand on their class token so), hence the frozen weights.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import zip_longest

from effbench.judge.algebra import ZERO, Expr, elements, product
from effbench.judge.convention import Cost, convention
from effbench.judge.formulas.matmul import mm
from effbench.judge.work import Formula, Work, formulas
from effbench.records import OpCall, Shape, Trace
from effbench.units import Unit

_BY_DEFINITION = frozenset(
    f"aten::{name}"
    for name in (
        "mm",
        "addmm",
        "bmm",
        "baddbmm",
        "convolution",
        "_convolution",
        "cudnn_convolution",
        "convolution_overrideable",
        "_scaled_dot_product_efficient_attention",
        "_scaled_dot_product_flash_attention",
        "_scaled_dot_product_cudnn_attention",
        "_flash_attention_forward",
        "_efficient_attention_forward",
        # Recorded whole; on meta they are products of the same sizes.
        "lstm",
        "gru",
        "rnn_tanh",
        "rnn_relu",
        "mkldnn_rnn_layer",
    )
)
"""Ops that FlopCounterMode counts by the same definition as effbench's own formulas."""


_COMPLEX = frozenset(f"aten::{name}{d}d" for name in ("conv", "conv_transpose") for d in (1, 2, 3))
"""Convolutions that are recorded whole, because their numbers are complex: PyTorch makes them of three real ones."""


def _attention(query: Shape, key: Shape, value: Shape, enable_gqa: bool) -> Work:
    """Returns the two bmm that attention is opened into: scores, and weights times values."""
    heads = query[-3:-2] if enable_gqa else None  # keys and values are repeated for every query head
    keys, values = ((*shape[:-3], *(heads or shape[-3:-2])) for shape in (key, value))
    batch = _broadcast(query[:-2], keys)
    scores = elements(batch) * product(Lq=query[-2], Lk=key[-2], Dqk=query[-1])
    return Work(mac=scores + elements(_broadcast(batch, values)) * product(Lq=query[-2], Lk=key[-2], Dv=value[-1]))


def _broadcast(left: Shape, right: Shape) -> Shape:
    pairs = zip_longest(reversed(left), reversed(right), fillvalue=1)
    return tuple(reversed([b if a == 1 else a for a, b in pairs]))


_OWN = {
    "aten::scaled_dot_product_attention": Formula(_attention, ("query", "key", "value", "enable_gqa")),
    "aten::_scaled_mm": Formula(mm, ("mat2", "self")),
}


@convention(
    "torch",
    Unit.FLOP,
    "the figure of torch's FlopCounterMode on meta tensors: 2 per MAC of the matrix products it knows",
    beside=Unit.MAC,
)
def torch_flops(trace: Trace) -> Iterable[Cost]:
    """Gives the FLOPs of every op call; an op outside FlopCounterMode's table is free here, as it is there."""
    for call in trace.ops:
        if call.op == "higher_order::flex_attention":
            yield Cost(call.module, call.op, None, why="flex_attention refuses meta tensors")
            continue
        mac = _macs(call, trace)
        yield Cost(call.module, call.op, mac * 2, mac)


def _macs(call: OpCall, trace: Trace) -> Expr:
    entry = formulas.find(call.op) if call.op in _BY_DEFINITION | _COMPLEX else _OWN.get(call.op)
    mac = ZERO if entry is None else entry.work(call, trace.values).mac
    return mac * 3 if call.op in _COMPLEX else mac
