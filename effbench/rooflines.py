"""What needs a model's ops beside its times: its roofline, the check against the machine's peaks, a step's MACs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from typing import Any

from effbench.errors import EffbenchError, InputError
from effbench.judge.op_times import agreement, seconds_by_op
from effbench.judge.plausible import Objection, demand_of, rate_objections
from effbench.judge.roofline import Ceilings, Roofline, roofline
from effbench.judge.training import TrainingMacs, training_macs, unknown_in_training
from effbench.measure.machine.interference import Watch
from effbench.measure.source import Loaded, ModelInputs
from effbench.records import Note, Peaks, TimingPlan, Trace
from effbench.records.environment import Environment
from effbench.records.op_times import OpTimes

PEAKS_S = 6.0
"""Seconds that measuring the peaks may take: a few sizes of products and a few passes over memory."""


@dataclass(frozen=True, slots=True)
class Ops:
    """A model's ops under a machine's ceilings, and what speaks against its time."""

    roofline: Roofline
    objections: tuple[Objection, ...]
    notes: tuple[Note, ...]


def peaks_here(
    plan: TimingPlan, threads: int, environment: Environment, watch: Watch, budget_s: float = PEAKS_S
) -> Peaks:
    """Returns the peaks of the plan's device for its precision and its threads, measured now in this process."""
    from effbench.measure.machine.bench import TorchBench
    from effbench.measure.machine.peaks import PeaksPlan, array_size, measure_peaks

    on_cpu = plan.device == "cpu"
    cache = environment.cpu.last_level_bytes if on_cpu else None
    size, notes = array_size(cache, environment.memory.usable_bytes if on_cpu else None)
    precisions: tuple[Any, ...] = tuple(dict.fromkeys((plan.precision.removeprefix("autocast-"), "float32")))
    asked = PeaksPlan(budget_s, (threads,), precisions)
    return measure_peaks(TorchBench(plan.device), asked, size, time.perf_counter, notes if on_cpu else (), watch)


def ops_of(loaded: Loaded, plan: TimingPlan, threads: int, latency_s: float, peaks: Peaks) -> Ops:
    """Returns the roofline of a model's pass or step from ops timed now in this process, in passes of their own.

    Raises:
        InputError: no peak was measured, or the model cannot be run under the plan. ModelError: it raised.
    """
    bandwidth = peaks.bandwidth_bytes_per_s(threads)
    if bandwidth is None:
        raise InputError(f"{loaded.name}: the memory's bandwidth could not be measured, so there is no roofline")
    ceilings = Ceilings(peaks.flops_by_precision(threads), bandwidth)
    seen, times = (_step_ops if plan.runs == "training" else _pass_ops)(loaded, plan, threads)
    found = roofline(seen, ceilings, seconds_by_op(times), latency_s)
    against = tuple(
        replace(item, refuses=item.refuses and not peaks.disturbed)
        for item in rate_objections(demand_of(seen, latency_s, loaded.name), ceilings)
    )
    return Ops(found, against, (*agreement(times, latency_s, loaded.name), *_in_part(found, loaded.name)))


def _in_part(found: Roofline, subject: str) -> tuple[Note, ...]:
    """Returns what a reader of a bound must know where FLOPs have no formula."""
    calls = sum(op.flops is None for op in found.ops)
    if not calls:
        return ()
    text = f"{calls} of {len(found.ops)} op calls have no FLOP formula and are bounded by their bytes or MACs alone"
    return (Note("bound-in-part", subject, f"{text}: the model's bound stays one, and may be too low"),)


def traced_as_timed(loaded: Loaded, plan: TimingPlan) -> Trace:
    """Returns the trace of a forward pass in the plan's precision and batch; under autocast each op in its own dtype.

    Raises:
        InputError: the batch cannot be had. ModelError: building the model raised.
    """
    import torch

    from effbench.measure.containers import mapped
    from effbench.measure.timing.step import autocast_of, resized
    from effbench.measure.trace import trace

    device = torch.device(plan.device)
    autocast = autocast_of(plan, device)
    dtype = torch.float32 if autocast else getattr(torch, plan.precision)
    args, kwargs = resized(loaded, plan.batch)

    def cast(tensor: Any) -> Any:
        placed = tensor.to(device) if autocast else tensor  # which ops are cast depends on the device
        return placed.to(dtype) if tensor.is_floating_point() else placed

    def build(where: str) -> Any:
        model = loaded.build(where)
        if autocast:
            return model.to(device)
        return model if plan.precision == "float32" else model.to(dtype)

    inputs = ModelInputs(*(mapped(each, cast) for each in (args, kwargs)))
    mode: Any = "train" if plan.runs == "training" else "eval"
    return trace(replace(loaded, build=build, inputs=inputs), mode, autocast=autocast)


def step_macs(loaded: Loaded, plan: TimingPlan) -> tuple[TrainingMacs | None, Mapping[str, int]]:
    """Returns (the MACs of a training step, None where they are not known; the ops that keep them from it)."""
    with suppress(EffbenchError):
        seen = traced_as_timed(loaded, replace(plan, precision="float32"))
        return training_macs(seen), unknown_in_training(seen)
    return None, {}


def _pass_ops(loaded: Loaded, plan: TimingPlan, threads: int) -> tuple[Trace, OpTimes]:
    """Returns a forward pass and the times of its ops."""
    import torch

    from effbench.measure.machine.bench import TorchBench
    from effbench.measure.timing.layer_times import op_times
    from effbench.measure.timing.step import prepare

    seen = traced_as_timed(loaded, plan)
    with TorchBench(plan.device).threads(threads), torch.no_grad():
        call = prepare(loaded, _as_ops(plan)).call
        return seen, op_times(call, seen, **_watching(plan))


def _step_ops(loaded: Loaded, plan: TimingPlan, threads: int) -> tuple[Trace, OpTimes]:
    """Returns a training step, as it runs, and the times of its ops."""
    from effbench.measure.timing.layer_times import op_times
    from effbench.measure.timing.step import prepare
    from effbench.measure.timing.step_trace import step_trace

    step = prepare(loaded, replace(_as_ops(plan), threads=threads))
    with step.around():
        seen = step_trace(step.call)
        return seen, op_times(step.call, seen, around=nullcontext, **_watching(plan))


def _as_ops(plan: TimingPlan) -> TimingPlan:
    return replace(plan, compiled=False, captured=False, cold_cache=False)  # a graph has no ops to time


def _watching(plan: TimingPlan) -> dict[str, Any]:
    """Returns the arguments with which op times are taken on a plan's device."""
    import torch

    from effbench.measure.timing.layer_times import AcceleratorStopwatch, keeps_busy

    device = torch.device(plan.device)
    return {} if device.type == "cpu" else {"watch": AcceleratorStopwatch(device), "busy": keeps_busy(device)}
