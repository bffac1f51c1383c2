"""README with the real output of its commands: `python benchmarks/readme.py` rewrites the blocks in place.

A line `<!-- output: COMMAND -->` is followed by a block with what `effbench COMMAND` prints; `| head -N`,
`| tail -N` and `| cut -c1-N` leave what those commands leave.
"""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

from effbench.cli import main

README = Path(__file__).resolve().parent.parent / "README.md"
_BLOCK = re.compile(r"<!-- output: (?P<command>.*?) -->\n(?:.*?<!-- end -->\n)?", re.DOTALL)


def rendered(text: str) -> str:
    """Returns the text with every block replaced by what its command prints now."""
    return _BLOCK.sub(lambda match: _block(match["command"]), text)


def _block(command: str) -> str:
    words, *stages = command.split(" | ")
    lines = _output(words).splitlines()
    for stage in stages:
        lines = _piped(lines, *stage.split(" -"))
    shown = "\n".join((f"$ effbench {command}", *lines))
    return f"<!-- output: {command} -->\n```console\n{shown}\n```\n<!-- end -->\n"


def _piped(lines: list[str], name: str, option: str) -> list[str]:
    """Returns what `head -N`, `tail -N` or `cut -c1-N` leaves of the lines."""
    if name == "cut":
        return [line[: int(option.removeprefix("c1-"))].rstrip() for line in lines]
    return lines[: int(option)] if name == "head" else lines[-int(option) :]


def _output(words: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        main(words.split())
    return out.getvalue()


if __name__ == "__main__":
    README.write_text(rendered(README.read_text(encoding="utf-8")), encoding="utf-8")
