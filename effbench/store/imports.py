"""Many files of one folder written together: all of them or none, also where the process is ended in between.

They are written into a hidden folder, which a rename declares complete; then they are moved to their places. What ends
the process before the rename leaves a folder that nobody reads; after it, the next reader or writer moves the rest.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from effbench.errors import InputError
from effbench.store.files import locked, write_whole

UNFINISHED = ".effbench-unfinished"
COMPLETE = ".effbench-complete"


def write_together(folder: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Writes files by name into a folder that the caller has locked and `finish`ed.

    Raises:
        InputError: they cannot be written there, or two of them are one file on this disk; none is written then.
    """
    staged = folder / UNFINISHED
    try:
        staged.mkdir()
        for name, data in files:
            _write(staged / name, data)
        _on_disk(staged)
        staged.rename(folder / COMPLETE)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror}") from error
    finally:
        if staged.exists():
            shutil.rmtree(staged)
    _move(folder)


def _write(path: Path, data: bytes) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        raise InputError(f"{path.name}: two models' names differ only in a way that this disk cannot tell") from None
    with os.fdopen(handle, "wb") as file:
        file.write(data)


def _on_disk(staged: Path) -> None:
    """Has the system write everything out: once for all files, where it can, or file by file."""
    if hasattr(os, "sync"):
        os.sync()
        return
    for path in staged.iterdir():
        with path.open("rb+") as file:
            os.fsync(file.fileno())


def finish(folder: Path) -> None:
    """Moves the files of a write that was ended after it was complete, and removes what one left that was not.

    The caller has locked the folder.

    Raises:
        InputError: they cannot be moved.
    """
    try:
        if (folder / COMPLETE).is_dir():
            _move(folder)
        if (folder / UNFINISHED).is_dir():
            shutil.rmtree(folder / UNFINISHED)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror}") from error


def finish_for_reading(folder: Path) -> None:
    """Does the same for a reader, who takes the lock only where there is something to move.

    Raises:
        InputError: they cannot be moved: what is in the folder is half of what was written.
    """
    if (folder / COMPLETE).is_dir():
        with locked(folder):
            finish(folder)


def _move(folder: Path) -> None:
    complete = folder / COMPLETE
    for path in sorted(complete.iterdir()):
        target = folder / path.name
        if target.is_symlink():
            write_whole(target, path.read_bytes())  # a link stays one
            path.unlink()
        else:
            path.replace(target)
    complete.rmdir()
