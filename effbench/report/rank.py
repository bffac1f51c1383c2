"""The leaderboard, from its document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from effbench.report.profile import notes_of
from effbench.report.table import Block, Cell, Column, Report, Show, Table, Text
from effbench.report.time import digits

Document = Mapping[str, Any]

MISSING = "—"
"""A figure that a model does not have; a note says why."""


LEFT_OUT = 20
"""Models left out that people are shown; programs get all of them."""


def rank_report(document: Document, left_out: int | None = LEFT_OUT) -> Report:
    """Returns each leaderboard with what is said of it as a whole, and the models left out with the reason.

    Args:
        left_out: how many of these are named; None is all.
    """
    groups, rows = document["groups"], _by_group(document)
    shown = [_columns(document, rows.get(group["group"], [])) for group in groups]
    keys = {column.key for columns in shown for column in columns}
    blocks: list[Block] = []
    for group, columns in zip(groups, shown, strict=True):
        # What heads all of them stands once, and so does what explains them.
        heads = [_title(document)] if group is groups[0] else []
        caption = tuple(_caption(document, keys)) if group is groups[-1] else ()
        blocks.append(_leaderboard(document, group, columns, rows.get(group["group"], []), heads, caption))
        lines = tuple(_lines(document, group))
        if lines:
            blocks.append(Text(lines))
    if document["excluded"]:
        columns = (Column("model", "Model", align="left"), Column("reason", "Reason", align="left"))
        named = tuple(document["excluded"][:left_out])
        more = len(document["excluded"]) - len(named)
        caption = (f"and {more:,} more, which --format json and csv name",) if more else ()
        blocks.append(Table("Not ranked", columns, named, caption=caption))
    return Report(document, tuple(blocks), notes_of(document))


def _by_group(document: Document) -> dict[str | None, list[Document]]:
    found: dict[str | None, list[Document]] = {}
    for row in document["rows"]:
        found.setdefault(row["group"], []).append(row)
    return found


def _leaderboard(
    document: Document,
    group: Document,
    shown: tuple[Column, ...],
    rows: Sequence[Document],
    heads: Sequence[str],
    caption: tuple[str, ...],
) -> Table:
    # Some rows may have an interval and others none.
    optional = dict.fromkeys(column.key for column in shown if column.key.endswith("_half_width"))
    filled = tuple({**optional, **row} for row in rows) if optional else tuple(rows)
    name = [] if group["group"] is None else [f"{document['by']} {group['group']}"]
    return Table(": ".join((*name, *heads)), shown, filled, caption=caption)


def _columns(document: Document, rows: Sequence[Document]) -> tuple[Column, ...]:
    """Returns the columns that some row has a figure for."""
    known = {key for row in rows for key, value in row.items() if value is not None}
    return tuple(column for column in _wanted(document, rows) if column.key in known)


def _wanted(document: Document, rows: Sequence[Document]) -> tuple[Column, ...]:
    error = f"Error ({document['unit']})"
    special = [name for name in document["reads"] if name not in _TERMS and name != "error"]
    both = len({row["source"] for row in rows}) > 1
    overflows = any(row["score"] is None for row in rows)
    return (
        Column("rank", "#"),
        Column("rank_low", "From"),
        Column("rank_high", "To"),
        Column("model", "Model", align="left"),
        *_terms(document, rows),
        *(Column(name, name, show=_number(".4g")) for name in special),
        Column("error", error, show=_number(".4f")),
        Column("error_half_width", "±", show=_half_width(), wide=True),
        Column("score", "Score", show=_number(".7g", missing="overflow")),
        *([Column("order", "ln score", show=_number(".3f"))] if overflows else []),
        Column("tie", "Tie", wide=True),
        Column("p_best", "P(best)", show=_probability, wide=True),
        Column("front", "Pareto", show=_mark),
        Column("p_front", "P(front)", show=_probability, wide=True),
        # The first row has none above it to differ from.
        Column("break_even", "Break-even", show=_number("+.3f", missing=""), wide=True),
        Column("lead", "Lead", show=_number("+.3f", missing=""), wide=True),
        Column("reversed", "Slower", show=_count, wide=True),
        *([Column("source", "Cost is", align="left", wide=True)] if both else []),
    )


_TERMS: Mapping[str, tuple[str, str, float]] = {
    "params": ("params", "Params (M)", 1e6),
    "macs": ("macs", "MACs (G)", 1e9),
    "flops": ("flops", "FLOPs (G)", 1e9),
    "latency": ("latency_s", "Latency (ms)", 1e-3),
    "throughput": ("samples_per_s", "Samples/s", 1.0),
    "memory": ("memory_bytes", "Memory (MiB)", 2.0**20),
    "energy": ("energy_j", "Energy (J)", 1.0),
}
"""By term: the key of its column, the title, and what one unit of the title is."""


def _terms(document: Document, rows: Sequence[Document]) -> Iterable[Column]:
    for term, (key, title, per) in _TERMS.items():
        # What the score does not read makes room for what it does.
        yield Column(key, title, show=_digits(per), wide=term not in document["reads"])
        if any(row.get(f"{key}_half_width") is not None for row in rows):
            yield Column(f"{key}_half_width", "±", show=_half_width(per), wide=True)


def _title(document: Document) -> str:
    better = document["direction"]
    counted = f", {_flops(document)}" if {"flops", "macs"} & set(document["reads"]) else ""
    return f"Score = {document['formula']}{counted}, {better} is better"


def _flops(document: Document) -> str:
    convention = document["convention"]
    counted = "MACs" if convention == "macs" else f"{convention} MACs"
    return f"FLOPs = 2 × {counted}" if document["flops_per_count"] == 2 else f"FLOPs = {convention} FLOPs"


def _caption(document: Document, keys: set[str]) -> Iterable[str]:
    if "rank_low" in keys:
        drawn = f"{document['draws']:,} draws, seed {document['seed']}"
        yield (
            f"from–to: 95 % interval of the rank, from {drawn}; tie: rows with one number cannot be told apart; "
            "±: half a 95 % interval"
        )
    if "front" in keys:
        yield "Pareto ●: no other row is better in one term of the score and as good in the others"
    if "break_even" in keys:
        yield (
            "break-even: by how much a row's error must be below that of the row ranked above it to tie with that; "
            "lead: by how much it is"
        )
    if "reversed" in keys:
        yield "slower: how many rows with a better score take longer"


# What is said of a leaderboard as a whole


def _lines(document: Document, group: Document) -> Iterable[str]:
    if group["models"] < 2:
        return
    front = group["front"]
    axes = ", ".join(document["metric"] if axis == "error" else axis for axis in front["axes"])
    yield f"front        {front['models']:,} of {group['models']:,} models by {axes}"
    volume = group["hypervolume"]
    if volume is not None:
        reference = ", ".join(
            f"{value:.4g} {unit}" for value, unit in zip(volume["reference"], volume["units"], strict=True)
        )
        yield f"hypervolume  {volume['value']:.4g} {' × '.join(volume['units'])}, up to {reference}"
    winners = group["winners"]
    if winners["by_weight"]:
        yield f"winner       {_winners(winners)}"
    latency = group["latency"]
    if latency is not None:
        yield f"{'latency' if latency['of'] == 'call' else 'per sample'}".ljust(13) + _agreement(latency)


MOST_WINNERS = 8
"""Winners that one line names; JSON has all."""


def _winners(winners: Document) -> str:
    reigns = winners["by_weight"]
    name = winners["weight"]
    if len(reigns) == 1:
        return f"{reigns[0]['model']} at every {name} from 0 on (it is {winners['now']:.4g})"
    parts = [f"{one['model']} up to {one['to']:.4g}" for one in reigns[:-1]]
    if len(parts) > MOST_WINNERS:
        parts = [*parts[: MOST_WINNERS // 2], "…", *parts[-MOST_WINNERS // 2 :]]
    return f"by {name}: {', '.join(parts)}, then {reigns[-1]['model']} ({name} is {winners['now']:.4g})"


def _agreement(latency: Document) -> str:
    found, pairs = latency["reversed_pairs"], latency["pairs"]
    told = "no rank correlation" if latency["spearman"] is None else f"Spearman {latency['spearman']:.4f}"
    share = f"{found:,} of {pairs:,} pairs ({found / pairs:.1%})".replace("%)", " %)")
    return f"{told} with the score over {latency['models']:,} models; {share} have the better score on the slower model"


# How cells are written


def _number(spec: str, per: float = 1.0, missing: str = MISSING) -> Show:
    """Returns how to show a number in units of `per`; None is shown as `missing`."""

    def show(cell: Cell) -> str:
        # "#" keeps the zeros of "0.30", and the point of "12."
        return format(cell / per, spec).rstrip(".") if isinstance(cell, int | float) else missing

    return show


def _half_width(per: float = 1.0) -> Show:
    """Returns how to show half an interval in units of `per`: to two digits, from 100 on to a whole number."""

    def show(cell: Cell) -> str:
        large = isinstance(cell, int | float) and abs(cell / per) >= 99.5  # two digits would need an exponent
        return _number(",.0f" if large else "#.2g", per, missing="")(cell)

    return show


def _digits(per: float) -> Show:
    """Returns how to show a number in units of `per`, to four digits."""

    def show(cell: Cell) -> str:
        return digits(cell / per) if isinstance(cell, int | float) else MISSING

    return show


def _probability(cell: Cell) -> str:
    if not isinstance(cell, int | float):
        return ""
    if 0 < cell < 0.005:
        return "<0.01"
    return ">0.99" if 0.995 <= cell < 1 else f"{cell:.2f}"


def _mark(cell: Cell) -> str:
    return "●" if cell else ""


def _count(cell: Cell) -> str:
    return f"{cell:,}" if isinstance(cell, int) and cell else ""
