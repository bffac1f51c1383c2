"""The per-layer report of a profiled model, from its document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from effbench.records import Note
from effbench.report.table import Block, Cell, Column, Report, Table, Text, numeric
from effbench.units import grouped, mebibytes, scaled

Document = Mapping[str, Any]

GROUPINGS = ("layer", "type", "op")
_MOST_OUTPUTS = 3
"""Shapes that a line shows; a language model returns two more for every layer, its cache."""


def profile_report(document: Document, by: Sequence[str] = ("layer",), depth: int | None = None) -> Report:
    """Returns the report with one table per grouping; `depth` folds deeper layers into those above them."""
    head = Text(tuple(_head(document)))
    tables = tuple(_table(document, grouping, depth) for grouping in by)
    return Report(document, (head, *tables, Text(tuple(_totals(document)))), notes_of(document))


def notes_of(document: Document) -> tuple[Note, ...]:
    """Returns the notes of a document."""
    return tuple(Note(**note) for note in document["notes"])


def short(name: str) -> str:
    """Returns "Conv2d" for "torch.nn.modules.conv.Conv2d"."""
    return name.rpartition(".")[2]


def shape_text(shape: Sequence[int]) -> str:
    """Returns "1×64×55×55"; a tensor without dimensions is "scalar"."""
    return "×".join(str(size) for size in shape) or "scalar"


def _table(document: Document, grouping: str, depth: int | None) -> Block:
    if grouping == "layer":
        return _layer_table(document, depth)
    rows = document["types" if grouping == "type" else "ops"]
    params = (Column("params", "Params", show=numeric(grouped)),) if grouping == "type" else ()
    columns = (
        Column("name", grouping.capitalize(), align="left"),
        Column("calls", "Calls", show=numeric(grouped)),
        *params,
        *_cost_columns(document),
    )
    shown = tuple({**row, "name": short(row["name"])} for row in rows)
    return Table(f"Cost by {grouping}", columns, shown, _footer(document, "name"))


def _layer_table(document: Document, depth: int | None) -> Table:
    rows = [_layer_row(row) for row in _folded(document["layers"], depth) if _worth_a_line(row)]
    columns = (
        Column("layer", "Layer", align="left"),
        Column("type", "Type", align="left"),
        Column("output", "Output", align="left"),
        Column("params", "Params", show=numeric(grouped)),
        *_cost_columns(document),
    )
    return Table("Cost by layer", columns, tuple(rows), _footer(document, "layer"))


def _cost_columns(document: Document) -> tuple[Column, ...]:
    flops = Column("flops", "FLOPs", show=numeric(grouped), wide=_gives_macs(document))
    if not _gives_macs(document):
        return (flops,)
    return (Column("macs", "MACs", show=numeric(grouped)), flops)


def _gives_macs(document: Document) -> bool:
    """Returns whether the convention counts MACs, alone or beside FLOPs."""
    return document["unit"] == "MAC" or any(layer["macs"] is not None for layer in document["layers"])


def _footer(document: Document, key: str) -> Mapping[str, Cell]:
    params = document["params"]["total"]
    return {key: "Total", "params": params, "macs": document["macs"], "flops": document["flops"]}


def _folded(layers: Sequence[Document], depth: int | None) -> Sequence[Document]:
    """Returns the layers down to a depth, the deepest with all that is below them."""
    if depth is None:
        return layers
    kept = [layer for layer in layers if _level(layer["path"]) <= depth]
    return [{**layer, **layer["subtotal"]} if _level(layer["path"]) == depth else layer for layer in kept]


def _level(path: str) -> int:
    return path.count(".") + 1 if path else 0


def _worth_a_line(layer: Document) -> bool:
    """Returns whether a layer brings something of its own: containers and idle modules only sum up others."""
    unknown = layer["flops"] is None and layer["calls"]
    return bool(layer["params"] or layer["flops"] or unknown or _own_class(layer))


def _own_class(layer: Document) -> bool:
    return bool(layer["calls"] and layer["path"] and layer["subtotal"]["params"] == layer["params"])


def _layer_row(layer: Document) -> Mapping[str, Cell]:
    calls = f" ×{layer['calls']}" if layer["calls"] > 1 else ""
    shapes = ", ".join(shape_text(shape) for shape in layer["outputs"][:_MOST_OUTPUTS])
    if len(layer["outputs"]) > _MOST_OUTPUTS:
        shapes += f", {len(layer['outputs']) - _MOST_OUTPUTS} more"
    return {
        "layer": layer["path"] or "(model)",
        "type": short(layer["type"]) + calls,
        "output": shapes if layer["calls"] else "not called",
        "params": layer["params"],
        "macs": layer["macs"],
        "flops": layer["flops"],
    }


def _head(document: Document) -> list[str]:
    inputs = ", ".join(
        f"{item['name'] + ' ' if item['name'] else ''}{shape_text(item['shape'])} {item['dtype']}"
        for item in document["inputs"]
    )
    return [f"{document['name']}   input {inputs or 'none'}   convention {document['convention']}"]


def _totals(document: Document) -> list[str]:
    params, memory, coverage = document["params"], document["memory"], document["coverage"]
    frozen = f", {grouped(params['frozen'])} frozen" if params["frozen"] else ""
    shared = f", {grouped(params['shared'])} more through sharing" if params["shared"] else ""
    lines = [f"params       {_amount(params['total'])}{frozen}{shared}"]
    if _gives_macs(document):
        lines.append(f"MACs         {_amount(document['macs'])}")
    if document["unit"] == "MAC":
        lines.append(f"FLOPs        {_amount(document['flops'])}, 2 per MAC")
    else:
        lines.append(f"FLOPs        {_amount(document['flops'])}")
    batch = next((item["shape"][0] for item in document["inputs"] if item["shape"]), 1)
    if batch != 1:
        lines.append(f"per sample   {_amount(document['per_sample']['flops'])} FLOPs at batch {batch}")
    weights = f"memory       {mebibytes(memory['parameters_bytes'])} MiB parameters"
    if document["activations"] is None:
        return [*lines, weights, "coverage     no forward pass: nothing is counted"]
    lines.append(f"activations  {grouped(document['activations'])} elements out of convolutions and matrix products")
    lines.append(f"{weights}, {mebibytes(memory['peak_activation_bytes'])} MiB activations at the peak")
    lines.append(f"peak         {_peak(memory)}")
    unknown = sum(coverage["unknown"].values())
    lines.append(f"coverage     {coverage['counted']} calls counted, {coverage['free']} free, {unknown} unknown")
    return lines


def _peak(memory: Document) -> str:
    """Returns where activations peak and what they could shrink to; blocks are left out where they change nothing."""
    place = "of the inputs alone"
    if memory["peak_op"]:
        place = f"at {memory['peak_op']} of {memory['peak_module'] or 'the model'}"
    parts = [f"{place}; freed at last use {mebibytes(memory['floor_bytes'])} MiB"]
    parts.append(f"largest op {mebibytes(memory['largest_op_bytes'])} MiB")
    if memory["largest_block_bytes"] != memory["largest_op_bytes"]:
        parts.append(f"residual blocks as one {mebibytes(memory['largest_block_bytes'])} MiB")
    return ", ".join(parts)


def _amount(amount: int | float | None) -> str:
    if amount is None:
        return "unknown"
    if not isinstance(amount, int):
        return f"{amount:,.1f}"
    return f"{grouped(amount)} ({scaled(amount)})" if amount >= 1000 else grouped(amount)
