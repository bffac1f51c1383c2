"""What is registered, from its document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from effbench.report.table import Column, Report, Table


def listing_report(document: Mapping[str, Any]) -> Report:
    """Returns the registered names of one kind with what is said of each."""
    entries = tuple(document["entries"])
    spec = (Column("spec", "SPEC", align="left"),) if entries and all("spec" in entry for entry in entries) else ()
    settings = (
        (Column("settings", "Settings", align="left"),) if any(entry.get("settings") for entry in entries) else ()
    )
    columns = (Column("name", "Name", align="left"), *spec, Column("about", "About", align="left"), *settings)
    return Report(document, (Table(document["kind"].capitalize(), columns, entries),))
