"""MACs over non-zero weights: what is left of the dense count where a kernel skips every product with a zero.

Every element of a weight takes part in equally many MACs of a product or a convolution, so that the share of its
elements that are not zero is the share of MACs that are left. Attention, whose operands are all activations, stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from effbench.judge.convention import MACS_ONLY, is_free
from effbench.judge.number_kinds import restated, touches, unusual
from effbench.judge.work import formulas
from effbench.records import REPARAMETRISES, OpCall, Trace, Value

_OPERANDS: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(("mm", "bmm", "_int_mm", "_weight_int8pack_mm"), ("self", "mat2")),
    **dict.fromkeys(("addmm", "_sparse_addmm", "sspaddmm", "hspmm", "_addmm_activation"), ("mat1", "mat2")),
    **dict.fromkeys(("addbmm", "baddbmm"), ("batch1", "batch2")),
    **dict.fromkeys(("linear", "convolution", "_convolution", "mkldnn_convolution"), ("input", "weight")),
    **dict.fromkeys(("cudnn_convolution", "cudnn_convolution_transpose", "mkldnn_linear"), ("input", "weight")),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), ("input", "weight")),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), ("input", "weight")),
    **dict.fromkeys(("_sparse_sparse_matmul", "_sparse_mm_reduce_impl", "vdot"), ("self", "other")),
    "mv": ("self", "vec"),
    "addmv": ("mat", "vec"),
    "dot": ("self", "tensor"),
    "quantized::linear": ("X", "W_prepack"),
    "quantized::linear_relu": ("X", "W_prepack"),
    "quantized::linear_dynamic": ("X", "W_prepack"),
    **dict.fromkeys(("quantized::conv1d", "quantized::conv2d", "quantized::conv3d"), ("qx", "packed_weight")),
    **dict.fromkeys(("quantized::conv1d_relu", "quantized::conv2d_relu"), ("qx", "packed_weight")),
}
"""The names of an op's two factors; of a packed weight the first tensor is the weight."""


@dataclass(frozen=True, slots=True)
class Left:
    """What one call keeps of its MACs; None where the zeros do not tell it."""

    module: str
    op: str
    macs: int | None


def left_of(trace: Trace) -> tuple[Left, ...] | None:
    """Returns the MACs over weights that are not zero, call by call; None where the zeros were not counted.

    A call's are unknown where both factors have zeros, where the op has no formula for its MACs, or where it takes a
    weight with zeros in a way that is not known here.
    """
    if trace.nonzeros is None:
        return None
    odd = unusual(trace.values)
    return tuple(Left(call.module, call.op, _of_call(call, trace, trace.nonzeros, odd)) for call in trace.ops)


def nonzero_macs(trace: Trace) -> int | None:
    """Returns the MACs whose weight is not zero; None where the zeros were not counted or do not tell it."""
    return summed(left_of(trace))


def summed(calls: Iterable[Left] | None) -> int | None:
    """Returns the MACs of all calls; None where one of them is unknown, or there are no facts on them."""
    amounts = None if calls is None else [call.macs for call in calls]
    return None if amounts is None or None in amounts else sum(amount for amount in amounts if amount is not None)


def _of_call(call: OpCall, trace: Trace, nonzeros: Mapping[int, int], odd: frozenset[int]) -> int | None:
    if REPARAMETRISES in call.tags:
        return 0
    entry = formulas.find(call.op)
    if entry is None:
        return 0 if is_free(call, MACS_ONLY) else None
    work = entry.work(call, trace.values)
    if odd and touches(call, odd):
        work = restated(work, call, trace.values)
    if call.op in MACS_ONLY.unknown or "mac" in work.unknown:
        return None
    return _left(work.mac.value, call, trace.values, nonzeros) if work.mac else 0


def _left(macs: int, call: OpCall, values: tuple[Value, ...], nonzeros: Mapping[int, int]) -> int | None:
    """Returns an op's MACs without those that multiply a zero of a weight."""
    names = _OPERANDS.get(call.op.removeprefix("aten::").removesuffix("_"))
    read = names or tuple(call.inputs)
    shares = []
    for name in read:
        ids = call.inputs.get(name, ())
        number = ids if isinstance(ids, int) else next(iter(ids), -1)
        if number in nonzeros and nonzeros[number] < values[number].numel:
            shares.append((nonzeros[number], values[number].numel))
    if not shares:
        return macs
    if names is None or len(shares) > 1:
        return None
    nonzero, numel = shares[0]
    return macs * nonzero // numel
