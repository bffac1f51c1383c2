"""Several tables → which row of each belongs to a row of the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from effbench.errors import InputError, UnknownName
from effbench.tables.cells import Point, key_of
from effbench.tables.sheets import Sheet

ARCH = "arch"
"""The key that every table has: its model's name before the first dot, which separates timm's tags of weights."""


@dataclass(frozen=True, slots=True)
class Key:
    """What rows are joined by: a column, field or condition of the first table and of the others."""

    first: str
    other: str


@dataclass(frozen=True, slots=True)
class Match:
    """How another table joined the first.

    Attributes:
        rows: for each row of the first table the other's row, or None.
        unused: rows of the other table that no row of the first asked for.
    """

    sheet: Sheet
    rows: tuple[int | None, ...]
    unused: tuple[int, ...]


def parse_on(text: str) -> tuple[Key, ...]:
    """Returns the keys of a text such as "arch,img_size=infer_img_size".

    Raises:
        InputError: a key has an empty part, or there is none.
    """
    keys = []
    for part in text.split(","):
        first, equals, other = (piece.strip() for piece in part.partition("="))
        if not first or (equals and not other):
            raise InputError(f"--on {text!r}: write KEY or KEY=KEY_OF_THE_OTHERS, such as arch,img_size")
        keys.append(Key(first, other or first))
    return tuple(keys)


def join(sheets: Sequence[Sheet], keys: Sequence[Key], point: Point = ".") -> tuple[Match, ...]:
    """Returns how each further sheet joins the first: one row of it to any number of the first's.

    Raises:
        InputError: a key is not in a table, stands for several rows of a further table, or joins no row at all.
    """
    first, *others = sheets
    if others and not keys:
        raise InputError("several tables are joined by what they share: say it, as --on arch,img_size does")
    if keys and not others:
        raise InputError("--on joins further tables to the first, and there is one table")
    return tuple(_match(first, other, keys, point) for other in others)


def _match(first: Sheet, other: Sheet, keys: Sequence[Key], point: Point) -> Match:
    asked = _key_rows(first, [key.first for key in keys], point)
    offered = _key_rows(other, [key.other for key in keys], point)
    places: dict[tuple[str, ...], int] = {}
    for row, key in enumerate(offered):
        if "" in key:
            continue
        if key in places:
            lines = " and ".join(str(other.table.rows[place].line) for place in (places[key], row))
            names = ", ".join(one.other for one in keys)
            raise InputError(f"{other.table.name}: lines {lines} have the same {names}: {', '.join(key)}: join by more")
        places[key] = row
    rows = tuple(None if "" in key else places.get(key) for key in asked)
    if all(row is None for row in rows):
        told = f"{', '.join(asked[0])!r} there, {', '.join(offered[0])!r} here"
        raise InputError(f"{other.table.name}: no row of it joins one of {first.table.name} by the keys: {told}")
    used = set(rows)
    return Match(other, rows, tuple(row for row in range(len(offered)) if row not in used))


def _key_rows(sheet: Sheet, names: Sequence[str], point: Point) -> list[tuple[str, ...]]:
    columns = [[key_of(cell, point) for cell in _key_column(sheet, name)] for name in names]
    return list(zip(*columns, strict=True))


def _key_column(sheet: Sheet, name: str) -> Sequence[str]:
    """Returns the cells of a key: of a column of that name, of one that means it, or what is derived from the name."""
    if name in sheet.table.columns:
        return sheet.table.column(name)
    targets = (*(column.target for column in sheet.columns), *sheet.known)
    for target in targets:
        if target.field == name:
            return sheet.table.column(target.column)
    if name == ARCH:
        return [label[0].partition(".")[0] for label in sheet.labels]
    known = {*sheet.table.columns, *(target.field for target in targets), ARCH}
    raise UnknownName(f"key of {sheet.table.name}", name, known)
