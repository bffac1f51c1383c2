"""Files that numpy wrote: opened, or refused in one line."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

from effbench.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_KINDS = {b"\x93NUMPY": ".npy", b"PK\x03\x04": ".npz", b"PK\x05\x06": ".npz"}
"""How a file begins: what numpy would take for a pickle, or for the other kind, is told by it before numpy is asked."""


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Gives the array of an .npy, or the arrays of an .npz by name, which are read when they are asked for.

    Raises:
        InputError: the file is missing, of another kind than its ending says, cut off, or holds Python objects; also
            where that shows within the block.
    """
    import numpy as np

    where = f"{path}: cannot be read as {path.suffix}"
    try:
        with path.open("rb") as file:
            start = file.read(6)
            found = next((kind for magic, kind in _KINDS.items() if start.startswith(magic)), None)
            if found != path.suffix.lower():
                told = "numpy did not write it" if start else "it is empty"
                raise InputError(f"{where}: {told if found is None else f'it is an {found}: call it so'}")
            file.seek(0)
            loaded = np.load(file, allow_pickle=False)
            if found == ".npy":
                yield loaded
            else:
                with loaded:
                    yield loaded
    except (BadZipFile, zlib.error, EOFError):
        raise InputError(f"{where}: it is damaged or cut off") from None
    except (OSError, ValueError, KeyError) as error:
        told = " ".join(str(error).split())[:200]
        if "Object arrays" in told:
            told = "it holds Python objects: save numbers, or words as array.astype(str)"
        raise InputError(f"{where}: {told}") from None


def text_of(array: NDArray[Any], where: str) -> NDArray[Any]:
    """Returns an array of bytes as the words that they are in UTF-8, any other as it is.

    Raises:
        InputError: they are none; `where` begins the message.
    """
    import numpy as np

    if array.dtype.kind != "S":
        return array
    try:
        return np.char.decode(array, "utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{where}: holds bytes that are no text in UTF-8: save words as array.astype(str)") from None
