"""A comparison from its document: the costs, the verdicts in a sentence each, the layers, and the machine."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from effbench.report.profile import notes_of, shape_text
from effbench.report.table import UNKNOWN, Block, Cell, Column, Report, Table, Text, numeric, show_cell
from effbench.report.time import digits, machine_lines, plan_text
from effbench.units import binary, grouped

Document = Mapping[str, Any]

SHOWN_LAYERS = 20
"""Layers that a table shows; the others are one row."""


def compare_report(document: Document) -> Report:
    """Returns the tables of costs, times and layers, and where they were measured."""
    blocks: list[Block] = [cost_table(document)]
    if document["verdicts"]:
        blocks.append(verdict_table(document))
    blocks += [layer_table(document, name) for name in document["layers"]]
    if document["verdicts"] or document["layers"]:
        blocks.append(Text(tuple(_where(document))))
    return Report(document, tuple(blocks), notes_of(document))


# Costs


def cost_table(document: Document) -> Table:
    """Returns a row for each model: what it costs, and how many times what the first one costs."""
    models = document["models"]
    metrics = dict.fromkeys(name for model in models for name in model["errors"])
    units = {
        name: next(model["errors"][name]["unit"] for model in models if name in model["errors"]) for name in metrics
    }
    inputs = [_inputs(model) for model in models]
    gives_macs = document["unit"] == "MAC" or any(model["macs"] is not None for model in models)
    columns = (
        Column("model", "Model", align="left"),
        *([Column("input", "Input", align="left")] if len(set(inputs)) > 1 else []),
        *_cost("params", "Params"),
        *(_cost("macs", "MACs") if gives_macs else ()),
        *((Column("flops", "FLOPs", show=numeric(grouped), wide=True),) if gives_macs else _cost("flops", "FLOPs")),
        Column("peak_activation_bytes", "Peak memory", show=numeric(binary)),
        Column("peak_activation_bytes_ratio", "×", show=_ratio),
        *(Column(f"error {name}", f"{name} ({unit})") for name, unit in units.items()),
    )
    rows = tuple(_cost_row(model, text, metrics) for model, text in zip(models, inputs, strict=True))
    given = f", input {inputs[0]}" if len(set(inputs)) == 1 else ""
    caption = f"×: times {document['base']}; peak memory: of activations, as the trace has them"
    return Table(f"Cost, convention {document['convention']}{given}", columns, rows, caption=(caption,))


def _cost(key: str, title: str) -> tuple[Column, Column]:
    return Column(key, title, show=numeric(grouped)), Column(f"{key}_ratio", "×", show=_ratio)


def _cost_row(model: Document, inputs: str, metrics: Mapping[str, None]) -> dict[str, Cell]:
    return {
        "model": model["name"],
        "input": inputs,
        **{key: model[key] for key in model["ratios"]},
        **{f"{key}_ratio": ratio for key, ratio in model["ratios"].items()},
        **{f"error {name}": model["errors"].get(name, {"value": None})["value"] for name in metrics},
    }


def _inputs(model: Document) -> str:
    return ", ".join(f"{shape_text(item['shape'])} {item['dtype']}" for item in model["inputs"]) or "none"


def _ratio(cell: Cell) -> str:
    return f"{cell:.3f}" if isinstance(cell, float) else show_cell(cell)


# Times


def verdict_table(document: Document) -> Table:
    """Returns a row for each model with its time and the verdict on it; under it, each verdict as a sentence."""
    columns = (
        Column("model", "Model", align="left"),
        Column("verdict", "Verdict", align="left"),
        Column("ratio", "×", show=_ratio),
        Column("interval", "95 % interval"),
        Column("median_s", "Median ms", show=_ms),
        Column("between", "Spread", show=_percent, wide=True),
        Column("detectable", "Detects", show=_percent),
        Column("pairs", "Pairs"),
        Column("needed", "Needed"),
    )
    by_name = {item["other"]: item for item in document["verdicts"]}
    rows = tuple(_verdict_row(model, by_name.get(model["name"])) for model in document["models"])
    margin = percent(document["rule"]["margin"])
    legend = (
        "spread: standard deviation between processes of one model; detects: what so many pairs find 9 times in 10",
        f"needed: pairs of processes that find a difference of {margin} 9 times in 10",
    )
    sentences = (sentence(item) for item in document["verdicts"])
    return Table(f"Time against {document['base']}", columns, rows, caption=(*sentences, *legend))


def _verdict_row(model: Document, item: Document | None) -> dict[str, Cell]:
    timing = model["timing"]
    row: dict[str, Cell] = {"model": model["name"], "median_s": timing["median_s"], "between": timing["between"]}
    if item is None:
        return {**row, **dict.fromkeys(("verdict", "ratio", "interval", "detectable", "pairs", "needed"), "")}
    found = item["ratio"]
    return {
        **row,
        "verdict": item["verdict"],
        "ratio": None if found is None else found["estimate"],
        "interval": None if found is None else f"{found['low']:.3f} to {found['high']:.3f}",
        "detectable": item["detectable"],
        "pairs": item["pairs"],
        "needed": None if item["pairs_for_margin"] is None else math.ceil(item["pairs_for_margin"]),
    }


def sentence(item: Document) -> str:
    """Returns a verdict as one sentence."""
    base, other, margin = item["base"], item["other"], percent(item["margin"])
    if item["verdict"] == "undecided":
        return f"{other} against {base} is undecided: {item['why']}"
    found = item["ratio"]
    seen = (
        f"{found['estimate']:.3f} × its time, 95 % interval {found['low']:.3f} to {found['high']:.3f}, "
        f"from {item['pairs']} pairs of processes"
    )
    if item["verdict"] == "same":
        return f"{other} takes the same time as {base} within ±{margin}: {seen}"
    return f"{other} is {item['verdict']} than {base}: {seen}"


def percent(share: float) -> str:
    """Returns a share in percent to three digits: "2 %"."""
    return f"{100 * share:.3g} %"


def _percent(cell: Cell) -> str:
    return f"{100 * cell:.2f} %" if isinstance(cell, float) else show_cell(cell)


def _ms(cell: Cell) -> str:
    return digits(cell * 1e3) if isinstance(cell, float) else show_cell(cell)


# Layers


def layer_table(document: Document, name: str) -> Table:
    """Returns the layers whose time changed, the greatest change first, and all others as one row."""
    rows = document["layers"][name]
    moved = [row for row in rows if row["changed"] or row["present"] != "both" or row["change_s"] is None]
    shown = moved[:SHOWN_LAYERS]
    rest = [row for row in rows if row not in shown]
    columns = (
        Column("path", "Layer", align="left"),
        Column("base_s", f"{document['base']} ms", show=_ms),
        Column("other_s", f"{name} ms", show=_ms),
        Column("change_s", "Change ms", show=_change),
        Column("noise_s", "95 % ±", show=_ms),
    )
    lines = [_layer_row(row) for row in shown]
    if rest:
        left = len(moved) - len(shown)
        many = f"{left} changed less, {len(rest) - left} without a clear change" if left else ""
        text = many or f"{len(rest)} {'layer' if len(rest) == 1 else 'layers'} without a clear change"
        lines.append({**_together(rest), "path": text, "noise_s": ""})
    total: dict[str, Cell] = {**_together(rows), "path": "total", "noise_s": ""}
    title = f"Layers whose time changed from {document['base']} to {name}"
    return Table(title, columns, tuple(lines), total)


def _layer_row(row: Document) -> dict[str, Cell]:
    absent = {"base": "other_s", "other": "base_s"}.get(row["present"])
    keys = ("base_s", "other_s", "change_s", "noise_s")
    return {"path": row["path"] or "(model)", **{key: "absent" if key == absent else row[key] for key in keys}}


def _together(rows: Sequence[Document]) -> dict[str, Cell]:
    """Returns the sums of several layers, one that is absent taking no time; None where one of them is unknown."""
    if any(row["change_s"] is None for row in rows):
        return {"base_s": None, "other_s": None, "change_s": None}
    base_s, other_s, change_s = (
        math.fsum(row[key] or 0.0 for row in rows) for key in ("base_s", "other_s", "change_s")
    )
    return {"base_s": base_s, "other_s": other_s, "change_s": change_s}


def _change(cell: Cell) -> str:
    return f"{'+' if cell > 0 else ''}{digits(cell * 1e3)}" if isinstance(cell, float) else show_cell(cell)


def _where(document: Document) -> Iterator[str]:
    """Gives the machine, the plan and the rule, a line each; the machine's lines as often as models differ in them."""
    known = [model for model in document["models"] if model["environment"] is not None]
    seen = {model["name"]: tuple(machine_lines(model["environment"])) for model in known}
    places = dict.fromkeys(seen.values())
    for lines in places:
        named = ", ".join(name for name, theirs in seen.items() if theirs == lines)
        yield from (f"{line} ({named})" if len(places) > 1 else line for line in lines)
    timed = [model["timing"] for model in document["models"] if model["timing"] is not None]
    if not timed:
        return
    threads = next((timing["threads"] for timing in timed if timing["threads"] is not None), UNKNOWN)
    many = "thread" if threads == 1 else "threads"
    yield f"plan      {plan_text({**timed[0]['plan'], 'threads': None})}, {threads} {many}"
    rule = document["rule"]
    low, high = rule["min_rounds"], rule["max_rounds"]
    rounds = f"{low} pairs" if low == high else f"{low} to {high} pairs"
    most = f"{rounds}, {rule['budget_s']:g} s at most"
    yield f"rule      until the verdict, same within ±{percent(rule['margin'])}, {most}"
