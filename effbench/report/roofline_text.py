"""The roofline in characters, for a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from effbench.report.roofline_picture import Picture, Point, Roof, attainable, calls, decades, milliseconds

_GUTTER = 8
"""Columns left of the axis, for its labels."""


def text_plot(drawn: Picture, columns: int = 80, rows: int = 18) -> list[str]:
    """Returns the lines of the plot: log-log, roofs as lines, dear ops as letters with a legend, the others as dots."""
    canvas = _Canvas(drawn, columns - _GUTTER - 1, rows)
    for roof in drawn.roofs:
        canvas.roof(roof)
    for point in reversed(drawn.points):  # the dearest last, on top
        canvas.place(point.intensity, point.flops_per_s, point.mark or "·")
    for roof in drawn.roofs:
        canvas.label(roof)
    head = "GFLOP/s" + ("" if drawn.timed else "  (not timed: every op lies on the roof)")
    return [head, *canvas.lines(), *_legend(drawn.points, columns), *_absent(drawn)]


class _Canvas:
    """Characters over a part of the plane, both axes logarithmic."""

    def __init__(self, drawn: Picture, width: int, height: int) -> None:
        self._drawn = drawn
        self._width, self._height = width, height
        self._cells = [[" "] * width for _ in range(height)]
        self._ridges: list[tuple[int, str]] = []

    def _column(self, intensity: float) -> int:
        return round(_fraction(intensity, self._drawn.x) * (self._width - 1))

    def _row(self, rate: float) -> int:
        return round((1 - _fraction(rate, self._drawn.y)) * (self._height - 1))

    def place(self, intensity: float, rate: float, character: str) -> None:
        """Writes a character where it belongs; what lies outside the plane is left out."""
        row, column = self._row(rate), self._column(intensity)
        if 0 <= row < self._height and 0 <= column < self._width:
            self._cells[row][column] = character

    def roof(self, roof: Roof) -> None:
        """Draws memory's slope and the flat roof of one dtype."""
        low, high = (math.log(end) for end in self._drawn.x)
        for column in range(self._width):
            intensity = math.exp(low + (high - low) * column / (self._width - 1))
            flat = intensity >= roof.ridge
            rate = attainable(intensity, roof, self._drawn.bytes_per_s)
            self.place(intensity, rate, "─" if flat else "╱")
        self.place(roof.ridge, roof.flops_per_s, "┬")
        self._ridges.append((self._column(roof.ridge), f"ridge {roof.ridge:.3g}"))

    def label(self, roof: Roof) -> None:
        """Writes what a roof is above its right end."""
        text = f"{roof.flops_per_s / 1e9:,.4g} GFLOP/s {roof.dtype}"
        row = self._row(roof.flops_per_s) - 1
        start = self._width - len(text)
        if row >= 0 and start >= 0:
            self._cells[row][start:] = list(text)

    def lines(self) -> list[str]:
        """Returns the canvas with its axes, their labels and the ridges under them."""
        ticks = {self._row(rate): f"{rate / 1e9:g}" for rate in decades(self._drawn.y)}
        body = [
            f"{ticks.get(row, ''):>{_GUTTER - 1}} {'┤' if row in ticks else '│'}{''.join(cells)}".rstrip()
            for row, cells in enumerate(self._cells)
        ]
        return [*body, self._axis(), *self._under()]

    def _axis(self) -> str:
        marks = ["─"] * self._width
        for intensity in decades(self._drawn.x):
            marks[self._column(intensity)] = "┬"
        for column, _ in self._ridges:
            if 0 <= column < self._width:
                marks[column] = "▲"
        return " " * _GUTTER + "└" + "".join(marks)

    def _under(self) -> list[str]:
        numbers = _spread([(self._column(value), f"{value:g}") for value in decades(self._drawn.x)], self._width)
        ridges = _spread(self._ridges, self._width)
        unit = "FLOP/byte"
        free = self._width - len(unit)
        below = ridges[:free].ljust(free) + unit if not ridges[free:].strip() else ridges
        lines = [" " * (_GUTTER + 1) + line.rstrip() for line in (numbers, below)]
        return lines if unit in lines[1] else [*lines, " " * (_GUTTER + 1) + unit.rjust(self._width)]


def _fraction(value: float, span: tuple[float, float]) -> float:
    low, high = math.log(span[0]), math.log(span[1])
    return (math.log(value) - low) / (high - low)


def _spread(labels: Sequence[tuple[int, str]], width: int) -> str:
    """Returns labels centred on their columns in one line; one that would touch its neighbour is left out."""
    line, end = "", -1
    for column, text in sorted(labels):
        start = min(max(0, column - len(text) // 2), width - len(text))
        if start > end:
            line = line.ljust(start) + text
            end = start + len(text)
    return line.ljust(width)


def _legend(points: Sequence[Point], columns: int) -> list[str]:
    """Returns a line for every letter: where, what, how long and which share of what the roof allows."""
    marked = [point for point in points if point.mark]
    if not marked:
        return []
    longest = max(len(point.op) for point in marked)
    tails = [_tail(point, longest) for point in marked]
    room = columns - 5 - 2 - max(map(len, tails))
    wide = min(max(len(point.path) for point in marked), room)
    names = [
        point.path if len(point.path) <= wide else "…" + point.path[len(point.path) - wide + 1 :] for point in marked
    ]
    lines = [f"  {p.mark}  {name:<{wide}}  {tail}" for p, name, tail in zip(marked, names, tails, strict=True)]
    others = len(points) - len(marked)
    return ["", *lines, *([f"  ·  {calls(others)} more"] if others else [])]


def _tail(point: Point, wide: int) -> str:
    part = "" if point.utilisation is None else f"{point.utilisation:>4.0%} of the roof"
    return f"{point.op:<{wide}}  {milliseconds(point.seconds):>7} ms  {part}".rstrip()


def _absent(drawn: Picture) -> list[str]:
    if not drawn.absent:
        return []
    return [f"     not drawn: {calls(drawn.absent)} that compute nothing, are slow and short, or not known"]
