"""The leaderboard, from its document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from effbench.report.profile import notes_of
from effbench.report.table import UNKNOWN, Block, Cell, Column, Report, Show, Table

Document = Mapping[str, Any]


def rank_report(document: Document) -> Report:
    """Returns the leaderboard and, where there are any, the models left out with the reason."""
    blocks: list[Block] = [_leaderboard(document)]
    if document["excluded"]:
        columns = (Column("model", "Model", align="left"), Column("reason", "Reason", align="left"))
        blocks.append(Table("Not ranked", columns, tuple(document["excluded"])))
    return Report(document, tuple(blocks), notes_of(document))


def _leaderboard(document: Document) -> Table:
    columns = (
        Column("rank", "#"),
        Column("model", "Model", align="left"),
        Column("params", "Params (M)", show=_number(".4g", 1e6)),
        Column("flops", "FLOPs (G)", show=_number(".4g", 1e9)),
        Column("error", f"Error ({document['unit']})", show=_number(".4f")),
        Column("score", "Score", show=_number(".7g", missing="overflow")),
        Column("ln_score", "ln score", show=_number(".3f")),
        Column("source", "Cost is", align="left"),
        # The first row has none above it to differ from.
        Column("break_even", "Break-even", show=_number("+.3f", missing="")),
        Column("lead", "Lead", show=_number("+.3f", missing=""), wide=True),
    )
    return Table(_title(document), columns, tuple(document["rows"]), caption=_caption(document))


def _title(document: Document) -> str:
    convention = document["convention"]
    counted = "MACs" if convention == "macs" else f"{convention} MACs"
    flops = f"2 × {counted}" if document["flops_per_count"] == 2 else f"{convention} FLOPs"
    return f"Score = {document['formula']}, FLOPs = {flops}, lower is better"


def _caption(document: Document) -> tuple[str, ...]:
    if len(document["rows"]) < 2:
        return ()
    return (
        "break-even: by how much a row's error must be below that of the row above to tie with it; "
        "lead: by how much it is",
    )


def _number(spec: str, per: float = 1.0, missing: str = UNKNOWN) -> Show:
    """Returns how to show a number in units of `per`; None is shown as `missing`."""

    def show(cell: Cell) -> str:
        return format(cell / per, spec) if isinstance(cell, int | float) else missing

    return show
