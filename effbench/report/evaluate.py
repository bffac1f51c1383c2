"""Values of metrics from their document: model and data, a row a metric, what was left out, the confusion matrix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from effbench.metrics import metrics
from effbench.report.profile import notes_of
from effbench.report.table import Block, Cell, Column, Report, Table, Text, show_cell
from effbench.report.time import digits
from effbench.units import grouped

Document = Mapping[str, Any]

_SHOWN = 10
"""Classes and samples that are listed; JSON has all."""
_WIDEST = 12
"""Classes up to which the confusion matrix is a matrix; of more, the pairs that were confused most are listed."""


def evaluation_report(document: Document) -> Report:
    """Returns what was evaluated on what, the table of metrics, and what else the document holds."""
    blocks: list[Block] = [Text(tuple(_head(document))), _metrics(document)]
    if document["unreadable"]:
        blocks.append(_unreadable(document["unreadable"]))
    if "confusion" in document:
        blocks.append(_confusion(document["confusion"]))
    shown = tuple(note for note in notes_of(document) if note.code not in ("preprocessing", "weights", "left-out"))
    return Report(document, tuple(blocks), shown)


def _head(document: Document) -> Iterator[str]:
    weights = f", weights {document['weights']}" if document["weights"] else ""
    yield f"model   {document['name']}{weights}"
    data = document["data"]
    yield f"data    {data['name']}: {grouped(data['samples'])} samples, digest {data['digest']}"
    classes = [f"{place} {name}" for place, name in enumerate(data["classes"]) if name]
    if classes:
        few = len(classes) <= _SHOWN
        listed = classes if few else [*classes[: _SHOWN - 2], "…", classes[-1]]
        yield f"classes {', '.join(listed)}"
    if document["preprocessing"] is not None:
        yield f"input   {document['preprocessing']}"
    shared = _shared_settings(document)
    if shared:
        yield f"setting {', '.join(f'{key}={value}' for key, value in shared.items())}"
    run = document["run"]
    if run is not None:
        yield f"run     batch {run['batch']} on {run['device']}, {show_cell(run['samples_per_s'])} samples/s"


def _metrics(document: Document) -> Table:
    shared = _shared_settings(document)
    rows = [_row(item, shared) for item in document["metrics"]]
    wanted = (
        Column("metric", "Metric", align="left"),
        Column("settings", "Settings", align="left"),
        Column("value", "Value", show=_digits),
        Column("low", "95 % from", show=_digits),
        Column("high", "to", show=_digits),
        Column("unit", "Unit", align="left"),
        Column("direction", "Better", align="left"),
        Column("n", "Samples"),
        Column("left_out", "Left out", wide=True),
    )
    columns = tuple(column for column in wanted if column.key in _ALWAYS or any(row[column.key] for row in rows))
    return Table("", columns, tuple(rows), caption=(*_left_out(document), _interval(document)))


def _interval(document: Document) -> str:
    """Returns how intervals are found, in words."""
    bootstrap = document["bootstrap"]
    named = [item["metric"] for item in document["metrics"]]
    shares = [name for name in dict.fromkeys(named) if (known := metrics.find(name)) is not None and known.binomial]
    prior = f" (of {', '.join(shares)} with Jeffreys' prior)" if shares else ""
    drawn = f"{grouped(bootstrap['draws'])} draws, seed {bootstrap['seed']}"
    return f"interval: percentile bootstrap over samples{prior}, {drawn}"


def _left_out(document: Document) -> Iterator[str]:
    """Returns a line for each way in which samples were left out, with the metrics that it holds for."""
    ways: dict[str, list[str]] = {}
    for item in document["metrics"]:
        told = ", ".join(f"{grouped(count)} × {reason}" for reason, count in item["left_out"].items())
        ways.setdefault(told, []).append(item["metric"])
    for told, names in ways.items():
        if told:
            of = "" if len(ways) == 1 else f" ({', '.join(dict.fromkeys(names))})"
            yield f"left out: {told}{of}"


_ALWAYS = ("metric", "value", "low", "high", "unit", "direction", "n")


def _shared_settings(document: Document) -> Mapping[str, Cell]:
    """Returns the settings that all metrics have alike, which stand once above the table."""
    first, *others = [item["settings"] for item in document["metrics"]]
    return {key: value for key, value in first.items() if all(item.get(key) == value for item in others)}


def _row(item: Document, shared: Mapping[str, Cell]) -> dict[str, Cell]:
    low, high = item["interval"] or (None, None)
    return {
        "metric": item["metric"],
        "settings": ", ".join(f"{key}={value}" for key, value in item["settings"].items() if key not in shared),
        "value": item["value"],
        "low": low,
        "high": high,
        "unit": item["unit"],
        "direction": item["direction"],
        "n": item["n"],
        "left_out": sum(item["left_out"].values()),
    }


def _digits(cell: Cell) -> str:
    return digits(cell) if isinstance(cell, int | float) else show_cell(cell)


def _unreadable(items: Sequence[Mapping[str, Cell]]) -> Table:
    columns = tuple(Column(key, key.capitalize(), align="left") for key in ("sample", "reason", "why"))
    more = len(items) - _SHOWN
    caption = (f"and {grouped(more)} more, which --format json lists",) if more > 0 else ()
    return Table("Samples that could not be read", columns, tuple(items[:_SHOWN]), caption=caption)


def _confusion(found: Document) -> Table:
    """Returns the matrix or, of many classes, what was confused most."""
    names, rows = found["classes"], found["rows"]
    if len(rows) <= _WIDEST:
        columns = (
            Column("target", "Target", align="left"),
            *(Column(f"answered_{place}", names[place] or str(place)) for place in range(len(rows))),
        )
        cells = tuple(
            {"target": names[place] or str(place), **{f"answered_{other}": count for other, count in enumerate(row)}}
            for place, row in enumerate(rows)
        )
        return Table("Confusion matrix: a row a target, a column an answer", columns, cells)
    wrong = [
        (count, names[target] or str(target), names[answer] or str(answer))
        for target, row in enumerate(rows)
        for answer, count in enumerate(row)
        if count and target != answer
    ]
    most = sorted(wrong, key=lambda item: -item[0])[: 2 * _SHOWN]
    columns = (
        Column("target", "Target", align="left"),
        Column("answer", "Answer", align="left"),
        Column("samples", "Samples"),
    )
    pairs = tuple({"target": target, "answer": answer, "samples": count} for count, target, answer in most)
    title = (
        f"What was confused most, of {grouped(len(wrong))} pairs of {grouped(len(rows))} classes; JSON has the matrix"
    )
    return Table(title, columns, pairs)
