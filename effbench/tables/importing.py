"""`effbench import`: tables, what their columns mean, and keys → records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from effbench.errors import InputError
from effbench.records import Note, Record
from effbench.store import Store
from effbench.tables.cells import Point
from effbench.tables.fields import Fields, fields_of
from effbench.tables.join import Match, join, parse_on
from effbench.tables.making import Picked, Remark, pick, record_of, remarks_on
from effbench.tables.mapping import read_maps
from effbench.tables.noting import notes_on
from effbench.tables.sheets import Sheet, read_sheets, refuse_repeats
from effbench.tables.table import read_table


@dataclass(frozen=True, slots=True)
class Imported:
    """What published tables say.

    Attributes:
        records: one for each row of the first table, in its order.
        sheets: the tables with their columns read, the first one first.
        matches: how each further table joined the first.
        fields: which columns gave what.
        notes: what a reader of the records must know of all of them.
    """

    records: tuple[Record, ...]
    sheets: tuple[Sheet, ...]
    matches: tuple[Match, ...]
    fields: Fields
    notes: tuple[Note, ...]

    def save(self, folder: str | Path) -> tuple[Path, ...]:
        """Returns the files written, all or none; what a record there held published before is replaced.

        Raises:
            InputError: the folder cannot be written to, or a model's file there is no record.
        """
        return Store(Path(folder)).save_many(self.records)


def import_tables(
    paths: Sequence[str | Path],
    mapping: str | Sequence[str] = (),
    on: str | None = None,
    constants: Mapping[str, str] | None = None,
    samples: int | None = None,
    decimal: Point = ".",
) -> Imported:
    """Returns published tables as records, one for each row of the first; further tables are joined to it.

    Args:
        paths: delimited text files with a header.
        mapping: "COLUMN:FIELD[:UNIT]" targets separated by commas, or YAML files of them; none: the tables' known
            layouts. A field is name, params, macs, flops, latency (of a batch), throughput, batch, threads, device,
            precision, torch; with another name, an error or quality (it has a unit) or a condition (it has none).
        on: what rows are joined by, such as "arch,img_size"; arch is a model's name before the first dot.
        constants: a field's text for all rows, such as {"device": "RTX 4090"}.
        samples: how many samples shares are of.
        decimal: what separates decimals.

    Raises:
        InputError: a table cannot be read, a cell is not what its column means, rows cannot be told apart or joined.
    """
    if not paths:
        raise InputError("there is no table to import: name one")
    said = read_maps([mapping] if isinstance(mapping, str) else mapping)
    sheets = read_sheets([read_table(Path(path)) for path in paths], said.targets, samples, decimal)
    refuse_repeats(sheets[0])
    keys = on or said.on
    matches = join(sheets, parse_on(keys) if keys else (), decimal)
    fields = fields_of(sheets, {**(said.constants or {}), **(constants or {})})
    records, remarks = _records(sheets, matches, fields)
    notes = notes_on(records, sheets, matches, fields, remarks, keys or "")
    return Imported(records, tuple(sheets), matches, fields, notes)


def _records(
    sheets: Sequence[Sheet], matches: Sequence[Match], fields: Fields
) -> tuple[tuple[Record, ...], tuple[Remark, ...]]:
    """Returns (records, what was remarked on them), both in the order of the first table."""
    made: list[Record] = []
    found: list[Remark] = []
    mapped = [", ".join(str(column.target) for column in sheet.columns) for sheet in sheets]
    stated = "".join(f"; {field}={value} was said at its import" for field, value in fields.constants.items())
    for row, name in enumerate(sheets[0].names):
        rows = (row, *(match.rows[row] for match in matches))
        picked: dict[str, Picked] = pick(fields, rows)
        remarks = remarks_on(name, fields, rows, picked)
        sources = zip(sheets, rows, mapped, strict=True)
        source = "; ".join(_source(sheet, place, targets) for sheet, place, targets in sources if place is not None)
        made.append(record_of(name, picked, source + stated, remarks))
        found += remarks
    return tuple(made), tuple(found)


def _source(sheet: Sheet, row: int, mapped: str) -> str:
    table = sheet.table
    return f"{table.name}, line {table.rows[row].line}, sha256 {table.sha256}, read as {mapped or 'names'}"
