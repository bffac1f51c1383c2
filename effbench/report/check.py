"""Published figures beside recomputed ones, from their document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from effbench.report.profile import notes_of
from effbench.report.table import Column, Report, Table

Document = Mapping[str, Any]


def check_report(document: Document) -> Report:
    """Returns one line a figure and the tally."""
    columns = (
        Column("model", "Model", align="left"),
        Column("figure", "Figure", align="left"),
        Column("published", "Published"),
        Column("recomputed", "Recomputed"),
        Column("verdict", "Verdict", align="left"),
        Column("reason", "Reason", align="left"),
    )
    rows = tuple({**row, "recomputed": row["recomputed"] or ""} for row in document["figures"])
    tally = (
        f"{document['equal']} figures equal, {document['differs']} differ, "
        f"{document['stated']} stated only: their model is not published, or they were measured on data"
    )
    return Report(
        document,
        (Table(f"Published figures of {document['suite']}", columns, rows, caption=(tally,)),),
        notes_of(document),
    )
