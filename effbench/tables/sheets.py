"""A table with what its columns mean: every mapped cell read, so that one that is no number is found first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from effbench.errors import InputError, UnknownName
from effbench.tables.cells import Number, Point, is_missing, number_of, plain, resolution
from effbench.tables.layouts import Layout, layout_of, layouts
from effbench.tables.mapping import FIELDS, SHARES, Target, parse_target
from effbench.tables.table import Table

NAMES = ("model", "name", "architecture", "network", "arch")
"""Columns that name a row's model where no target does; capitals do not matter."""


@dataclass(frozen=True, slots=True)
class Column:
    """A mapped column: each row's figure in the target's own unit, or its text; None where the cell is missing.

    Attributes:
        step: what its numbers were rounded to, in the target's unit; None for texts.
        remark: what a reader of each of its figures must know.
    """

    table: Table
    target: Target
    cells: tuple[Decimal | str | None, ...]
    step: Decimal | None = None
    remark: str = ""

    def where(self, row: int) -> str:
        """Returns how messages name one of its cells."""
        return self.table.where(row, self.target.column)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table with what its columns mean.

    Attributes:
        layout: the known one that its header fits, whether or not it is followed.
        columns: the mapped ones in the order of their targets, those of the name apart.
        naming: the columns that make a row's name.
        labels: each row's name, a part for every such column; the first is the model's.
    """

    table: Table
    layout: str | None
    columns: tuple[Column, ...]
    naming: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Returns what each row's record is called, such as "resnet50.a1_in1k@224"."""
        return tuple("@".join(parts) for parts in self.labels)

    @property
    def known(self) -> tuple[Target, ...]:
        """Returns what its layout says of columns: keys are found by it."""
        return () if self.layout is None else _targets(layouts.get(self.layout), self.table)


def read_sheets(tables: Sequence[Table], targets: Sequence[Target], samples: int | None, point: Point) -> list[Sheet]:
    """Returns the tables with their columns read.

    Args:
        tables: as read.
        targets: of the user; a target is of every table that has its column. None: each table's known layout is used.
        samples: that shares are of where their target does not say it.
        point: what separates decimals.

    Raises:
        InputError: a target's column is in no table, a table has no target or no name, a cell is no number.
    """
    everywhere = {column for table in tables for column in table.columns}
    for target in targets:
        if target.column not in everywhere:
            raise UnknownName("column", target.column, everywhere)
    if len(set(targets)) != len(targets):
        raise InputError("--map says the same of a column twice: say it once")
    return [_sheet(table, targets, samples, point) for table in tables]


def _sheet(table: Table, asked: Sequence[Target], samples: int | None, point: Point) -> Sheet:
    layout = layout_of(table.columns)
    followed = layouts.get(layout) if layout is not None and not asked else None
    targets = _targets(followed, table) if followed else [one for one in asked if one.column in table.columns]
    if not targets:
        told = (
            "no target of --map is a column of it"
            if asked
            else "its header is of no known layout: give --map COLUMN:FIELD[:UNIT],…"
        )
        raise InputError(f"{table.name}: {told}; its columns are {', '.join(table.columns)}")
    columns = tuple(_column(table, target, point) for target in targets if target.field != "name")
    shares = samples or (followed.samples if followed else None)
    filled = tuple(_with_samples(column, shares, assumed=samples is None) for column in columns)
    remark = followed.remark if followed else ""
    remarked = tuple(replace(one, remark=remark) if one.target.convention else one for one in filled)
    naming = _naming(table, targets, layout)
    return Sheet(table, layout, remarked, naming, _labels(table, naming))


def _targets(layout: Layout, table: Table) -> tuple[Target, ...]:
    targets = (parse_target(text) for text in layout.targets)
    return tuple(target for target in targets if target.column in table.columns)


def _naming(table: Table, targets: Iterable[Target], layout: str | None) -> tuple[str, ...]:
    """Returns the columns that make a row's name: those mapped to it, the layout's, or one that is called so.

    Raises:
        InputError: there is none.
    """
    known = () if layout is None else _targets(layouts.get(layout), table)
    said = [target.column for target in targets if target.field == "name"]
    said = said or [target.column for target in known if target.field == "name"]
    said = said or [column for column in table.columns if column.lower() in NAMES][:1]
    if not said:
        raise InputError(f"{table.name}: which column names the model? --map COLUMN:name ({', '.join(table.columns)})")
    return tuple(said)


