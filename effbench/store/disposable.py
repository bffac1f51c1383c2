"""Files that may be deleted at any time: what was derived from other files, with how those looked at the time.

Like git's index: an entry holds while its file has the size, the times and the number that it had. A file changed so
shortly before it was read that a second change could show the same times is not entered ("racy").
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from effbench.errors import InputError
from effbench.store.files import write_whole

Stamp: TypeAlias = tuple[int, int, int, int]
"""Size in bytes, times of the last change of content and of anything in ns, number of the file (0 where unknown)."""

GRANULE_NS = 2_000_000_000
"""The coarsest clock of a file system in use (FAT)."""


def stamps(folder: Path, ending: str) -> tuple[dict[str, Stamp], dict[str, str]]:
    """Returns (the stamp of each file by its name, in order; of each that is none, why); hidden ones are left out."""
    found: dict[str, Stamp] = {}
    odd: dict[str, str] = {}
    if not folder.is_dir():
        return found, odd
    with os.scandir(folder) as entries:
        named = [entry for entry in entries if entry.name.endswith(ending) and not entry.name.startswith(".")]
    for entry in sorted(named, key=lambda one: one.name):
        try:
            seen = entry.stat()
        except OSError as error:
            odd[entry.name] = error.strerror or str(error)
            continue
        if stat.S_ISREG(seen.st_mode):
            found[entry.name] = (seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino)
        else:
            odd[entry.name] = "it is no file"
    return found, odd


def settled(seen: Stamp, now_ns: int) -> bool:
    """Returns whether a file that was read at `now_ns` cannot have changed since without another stamp."""
    return max(seen[1], seen[2]) < now_ns - GRANULE_NS


def now_ns() -> int:
    """Returns the time of the clock that file systems take their times from."""
    return time.time_ns()


def code_version(*parts: str) -> str:
    """Returns a name for the source of parts of effbench ("store", "judge", "units.py"): 16 hexadecimal digits."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for part in parts:
        files = sorted((root / part).rglob("*.py")) if (root / part).is_dir() else [root / part]
        for file in files:
            digest.update(file.relative_to(root).as_posix().encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def read_disposable(path: Path, version: str) -> dict[str, Any] | None:
    """Returns what was written there by the same version; None where that is missing, torn, foreign or older."""
    from pydantic_core import from_json

    try:
        head, _, body = path.read_bytes().partition(b"\n")
    except OSError:
        return None  # it is made anew, as for a first time
    if head != _head(body, version):
        return None
    found: dict[str, Any] = from_json(body)
    return found


def write_disposable(path: Path, version: str, data: Mapping[str, Any]) -> bool:
    """Returns whether the data were written; one that cannot be written to costs time only."""
    body = json.dumps(data, separators=(",", ":")).encode()
    try:
        write_whole(path, _head(body, version) + b"\n" + body)
    except InputError:
        return False
    return True


def _head(body: bytes, version: str) -> bytes:
    return f"effbench, disposable {version} {zlib.crc32(body):08x} {len(body)}".encode()
