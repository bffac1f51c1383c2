"""A delimited file → its cells as texts, each with the line that it stands in."""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from effbench.errors import InputError

DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its line in the file, counted from 1 (a row of several lines: the last one), and a text per column."""

    line: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A published table as it was written.

    Attributes:
        name: of its file, without folders.
        sha256: of the file's bytes.
        columns: their names, without repeats.
        rows: each with a cell for every column.
    """

    name: str
    sha256: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def column(self, name: str) -> tuple[str, ...]:
        """Returns the cells of a column that the table has, row by row."""
        place = self.columns.index(name)
        return tuple(row.cells[place] for row in self.rows)

    def where(self, row: int, column: str) -> str:
        """Returns how messages name a cell, such as "a.csv, line 7, column top1"."""
        return f"{self.name}, line {self.rows[row].line}, column {column}"


def read_table(path: Path) -> Table:
    """Returns the table in a file: separated by commas, semicolons, tabs or bars, with one header line, in UTF-8.

    A byte order mark is no part of it; UTF-16 is read where one says so. Cells may be quoted.

    Raises:
        InputError: it is missing, no text, empty, or a row has more or fewer cells than the header.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such table") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read as a table: {error.strerror}") from error
    text = _text(path, data)
    try:
        rows = _rows(text)
    except csv.Error as error:
        raise InputError(f"{path}: cannot be read as a table: {error}: check its quotes") from None
    if len(rows) < 2:
        raise InputError(f"{path}: a table needs a header and a row: it has {len(rows)} lines with anything in them")
    columns = _columns(path, rows[0])
    for row in rows[1:]:
        if len(row.cells) != len(columns):
            raise InputError(f"{path}, line {row.line}: has {len(row.cells)} cells, the header has {len(columns)}")
    return Table(path.name, hashlib.sha256(data).hexdigest(), columns, tuple(rows[1:]))


def _text(path: Path, data: bytes) -> str:
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: is no text in UTF-8 ({error.reason} at byte {error.start}): save it as UTF-8"
        ) from None


def _rows(text: str) -> Sequence[Row]:
    """Returns header and rows; lines without any cell are passed over."""
    lines = text.splitlines()
    first = next((line for line in lines if line.strip()), "")
    # A separator inside quotes does not count: the header is taken apart with each, the one that gives most cells wins.
    split = {mark: len(next(csv.reader([first], delimiter=mark))) for mark in DELIMITERS} if first else {",": 0}
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(split, key=lambda mark: split[mark]), strict=True)
    return [Row(reader.line_num, tuple(cells)) for cells in reader if any(cell.strip() for cell in cells)]


def _columns(path: Path, header: Row) -> tuple[str, ...]:
    """Returns the names of the columns; one without a name, as an index has, is called by its place."""
    names = [cell.strip() or f"(column {place})" for place, cell in enumerate(header.cells, start=1)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{path}: {twice[0]!r} is the name of {names.count(twice[0])} columns: rename them")
    return tuple(names)
