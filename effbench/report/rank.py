"""The leaderboard, from its document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from effbench.report.profile import notes_of
from effbench.report.table import Block, Cell, Column, Report, Table, show_cell

Document = Mapping[str, Any]


def rank_report(document: Document) -> Report:
    """Returns the leaderboard and, where there are any, the models left out with the reason."""
    blocks: list[Block] = [_leaderboard(document)]
    if document["excluded"]:
        columns = (Column("model", "Model", align="left"), Column("reason", "Reason", align="left"))
        blocks.append(Table("Not ranked", columns, tuple(document["excluded"])))
    return Report(document, tuple(blocks), notes_of(document))


def _leaderboard(document: Document) -> Table:
    name = f"1 − {document['metric']}" if "1 − " in document["formula"] else document["metric"]
    columns = (
        Column("rank", "#"),
        Column("model", "Model", align="left"),
        Column("params_m", "Params (M)", show=_number(".3f")),
        Column("flops_g", "FLOPs (G)", show=_number(".4g")),
        Column("error", f"{name} ({document['unit']})", show=_number(".4f")),
        Column("score", "Score", show=_number(".7g")),
        Column("ln_score", "ln score", show=_number(".3f")),
        Column("source", "Cost is", align="left"),
        Column("break_even", "Break-even", align="left"),
    )
    rows = tuple(_row(row) for row in document["rows"])
    return Table(_title(document), columns, rows, caption=_caption(document))


def _title(document: Document) -> str:
    convention = document["convention"]
    flops = f"2 × {convention} MACs" if document["flops_per_count"] == 2 else f"{convention} FLOPs"
    return f"Score = {document['formula']}, FLOPs = {flops}, lower is better"


def _caption(document: Document) -> tuple[str, ...]:
    if len(document["rows"]) < 2:
        return ()
    return (
        "Break-even: how far a row's error must be below that of the row above to tie with it (and how far it is).",
    )


def _row(row: Document) -> Mapping[str, Cell]:
    return {
        **row,
        "params_m": row["params"] / 1e6,
        "flops_g": row["flops"] / 1e9,
        "break_even": "" if row["break_even"] is None else f"{row['break_even']:+.3f} ({row['lead']:+.3f})",
    }


def _number(spec: str) -> Any:
    def show(cell: Cell) -> str:
        return format(cell, spec) if isinstance(cell, int | float) else show_cell(cell)

    return show
