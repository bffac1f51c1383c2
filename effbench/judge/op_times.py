"""What passes over a model's ops say of each of them, and how far their sum is from the time of the whole call."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from effbench.records import Note, Trace
from effbench.records.op_times import OpTimes


def seconds_by_op(times: OpTimes) -> Mapping[int, float]:
    """Returns the typical seconds of each op by its place in the trace; an op that a pass missed is left out.

    It is the mean over the middle half of the passes, by their totals. Unlike medians, which of long-tailed times add
    up to less than the whole, these add up to the typical total; unlike means, they forget a disturbed pass.
    """
    chosen = _middle(times)
    return {
        index: math.fsum(known) / len(known)
        for index, column in enumerate(zip(*chosen, strict=True))
        if len(known := [seconds for seconds in column if seconds is not None]) == len(column)
    }


def seconds_by_layer(trace: Trace, times: OpTimes) -> Mapping[str, float | None]:
    """Returns the typical seconds of each module path's own ops; None where one of them was not timed."""
    known = seconds_by_op(times)
    sums: dict[str, float | None] = {}
    for index, call in enumerate(trace.ops):
        so_far, seconds = sums.get(call.module, 0.0), known.get(index)
        sums[call.module] = None if so_far is None or seconds is None else so_far + seconds
    return sums


def seconds_by_path(steps: Sequence[Mapping[str, float]]) -> Mapping[str, float | None]:
    """Returns the mean seconds of each module path over training steps; None where a step did not have it."""
    paths = dict.fromkeys(path for step in steps for path in step)
    return {
        path: math.fsum(step[path] for step in steps) / len(steps) if all(path in step for step in steps) else None
        for path in paths
    }


def agreement(times: OpTimes, latency_s: float, subject: str) -> tuple[Note, ...]:
    """Returns what a reader of the ops' times must know: their sum beside the latency, and what was not timed."""
    known = seconds_by_op(times)
    total = math.fsum(known.values())
    part = total / latency_s
    rest = "the rest is spent between them" if part <= 1 else "timing them one by one adds the rest"
    text = f"the ops took {total * 1e3:.4g} ms, {part:.0%} of a call's {latency_s * 1e3:.4g} ms without hooks: {rest}"
    notes = [Note("op-times", subject, text)]
    missing = len(times.samples_s[0]) - len(known)
    if missing:
        beside = sorted(times.elsewhere_s)[len(times.elsewhere_s) // 2]
        text = f"{missing} of {len(times.samples_s[0])} op calls are other ops here, which took {beside * 1e3:.4g} ms"
        notes.append(Note("op-times-incomplete", subject, text))
    return tuple(notes)


def _middle(times: OpTimes) -> list[tuple[float | None, ...]]:
    """Returns the middle half of the passes by total: of 15 the 4th to the 12th."""
    ordered = sorted(times.samples_s, key=lambda row: math.fsum(seconds or 0.0 for seconds in row))
    aside = len(ordered) // 4
    return ordered[aside : len(ordered) - aside]
