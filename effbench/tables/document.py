"""What `effbench import` says, as its JSON has it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from effbench.records import SCHEMA, Record
from effbench.report.table import notes_data
from effbench.tables.cells import simplest
from effbench.tables.importing import Imported
from effbench.tables.sheets import Sheet


def import_document(imported: Imported, folder: Path | None) -> Mapping[str, Any]:
    """Returns the document of an import; `folder` is where its records were kept, None where they were not."""
    return {
        "schema": SCHEMA,
        "folder": None if folder is None else str(folder),
        "models": len(imported.records),
        "tables": [_table(sheet, imported, place) for place, sheet in enumerate(imported.sheets)],
        "figures": _figures(imported),
        "rows": [_row(record) for record in imported.records],
        "notes": notes_data(imported.notes),
    }


def _table(sheet: Sheet, imported: Imported, place: int) -> Mapping[str, Any]:
    rows = len(sheet.table.rows)
    match = imported.matches[place - 1] if place else None
    return {
        "table": sheet.table.name,
        "sha256": sheet.table.sha256,
        "layout": sheet.layout,
        "rows": rows,
        "used": rows if match is None else rows - len(match.unused),
        "joined": len(imported.records) if match is None else sum(row is not None for row in match.rows),
    }


def _figures(imported: Imported) -> list[dict[str, Any]]:
    """Returns a row for each column that was read, then for each constant."""
    found = []
    for number, sheet in enumerate(imported.sheets):
        rows = range(len(sheet.table.rows)) if not number else imported.matches[number - 1].rows
        for column in sheet.columns:
            figures = sum(row is not None and column.cells[row] is not None for row in rows)
            step = column.step if column.target.is_number else None
            found.append(
                {
                    "field": column.target.field,
                    "unit": column.target.unit,
                    "column": column.target.column,
                    "table": sheet.table.name,
                    "models": figures,
                    "missing": len(imported.records) - figures,
                    "step": None if step is None else simplest(step),
                    "n": column.target.n,
                    "convention": column.target.convention or None,
                }
            )
    for field, value in imported.fields.constants.items():
        told = f"= {simplest(value) if isinstance(value, Decimal) else value}"
        blank = dict.fromkeys(("step", "n", "convention"))
        models = len(imported.records)
        found.append({"field": field, "unit": "", "column": told, "table": "", "models": models, "missing": 0, **blank})
    return found


def _row(record: Record) -> Mapping[str, Any]:
    published = record.published
    assert published is not None
    cost, speed = published.cost, published.speed
    return {
        "model": record.name,
        "params": published.params,
        "cost": None if cost is None else cost.value,
        "cost_unit": None if cost is None else cost.unit,
        "convention": None if cost is None else cost.convention,
        "errors": {name: {"value": one.value, "unit": one.unit, "n": one.n} for name, one in published.errors.items()},
        "seconds_per_sample": None if speed is None else speed.seconds,
        "batch": None if speed is None else speed.batch,
        "device": None if speed is None else speed.device,
        "precision": None if speed is None else speed.precision,
        "conditions": dict(published.conditions),
        "source": published.source,
        "notes": notes_data(record.notes),
    }
