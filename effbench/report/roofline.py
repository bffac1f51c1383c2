"""The roofline of a model from its document: what it means in three lines, a picture in text, and a table of ops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from effbench.records import Note
from effbench.report.roofline_picture import Picture, calls, milliseconds, picture
from effbench.report.roofline_text import text_plot
from effbench.report.table import UNKNOWN, Cell, Column, Report, Show, Table, Text, show_cell

Document = Mapping[str, Any]

SHOWN_OPS = 20
"""Ops that the table shows; the others are one row."""


def roofline_report(document: Document, rows: int | None = SHOWN_OPS) -> Report:
    """Returns the report: a summary, the picture in text at 80 columns and the dearest ops.

    Args:
        document: of `judge.roofline_document`.
        rows: so many ops, the others in one row; None for all of them.
    """
    drawn = picture(document)
    blocks = [Text(tuple(summary(document)))]
    if drawn.points:
        blocks.append(Text(tuple(text_plot(drawn))))
    notes = tuple(Note(**note) for note in document["notes"])
    return Report(document, (*blocks, roofline_table(document, drawn, rows)), notes)


def summary(document: Document) -> list[str]:
    """Returns what the roofline says of the whole model, a line each: its bound, what sets it, and the ceilings."""
    ceilings, latency_s = document["ceilings"], document["latency_s"]
    least = milliseconds(document["at_least_s"])
    took = "" if latency_s is None else f"a call took {milliseconds(latency_s)} ms; "
    if document["bound_s"] is None:
        ops = ", ".join(f"{op} ({count})" for op, count in document["unknown"].items())
        part = "" if latency_s is None else f", {document['achieved_at_least']:.0%} achieved at least"
        known = f"it cannot take less than {least} ms{part}; not known in full of {ops}"
        lines = [f"{document['name']}: {took}op by op {known}"]
    else:
        part = "" if document["achieved"] is None else f", {document['achieved']:.0%} achieved"
        lines = [f"{document['name']}: {took}op by op the roofline allows {least} ms{part}"]
    by_bound = {name: seconds for name, seconds in document["seconds_by_bound"].items() if seconds}
    if by_bound:
        parts = [f"{milliseconds(seconds)} ms {_HELD_BY[name]}" for name, seconds in sorted(by_bound.items())]
        lines.append("of these: " + ", ".join(parts))
    peaks = [f"{peak / 1e9:,.4g} GFLOP/s in {dtype}" for dtype, peak in ceilings["flops_per_s"].items()]
    ridges = [f"{ridge:,.3g}" for ridge in ceilings["ridge_flops_per_byte"].values()]
    ridge = f"; ridge at {' and '.join(ridges)} FLOP/byte" if ridges else ""
    limits = ", ".join([*peaks, f"{ceilings['bytes_per_s'] / 1e9:,.4g} GB/s"])
    lines.append(f"ceilings: {limits}{ridge}")
    return lines


_HELD_BY = {
    "compute": "held by arithmetic",
    "memory": "held by memory",
    "FLOPs only": "by FLOPs known in part",
    "bytes only": "by bytes only (arithmetic unknown)",
    "none": "held by nothing",
}


def roofline_table(document: Document, drawn: Picture, rows: int | None = SHOWN_OPS) -> Table:
    """Returns the ops that move or compute anything, dearest first, each with its mark in the picture."""
    busy = [op for op in document["ops"] if op["attainable_s"] != 0]
    ordered = sorted(busy, key=lambda op: -(op["measured_s"] or op["at_least_s"]))
    shown = ordered if rows is None else ordered[:rows]
    marks = {point.index: point.mark for point in drawn.points}
    lines = [_row(op, marks.get(op["index"], "")) for op in shown]
    rest = ordered[len(shown) :]
    if rest:
        lines.append({**_together(rest), "mark": "", "path": f"{calls(len(rest))} more", "op": "", "bound": ""})
    views = len(document["ops"]) - len(busy)
    caption = ["best: the least time that arithmetic and memory allow; share: best over took, 100 % is on the roof"]
    if any(op["bound"] in _IN_PART for op in busy):
        caption.append(
            "bytes only, FLOPs only: the other side lacks a formula or a peak; best and share are at least so much"
        )
    if any(op["measured_s"] and op["at_least_s"] > op["measured_s"] for op in busy):
        caption.append("above 100 %: the op found its inputs in a cache, which is faster than memory")
    if views:
        caption.append(f"left out: {calls(views)} which only look at memory in another way")
    total = {**_together(busy), "path": "total"}
    return Table("Roofline by op, dearest first", _COLUMNS, tuple(lines), total, tuple(caption))


_IN_PART = frozenset({"bytes only", "FLOPs only"})


def _show(form: str, factor: float) -> Show:
    """Returns a column's `show` that writes numbers times a factor by a format, and "" where a cell does not apply."""

    def show(cell: Cell) -> str:
        if cell is None:
            return UNKNOWN
        return show_cell(cell) if isinstance(cell, str) else format(cell * factor, form)

    return show


def _show_ms(cell: Cell) -> str:
    return milliseconds(cell) if isinstance(cell, int | float) else show_cell(cell)


_COLUMNS = (
    Column("mark", " ", align="left"),
    Column("path", "Layer", align="left"),
    Column("op", "Op", align="left"),
    Column("flops", "MFLOP", show=_show(",.2f", 1e-6), wide=True),
    Column("bytes", "MB", show=_show(",.2f", 1e-6), wide=True),
    Column("intensity", "FLOP/B", show=_show(",.1f", 1)),
    Column("bound", "Bound", align="left"),
    Column("attainable_s", "Best ms", show=_show_ms),
    Column("measured_s", "Took ms", show=_show_ms),
    Column("utilisation", "Share", show=_show(".0%", 1)),
)


def _row(op: Document, mark: str) -> dict[str, Cell]:
    moved = None if op["read_bytes"] is None else op["read_bytes"] + op["written_bytes"]
    best = op["at_least_s"] if op["bound"] in _IN_PART else op["attainable_s"]
    return {
        "mark": mark,
        "path": op["path"] or "(model)",
        "op": op["op"].removeprefix("aten::"),
        "flops": op["flops"],
        "bytes": moved,
        "intensity": op["intensity"],
        "bound": UNKNOWN if op["bound"] == "unknown" else op["bound"],
        "attainable_s": best,
        "measured_s": op["measured_s"],
        "utilisation": best / op["measured_s"] if best is not None and op["measured_s"] else None,
    }


def _together(ops: Sequence[Document]) -> dict[str, Cell]:
    """Returns the figures of several ops; None where one of theirs is not known."""
    rows = [_row(op, "") for op in ops]
    sums = {key: _sum([row[key] for row in rows]) for key in ("flops", "bytes", "attainable_s", "measured_s")}
    flops, moved, best, took = (sums[key] for key in ("flops", "bytes", "attainable_s", "measured_s"))
    return {
        **sums,
        "intensity": flops / moved if flops is not None and moved else None,
        "utilisation": best / took if best is not None and took else None,
    }


def _sum(cells: Sequence[Cell]) -> float | None:
    known = [cell for cell in cells if isinstance(cell, int | float)]
    return sum(known) if len(known) == len(cells) else None
