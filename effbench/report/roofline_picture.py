"""What a roofline's picture shows, whoever draws it: roofs, ops as points, and the part of the plane they lie in."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MARKED = 8
"""Ops that have a letter: those that took longest."""

ASIDE = 0.02
"""Share of the time of all ops that the slowest of them in FLOP/s may take together and not be drawn: a mean over a
few numbers lies decades below all others, and would press these together."""


@dataclass(frozen=True, slots=True)
class Roof:
    """The ceiling of one dtype: FLOP/s as far as memory's slope reaches it, at `ridge` FLOP/byte."""

    dtype: str
    flops_per_s: float
    ridge: float


@dataclass(frozen=True, slots=True)
class Point:
    """One op call.

    Attributes:
        index: its place in the trace.
        intensity: FLOP/byte. flops_per_s: achieved or, where it was not timed, attainable.
        seconds: measured or, where it was not timed, attainable.
        mark: its letter; "" for an op that took little.
    """

    index: int
    op: str
    path: str
    dtype: str
    bound: str
    intensity: float
    flops_per_s: float
    seconds: float
    utilisation: float | None
    mark: str


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that is drawn.

    Attributes:
        points: dearest first.
        timed: whether they lie where they were measured; else they lie on the roof.
        x, y: what the axes span, in FLOP/byte and FLOP/s.
        absent: ops that are not drawn though they move or compute something: they compute nothing, are among
            the slow and short ones of `ASIDE`, or a figure of theirs is not known.
    """

    name: str
    bytes_per_s: float
    roofs: tuple[Roof, ...]
    points: tuple[Point, ...]
    timed: bool
    x: tuple[float, float]
    y: tuple[float, float]
    absent: int


def picture(document: Mapping[str, Any]) -> Picture:
    """Returns what is drawn of a roofline's document; ops that were timed where any was."""
    ceilings = document["ceilings"]
    roofs = tuple(
        Roof(dtype, peak, ceilings["ridge_flops_per_byte"][dtype]) for dtype, peak in ceilings["flops_per_s"].items()
    )
    timed = any(op["measured_s"] for op in document["ops"])
    key = "measured_s" if timed else "attainable_s"
    busy = [op for op in document["ops"] if op["attainable_s"] != 0]
    placed = [op for op in busy if op["flops"] and op["intensity"] and op[key]]
    drawn = _without_slowest(placed, key)
    points = tuple(
        _point(op, key, chr(ord("a") + place) if place < MARKED else "")
        for place, op in enumerate(sorted(drawn, key=lambda op: -op[key]))
    )
    x, y = _spans(points, roofs)
    return Picture(document["name"], ceilings["bytes_per_s"], roofs, points, timed, x, y, len(busy) - len(points))


def _without_slowest(ops: Sequence[Mapping[str, Any]], key: str) -> list[Mapping[str, Any]]:
    """Returns the ops but those of the lowest FLOP/s that together take no more than `ASIDE` of the time."""
    left_s = ASIDE * sum(op[key] for op in ops)
    slowest_first = sorted(ops, key=lambda op: op["flops"] / op[key])
    for place, op in enumerate(slowest_first):
        left_s -= op[key]
        if left_s < 0:
            return slowest_first[place:]
    return []


def _point(op: Mapping[str, Any], key: str, mark: str) -> Point:
    return Point(
        op["index"],
        op["op"].removeprefix("aten::"),
        op["path"] or "(model)",
        op["dtype"],
        op["bound"],
        op["intensity"],
        op["flops"] / op[key],
        op[key],
        op["utilisation"],
        mark,
    )


def _spans(points: Sequence[Point], roofs: Sequence[Roof]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Returns what the axes span: every point, the ridges with some flat roof behind them, a margin around."""
    wide = [point.intensity for point in points] + [roof.ridge * 4 for roof in roofs]
    high = [point.flops_per_s for point in points] + [roof.flops_per_s for roof in roofs]
    if not wide:
        return (0.1, 100.0), (1e6, 1e9)
    return (min(*wide, 1.0) / 1.5, max(wide) * 1.5), (min(high) / 2, max(high) * 2.5)


def decades(span: tuple[float, float]) -> list[float]:
    """Returns the powers of ten within a span."""
    low, high = math.ceil(math.log10(span[0])), math.floor(math.log10(span[1]))
    return [10.0**power for power in range(low, high + 1)]


def attainable(intensity: float, roof: Roof, bytes_per_s: float) -> float:
    """Returns min(peak, intensity × bandwidth) in FLOP/s."""
    return min(roof.flops_per_s, intensity * bytes_per_s)


def milliseconds(seconds: float) -> str:
    """Returns milliseconds to three digits, such as "34.7"; "0.00123" below a hundredth."""
    value = seconds * 1e3
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:#.3g}".rstrip(".")


def calls(count: int) -> str:
    """Returns "1 call" or "12 calls"."""
    return f"{count} call" if count == 1 else f"{count:,} calls"
