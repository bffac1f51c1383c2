"""Tables for terminals: fitted to the width, numbers whole, names folded and never cut."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from io import StringIO
from itertools import zip_longest

from effbench.report.plain import render_plain
from effbench.report.table import (
    UNKNOWN,
    Column,
    Grid,
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

NARROWEST = 10
"""A terminal that claims fewer columns (some claim 0) is taken to have these."""

GAP = 2
NARROWEST_NAME = 12
"""A column of names folds no narrower than this."""

_LABEL = re.compile(r"\S+ {2,}(?=\S)")
"""A name with its value in a column of its own."""

Piece = tuple[str, str]
"""A text and its rich style."""


@renderers.register("table")
def render_table(report: Report, terminal: Terminal | None = None) -> str:
    """Returns the report fitted to a terminal, or as plain text, never fitted, where there is none."""
    if terminal is None:
        return render_plain(report)
    width = max(terminal.columns, NARROWEST)
    blocks: list[list[list[Piece]]] = [
        list(_table_lines(block, width))
        if isinstance(block, Table)
        else [[(part, "")] for line in block.lines for part in _fold_value(visible(line), width)]
        for block in report.blocks
    ]
    if report.notes:
        blocks.append([line for note in report.notes for line in _note_lines(note_line(note), width)])
    lines = [line for block in blocks for line in ([], *block)][1:]
    return _paint(lines, width, terminal.color)


def fold(text: str, width: int) -> list[str]:
    """Returns the text as lines of at most `width` columns, broken after spaces, else after one of "/.:_-×".

    No character is lost but the spaces around a break; following lines keep the first one's indent.
    """
    indent = " " * min(len(text) - len(text.lstrip(" ")), width // 2)
    lines: list[str] = []
    while display_width(text) > width:
        cut = _break(text, width, len(indent))
        lines.append(text[:cut].rstrip(" "))
        text = indent + text[cut:].lstrip(" ")
    return [*lines, text]


def _fold_value(line: str, width: int) -> list[str]:
    """Returns a line such as "peak   at aten::relu of …" with what follows its first line under the value."""
    label = _LABEL.match(line)
    start = 0 if label is None or label.end() > width // 3 else label.end()
    first, *others = fold(line[start:], width - start)
    return [line[:start] + first, *(" " * start + other for other in others)]


def _break(text: str, width: int, indent: int) -> int:
    """Returns how many characters go into a line: at least one beyond the indent."""
    fits = indent + 1
    while display_width(text[: fits + 1]) <= width:
        fits += 1
    space = text.rfind(" ", indent + 1, fits + 1)
    if space > 0:
        return space
    # A break near the start would only make the name taller.
    joint = max(text.rfind(mark, indent + fits // 3, fits) for mark in "/.:_-×")
    return joint + 1 if joint > 0 else fits


def _table_lines(table: Table, width: int) -> Iterator[list[Piece]]:
    written = grid(table, visible)
    kept = _kept(table.columns, written.widths(), width)
    hidden = [column.title for column in table.columns if column not in kept]
    if hidden:
        written = grid(table, visible, kept)
    if table.title:
        yield from ([(part, "bold")] for part in fold(visible(table.title), width))
    for index, part in enumerate(_parts(written, width)):
        if index:
            yield []
        yield from _grid_lines(part, width)
    below = list(captions(table))
    if hidden:  # said, so that nobody takes them for missing
        below.append(f"a wider terminal also shows: {', '.join(hidden)}")
    if below:
        yield []
    yield from ([(part, "dim")] for line in below for part in fold(visible(line), width))


def _kept(columns: tuple[Column, ...], widths: tuple[int, ...], width: int) -> tuple[Column, ...]:
    """Returns the columns without so many of the wide ones, from the last, that the others fit in one line."""
    needed = dict(zip(columns, widths, strict=True))
    kept = list(columns)
    for column in reversed(columns):
        if sum(needed[one] for one in kept) + GAP * (len(kept) - 1) <= width:
            break
        if column.wide:
            kept.remove(column)
    return tuple(kept)


def _parts(written: Grid, width: int) -> Iterator[Grid]:
    """Yields the table in parts that fit, each led by the columns that name its rows."""
    floors = _floors(written)
    named = _name_column(written.columns) + 1
    picked = list(range(named))
    for index in range(named, len(floors)):
        if len(picked) > named and sum(floors[i] + GAP for i in (*picked, index)) - GAP > width:
            yield _pick(written, picked)
            picked = list(range(named))
        picked.append(index)
    yield _pick(written, picked)


def _name_column(columns: tuple[Column, ...]) -> int:
    """Returns the column that names the rows: the first, or the one after a leading rank."""
    return 1 if len(columns) > 1 and columns[0].align == "right" and columns[1].align == "left" else 0


def _pick(written: Grid, picked: list[int]) -> Grid:
    def some(cells: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(cells[index] for index in picked)

    columns = tuple(written.columns[index] for index in picked)
    foot = some(written.foot) if written.foot else ()
    return Grid(columns, some(written.head), tuple(map(some, written.body)), foot)


def _floors(written: Grid) -> list[int]:
    """Returns the least good width of each column: numbers and header words stay whole, names fold."""
    floors = []
    for column, title, natural, *cells in zip(
        written.columns, written.head, written.widths(), *written.lines[1:], strict=True
    ):
        word = max(map(display_width, title.split(" ")))
        wanted = NARROWEST_NAME if column.align == "left" else max(map(display_width, cells), default=0)
        floors.append(min(natural, max(word, wanted)))
    return floors


def _fit(written: Grid, width: int) -> list[int]:
    """Returns the columns' widths: what they need, the widest shrunk first where that is too much."""
    widths = list(written.widths())
    room = width - GAP * (len(widths) - 1)
    name = _name_column(written.columns)
    comfortable = _floors(written)
    tight = [4 if column.align == "left" else floor for column, floor in zip(written.columns, comfortable, strict=True)]
    for floors in (comfortable, tight, [1] * len(widths)):
        while sum(widths) > room and any(map(int.__gt__, widths, floors)):
            shrinkable = [index for index, floor in enumerate(floors) if widths[index] > floor]
            # The names of the rows count for less, so they stay wider than other texts.
            widest = max(shrinkable, key=lambda i: widths[i] * (2 if i == name else 3))
            widths[widest] -= 1
    return widths


