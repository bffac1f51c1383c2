"""What a reader of imported records must know of all of them: counted, the worst and the first named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from effbench.records import Note, Record
from effbench.tables.cells import plain
from effbench.tables.fields import Fields
from effbench.tables.join import Match
from effbench.tables.making import Remark
from effbench.tables.mapping import SHARES, TIMES
from effbench.tables.sheets import Sheet

NAMED = 3
"""Models that a note names before it counts the rest."""

_HEADLINES = {
    "rounded-away": "{models} have a figure rounded to 0",
    "coarse-figure": "{models} have one that rounding leaves uncertain by more than 1 %; the worst: {worst}",
    "times-disagree": "{models} have two times that disagree by more than 1 %; the worst: {worst}",
    "tables-differ": "{models} have figures that differ between tables by more than rounding; the worst: {worst}",
}


def notes_on(
    records: Sequence[Record],
    sheets: Sequence[Sheet],
    matches: Sequence[Match],
    fields: Fields,
    remarks: Sequence[Remark],
    keys: str,
) -> tuple[Note, ...]:
    """Returns the notes of an import, what concerns rows first."""
    return (
        *(note for match in matches for note in _on_match(sheets[0], match, keys)),
        *_on_remarks(remarks),
        *_on_times(records, fields),
        *_on_errors(sheets),
        *_on_costs(records),
        *_on_unread(sheets),
    )


def named(names: Sequence[str]) -> str:
    """Returns the first few names, and how many more there are."""
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _on_match(first: Sheet, match: Match, keys: str) -> Iterator[Note]:
    table = match.sheet.table
    alone = [name for name, row in zip(first.names, match.rows, strict=True) if row is None]
    if alone:
        gone = ", ".join(dict.fromkeys(column.target.field for column in match.sheet.columns))
        text = (
            f"{len(alone):,} of {len(first.names):,} rows of {first.table.name} join none of its by {keys}, "
            f"and get nothing of it ({gone}): {named(alone)}"
        )
        yield Note("not-joined", table.name, text)
    if match.unused:
        names = [match.sheet.names[row] for row in match.unused]
        yield Note("not-used", table.name, f"{len(names):,} of its {len(table.rows):,} rows join none: {named(names)}")


def _on_remarks(remarks: Sequence[Remark]) -> Iterator[Note]:
    groups: dict[tuple[str, str], list[Remark]] = {}
    for remark in remarks:
        groups.setdefault((remark.code, remark.field), []).append(remark)
    for (code, field), found in groups.items():
        worst = max(found, key=lambda remark: remark.size)
        models = f"{len(found):,} model{'s' if len(found) > 1 else ''}"
        text = _HEADLINES[code].format(models=models, worst=f"{worst.model}, {worst.text}")
        if code == "rounded-away":
            text += f" ({worst.text}), a score of it would be 0: {named([remark.model for remark in found])}"
        yield Note(code, field, text.replace("1 model have", "1 model has"))


def _on_times(records: Sequence[Record], fields: Fields) -> Iterator[Note]:
    if not {*TIMES} & set(fields.columns):
        return
    speeds = [record.published.speed for record in records if record.published and record.published.speed]
    batches = sorted({speed.batch for speed in speeds if speed.batch is not None})
    if len(batches) > 1:
        text = f"times were taken in {len(batches)} batch sizes, {batches[0]} to {batches[-1]}: they do not compare"
        yield Note("mixed-batches", "batch", text)
    for field, example in (("device", "RTX 4090"), ("precision", "amp")):
        if any(getattr(speed, field) is None for speed in speeds):
            text = f'the {field} of the times is not stated: --set {field}="{example}" would say it'
            yield Note("unstated", field, text)


def _on_errors(sheets: Iterable[Sheet]) -> Iterator[Note]:
    for sheet in sheets:
        shares = [column for column in sheet.columns if column.target.is_metric and column.target.unit in SHARES]
        unknown = [column.target.field for column in shares if column.target.n is None]
        if unknown:
            text = "of how many samples they are is not stated: --samples N gives them an interval"
            yield Note("unstated-samples", ", ".join(unknown), text)
        for column in shares:
            values = [cell for cell in column.cells if not isinstance(cell, str) and cell is not None]
            if column.target.unit == "percent" and values and 0 < max(values) <= 1:
                text = f"no figure is above {plain(max(values))} percent: is its unit fraction?"
                yield Note("suspect-unit", column.target.field, text)


def _on_costs(records: Sequence[Record]) -> Iterator[Note]:
    counted = {record.published.cost.convention for record in records if record.published and record.published.cost}
    for convention in sorted(counted - {"macs"}):
        text = f"costs were counted by {convention}: rank them with --convention {convention}"
        yield Note("convention", convention, text)


def _on_unread(sheets: Iterable[Sheet]) -> Iterator[Note]:
    for sheet in sheets:
        read = {*(column.target.column for column in sheet.columns), *sheet.naming}
        unread = [column for column in sheet.table.columns if column not in read]
        if unread:
            yield Note("not-read", sheet.table.name, f"columns that were not mapped: {', '.join(unread)}")
