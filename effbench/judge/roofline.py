"""The roofline: for every op, how fast the machine's arithmetic and its memory would let it be, beside how fast it was.

Source: Williams, Waterman and Patterson, Roofline: an insightful visual performance model for multicore architectures,
Communications of the ACM 52(4), 2009: attainable FLOP/s = min(peak, arithmetic intensity × bandwidth). Each op is taken
by itself, its inputs read from memory and its outputs written there: an op that finds its inputs in a cache, or that
a compiler merges into its neighbour, may be faster than its memory bound, and is then not impossible.

FLOPs are those of the convention `full`: 2 per MAC and 1 per other operation. Bytes are those of `judge/traffic.py`.
Both sides are lower bounds by themselves: an op without a formula, as many that compute gradients are, is bound by its
bytes alone, and one whose MACs are known but not what it does beside them, by these too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from effbench.errors import InputError
from effbench.judge.convention import MACS_ONLY, weigh
from effbench.judge.conventions.full import WEIGHTS
from effbench.judge.traffic import Traffic, traffic
from effbench.records import COMPUTES_IN, OpCall, Trace, Value
from effbench.units import Flops

Bound = Literal["compute", "memory", "none", "bytes only", "FLOPs only", "unknown"]
"""What holds an op back: arithmetic, memory, nothing (it moves and computes nothing), or, where the other side is not
known in full, at least its bytes or its FLOPs; "unknown" where neither is known."""

_REAL = {"complex32": "float16", "complex64": "float32", "complex128": "float64"}
_WIDEST_FIRST = ("float64", "float32", "bfloat16", "float16")
_QUANTISED = frozenset({"int8", "uint8", "qint8", "quint8"})
_BESIDE = frozenset({"workspace", "reserve", "reserveSpace", "logsumexp"})
"""Arguments that a forward pass leaves for its backward pass and that are no operands: a library's bytes, and the
normalisers of attention's rows, which are float32 whatever is multiplied."""


@dataclass(frozen=True, slots=True)
class Ceilings:
    """What a machine reaches at most, as measured.

    Attributes:
        flops_per_s: by dtype of the operands ("float32", "bfloat16", "int8", …).
        bytes_per_s: of its memory.
    """

    flops_per_s: Mapping[str, float]
    bytes_per_s: float

    def __post_init__(self) -> None:
        """Raises InputError for a limit that is no positive number."""
        for name, limit in (*self.flops_per_s.items(), ("memory", self.bytes_per_s)):
            if not (math.isfinite(limit) and limit > 0):
                raise InputError(f"peak of {name}: {limit!r} per second is no rate; `effbench selfcheck` measures it")

    def ridge(self, dtype: str) -> float | None:
        """Returns the arithmetic intensity, in FLOP/byte, from which arithmetic is the limit; None for other dtypes."""
        peak = self.flops_per_s.get(dtype)
        return None if peak is None else peak / self.bytes_per_s


@dataclass(frozen=True, slots=True)
class OpRoof:
    """One op call under the roofline.

    Attributes:
        index: its place in `Trace.ops`.
        dtype: of what it computes with; "" where it computes with no floating-point numbers.
        flops: None where no rule says them. traffic: None where the bytes are not known.
        compute_s: seconds of its arithmetic at the peak of its dtype, of its MACs where the other FLOPs are not known;
            None where these or the peak are not known.
        memory_s: seconds of its bytes at the memory's bandwidth; None where they are not known.
        measured_s: None where it was not timed.
    """

    index: int
    op: str
    module: str
    dtype: str
    flops: Flops | None
    traffic: Traffic | None
    compute_s: float | None
    memory_s: float | None
    measured_s: float | None

    @property
    def nbytes(self) -> int | None:
        """Returns the bytes moved."""
        return None if self.traffic is None else self.traffic.total

    @property
    def intensity(self) -> float | None:
        """Returns FLOPs per byte; None where one is not known or no byte is moved."""
        return self.flops.count / self.nbytes if self.flops is not None and self.nbytes else None

    @property
    def attainable_s(self) -> float | None:
        """Returns the least seconds that the roofline allows; None where one of its sides is not known in full."""
        unknown = self.flops is None or self.compute_s is None or self.memory_s is None
        return None if unknown else self.at_least_s

    @property
    def at_least_s(self) -> float:
        """Returns the least seconds by the side that is known, 0 where neither is."""
        return max(self.compute_s or 0.0, self.memory_s or 0.0)

    @property
    def bound(self) -> Bound:
        """Returns the side that sets the attainable time."""
        in_full, by_compute = self.attainable_s is not None, (self.compute_s or 0.0) >= (self.memory_s or 0.0)
        if not self.at_least_s:
            return "none" if in_full else "unknown"
        if in_full:
            return "compute" if by_compute else "memory"
        return "FLOPs only" if by_compute else "bytes only"

    @property
    def utilisation(self) -> float | None:
        """Returns attainable over measured seconds: 1 is on the roof; None where one is not known."""
        return share(self.attainable_s, self.measured_s)