def _labels(table: Table, naming: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Returns each row's cells of the columns that make its name.

    Raises:
        InputError: one is missing.
    """
    for column in naming:
        for row, cell in enumerate(table.column(column)):
            if is_missing(cell):
                raise InputError(f"{table.where(row, column)}: {cell!r} is no name: a row needs one")
    cells = [table.column(column) for column in naming]
    return tuple(tuple(part.strip() for part in parts) for parts in zip(*cells, strict=True))


def refuse_repeats(sheet: Sheet) -> None:
    """Raises InputError where two rows have one name."""
    name, times = Counter(sheet.names).most_common(1)[0]
    if times > 1:
        lines = [str(row.line) for row, one in zip(sheet.table.rows, sheet.names, strict=True) if one == name]
        others = [one for one in sheet.table.columns if len(set(sheet.table.column(one))) > 1]
        raise InputError(
            f"{sheet.table.name}: lines {', '.join(lines[:5])} are all {name!r}: make the names differ by mapping "
            f"another column to them too, such as {others[-1] if others else 'img_size'}:name"
        )


def _column(table: Table, target: Target, point: Point) -> Column:
    texts = table.column(target.column)
    numbers = [None if is_missing(text) else number_of(text, point) for text in texts]
    if not target.is_number and not _all_numbers(target, texts, numbers):
        return Column(table, target, tuple(None if is_missing(text) else text.strip() for text in texts))
    for row, (text, number) in enumerate(zip(texts, numbers, strict=True)):
        wrong = "" if is_missing(text) or not target.is_number else _wrong(text, number, target, point)
        if wrong:
            raise InputError(f"{table.where(row, target.column)}: {wrong}")
    values = tuple(None if number is None else number.value for number in numbers)
    return Column(table, target, values, resolution(numbers))


def _all_numbers(target: Target, texts: Sequence[str], numbers: Sequence[Number | None]) -> bool:
    """Returns whether a condition has numbers alone, as an image size has."""
    written = [number for text, number in zip(texts, numbers, strict=True) if not is_missing(text)]
    return target.field not in FIELDS and all(number is not None and not number.percent for number in written)


def _wrong(text: str, number: Number | None, target: Target, point: Point) -> str:
    """Returns why a cell cannot be its target's figure; "" where it can."""
    if number is None:
        other: Point = "," if point == "." else "."
        hint = f': if "{other}" separates its decimals, say so with --decimal' if number_of(text, other) else ""
        return f"{text!r} is no number, and {target.field} needs one{hint}"
    if number.percent and target.unit != "percent":
        return f"{text!r} has a percent sign, and {target.field} is mapped as {target.unit or 'a plain number'}"
    most = SHARES.get(target.unit) if target.is_metric else None
    if most is not None and not 0 <= number.value <= most:
        return f"{text!r} is no {target.field} in {target.unit}: 0 to {plain(most)} is possible"
    if not target.is_metric and number.value < 0:
        return f"{text!r} is no {target.field}: it must be 0 or more"
    if target.field in ("latency", "throughput", "batch", "threads") and not number.value:
        return f"{text!r} is no {target.field}: it must be more than 0"
    whole = number.value * target.factor
    if target.field in ("batch", "threads", "params", "macs", "flops") and whole != whole.to_integral_value():
        return f"{text!r} {target.unit or ''} is no whole number of {target.field}: check its unit".replace("  ", " ")
    return ""


def _with_samples(column: Column, samples: int | None, assumed: bool) -> Column:
    """Returns the column with the sample count of its shares; an assumed one only where the digits agree with it."""
    if not column.target.is_metric or column.target.unit not in SHARES or column.target.n or samples is None:
        return column
    if assumed and not agrees(column, samples):
        return column
    return replace(column, target=replace(column.target, n=samples))


def agrees(column: Column, samples: int) -> bool:
    """Returns whether the digits of a column of shares say that they are of so many samples.

    A share of n samples is a multiple of 1/n, and was then rounded to the column's step: each figure has to lie within
    half a step of such a multiple, while for n/p, p a prime factor of n, not every one does (else a smaller n would
    explain them all). A column rounded too far to tell agrees with nothing.
    """
    assert column.step is not None
    whole = SHARES[column.target.unit]
    values = [cell for cell in column.cells if isinstance(cell, Decimal)]
    half = column.step / 2

    def fits(n: Decimal) -> bool:
        return all(
            abs(value * n / whole - (value * n / whole).to_integral_value()) <= half * n / whole for value in values
        )

    if half * samples / whole >= Decimal("0.5"):
        return False
    return fits(Decimal(samples)) and not any(fits(Decimal(samples) / prime) for prime in _prime_factors(samples))


def _prime_factors(number: int) -> set[int]:
    found: set[int] = set()
    divisor = 2
    while divisor * divisor <= number:
        while number % divisor == 0:
            found.add(divisor)
            number //= divisor
        divisor += 1
    return found | ({number} if number > 1 else set())
