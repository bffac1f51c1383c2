"""The model every output format renders: a report of tables and texts, beside the data that JSON prints.

A cell is a fact or None (unknown); how it looks is its column's business, how it is framed is the renderer's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal
from unicodedata import combining, east_asian_width

from effbench.records import Note
from effbench.registry import Registry

Cell = str | int | float | bool | None
Show = Callable[[Cell], str]

UNKNOWN = "?"
"""How None looks wherever people read; CSV has an empty cell and JSON has null."""


def show_cell(cell: Cell) -> str:
    """Returns the cell for people: exact grouped integers, floats to four digits, yes or no, "?" for None."""
    if cell is None:
        return UNKNOWN
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return f"{cell:,}"
    if isinstance(cell, float):
        # Beyond four digits before the point, precision would turn into an exponent.
        return f"{cell:,.0f}" if 1e4 <= abs(cell) < 1e15 else f"{cell:,.4g}"
    return cell


def numeric(show: Callable[[int], str]) -> Show:
    """Returns a column's `show` that writes integers as `show` does and leaves other cells as they are."""

    def write(cell: Cell) -> str:
        return show(cell) if isinstance(cell, int) and not isinstance(cell, bool) else show_cell(cell)

    return write


def fixed(decimals: int) -> Show:
    """Returns a column's `show` that writes every number with so many decimals."""

    def write(cell: Cell) -> str:
        return show_cell(cell) if cell is None or isinstance(cell, str | bool) else f"{cell:,.{decimals}f}"

    return write


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes:
        key: the cell's name in each row, and the header in CSV (whose cells are raw, in the key's unit).
        title: the header for people; carries the unit of what `show` writes.
        align: "left" for names, which may fold; "right" for numbers, which never do.
        show: how a cell is written; decides about None too.
        wide: left out on a terminal where the table would not fit with it. Every other format always has it.
    """

    key: str
    title: str
    align: Literal["left", "right"] = "right"
    show: Show = show_cell
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under columns.

    Attributes:
        title: one line above; may be empty.
        columns: at least one; two may show the same key in different ways.
        rows: a cell for every column's key (None: unknown, "": does not apply); other keys are not shown.
        footer: the totals; a column without one stays blank.
        caption: lines under the table.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Mapping[str, Cell], ...]
    footer: Mapping[str, Cell] | None = None
    caption: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuses a row without a cell for a column: what is unknown has to be said, not left out."""
        if not self.columns:
            raise ValueError(f"table {self.title!r} has no columns")
        for index, row in enumerate(self.rows):
            missing = [column.key for column in self.columns if column.key not in row]
            if missing:
                raise ValueError(f"table {self.title!r}, row {index} has no cell for {', '.join(missing)}")


@dataclass(frozen=True, slots=True)
class Text:
    """Lines laid out by their author: every format keeps the line breaks and the indents."""

    lines: tuple[str, ...]


Block = Table | Text


@dataclass(frozen=True, slots=True)
class Report:
    """Everything one command says.

    Attributes:
        data: plain values; exactly what the JSON format prints.
        blocks: what the other formats print, in order.
        notes: printed last by those formats; `data` has them under "notes".
    """

    data: Mapping[str, object]
    blocks: tuple[Block, ...]
    notes: tuple[Note, ...] = ()

    def __post_init__(self) -> None:
        """Refuses notes that JSON would not show."""
        if self.notes and "notes" not in self.data:
            raise ValueError('a report with notes needs them under data["notes"]: use notes_data(notes)')


@dataclass(frozen=True, slots=True)
class Terminal:
    """The screen a report is written to. Where there is none (pipe, file), a renderer gets None."""

    columns: int = 80
    color: bool = True


Renderer = Callable[[Report, Terminal | None], str]
"""A pure function to text that ends in one newline."""

renderers: Registry[Renderer] = Registry("format")


def notes_data(notes: Iterable[Note]) -> list[dict[str, str]]:
    """Returns the notes as JSON has them."""
    return [{"code": note.code, "subject": note.subject, "text": note.text} for note in notes]


def note_line(note: Note) -> str:
    """Returns a note as one line: code, subject where it has one, text."""
    return ": ".join(part for part in (note.code, note.subject, note.text) if part)


def visible(text: str) -> str:
    r"""Returns the text with what terminals obey or hide (ESC, newline, bidi marks) as \x1b, \n, \u202e."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def display_width(text: str) -> int:
    """Returns the number of terminal columns that the text takes."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def pad(text: str, width: int, align: Literal["left", "right"]) -> str:
    """Returns the text filled with spaces to `width` terminal columns."""
    fill = " " * (width - display_width(text))
    return text + fill if align == "left" else fill + text


@dataclass(frozen=True, slots=True)
class Grid:
    """A table whose cells are written: `foot` is empty where the table has no totals."""

    columns: tuple[Column, ...]
    head: tuple[str, ...]
    body: tuple[tuple[str, ...], ...]
    foot: tuple[str, ...]

    @property
    def lines(self) -> tuple[tuple[str, ...], ...]:
        """Returns head, body and foot in one tuple."""
        return (self.head, *self.body, *((self.foot,) if self.foot else ()))

    def widths(self) -> tuple[int, ...]:
        """Returns the terminal columns that each column needs to show its cells in one line."""
        return tuple(max(map(display_width, cells)) for cells in zip(*self.lines, strict=True))


def grid(table: Table, escape: Callable[[str], str], columns: tuple[Column, ...] | None = None) -> Grid:
    """Returns the written cells, each passed through `escape`; `columns` picks some of the table's."""
    shown = table.columns if columns is None else columns
    foot = table.footer
    return Grid(
        shown,
        tuple(escape(column.title) for column in shown),
        tuple(tuple(escape(column.show(row[column.key])) for column in shown) for row in table.rows),
        ()
        if foot is None
        else tuple(escape(column.show(foot[column.key])) if column.key in foot else "" for column in shown),
    )


def captions(table: Table) -> tuple[str, ...]:
    """Returns the lines under a table, the last one explaining "?" where the table shows it."""
    rows = (*table.rows, *((table.footer,) if table.footer else ()))
    marked = any(
        column.key in row and row[column.key] is None and column.show(None) == UNKNOWN
        for row in rows
        for column in table.columns
    )
    return (*table.caption, f"{UNKNOWN} = unknown") if marked else table.caption
