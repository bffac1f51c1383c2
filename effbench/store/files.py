"""Files written whole or not at all, a folder locked while it is written to, texts that users name."""

from __future__ import annotations

import errno
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from effbench.errors import InputError

LOCK_FILE = ".effbench-lock"
"""Stands in a folder only where the folder itself cannot be locked: on Windows and some network file systems."""


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file so that a reader sees the old content or the new, never a part.

    Raises:
        InputError: it cannot be written there.
    """
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            path.write_bytes(data)  # a device or a pipe has no content to keep whole, and must not be replaced
        else:
            _replace(_named(path), data)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error


def _named(path: Path) -> Path:
    """Returns the file that a path names, through links."""
    try:
        return path.resolve()
    except RuntimeError:  # what a loop is to Python before 3.13
        raise InputError(f"{path}: cannot be written: it is a link to itself") from None


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)  # once renamed, it has gone


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def file_name(name: str) -> str:
    """Returns a file name for a model's name; names that differ only in odd characters share one."""
    return re.sub(r"[^\w.+-]+", "_", name).strip("._") or "model"


def read_text(path: Path, what: str) -> str:
    """Returns the text of a file that the user named.

    Raises:
        InputError: it is missing or is no text; `what` says what was expected there.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: no such {what}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a {what}: {error}") from error


def require_writable(folder: Path) -> None:
    """Returns where records can be kept in a folder, be it there yet or not; nothing is made.

    For telling before anything is measured: only writing shows whether the disk has room.

    Raises:
        InputError: it, or what it would have to be made in, is no folder or may not be written to.
    """
    nearest = next(path for path in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(path))
    if not nearest.is_dir():
        what = "it" if nearest == folder.absolute() else nearest.name
        raise InputError(f"{folder}: cannot be written: {what} is no folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise InputError(f"{folder}: cannot be written: there is no permission to write to {nearest}")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps every other writer of a folder waiting until the end of the block; it is made where it is missing.

    The system lets go of the lock when its holder ends, however it ends.

    Raises:
        InputError: the folder cannot be made or locked.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = _lock(folder)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror}") from error
    try:
        yield
    finally:
        os.close(handle)


if sys.platform == "win32":  # pragma: no cover

    def _lock(folder: Path) -> int:
        import msvcrt

        handle = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT)
        while True:
            try:
                msvcrt.locking(handle, msvcrt.LK_LOCK, 1)
            except OSError as error:
                if error.errno != errno.EDEADLK:  # what ten seconds of waiting end with
                    os.close(handle)
                    raise
            else:
                return handle

else:

    def _lock(folder: Path) -> int:
        """Returns the open handle that holds the lock: of the folder or, where that cannot be, of a file in it."""
        try:
            return _locked_handle(folder, os.O_RDONLY)
        except OSError as error:
            if error.errno not in (errno.EBADF, errno.EINVAL, errno.EISDIR, errno.EOPNOTSUPP):
                raise
        return _locked_handle(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT)

    def _locked_handle(path: Path, flags: int) -> int:
        import fcntl

        handle = os.open(path, flags, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except BaseException:
            os.close(handle)
            raise
        return handle
