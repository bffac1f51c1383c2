"""Three checks that no honest time fails: against the wall, against a mix-up of units, and against the machine.

1. The samples of a process add up to the wall time measured around them. A missing synchronisation times the launch
   and not the work, swapped events give negative times, milliseconds kept as seconds a thousand times too much.
2. Units are types (`effbench.units`): a number of MACs where FLOPs belong raises TypeError.
3. Nobody multiplies faster than the machine was seen to. Only inner products count here, since a compiler may fold
   everything else away (a batch norm into the convolution before it).

What is measured faster than memory can deliver is no lie for certain: caches are faster than memory.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from effbench.errors import CheckFailed
from effbench.judge.convention import MACS_ONLY, weigh
from effbench.judge.number_kinds import is_sparse
from effbench.judge.roofline import Ceilings, computes_in
from effbench.judge.traffic import compulsory_bytes
from effbench.records import Attr, Note, OpCall, ProcessRun, Timing, Trace, Value
from effbench.units import Flops

TOLERANCE = 0.05
"""Relative: the samples against the wall, and a rate against the measured peak."""

WINOGRAD = 2.25
"""A 2×2 tile of a 3×3 convolution takes 16 multiplications instead of 36 (Lavin and Gray, Fast algorithms for
convolutional neural networks, 2015, section 4.1)."""

OWN_S = 1e-6
"""Seconds around a call that its sample does not have: two readings of the host's counter and a turn of a loop."""
DEVICE_OWN_S = 100e-6
"""The same on an accelerator, whose events are recorded and which is waited for: an allowance, not measured."""

_ENTRIES = frozenset(
    {"aten::convolution", "aten::_convolution", "aten::conv2d", "aten::cudnn_convolution", "aten::convolution_backward"}
)

_MIX_UPS: tuple[tuple[float, float, str], ...] = (
    (500, 2000, "milliseconds kept as seconds"),
    (5e5, 2e6, "microseconds kept as seconds"),
    (0, 0.5, "a missing synchronisation, or seconds kept as milliseconds"),
)
"""Ratios of the samples to the wall, from and to, and what most often makes them."""


@dataclass(frozen=True, slots=True)
class Objection:
    """What is wrong with a measurement; one that `refuses` makes it no measurement, any other is a warning."""

    note: Note
    refuses: bool


@dataclass(frozen=True, slots=True)
class Demand:
    """What a measured row says was done, and in which time.

    Attributes:
        flops: 2 for every MAC, by dtype; elsewhere-counted FLOPs stay out, as do products that skip stored zeros.
        eased: the same with those of each call divided by how much faster an algorithm may serve it.
        nbytes: that no run can do without: parameters, inputs and outputs, once each; None where not known.
    """

    subject: str
    flops: Mapping[str, Flops]
    eased: Mapping[str, float]
    nbytes: int | None
    seconds: float


def wall_objections(run: ProcessRun, subject: str, per_call_s: float = 0.0) -> tuple[Objection, ...]:
    """Returns what speaks against a process's samples: their sum is not the wall time around them, within 5 %.

    Args:
        run: what the process measured.
        subject: what notes call it.
        per_call_s: seconds that one reading of the clock takes, which the wall has and no sample does.
    """
    wrong = [sample for sample in run.samples_s if not (math.isfinite(sample) and sample > 0)]
    if wrong:
        text = f"{len(wrong)} of {len(run.samples_s)} samples are no time at all, such as {wrong[0]:g} s"
        return (_refusal("impossible-sample", subject, f"{text}: the start and end events are swapped, or lost"),)
    total = math.fsum(run.samples_s)
    least = run.wall_s - per_call_s * len(run.samples_s)
    if total and least * (1 - TOLERANCE) <= total <= run.wall_s * (1 + TOLERANCE):
        return ()
    if not total and not run.wall_s:
        return ()
    ratio = total / run.wall_s if run.wall_s > 0 else math.inf
    cause = next(
        (text for low, high, text in _MIX_UPS if low <= ratio < high), "a clock that is read at the wrong places"
    )
    text = f"{len(run.samples_s)} samples add up to {total:.4g} s, and {run.wall_s:.4g} s passed around them"
    return (_refusal("clock-disagrees", subject, f"{text} ({ratio:.3g} ×, allowed ± 5 %): {cause}"),)


def wall_verdict(timing: Timing) -> tuple[Objection, ...]:
    """Returns what speaks against a model's times: what `wall_objections` finds in most of its processes refuses them.

    A process that was put off a core just between two calls looks like a lie once; a clock that lies does so always.
    """
    if timing.plan.cold_cache:  # emptying the cache takes time that no sample has
        return ()
    per_call_s = OWN_S if timing.plan.device == "cpu" else DEVICE_OWN_S
    found = [item for run in timing.runs for item in wall_objections(run, timing.model, per_call_s)]
    if not found:
        return ()
    first = found[0].note
    text = f"in {len(found)} of {len(timing.runs)} processes; the first: {first.text}"
    return (Objection(Note(first.code, first.subject, text), 2 * len(found) > len(timing.runs)),)


