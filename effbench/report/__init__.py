"""Reports as text: one renderer per file, all of one model (`effbench.report.table`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from types import MappingProxyType

from effbench.errors import InputError

# Importing a renderer's file registers it.
from effbench.report import csv, json, latex, markdown, rich_table
from effbench.report.table import Report, Terminal, renderers

__all__ = ["ENDINGS", "csv", "format_of", "json", "latex", "markdown", "render", "rich_table"]

ENDINGS: Mapping[str, str] = MappingProxyType(
    {".txt": "table", ".json": "json", ".csv": "csv", ".md": "markdown", ".tex": "latex"}
)
"""The format that a file's ending asks for."""


def render(report: Report, name: str = "table", terminal: Terminal | None = None) -> str:
    """Returns the report in the named format, ending in one newline.

    Args:
        report: what to say.
        name: a registered format, such as "table" or "json".
        terminal: the screen it is written to; None for a pipe or a file.

    Raises:
        UnknownName: no such format.
    """
    return renderers.get(name)(report, terminal)


def format_of(path: str | PurePath) -> str:
    """Returns the name of the format that a file's ending asks for: "page.md" is "markdown".

    Raises:
        InputError: no format has that ending.
    """
    ending = PurePath(path).suffix.lower()
    if ending not in ENDINGS:
        raise InputError(f"unknown file ending {ending!r}: known: {', '.join(sorted(ENDINGS))}")
    return ENDINGS[ending]
