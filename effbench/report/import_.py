"""What was imported, from its document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from effbench.report.profile import notes_of
from effbench.report.table import UNKNOWN, Cell, Column, Report, Show, Table, show_cell

FIRST = 10
"""Models that people are shown; programs get all of them."""

Document = Mapping[str, Any]


def import_report(document: Document, first: int | None = FIRST) -> Report:
    """Returns the first models with their figures, all of them for None, and what each column gave."""
    return Report(document, (_models(document, first), _figures(document)), notes_of(document))


def _models(document: Document, first: int | None) -> Table:
    rows = [_flat(row) for row in document["rows"]]
    units = {str(row["cost_unit"]) for row in rows if row["cost_unit"]}
    columns = [
        Column("params", "Params (M)", show=_scaled(".2f", 1e-6)),
        Column("cost", f"Cost ({', '.join(sorted(units))})", show=_scaled(".2f")),
        *(_error(name, unit, rows, place > 0) for place, (name, unit) in enumerate(_errors(document["rows"]).items())),
        Column("seconds_per_sample", "ms / sample", show=_scaled(".4g", 1e3)),
        Column("batch", "Batch"),
        Column("device", "Device", align="left", wide=True),
        Column("precision", "Precision", align="left", wide=True),
        *(_condition(name) for name in _conditions(document["rows"])),
    ]
    given = [column for column in columns if any(row.get(column.key) is not None for row in rows)]
    shown = (Column("model", "Model", align="left"), *given)
    kept = tuple({column.key: row.get(column.key) for column in shown} for row in rows[:first])
    return Table(_title(document), shown, kept, caption=_caption(document, len(kept)))


def _flat(row: Mapping[str, Any]) -> dict[str, Cell]:
    errors = {name: figure["value"] for name, figure in row["errors"].items()}
    return {**row["conditions"], **row, **errors}


def _errors(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, str]:
    return {name: figure["unit"] for row in rows for name, figure in row["errors"].items()}


def _conditions(rows: Sequence[Mapping[str, Any]]) -> Sequence[str]:
    return list(dict.fromkeys(name for row in rows for name in row["conditions"]))


def _error(name: str, unit: str, rows: Sequence[Mapping[str, Cell]], wide: bool) -> Column:
    """Returns its column: every figure with as many decimals as the longest one has."""
    figures = [Decimal(str(row[name])) for row in rows if row.get(name) is not None]
    decimals = max(-int(figure.as_tuple().exponent) for figure in figures)
    return Column(name, f"{name} ({unit})", show=_scaled(f".{max(decimals, 0)}f"), wide=wide)


def _condition(name: str) -> Column:
    return Column(name, name, show=lambda cell: UNKNOWN if cell is None else f"{cell}", wide=True)


def _title(document: Document) -> str:
    return f"{document['models']:,} models from {' and '.join(table['table'] for table in document['tables'])}"


def _caption(document: Document, shown: int) -> tuple[str, ...]:
    folder, more = document["folder"], document["models"] - shown
    return (
        *((f"and {more:,} more",) if more else ()),
        f"kept in {folder}" if folder is not None else "kept nowhere: --record DIR keeps them",
    )


def _figures(document: Document) -> Table:
    rows = tuple({**row, "field": _field(row)} for row in document["figures"])
    columns = (
        Column("field", "Figure", align="left"),
        Column("column", "Column", align="left"),
        Column("table", "Table", align="left", wide=True),
        Column("models", "Models"),
        Column("missing", "Missing"),
        Column("step", "Rounded to", show=lambda cell: "" if cell is None else f"{cell:g}", wide=True),
        Column("n", "Samples", show=lambda cell: "" if cell is None else show_cell(cell)),
        Column("convention", "Counted by", align="left", show=lambda cell: "" if cell is None else str(cell)),
    )
    return Table("What the columns gave", columns, rows, caption=tuple(_joined(document)))


def _field(row: Mapping[str, Any]) -> str:
    return f"{row['field']} ({row['unit']})" if row["unit"] else str(row["field"])


def _joined(document: Document) -> Sequence[str]:
    return [
        f"{table['table']} joined {table['joined']:,} of {document['models']:,} models "
        f"with {table['used']:,} of its {table['rows']:,} rows"
        for table in document["tables"][1:]
    ]


def _scaled(spec: str, factor: float = 1.0) -> Show:
    """Returns how to show a number times a factor; None is unknown."""

    def show(cell: Cell) -> str:
        return format(cell * factor, spec) if isinstance(cell, int | float) else UNKNOWN

    return show
