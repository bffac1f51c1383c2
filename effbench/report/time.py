"""Times from their document: where and how, one row a model, and what was asked for beside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from effbench.report.profile import notes_of
from effbench.report.roofline import roofline_report
from effbench.report.table import Block, Cell, Column, Report, Show, Table, Text, show_cell
from effbench.units import binary, grouped

Document = Mapping[str, Any]

_UNITS = ((1.0, 1.0, "s"), (1e-3, 1e3, "ms"), (0.0, 1e6, "µs"))
"""From so many seconds on, the factor from seconds, and the unit."""


def time_report(document: Document) -> Report:
    """Returns the machine and the plan, the table of models, and what else the document holds of them."""
    models = document["models"]
    blocks: list[Block] = [Text(tuple(_head(document))), time_table(models)]
    blocks += [_search(model) for model in models if "search" in model]
    lines = [line for model in models for line in (*_training(model), *_energy(model))]
    if lines:
        blocks.append(Text(tuple(lines)))
    blocks += [block for model in models if "roofline" in model for block in roofline_report(model["roofline"]).blocks]
    return Report(document, tuple(blocks), notes_of(document))


def machine_lines(environment: Document) -> list[str]:
    """Returns the machine and the software, a line each: the facts that times depend on, as far as they are known."""
    facts: Mapping[str, str] = environment["fingerprint"]

    def known(*names: str) -> list[str]:
        return [facts[name] for name in names if facts.get(name) not in (None, "unknown", "none", "unlimited")]

    cores = [f"{text} cores" for text in known("available cores")]
    machine = [*known("device", "CPU"), *cores, *known("vector instructions")]
    limits = [f"{name} {facts[name]}" for name in ("quota", "governor") if known(name)]
    libraries = [f"{name} {facts[name]}" for name in ("torch", "CUDA", "cuDNN", "oneDNN", "Python") if known(name)]
    return [f"machine   {', '.join((*machine, *limits))}", f"software  {', '.join((*libraries, *known('system')))}"]


def plan_text(plan: Document) -> str:
    """Returns what was timed in one line, such as "inference in float32 on cpu, inputs as given"."""
    runs = "a training step" if plan["runs"] == "training" else "inference"
    words = [f"{runs} in {plan['precision']} on {plan['device']}"]
    words.append("inputs as given" if plan["batch"] is None else f"batch {plan['batch']}")
    words += ["channels last"] if plan["memory_format"] == "channels_last" else []
    threads = plan["threads"]
    words += [] if threads is None else [f"{threads} {'thread' if threads == 1 else 'threads'}"]
    named = (("compiled", "torch.compile"), ("captured", "a CUDA graph"), ("cold_cache", "cold cache"))
    return ", ".join((*words, *(text for key, text in named if plan[key])))


def rule_text(rule: Document, seed: int) -> str:
    """Returns when enough was measured, in one line."""
    low, high = rule["min_rounds"], rule["max_rounds"]
    rounds = f"{low} processes each" if low == high else f"{low} to {high} processes each"
    width = f"{100 * rule['half_width']:.3g} %"
    return f"until ±{width}, {rounds}, {rule['budget_s']:g} s of measuring at most, seed {seed}"


def time_table(models: Sequence[Document]) -> Table:
    """Returns one row a model; a column that says nothing of any model is left out."""
    factor, unit = _unit([model["median_s"] for model in models])
    seconds = _scaled(factor)
    wanted = (
        Column("model", "Model", align="left"),
        Column("batch", "Batch"),
        Column("median_s", f"Median {unit}", show=seconds),
        Column("half_width", "95 % ±", show=_percent),
        Column("p50_s", f"p50 {unit}", show=seconds, wide=True),
        Column("p90_s", f"p90 {unit}", show=seconds),
        Column("p99_s", f"p99 {unit}", show=seconds),
        Column("samples_per_s", "Samples/s", show=_rate),
        Column("between", "Spread", show=_percent),
        Column("first_s", f"First {unit}", show=seconds, wide=True),
        Column("compile_s", "Compile s", show=_scaled(1.0)),
        Column("runs", "Runs × calls", wide=True),
        Column("peak_bytes", "Peak memory", show=_bytes, wide=True),
        Column("threads", "Threads", wide=True),
        Column("state", "State", align="left"),
    )
    rows = [_row(model) for model in models]
    shown = tuple(column for column in wanted if any(row[column.key] not in (None, "") for row in rows))
    return Table("", shown, tuple(rows), caption=tuple(_caption(models)))


def _row(model: Document) -> dict[str, Cell]:
    lived = bool(model["runs"]) and model["refused"] is None
    figures = ("median_s", "half_width", "p50_s", "p90_s", "p99_s", "samples_per_s", "between", "first_s")
    peaks = model["peak_bytes"]
    kind = next((kind for kind in _PEAKS if kind in peaks), None)
    return {
        "model": model["name"],
        "batch": model["samples"] if model["samples"] is not None or lived else "",
        **{key: model[key] if lived else "" for key in figures},
        "compile_s": model["compile_s"] if model["compile_s"] is not None else "",
        "runs": f"{model['processes']} × {_per_process(model)}" if lived else "",
        "peak_bytes": peaks[kind] if kind and lived else "",
        "threads": model["threads"] if lived else "",
        "state": state(model),
    }


_PEAKS = ("allocated", "reserved", "process", "resident")


def state(model: Document) -> str:
    """Returns what keeps a row from being what was asked for; empty where nothing does."""
    if model["died"] is not None:
        return f"died: {model['died'].removeprefix(model['name'] + ': ')}"
    if model["refused"] is not None:
        return f"refused: {model['refused']}"
    if not model["runs"]:
        return "not timed: interrupted" if model["interrupted"] else "not timed: the budget ended first"
    if model["interrupted"]:
        return "interrupted"
    return "" if model["converged"] else "not converged"


def _per_process(model: Document) -> str:
    fewest, most = (pick(len(run["samples_s"]) for run in model["runs"]) for pick in (min, max))
    return grouped(most) if fewest == most else f"{grouped(fewest)}–{grouped(most)}"


def _head(document: Document) -> Iterable[str]:
    yield from machine_lines(document["environment"])
    plans = [plan_text(model["plan"]) for model in document["models"]]
    for text in dict.fromkeys(plans):
        named = [model["name"] for model, plan in zip(document["models"], plans, strict=True) if plan == text]
        of = f" ({', '.join(named)})" if len(set(plans)) > 1 else ""
        yield f"plan      {text}{of}"
    yield f"rule      {rule_text(document['rule'], document['seed'])}"


def _caption(models: Sequence[Document]) -> Iterable[str]:
    if any(model["half_width"] is not None for model in models):
        yield "median of a typical process with its 95 % interval; spread: standard deviation between processes"
    kept = [model for model in models if "allocated" in model["peak_bytes"]]
    if any(model["plan"]["device"] == "cpu" for model in kept):
        yield "peak memory: the most in tensors during a call, inputs included, weights and optimiser left out"
    elif kept:
        yield "peak memory: the most that PyTorch's allocator gave"
    elif any(model["peak_bytes"] for model in models):
        yield "peak memory: the most that the whole process held"


def _search(model: Document) -> Table:
    found = model["search"]
    ended = {
        "memory": "the next one did not fit into memory",
        "slower": "larger ones were no faster",
        "largest": "no larger one was to be tried",
    }[found["ended_by"]]
    columns = (
        Column("batch", "Batch"),
        Column("samples_per_s", "Samples/s", show=_rate),
        Column("again_samples_per_s", "Again", show=_rate),
        Column("interval", "95 % interval"),
        Column("noise", "Within noise", align="left"),
    )
    title = f"{model['name']}: batch {found['batch']} serves most samples a second; {ended}"
    return Table(title, columns, tuple(map(_tried, found["tried"])), caption=tuple(_search_caption(found)))


def _tried(item: Document) -> dict[str, Cell]:
    again, reached = item["again_samples_per_s"], item["samples_per_s"]
    return {
        "batch": item["batch"],
        "samples_per_s": "no memory" if reached is None else reached,
        "again_samples_per_s": "" if again is None else again,
        "interval": "" if again is None else _from_to(item["interval_samples_per_s"]),
        "noise": {None: "", True: "yes", False: "no"}[item["within_noise"]],
    }


def _search_caption(found: Document) -> Iterable[str]:
    others = ", ".join(map(str, found["within_noise"]))
    noise = f"within noise of the highest: {others}" if others else "no other one is within noise of the highest"
    yield f"batch {found['batch']}: {_from_to(found['interval_samples_per_s'])} samples a second; {noise}"
    yield "first figures from one process each; the highest again in rounds of fresh processes in random order"


def _from_to(ends: Sequence[float] | None) -> Cell:
    return None if ends is None else f"{digits(ends[0])} to {digits(ends[1])}"


def _training(model: Document) -> Iterable[str]:
    if "training" not in model:
        return
    found = model["training"]
    if found["macs"] is None:
        unknown = ", ".join(f"{op} ({calls})" for op, calls in found["unknown"].items()) or "its graph is not known"
        yield f"step      {model['name']}: MACs unknown: {unknown}"
        return
    rate = "" if found["macs_per_s"] is None else f", {found['macs_per_s'] / 1e9:,.4g} GMAC/s"
    parts = f"{grouped(found['forward_macs'])} forward, {grouped(found['backward_macs'])} backward"
    optimiser = f"; AdamW {grouped(found['optimiser_flops'])} FLOPs"
    yield f"step      {model['name']}: {grouped(found['macs'])} MACs ({parts}){rate}{optimiser}"


def _energy(model: Document) -> Iterable[str]:
    if "energy" not in model:
        return
    found = model["energy"]
    if found["unavailable"] is not None:
        yield f"energy    {model['name']}: unavailable: {found['unavailable']}"
        return
    ends = found["interval_joules"]
    each = "unknown" if found["joules"] is None else f"{found['joules']:.4g} J a call"
    each += "" if ends is None else f" (95 % interval {ends[0]:.4g} to {ends[1]:.4g} J)"
    above = "" if found["above_idle_joules"] is None else f", {found['above_idle_joules']:.4g} J above idle"
    yield f"energy    {model['name']}: {each}{above}; {found['source']}: {found['covers']}"


# How cells are written


def _unit(seconds: Iterable[float | None]) -> tuple[float, str]:
    known = [item for item in seconds if item]
    smallest = min(known, default=1e-3)
    return next((factor, unit) for least, factor, unit in _UNITS if smallest >= least)


def _scaled(factor: float) -> Show:
    """Returns a column's `show` that writes seconds times a factor to four digits."""

    def show(cell: Cell) -> str:
        return digits(cell * factor) if isinstance(cell, int | float) else show_cell(cell)

    return show


def digits(value: float) -> str:
    """Returns a number to four digits: "9.870", "12,346"."""
    if not value:
        return "0"
    text = f"{value:.4g}"
    if "e" in text or abs(value) >= 1e4:
        return f"{value:,.0f}" if abs(value) >= 1 else text
    whole = len(text.lstrip("-").partition(".")[0]) if abs(value) >= 1 else 1
    return f"{value:,.{max(4 - whole, 0)}f}" if abs(value) >= 1 else text


def _percent(cell: Cell) -> str:
    if isinstance(cell, float) and cell > 1:
        return "> 100 %"  # how much more says nothing
    return f"{cell:.2%}".replace("%", " %") if isinstance(cell, float) else show_cell(cell)


def _rate(cell: Cell) -> str:
    return digits(cell) if isinstance(cell, int | float) else show_cell(cell)


def _bytes(cell: Cell) -> str:
    return binary(cell) if isinstance(cell, int) else show_cell(cell)
