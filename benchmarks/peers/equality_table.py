"""The rows of `benchmarks.peers.equality` judged and as Markdown: a line a model, a column a tool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Row = dict[str, Any]
Key = tuple[str, str]

LEGEND = (
    "`=`: effbench's figure is the tool's. `raises`: the tool gives none, its error is below. `no answer`: the model's "
    "process ended before. `differs`: see below. `d`, `g`: the tool itself gives another number, or none, on another "
    "device or in another grad mode."
)


def verdict(row: Row, tool: str) -> str:
    """Returns "=", "raises", "no answer" or "differs"."""
    theirs = row["theirs"].get(tool)
    if theirs is None or tool not in row["ours"]:
        return "no answer"
    if isinstance(theirs, str):
        return "raises"
    return "=" if row["ours"][tool][: len(theirs)] == theirs else "differs"


def differing(rows: Iterable[Row]) -> list[Key]:
    """Returns (spec, tool) wherever a tool's figure is not ours."""
    return [(row["spec"], tool) for row in rows for tool in row["theirs"] if verdict(row, tool) == "differs"]


def table(rows: Sequence[Row], explained: Mapping[Key, str], about: Mapping[str, str]) -> str:
    """Returns the study as Markdown.

    Args:
        explained: why a figure differs, by (spec, tool).
        about: "d" or "g" by the label of each other condition.
    """
    tools = sorted({tool for row in rows for tool in row["ours"]})
    versions = rows[-1]["made_with"]["tools"] if rows else {}
    lines = [
        "Made by `make test-peers`. " + ", ".join(f"{name} {made}" for name, made in sorted(versions.items())),
        "",
        _summary(rows, tools),
        "",
        LEGEND,
        "",
        "| model | " + " | ".join(tools) + " |",
        "| --- |" + " --- |" * len(tools),
        *(f"| {row['spec']} | {' | '.join(_cell(row, tool, about) for tool in tools)} |" for row in rows),
        *_section("Figures that differ", _differences(rows, explained)),
        *_section("Where a tool gives no figure", _grouped(_raised(rows))),
        *_section("Under another condition", _grouped(_elsewhere(rows))),
        *_section("Processes that ended early", [f"- {row['spec']}: {_end(row)}" for row in rows if _end(row)]),
    ]
    return "\n".join(lines) + "\n"


def _summary(rows: Sequence[Row], tools: Sequence[str]) -> str:
    found = Counter(verdict(row, tool) for row in rows for tool in tools)
    counts = ", ".join(f"{number} {kind}" for kind, number in found.most_common())
    return f"{len(rows)} models × {len(tools)} conventions: {counts}."


def _cell(row: Row, tool: str, about: Mapping[str, str]) -> str:
    said = verdict(row, tool)
    others = row["elsewhere"].get(tool, {})
    marks = {about.get(label, "?") for label, given in others.items() if given != row["theirs"].get(tool)}
    return " ".join([said, *sorted(marks)]) if said == "=" else said


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return ["", f"## {title}", "", *(lines or ["None."])]


def _differences(rows: Iterable[Row], explained: Mapping[Key, str]) -> list[str]:
    lines = []
    for row in rows:
        for spec, tool in differing([row]):
            why = explained.get((spec, tool), "not explained")
            lines.append(
                f"- {spec}, {tool}: {_figures(row['ours'][tool])} here, {_figures(row['theirs'][tool])}: {why}"
            )
    return lines


def _raised(rows: Iterable[Row]) -> list[tuple[str, str]]:
    return [
        (f"{tool}: {theirs}", row["spec"])
        for row in rows
        for tool, theirs in row["theirs"].items()
        if isinstance(theirs, str)
    ]


def _elsewhere(rows: Iterable[Row]) -> list[tuple[str, str]]:
    """Returns (what happens, model) wherever another condition gives another answer than the documented one."""
    return [
        (f"{tool} {label}: {given if isinstance(given, str) else 'another number'}", row["spec"])
        for row in rows
        for tool, others in row["elsewhere"].items()
        for label, given in others.items()
        if not isinstance(row["theirs"].get(tool), str) and given != row["theirs"].get(tool)
    ]


def _grouped(pairs: Iterable[tuple[str, str]]) -> list[str]:
    models: dict[str, list[str]] = {}
    for said, spec in pairs:
        models.setdefault(said, []).append(spec)
    return [f"- {said}\n  {len(specs)}: {', '.join(specs)}" for said, specs in sorted(models.items())]


def _end(row: Row) -> str:
    at = f", at {row['at']}" if row.get("at") else ""
    return row.get("failed") or (f"{row['ended']}{at}" if row.get("ended") else "")


def _figures(given: Sequence[int | None]) -> str:
    return " and ".join("unknown" if number is None else f"{number:,}" for number in given)
