"""Where a report goes: the screen, a pipe or a file; and progress, which goes to standard error."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from io import TextIOWrapper
from pathlib import Path

from effbench.errors import InputError
from effbench.report import format_of, render
from effbench.report.table import Report, Terminal, renderers
from effbench.store import write_whole

Say = Callable[[str], None]
"""Replaces the text of the progress line."""


def chosen_format(name: str | None, output: Path | None) -> str:
    """Returns the format asked for: by name, by the file's ending, else "table".

    Raises:
        UnknownName: no such format.
        InputError: no format has the file's ending, or it cannot be written where it is wanted; told before anything
            is computed.
    """
    if output is not None and output.is_dir():
        raise InputError(f"{output}: is a folder: name a file in it")
    if output is not None and not output.parent.is_dir():
        raise InputError(f"{output}: there is no folder {output.parent}: make it first")
    if name is not None:
        renderers.get(name)
        return name
    return format_of(output) if output is not None else "table"


def emit(report: Report, name: str, output: Path | None) -> None:
    """Writes the report to the file, whole or not at all, or prints it."""
    if output is not None:
        write_whole(output, render(report, name).encode())
        return
    terminal = None
    if sys.stdout.isatty():
        terminal = Terminal(shutil.get_terminal_size().columns, color="NO_COLOR" not in os.environ)
    if isinstance(sys.stdout, TextIOWrapper):  # a stream that has no ² shows its code and does not fail
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.stdout.write(render(report, name, terminal))
    sys.stdout.flush()


@contextmanager
def progress(text: str, quiet: bool) -> Iterator[Say]:
    """Shows a spinner with a text that the block may replace; nothing where standard error is no screen.

    What a model's code prints meanwhile goes to standard error: it is no part of the report.
    """
    if quiet or not sys.stderr.isatty():
        with redirect_stdout(sys.stderr):
            yield lambda text: None
        return
    from rich.console import Console
    from rich.text import Text

    with redirect_stdout(sys.stderr), Console(stderr=True).status(Text(text)) as status:
        yield lambda text: status.update(Text(text))