def _grid_lines(written: Grid, width: int) -> Iterator[list[Piece]]:
    widths = _fit(written, width)
    name = _name_column(written.columns)
    rule = [("─" * (sum(widths) + GAP * (len(widths) - 1)), "dim")]
    bold = ["bold"] * len(widths)
    yield from _row_lines(written.head, bold, written.columns, widths)
    yield rule
    for cells in written.body:
        styles = [
            _style(cell, column, i == name) for i, (cell, column) in enumerate(zip(cells, written.columns, strict=True))
        ]
        yield from _row_lines(cells, styles, written.columns, widths)
    if written.foot:
        yield rule
        yield from _row_lines(written.foot, bold, written.columns, widths)


def _style(cell: str, column: Column, is_name: bool) -> str:
    if cell == UNKNOWN:
        return "bold yellow"
    return "dim" if (cell and not cell.strip("0.")) or (column.align == "left" and not is_name) else ""


def _row_lines(
    cells: Iterable[str], styles: Iterable[str], columns: Iterable[Column], widths: list[int]
) -> Iterator[list[Piece]]:
    folded = [fold(cell, width) for cell, width in zip(cells, widths, strict=True)]
    aligns = [column.align for column in columns]
    styled = list(styles)
    for parts in zip_longest(*folded, fillvalue=""):
        padded = map(pad, parts, widths, aligns)
        yield [piece for cell in zip(padded, styled, strict=True) for piece in ((" " * GAP, ""), cell)][1:]


def _note_lines(line: str, width: int) -> Iterator[list[Piece]]:
    label = "note: "
    for index, part in enumerate(fold(visible(line), width - len(label))):
        yield [(" " * len(label), "") if index else (label, "yellow"), (part, "")]


def _paint(lines: list[list[Piece]], width: int, color: bool) -> str:
    """Returns the lines with their styles as ANSI codes, or bare without colour."""
    from rich.console import Console
    from rich.text import Text

    text = Text()
    for line in lines:
        shown = Text.assemble(*line)
        shown.rstrip()
        text.append_text(shown).append("\n")
    # The sixteen standard colours follow the user's theme. No environment: the caller has decided already.
    console = Console(
        file=StringIO(),
        width=width,
        color_system="standard" if color else None,
        force_terminal=color,
        legacy_windows=False,
        _environ={},
    )
    with console.capture() as captured:
        console.print(text, end="", soft_wrap=True)
    return captured.get()
