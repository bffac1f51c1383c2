"""The documents of `effbench check` and `effbench list`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from effbench.documents.common import Document
from effbench.records import SCHEMA

if TYPE_CHECKING:
    from effbench.suites.published import Verdict


def check_document(suite: str, verdicts: Sequence[Verdict]) -> Document:
    """Returns the document of `effbench check`."""
    tally = {kind: sum(item.verdict == kind for item in verdicts) for kind in ("equal", "differs", "stated")}
    return {
        "schema": SCHEMA,
        "suite": suite,
        "figures": [
            {
                "model": item.model,
                "figure": item.figure,
                "published": item.published,
                "recomputed": item.recomputed or None,
                "verdict": item.verdict,
                "reason": item.reason,
            }
            for item in verdicts
        ],
        **tally,
        "notes": [],
    }


def listing_document(kind: str, rows: Sequence[Mapping[str, str]]) -> Document:
    """Returns the document of `effbench list`."""
    return {"schema": SCHEMA, "kind": kind, "entries": [dict(row) for row in rows], "notes": []}
