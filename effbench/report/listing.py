"""What is registered, from its document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from effbench.report.table import Column, Report, Table


def listing_report(document: Mapping[str, Any]) -> Report:
    """Returns the registered names of one kind with what is said of each."""
    columns = (Column("name", "Name", align="left"), Column("about", "About", align="left"))
    return Report(document, (Table(f"{document['kind']}", columns, tuple(document["entries"])),))
