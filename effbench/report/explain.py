"""The hand calculations, from their document: lines as on paper, and tables for other formats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from effbench.report.profile import notes_of, shape_text
from effbench.report.table import Column, Report, Table, Text, numeric
from effbench.units import grouped

Document = Mapping[str, Any]


def explain_report(document: Document, name: str) -> Report:
    """Returns the report for an output format: lines for `table`, else a table per section."""
    if name == "table":
        return Report(document, (Text(tuple(explain_text(document))),), notes_of(document))
    tables = [_table("Parameters", document["params"]), _table(_cost_title(document), document["cost"])]
    if document["separable"]:
        tables.append(_separable_table(document["separable"]))
    return Report(document, tuple(tables), notes_of(document))


def explain_text(document: Document) -> list[str]:
    """Returns the calculations one line each: "conv1: 3 × 11² × 64 + 64 = 23,296", its formula beside it."""
    unit = f" {document['unit']}s"
    inputs = ", ".join(shape_text(item["shape"]) for item in document["inputs"])
    lines = [f"{document['name']}, input {inputs or 'none'}", "", "Parameters"]
    lines += _section(document["params"], "")
    lines += ["", _cost_title(document), *_section(document["cost"], unit)]
    if document["separable"]:
        lines += ["", "If these convolutions were depth-wise separable (per sample, without bias)"]
        # A 1 × 1 convolution is the point-wise half of a separable one already: its formula is k² = 1, a ratio over 1.
        pointwise = [item for item in document["separable"] if item["ratio"]["result"] > 1]
        for item in document["separable"]:
            if item not in pointwise:
                lines += _separable(item)
        if pointwise:
            lines.append(f"  {len(pointwise)} convolutions of 1 × 1 are the point-wise half already: 1/N + 1/k² > 1")
    return lines


def _cost_title(document: Document) -> str:
    return f"{document['unit']}s by convention {document['convention']}"


def _section(section: Document, unit: str) -> list[str]:
    lines = [(_calculation(line, unit), _remark(line)) for line in section["lines"]]
    width = min(max((len(left) for left, _ in lines), default=0), 72)
    shown = [f"  {left:<{width}}  {right}".rstrip() for left, right in lines]
    total = "unknown" if section["total"] is None else f"{grouped(section['total'])}{unit}"
    text = section["sum"]
    return [*shown, f"  total: {text} = {total}" if len(lines) > 1 else f"  total: {total}"]


def _calculation(line: Document, unit: str) -> str:
    name = line["path"] or "(model)"
    if line["result"] is None:
        return f"{name}: {line['remark']}"
    return f"{name}: {_short(line)}{unit}"


def _remark(line: Document) -> str:
    parts = [line["formula"]] if line["formula"] else []
    if line["remark"] and line["result"] is not None:
        parts.append(line["remark"])
    return "; ".join(parts)


def _separable(item: Document) -> list[str]:
    def pair(title: str, regular: str, separable: str) -> list[str]:
        return [
            f"    {title:<11}{_short(item[regular]):<58} {item[regular]['formula']}",
            f"    {'separable':<11}{_short(item[separable]):<58} {item[separable]['formula']}",
        ]

    ratio = item["ratio"]
    return [
        f"  {item['path']}",
        *pair("MACs", "macs", "macs_separable"),
        *pair("params", "params", "params_separable"),
        f"    {'ratio':<11}{ratio['calculation'] + ' = ' + format(ratio['result'], '.4f'):<58} {ratio['formula']}",
    ]


def _short(line: Document) -> str:
    return f"{line['calculation']} = {grouped(line['result'])}"


def _table(title: str, section: Document) -> Table:
    columns = (
        Column("layer", "Layer", align="left"),
        Column("formula", "Formula", align="left"),
        Column("calculation", "Calculation", align="left"),
        Column("result", "Result", show=numeric(grouped)),
        Column("remark", "Remark", align="left"),
    )
    rows = tuple({**line, "layer": line["path"] or "(model)"} for line in section["lines"])
    return Table(title, _used(columns, rows), rows, {"layer": "Total", "result": section["total"]})


def _used(columns: Sequence[Column], rows: Sequence[Document]) -> tuple[Column, ...]:
    """Returns the columns without an empty remark column."""
    return tuple(column for column in columns if column.key != "remark" or any(row["remark"] for row in rows))


def _separable_table(items: Sequence[Document]) -> Table:
    columns = (
        Column("layer", "Layer", align="left"),
        Column("macs", "MACs", show=numeric(grouped)),
        Column("macs_separable", "MACs, separable", show=numeric(grouped)),
        Column("params", "Params", show=numeric(grouped)),
        Column("params_separable", "Params, separable", show=numeric(grouped)),
        Column("ratio", "1/N + 1/k²", align="left"),
    )
    rows = tuple(
        {
            "layer": item["path"],
            **{key: item[key]["result"] for key in ("macs", "macs_separable", "params", "params_separable")},
            "ratio": f"{item['ratio']['calculation']} = {item['ratio']['result']:.4f}",
        }
        for item in items
    )
    return Table("If these convolutions were depth-wise separable (per sample, without bias)", columns, rows)
