"""Pipe tables as GitHub renders them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from effbench.report.table import (
    Column,
    Report,
    Table,
    Terminal,
    captions,
    display_width,
    grid,
    note_line,
    pad,
    renderers,
    visible,
)

# An underscore between letters is never emphasis, and names read better without backslashes.
_SPECIAL = re.compile(r"[\\`*\[\]<>|~$&]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_LINE_START = re.compile(r"^(?=[#+=-])|^(?P<digits>\d+)(?=[.)](?:\s|$))")


@renderers.register("markdown")
def render_markdown(report: Report, terminal: Terminal | None = None) -> str:
    """Returns the report as GitHub-flavoured Markdown; totals are bold, texts are code blocks."""
    blocks = [
        "\n\n".join(_table_parts(block)) if isinstance(block, Table) else _code(block.lines) for block in report.blocks
    ]
    if report.notes:
        blocks.append(_items(f"note: {note_line(note)}" for note in report.notes))
    return "\n\n".join(blocks) + "\n"


def escaped(text: str) -> str:
    """Returns the text as Markdown that shows it literally, an indent included."""
    body = text.lstrip(" ")
    return "&nbsp;" * (len(text) - len(body)) + _SPECIAL.sub(r"\\\g<0>", visible(body))


def _table_parts(table: Table) -> Iterator[str]:
    if table.title:
        yield f"**{escaped(table.title.strip())}**"
    yield "\n".join(_pipe_lines(table))
    below = captions(table)
    if below:
        yield _items(below)


def _pipe_lines(table: Table) -> Iterator[str]:
    written = grid(table, escaped)
    head, *body = (written.head, *written.body)
    if written.foot:
        body.append(tuple(cell and f"**{cell}**" for cell in written.foot))
    # Three columns is the shortest delimiter ("--:") that every reader accepts.
    widths = [max(3, *map(display_width, cells)) for cells in zip(head, *body, strict=True)]
    yield _pipe_line(head, widths, table.columns)
    marks = (
        "-" * (width - 1) + (":" if column.align == "right" else "-")
        for column, width in zip(table.columns, widths, strict=True)
    )
    yield f"| {' | '.join(marks)} |"
    for cells in body:
        yield _pipe_line(cells, widths, table.columns)


def _pipe_line(cells: Iterable[str], widths: Iterable[int], columns: Iterable[Column]) -> str:
    padded = map(pad, cells, widths, (column.align for column in columns))
    return f"| {' | '.join(padded)} |"


def _items(lines: Iterable[str]) -> str:
    return "\n".join("- " + _LINE_START.sub(r"\g<digits>\\", escaped(line.strip())) for line in lines)


def _code(lines: tuple[str, ...]) -> str:
    shown = [visible(line) for line in lines]
    runs = re.findall("`+", "\n".join(shown))
    fence = "`" * max(3, 1 + max(map(len, runs), default=0))
    return "\n".join((f"{fence}text", *shown, fence))