@dataclass(frozen=True, slots=True)
class Roofline:
    """All op calls of a model under one machine's ceilings; `latency_s` is the whole call's, timed without hooks."""

    ceilings: Ceilings
    ops: tuple[OpRoof, ...]
    latency_s: float | None = None

    @property
    def bound_s(self) -> float | None:
        """Returns the sum of what the ops can attain: a lower bound of the model's time, run op by op."""
        return None if self.unknown else self.at_least_s

    @property
    def at_least_s(self) -> float:
        """Returns the same sum over what is known: a lower bound also where `bound_s` is None."""
        return math.fsum(op.at_least_s for op in self.ops)

    @property
    def achieved(self) -> float | None:
        """Returns the lower bound over the latency; None where one is not known."""
        return share(self.bound_s, self.latency_s)

    @property
    def achieved_at_least(self) -> float | None:
        """Returns the same share by what is known; None without a latency."""
        return share(self.at_least_s, self.latency_s)

    @property
    def measured_s(self) -> float | None:
        """Returns the sum of the ops' measured seconds; None where none was timed."""
        known = [op.measured_s for op in self.ops if op.measured_s is not None]
        return math.fsum(known) if known else None

    @property
    def unknown(self) -> Mapping[str, int]:
        """Returns the ops whose attainable time is not known, with their calls."""
        calls: dict[str, int] = {}
        for op in self.ops:
            if op.attainable_s is None:
                calls[op.op] = calls.get(op.op, 0) + 1
        return calls

    @property
    def seconds_by_bound(self) -> Mapping[Bound, float]:
        """Returns the attainable seconds by what sets them."""
        sums: dict[Bound, float] = {}
        for op in self.ops:
            sums[op.bound] = sums.get(op.bound, 0.0) + op.at_least_s
        return sums


def roofline(
    trace: Trace,
    ceilings: Ceilings,
    seconds: Mapping[int, float] | None = None,
    latency_s: float | None = None,
) -> Roofline:
    """Returns every op call of a trace under the roofline, in order.

    Args:
        trace: in the precision that was timed, since bytes and peaks are those of its tensors' dtypes.
        ceilings: what the machine reaches.
        seconds: measured, by the op's place in the trace; calls may be missing.
        latency_s: of the whole call.

    Raises:
        InputError: the trace is not of a whole forward pass, or a time is given for a call that it does not have.
    """
    if trace.failed is not None:
        raise InputError(f"a roofline needs a whole forward pass, and {trace.failed}")
    measured = dict(seconds or {})
    strange = [index for index in measured if not 0 <= index < len(trace.ops)]
    if strange:
        raise InputError(f"seconds of op call {strange[0]}: the trace has {len(trace.ops)}; time the model it is of")
    full = [None if cost.amount is None else cost.amount.value for cost in weigh(trace, WEIGHTS)]
    macs = [None if cost.amount is None else cost.amount.value for cost in weigh(trace, MACS_ONLY)]
    return Roofline(
        ceilings,
        tuple(
            _op_roof(index, call, trace.values, (full[index], macs[index]), ceilings, measured.get(index))
            for index, call in enumerate(trace.ops)
        ),
        latency_s,
    )


def _op_roof(
    index: int,
    call: OpCall,
    values: Sequence[Value],
    work: tuple[int | None, int | None],
    ceilings: Ceilings,
    measured_s: float | None,
) -> OpRoof:
    """Returns a call under the roofline by its (FLOPs, MACs)."""
    flops, macs = work
    dtype = computes_in(call, values, macs != 0)
    moved = traffic(call, values)
    flops = flops if dtype else 0
    least = flops if flops is not None or not macs else 2 * macs
    compute_s = _seconds(least, ceilings.flops_per_s.get(dtype))
    return OpRoof(
        index,
        call.op,
        call.module,
        dtype,
        None if flops is None else Flops(flops),
        moved,
        compute_s,
        _seconds(None if moved is None else moved.total, ceilings.bytes_per_s),
        measured_s,
    )


def computes_in(call: OpCall, values: Sequence[Value], multiplies: bool) -> str:
    """Returns the dtype whose peak an op is held to: the widest floating-point one among its inputs, else its outputs.

    Where autocast casts inside an op, the one seen. Complex numbers are pairs of real ones. Inner products of quantised
    integers are "int8"; all other work on integers and booleans is no floating-point work, and the answer "".
    """
    seen = [tag.removeprefix(COMPUTES_IN) for tag in call.tags if tag.startswith(COMPUTES_IN)]
    if seen:
        return seen[0]
    operands = [ids for name, ids in call.inputs.items() if name not in _BESIDE]
    given = [values[number].dtype for ids in operands for number in _tuple(ids)]
    made = [values[number].dtype for number in call.outputs]
    if multiplies and not _QUANTISED.isdisjoint(given):
        return "int8"
    for dtypes in (given, made):
        real = {_REAL.get(dtype, dtype) for dtype in dtypes}
        found = [dtype for dtype in (*_WIDEST_FIRST, *sorted(real)) if dtype in real and "float" in dtype]
        if found:
            return found[0]
    return ""


def share(least_s: float | None, measured_s: float | None) -> float | None:
    """Returns the least seconds over the measured ones; None where one is not known or nothing was measured."""
    return least_s / measured_s if least_s is not None and measured_s else None


def _seconds(amount: int | None, per_s: float | None) -> float | None:
    """Returns an amount over a rate; nothing takes no time at an unknown rate too."""
    if amount == 0:
        return 0.0
    return None if amount is None or per_s is None else amount / per_s


def _tuple(ids: int | tuple[int, ...]) -> tuple[int, ...]:
    return (ids,) if isinstance(ids, int) else ids
