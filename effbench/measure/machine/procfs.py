"""Small files of the kernel, read whole: what is missing or not allowed is None."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path


def read_text(path: Path) -> str | None:
    """Returns the text of a file without its last line end; None where it is missing or cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def read_number(path: Path) -> int | None:
    """Returns the integer that a file holds; None where it holds something else or cannot be read."""
    text = read_text(path)
    return int(text) if text is not None and text.lstrip("-").isdecimal() else None


def words_by_key(path: Path) -> dict[str, str]:
    """Returns the lines "key value", "key: value" or "key value unit" of a file as {key: value}."""
    fields = [line.replace(":", " ", 1).split() for line in (read_text(path) or "").splitlines()]
    return {words[0]: words[1] for words in fields if len(words) > 1}


def cpu_list(text: str | None) -> frozenset[int] | None:
    """Returns the processors of a list such as "0-3,8"; None for no text or one that is no list."""
    if not text:
        return None
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        last = last if dash else first
        if not first.isdecimal() or not last.isdecimal():
            return None
        found.update(range(int(first), int(last) + 1))
    return frozenset(found)


def agreed(texts: Iterable[str | None]) -> str | None:
    """Returns the distinct texts in order, joined with "+"; None where there is none."""
    return "+".join(dict.fromkeys(text for text in texts if text)) or None


def numbered(folder: Path, prefix: str) -> Iterator[tuple[int, Path]]:
    """Yields (number, path) of the entries named prefix and number, such as cpu12, in order of number."""
    names = (path for path in folder.glob(f"{prefix}[0-9]*") if path.name.removeprefix(prefix).isdecimal())
    yield from sorted((int(path.name.removeprefix(prefix)), path) for path in names)
