"""What was derived from the traces of a folder, kept until a trace or the code changes: each is opened once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from effbench.errors import InputError
from effbench.records import Trace
from effbench.store.beside import Beside
from effbench.store.disposable import Stamp, now_ns, read_disposable, settled, stamps, write_disposable
from effbench.store.files import file_name

KEPT = 50
"""New results that are worth a file: fewer are derived again as quickly."""


def of_traces(
    folder: Path, digests: Iterable[str], derive: Callable[[Trace], Any], name: str, version: str
) -> dict[str, Any | InputError]:
    """Returns by digest what `derive` makes of each trace, or the error that its file is missing or damaged.

    Args:
        folder: of records.
        digests: of the traces; each distinct one is read at most once, and dropped at once.
        derive: gives plain data: texts, numbers, None, lists and mappings by text.
        name: what is derived, such as "costs-macs"; the file is named after it.
        version: of the code that derives; another one's results are not used. "" keeps nothing.
    """
    path = folder / f".effbench-{file_name(name)}"
    began = now_ns()
    seen, _ = stamps(folder / "traces", ".json.gz")
    kept = read_disposable(path, version) if version else None
    known: dict[str, Any] = {} if kept is None else kept
    found: dict[str, Any | InputError] = {}
    fresh: dict[str, tuple[Stamp, Any]] = {}
    beside = Beside(folder)
    for digest in dict.fromkeys(digests):
        stamp = seen.get(f"{digest}.json.gz")
        entry = known.get(digest)
        if entry is not None and stamp is not None and tuple(entry[0]) == stamp:
            found[digest] = entry[1]
            continue
        try:
            found[digest] = derive(beside.trace(digest))
        except InputError as error:
            found[digest] = error
            continue
        if stamp is not None and settled(stamp, began):
            fresh[digest] = stamp, found[digest]
    if version and len(fresh) >= KEPT:
        write_disposable(path, version, {**known, **fresh})
    return found
