"""Comma-separated values for programs: raw cells under the columns' keys."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from io import StringIO

from effbench.report.table import Cell, Report, Table, Terminal, Text, note_line, renderers, visible


@renderers.register("csv")
def render_csv(report: Report, terminal: Terminal | None = None) -> str:
    """Returns the report as CSV: one header of keys, then only the rows, so that a column's sum is its total.

    Cells are raw: integers exact, floats as Python repeats them, true or false, unknown (None) empty.
    Everything else is a comment line that starts with "#": totals, captions, texts and, last, the notes.
    `pandas.read_csv(file, comment="#")` reads a report of one table; a cell that has a "#" is quoted, which
    keeps it. Several tables are separated by a blank line and each starts with a "# title" line.
    On a terminal, control characters in a cell are escaped; in a pipe or a file a cell is as it is.
    """
    raw = _raw if terminal is None else _harmless
    titled = sum(isinstance(block, Table) for block in report.blocks) > 1
    parts = [
        _comments(block.lines) if isinstance(block, Text) else _table_text(block, titled, raw)
        for block in report.blocks
    ]
    if report.notes:
        parts.append(_comments(f"note {note_line(note)}" for note in report.notes))
    # A blank line means "another table": comments follow their table directly.
    return ("\n" if titled else "").join(parts)


def _table_text(table: Table, titled: bool, raw: Callable[[Cell], Cell]) -> str:
    # Two columns may show one key in two ways; raw, they are the same.
    keys = tuple(dict.fromkeys(column.key for column in table.columns))
    lines = [_line(keys), *(_line(raw(row[key]) for key in keys) for row in table.rows)]
    head = _comments((table.title,)) if titled else ""
    total = "" if table.footer is None else _line(_harmless(table.footer.get(key)) for key in keys)
    foot = _comments(total.splitlines())
    return head + "".join(lines) + foot + _comments(table.caption)


def _raw(cell: Cell) -> Cell:
    return str(cell).lower() if isinstance(cell, bool) else cell


def _harmless(cell: Cell) -> Cell:
    return visible(cell) if isinstance(cell, str) else _raw(cell)


def _line(cells: Iterable[Cell]) -> str:
    values = tuple(cells)
    # The csv module does not know of comments, so a "#" does not make it quote.
    hashed = any(isinstance(value, str) and "#" in value for value in values)
    buffer = StringIO()
    csv.writer(buffer, quoting=csv.QUOTE_NONNUMERIC if hashed else csv.QUOTE_MINIMAL, lineterminator="\n").writerow(
        values
    )
    return buffer.getvalue()


def _comments(lines: Iterable[str]) -> str:
    return "".join(f"# {visible(line)}".rstrip() + "\n" for line in lines)
