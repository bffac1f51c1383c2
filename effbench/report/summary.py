"""The torchsummary report, from its document: as that tool lays it out, and as a table for other formats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from effbench.report.profile import notes_of
from effbench.report.table import Column, Report, Table, Text, numeric
from effbench.units import grouped

Document = Mapping[str, Any]

_WIDTHS = (20, 25, 15)
_LINE_WIDTH = 64


def summary_report(document: Document, name: str) -> Report:
    """Returns the report for an output format: torchsummary's own layout for `table`, else a table of rows."""
    block = Text(tuple(torchsummary_text(document))) if name == "table" else _table(document)
    return Report(document, (block,), notes_of(document))


def torchsummary_text(document: Document) -> list[str]:
    """Returns the lines that torchsummary prints; columns are wider only where a cell would not fit."""
    rows = [("Layer (type)", "Output Shape", "Param #")]
    rows += [(row["layer"], row["output_shape"], grouped(row["params"])) for row in document["layers"]]
    layer, shape, params = (max(least, *(len(row[i]) for row in rows)) for i, least in enumerate(_WIDTHS))
    lines = [f"{row[0]:>{layer}}  {row[1]:>{shape}} {row[2]:>{params}}" for row in rows]
    width = max(_LINE_WIDTH, *(len(line) for line in lines))
    rule, double = "-" * width, "=" * width
    return [rule, lines[0], double, *lines[1:], double, *_totals(document), rule, *_sizes(document), rule]


def _totals(document: Document) -> list[str]:
    params = document["params"]
    lines = [
        f"Total params: {grouped(params['total'])}",
        f"Trainable params: {grouped(params['trainable'])}",
        f"Non-trainable params: {grouped(params['frozen'])}",
    ]
    if params["outside_table"]:
        lines.append(f"Params of the model itself or of modules that never ran: {grouped(params['outside_table'])}")
    return lines


def _sizes(document: Document) -> list[str]:
    memory = document["memory"]
    return [
        f"Input size (MB): {memory['input_mb']:.2f}",
        f"Forward/backward pass size (MB): {memory['forward_backward_mb']:.2f}",
        f"Params size (MB): {memory['params_mb']:.2f}",
        f"Estimated Total Size (MB): {memory['total_mb']:.2f}",
    ]


def _table(document: Document) -> Table:
    columns = (
        Column("layer", "Layer (type)", align="left"),
        Column("output_shape", "Output shape", align="left"),
        Column("params", "Params", show=numeric(grouped)),
    )
    return Table(
        f"Summary of {document['name']}",
        columns,
        tuple(document["layers"]),
        caption=(*_totals(document), *_sizes(document)),
    )
