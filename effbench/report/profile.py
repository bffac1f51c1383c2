"""The per-layer report of a profiled model, from its document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from effbench.records import Note
from effbench.report.table import Block, Cell, Column, Report, Table, Text, numeric
from effbench.units import binary, grouped, scaled

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
    macs = (Column("macs", "MACs", show=numeric(grouped)),) if _gives_macs(document) else ()
    nonzero = (Column("nonzero_macs", "Non-zero MACs", show=numeric(grouped)),) if "nonzero_macs" in document else ()
    return (*macs, *nonzero, flops)


def _gives_macs(document: Document) -> bool:
    """Returns whether the convention counts MACs, alone or beside FLOPs."""
    return document["unit"] == "MAC" or any(layer["macs"] is not None for layer in document["layers"])


def _footer(document: Document, key: str) -> Mapping[str, Cell]:
    costs = {name: document[name] for name in ("macs", "nonzero_macs", "flops") if name in document}
    return {key: "Total", "params": document["params"]["total"], **costs}


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
        **{name: layer[name] for name in ("macs", "nonzero_macs", "flops") if name in layer},
    }


def _head(document: Document) -> list[str]:
    inputs = ", ".join(
        f"{item['name'] + ' ' if item['name'] else ''}{shape_text(item['shape'])} {item['dtype']}"
        for item in document["inputs"]
    )
    return [f"{document['name']}   input {inputs or 'none'}   convention {document['convention']}"]


def _totals(document: Document) -> list[str]:
    """Returns the lines under the tables: what is summed, each under its name."""
    lines = [*_params(document["params"]), *_costs(document)]
    weights = f"memory       {binary(document['memory']['parameters_bytes'])} parameters"
    if document["activations"] is None:
        return [*lines, weights, "coverage     no forward pass: nothing is counted"]
    lines.append(f"activations  {grouped(document['activations'])} elements out of convolutions and matrix products")
    return [*lines, *_memory(document["memory"], weights), _coverage(document["coverage"])]


def _params(params: Document) -> list[str]:
    frozen = f", {grouped(params['frozen'])} frozen" if params["frozen"] else ""
    shared = f", {grouped(params['shared'])} more through sharing" if params["shared"] else ""
    return [f"params       {_amount(params['total'])}{frozen}{shared}"]


def _costs(document: Document) -> list[str]:
    lines = [f"MACs         {_amount(document['macs'])}"] if _gives_macs(document) else []
    if "nonzero_macs" in document:
        lines.append(f"non-zero     {_amount(document['nonzero_macs'])} MACs, whose weight is not zero")
    doubled = ", 2 per MAC" if document["unit"] == "MAC" else ""
    lines.append(f"FLOPs        {_amount(document['flops'])}{doubled}")
    batch = next((item["shape"][0] for item in document["inputs"] if item["shape"]), 1)
    if batch != 1:
        each = document["per_sample"]
        macs = f"{_amount(each['macs'])} MACs, " if _gives_macs(document) else ""
        lines.append(f"per sample   {macs}{_amount(each['flops'])} FLOPs at batch {batch}")
    return lines


def _memory(memory: Document, weights: str) -> list[str]:
    lines = [f"{weights}, {binary(memory['peak_activation_bytes'])} activations at the peak"]
    lines.append(f"peak         {_peak(memory)}")
    if "measured" in memory:
        lines.append(f"measured     {_measured(memory['measured'])}")
    return lines


def _peak(memory: Document) -> str:
    """Returns where activations peak and what they could shrink to; blocks are left out where they change nothing."""
    place = "of the inputs alone"
    if memory["peak_op"]:
        place = f"at {memory['peak_op']} of {memory['peak_module'] or 'the model'}"
    parts = [f"{place}; freed at last use {binary(memory['floor_bytes'])}"]
    parts.append(f"largest op {binary(memory['largest_op_bytes'])}")
    if memory["largest_block_bytes"] != memory["largest_op_bytes"]:
        parts.append(f"residual blocks as one {binary(memory['largest_block_bytes'])}")
    return ", ".join(parts)


def _measured(measured: Document) -> str:
    """Returns the CPU allocator's peak and what of it is the kernels' own."""
    peak = f"{binary(measured['peak_bytes'])} at the CPU allocator's peak"
    if not measured["scratch_op"]:
        return f"{peak}; no kernel takes scratch space"
    without, scratch = binary(measured["peak_without_scratch_bytes"]), binary(measured["scratch_bytes"])
    return f"{peak}, {without} without scratch; most scratch {scratch}, in {measured['scratch_op']}"


def _coverage(coverage: Document) -> str:
    unknown = sum(coverage["unknown"].values())
    calls = "call" if coverage["counted"] == 1 else "calls"
    return f"coverage     {coverage['counted']} {calls} counted, {coverage['free']} free, {unknown} unknown"


def _amount(amount: int | float | None) -> str:
    if amount is None:
        return "unknown"
    if not isinstance(amount, int):
        return f"{amount:,.1f}"
    return f"{grouped(amount)} ({scaled(amount)})" if amount >= 1000 else grouped(amount)
