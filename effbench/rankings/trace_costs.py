"""What a leaderboard reads of a trace, as plain data that can be kept: its size, its FLOPs, its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from effbench.errors import InputError
from effbench.judge.convention import conventions
from effbench.judge.count import count
from effbench.judge.liveness import peak_activation_bytes
from effbench.records import Trace

Costs: TypeAlias = Mapping[str, Any]
"""`costs_of` a trace: texts, numbers and None."""


def costs_of(trace: Trace, convention: str, memory: bool = False) -> Costs:
    """Returns what a ranking reads of a trace.

    Args:
        trace: the facts.
        convention: how FLOPs are counted.
        memory: also the peak of its activations, which takes longer.

    Returns:
        params, macs, flops (None where unknown, `obstacle` then says why), batch and input as texts (empty where the
        inputs share no first dimension), dtype, and peak_bytes where it was asked for.
    """
    found: dict[str, Any] = {
        "params": sum(param.numel for param in trace.params if param.alias_of is None),
        "macs": None,
        "flops": None,
        "obstacle": trace.failed or "",
        **_inputs(trace),
    }
    if memory and trace.failed is None:
        found["peak_bytes"] = peak_activation_bytes(trace)
    try:
        counts = count(trace, conventions.get(convention))
    except InputError as refused:  # its facts cannot be counted under this convention
        return {**found, "obstacle": str(refused)}
    unknown = ", ".join(counts.coverage.unknown)
    if unknown:
        return {**found, "obstacle": f"FLOPs unknown: no formula for {unknown}"}
    return {**found, "macs": counts.macs, "flops": counts.flops}


def _inputs(trace: Trace) -> dict[str, str]:
    """Returns batch, and the shapes and kinds of the inputs without it."""
    shapes = [tuple(item.shape) for item in trace.inputs]
    firsts = {shape[0] if shape else None for shape in shapes}
    batch = next(iter(firsts)) if len(firsts) == 1 else None
    rest = shapes if batch is None else [shape[1:] for shape in shapes]
    return {
        "batch": "" if batch is None else str(batch),
        "input": " + ".join("×".join(map(str, shape)) or "one number" for shape in rest),
        "dtype": " + ".join(dict.fromkeys(str(item.dtype) for item in trace.inputs)),
    }
