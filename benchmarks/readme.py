"""README with the real output of its commands: `python benchmarks/readme.py` rewrites the blocks in place.

A line `<!-- output: COMMAND -->` is followed by a block with what `effbench COMMAND` prints; `| head -N` and
`| tail -N` keep the first or last N lines.
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
    words, _, cut = command.partition(" | ")
    lines = _output(words).splitlines()
    which, _, count = cut.partition(" -")
    kept = {"": lines, "head": lines[: int(count or 0)], "tail": lines[-int(count or 0) :]}[which]
    shown = "\n".join((f"$ effbench {command}", *kept))
    return f"<!-- output: {command} -->\n```console\n{shown}\n```\n<!-- end -->\n"


def _output(words: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        main(words.split())
    return out.getvalue()


if __name__ == "__main__":
    README.write_text(rendered(README.read_text(encoding="utf-8")), encoding="utf-8")
