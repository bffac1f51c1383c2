"""What a machine's timings are worth: three figures, the verdicts behind them, its peaks, and what disturbs it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from effbench.records import Note
from effbench.report.table import UNKNOWN, Cell, Column, Report, Show, Table, Text, show_cell

Document = Mapping[str, Any]

PROMISED = 0.05


def selfcheck_report(document: Document) -> Report:
    """Returns the report on the document of a selfcheck."""
    blocks: list[Text | Table] = [Text(tuple(_headline(document)))]
    if document["outcomes"] is not None:
        blocks.append(_verdicts(document))
    if document["peaks"] is not None:
        blocks.append(_peaks(document))
    blocks.append(_disturbances(document))
    return Report(document, tuple(blocks), tuple(Note(**note) for note in document["notes"]))


def seconds(value: float | None) -> str:
    """Returns a length of time for people: "41 s", "3.2 min", "1.5 h", "?" for None."""
    if value is None:
        return UNKNOWN
    if value < 99.5:
        return f"{value:.0f} s" if value >= 9.95 else f"{value:.1f} s"
    return f"{value / 60:.1f} min" if value < 99.5 * 60 else f"{value / 3600:.1f} h"


def _headline(document: Document) -> Iterator[str]:
    call = "unknown" if document["call_s"] is None else f"{document['call_s'] * 1e3:.1f} ms"
    threads = f"{document['threads']} threads" if document["threads"] != 1 else "1 thread"
    between = document["between_processes"]
    apart = "" if between is None else f", medians of processes {between:.1%} apart (sd)"
    yield f"selfcheck       {document['device']}, {threads}, {seconds(document['spent_s'])} in all"
    yield f"model           {call} a call{apart}"
    yield f"against itself  {_as_measured(document)}"
    if document["peaks"] is None:
        yield "peaks           not measured"
    if document["outcomes"] is None:
        return
    alarms, found = document["false_alarms"], document["detectable"]
    rule, spread = document["rule"], document["spread"]
    said = "more than the 5 % promised" if alarms["low"] > PROMISED else "promised: 5 % at most"
    rate = f"{alarms['share']:.1%} ({alarms['low']:.1%} to {alarms['high']:.1%})"
    yield f"false alarms    {rate} of {document['draws']:,} comparisons; {said}"
    least = f"{found['estimate']:.1%} ({found['low']:.1%} to {found['high']:.1%})"
    yield f"detectable      {least} at 90 % power: {rule['pairs']} pairs, {seconds(rule['seconds'])} of measuring"
    sd = f"{spread['estimate']:.1%} ({spread['low']:.1%} to {spread['high']:.1%})"
    yield f"noise           sd {sd} of one pair's ratio"


def _as_measured(document: Document) -> str:
    ratio, pairs = document["as_measured"]["ratio"], f"{document['pairs']} pairs of fresh processes"
    if ratio is None:
        return pairs
    interval = f"ratio {ratio['estimate']:.3f} ({ratio['low']:.3f} to {ratio['high']:.3f})"
    return f"{document['as_measured']['verdict']}: {interval}, {pairs}"


def _percent(decimals: int) -> Show:
    def show(cell: Cell) -> str:
        return f"{cell:.{decimals}%}" if isinstance(cell, int | float) else show_cell(cell)

    return show


def _show_seconds(cell: Cell) -> str:
    return cell if isinstance(cell, str) else seconds(cell)


def _whole(cell: Cell) -> str:
    return f"{cell:,.0f}" if isinstance(cell, int | float) else show_cell(cell)


_VERDICTS = (
    Column("name", "Truth", align="left"),
    Column("slower", "Slower", show=_percent(1)),
    Column("faster", "Faster", show=_percent(1)),
    Column("same", "Same", show=_percent(1)),
    Column("undecided", "Undecided", show=_percent(1)),
    Column("pairs", "Pairs", show=_whole),
    Column("seconds", "Took", show=_show_seconds),
    Column("pairs_for_power", "90 %: pairs", show=_whole),
    Column("seconds_for_power", "90 %: time", show=_show_seconds),
)


def _verdicts(document: Document) -> Table:
    rule = document["rule"]
    rows = tuple(
        {
            **each,
            "name": f"{each['difference']:.0%} slower" if each["difference"] else "equal",
            "pairs_for_power": each["pairs_for_power"] if each["difference"] else "",
            "seconds_for_power": each["seconds_for_power"] if each["difference"] else "",
        }
        for each in document["outcomes"]
    )
    within = (
        "; less than that may be called same" if any(0 < row["difference"] < rule["margin"] for row in rows) else ""
    )
    drawn = f"drawn from the {document['pairs']} pairs, labels swapped by chance"
    caption = (
        f"{document['draws']:,} comparisons, {drawn}; more pairs would tell more than more draws",
        f"as compare makes them by itself: at most {rule['pairs']} pairs, margin {rule['margin']:.0%}{within}",
        "90 %: pairs and measuring that find it with power 90 % in one test, (3.24·s/d)²",
    )
    return Table("Verdicts on differences whose truth is known", _VERDICTS, rows, caption=caption)


def _rate(cell: Cell) -> str:
    return f"{cell / 1e9:,.4g}" if isinstance(cell, int | float) else show_cell(cell)


_PEAKS = (
    Column("name", "Peak", align="left"),
    Column("threads", "Threads"),
    Column("best", "Best", show=_rate),
    Column("median", "Median", show=_rate),
    Column("unit", "Unit", align="left"),
    Column("spread", "Spread", show=_percent(1)),
    Column("of", "Measured on", align="left", wide=True),
)


def _peaks(document: Document) -> Table:
    peaks = document["peaks"]
    rows: list[dict[str, Cell]] = [
        {
            "name": run["precision"],
            "threads": run["threads"],
            "best": run["flops_per_s"],
            "median": run["median_flops_per_s"],
            "unit": "GFLOP/s",
            "spread": run["spread"],
            "of": f"products of {run['size']} × {run['size']} matrices",
        }
        for run in peaks["products"]
    ]
    rows += [
        {
            "name": "memory",
            "threads": run["threads"],
            "best": run["bytes_per_s"],
            "median": run["median_bytes_per_s"],
            "unit": "GB/s",
            "spread": run["spread"],
            "of": f"{run['kernel']} of {run['array_bytes'] / 2**20:,.0f} MiB arrays",
        }
        for run in peaks["memory"]
    ]
    caption = ["spread: interquartile range of the samples over their median"]
    if peaks["disturbed"]:
        caption.append("disturbed while they were measured: lower bounds, not limits")
    return Table("Peaks", _PEAKS, tuple(rows), caption=tuple(caption))


_DISTURBANCES = (
    Column("means", "Disturbance", align="left"),
    Column("seen", "Rounds", align="left"),
    Column("last", "Last said", align="left"),
)


def _disturbances(document: Document) -> Table:
    rows: list[dict[str, Cell]] = [
        {
            "means": each["means"],
            "seen": "not visible" if each["rounds"] is None else f"{each['rounds']} of {each['of']}",
            "last": each["last"],
        }
        for each in document["disturbances"]
    ]
    if document["device"] == "cpu":
        rows.append({"means": "clock governor", "seen": document["governor"] or "not visible", "last": ""})
    return Table("What disturbed it", _DISTURBANCES, tuple(rows))
