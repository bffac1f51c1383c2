"""Every convention side by side and why each differs, from its document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from effbench.report.profile import notes_of, shape_text, short
from effbench.report.table import Block, Cell, Column, Report, Table, Text, numeric
from effbench.units import grouped

Document = Mapping[str, Any]


def audit_report(document: Document) -> Report:
    """Returns one table of all conventions, then one per convention with the causes of its difference."""
    inputs = ", ".join(shape_text(item["shape"]) for item in document["inputs"])
    head = Text((f"{document['name']}   input {inputs or 'none'}",))
    causes = [_causes(item) for item in document["conventions"] if item["causes"]]
    return Report(document, (head, _overview(document), *causes), notes_of(document))


def _overview(document: Document) -> Block:
    columns = (
        Column("convention", "Convention", align="left"),
        Column("unit", "Unit", align="left"),
        Column("total", "Total", show=numeric(grouped)),
        Column("difference", "From macs", show=_signed),
        Column("tool", "The tool itself", align="left"),
    )
    rows = tuple({**item, "tool": _tool(item)} for item in document["conventions"])
    return Table("One model, by every convention", columns, rows)


def _tool(item: Document) -> str:
    """Returns what running the real tool gave: equal, its other number, or why there is none."""
    tool = item["tool"]
    if tool is None:
        return ""
    if tool["total"] is None:
        return str(tool["reason"])
    verdict = "equal" if tool["total"] == item["total"] else f"gives {grouped(tool['total'])}"
    return f"{tool['version']}: {verdict}"


def _causes(item: Document) -> Table:
    columns = (
        Column("type", "Module", align="left"),
        Column("modules", "Modules", show=numeric(grouped)),
        Column("macs", "macs", show=numeric(grouped)),
        Column("other", item["convention"], show=numeric(grouped)),
        Column("difference", "Difference", show=_signed),
        Column("ops", "Counted there", align="left"),
    )
    rows = tuple(
        {
            "type": short(cause["type"]),
            "modules": len(cause["paths"]),
            "macs": cause["base"],
            "other": cause["other"],
            "difference": cause["difference"],
            "ops": ", ".join(dict.fromkeys(short(op).removeprefix("aten::") for op in cause["ops"])),
        }
        for cause in item["causes"]
    )
    footer: Mapping[str, Cell] = {"type": "Total", "difference": sum(cause["difference"] for cause in item["causes"])}
    title = f"{item['convention']}: {item['about']} (difference in {item['difference_unit']}s)"
    return Table(title, columns, rows, footer)


def _signed(cell: Cell) -> str:
    return f"{cell:+,}" if isinstance(cell, int) else "?"
