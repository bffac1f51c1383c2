"""What the studies of rankings share: where results go, how they are kept, and what machine they come from."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).resolve().parents[2] / "results" / "ranking"


def options(description: str) -> argparse.ArgumentParser:
    """Returns a parser that knows where results are written to."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder that is written to")
    return parser


def keep(folder: Path, name: str, found: object, text: str) -> None:
    """Writes a study's facts and its tables, and prints the tables."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (folder / f"{name}.md").write_text(text, encoding="utf-8")
    print(text)


def machine() -> dict[str, str | int]:
    """Returns what the numbers were computed with."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 0
    return {"python": platform.python_version(), "numpy": np.__version__, "system": platform.machine(), "cores": cores}


def machine_line(seen: dict[str, str | int]) -> str:
    """Returns the same in one line."""
    return f"Python {seen['python']}, numpy {seen['numpy']}, {seen['system']}, {seen['cores']} cores that it may use"


def markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Returns a table's lines; all columns but the first hold numbers."""
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]