def rate_objections(demand: Demand, ceilings: Ceilings) -> tuple[Objection, ...]:
    """Returns what speaks against a row: beyond 105 % of the peak FLOP/s it is refused, of the bandwidth warned of."""
    if not (math.isfinite(demand.seconds) and demand.seconds > 0):
        return (_refusal("impossible-sample", demand.subject, f"{demand.seconds:g} s is no time at all"),)
    return (*_too_fast_to_multiply(demand, ceilings), *_too_fast_to_move(demand, ceilings))


def _too_fast_to_multiply(demand: Demand, ceilings: Ceilings) -> tuple[Objection, ...]:
    absent = sorted(dtype for dtype, flops in demand.flops.items() if flops.count and dtype not in ceilings.flops_per_s)
    known = {dtype: eased for dtype, eased in demand.eased.items() if dtype in ceilings.flops_per_s}
    least_s = math.fsum(eased / ceilings.flops_per_s[dtype] for dtype, eased in known.items())
    if demand.seconds * (1 + TOLERANCE) < least_s:
        total = sum(flops.count for flops in demand.flops.values())
        text = (
            f"{total / demand.seconds / 1e9:,.1f} GFLOP/s is {least_s / demand.seconds:.0%} of what this machine was "
            f"measured to reach ({least_s:.4g} s at its peak, {demand.seconds:.4g} s claimed): work is missing from "
            "the time, or the count is wrong"
        )
        return (_refusal("faster-than-peak", demand.subject, text),)
    if absent:
        text = f"no peak of {', '.join(absent)} was measured, so the rate was not checked against it"
        return (Objection(Note("rate-unchecked", demand.subject, text), False),)
    return ()


def _too_fast_to_move(demand: Demand, ceilings: Ceilings) -> tuple[Objection, ...]:
    if demand.nbytes is None:
        text = "the bytes that it has to move are not known, so they were not checked against the memory's bandwidth"
        return (Objection(Note("bandwidth-unchecked", demand.subject, text), False),)
    rate = demand.nbytes / demand.seconds
    if rate <= ceilings.bytes_per_s * (1 + TOLERANCE):
        return ()
    text = (
        f"{rate / 1e9:,.1f} GB/s is {rate / ceilings.bytes_per_s:.0%} of the memory's measured bandwidth: its weights "
        "and inputs stay in a cache from call to call, or work is missing from the time"
    )
    return (Objection(Note("faster-than-memory", demand.subject, text), False),)


def refuse(objections: Sequence[Objection]) -> tuple[Note, ...]:
    """Returns the warnings as notes.

    Raises:
        CheckFailed: an objection refuses the measurement.
    """
    for objection in objections:
        if objection.refuses:
            raise CheckFailed(f"{objection.note.subject}: {objection.note.text}")
    return tuple(objection.note for objection in objections)


def demand_of(trace: Trace, seconds: float, subject: str) -> Demand:
    """Returns what one forward pass demands, said to take so many seconds.

    An op whose MACs are not known demands nothing here: a row is refused for what is known.
    """
    flops: dict[str, int] = {}
    eased: dict[str, float] = {}
    for call, cost in zip(trace.ops, weigh(trace, MACS_ONLY), strict=True):
        if cost.amount is None or not cost.amount or _skips_zeros(call, trace.values):
            continue
        dtype, amount = computes_in(call, trace.values, True), 2 * cost.amount.value
        flops[dtype] = flops.get(dtype, 0) + amount
        eased[dtype] = eased.get(dtype, 0.0) + amount / easing(call, trace.values)
    typed = {dtype: Flops(amount) for dtype, amount in flops.items()}
    return Demand(subject, typed, eased, compulsory_bytes(trace), seconds)


def easing(call: OpCall, values: Sequence[Value]) -> float:
    """Returns how many times faster than its MACs an algorithm in use may serve a call.

    - Winograd, 2.25: a 2-d convolution with a 3×3 kernel and stride 1, as Lavin and Gray describe it and oneDNN's
      documentation has it. That it is served with dilation 1 and in one group only is our choice: what others' kernels
      do there was not read.
    - Causal attention, 2: a kernel may skip the scores above the diagonal, which the count has (Dao, FlashAttention-2,
      2023, section 3.1.1).
    """
    if call.op in _ENTRIES:
        return WINOGRAD if _winograd_may_serve(call, values) else 1.0
    return 2.0 if call.attrs.get("is_causal") is True else 1.0


def _winograd_may_serve(call: OpCall, values: Sequence[Value]) -> bool:
    weight = call.inputs.get("weight")
    if not isinstance(weight, int) or values[weight].shape[2:] != (3, 3) or call.attrs.get("transposed") is True:
        return False
    return call.attrs.get("groups") == 1 and all(_ones(call.attrs.get(name)) for name in ("stride", "dilation"))


def _ones(attr: Attr) -> bool:
    return attr == 1 or (isinstance(attr, tuple) and all(item == 1 for item in attr))


def _skips_zeros(call: OpCall, values: Sequence[Value]) -> bool:
    given = [ids for item in call.inputs.values() for ids in ((item,) if isinstance(item, int) else item)]
    return "semi_structured" in call.op or "cslt" in call.op or any(is_sparse(values[number]) for number in given)


def _refusal(code: str, subject: str, text: str) -> Objection:
    return Objection(Note(code, subject, text), True)
