"""What kind of file torch wrote, and whether it may be opened: looked at without unpickling anything.

The checks keep a small file from taking much memory: torch stores tensors uncompressed, and a state dict's pickle takes
some 150 bytes a tensor.
"""

from __future__ import annotations

import pickletools
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Literal, NoReturn

from effbench.errors import InputError, one_line

Kind = Literal["pickle", "script", "export"]
"""torch.save's format, old or new; a TorchScript archive; an exported program."""

MOST_PICKLE_BYTES = 8 * 2**20
"""Objects take up to 64 times their bytes in a pickle, so that this stays below half a gibibyte."""
_MOST_CODE_BYTES = 2**28
"""TorchScript packs its code, and where each line of it came from."""
_OLD_MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""How files of torch.save before 1.6 begin: a pickle of the number 0x1950a86a20f9469cfc6c."""


def kind_of(path: Path) -> Kind:
    """Returns what torch wrote into a file, after checking that reading it takes no more memory than the file.

    Raises:
        InputError: torch wrote no such file, or it is truncated, compressed or beyond any model.
    """
    try:
        if zipfile.is_zipfile(path):
            return _kind_of_archive(path)
        with path.open("rb") as file:
            head = file.read(MOST_PICKLE_BYTES + 1)
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        refuse(path, one_line(error))
    if head.startswith(b"PK"):
        refuse(path, "it begins as a zip archive and does not end as one; is it truncated?")
    if not head.startswith(_OLD_MAGIC):
        refuse(path, _why_no_pickle(head))
    _check_pickle(path, head, pickles=5)
    return "pickle"


def refuse(path: Path, why: str) -> NoReturn:
    """Ends with the one line that says why a file is not read.

    Raises:
        InputError: always.
    """
    raise InputError(f"{path}: cannot be read as a file of torch: {why}")


def _kind_of_archive(path: Path) -> Kind:
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        names = [entry.filename.partition("/")[2] for entry in entries]
        packed = [pair for pair in zip(entries, names, strict=True) if pair[0].compress_type != zipfile.ZIP_STORED]
        if any(not name.startswith("code/") for _, name in packed):
            refuse(path, "its tensors are compressed, which torch's never are")
        if sum(entry.file_size for entry, _ in packed) > _MOST_CODE_BYTES:
            refuse(path, f"its code would unpack to more than {_MOST_CODE_BYTES:,} bytes")
        for entry, name in zip(entries, names, strict=True):
            if name in ("data.pkl", "constants.pkl"):
                if entry.file_size > MOST_PICKLE_BYTES:
                    refuse(path, f"its {name} takes {entry.file_size:,} bytes, more than any state dict")
                _check_pickle(path, archive.read(entry), pickles=1)
    if "constants.pkl" in names:
        return "script"
    if "archive_format" in names or any(entry.filename == "serialized_exported_program.json" for entry in entries):
        return "export"
    if "data.pkl" in names:
        return "pickle"
    return refuse(path, "it is a zip archive of something else")


def _why_no_pickle(head: bytes) -> str:
    if not head:
        return "it is empty"
    if head[:1] in (b"\x80", b"("):
        return "it is a pickle, but not one that torch.save makes"
    return "it is neither an archive nor a pickle"


def _check_pickle(path: Path, head: bytes, pickles: int) -> None:
    """Refuses pickles that are cut short, too long, or ask for memory by a number (`bytearray(10**12)`)."""
    stream = BytesIO(head)
    try:
        asking = [
            name for _ in range(pickles) for _, name, _ in pickletools.genops(stream) if str(name).endswith("bytearray")
        ]
    except Exception as error:  # what pickletools raises on malformed input is not of one kind
        long = len(head) > MOST_PICKLE_BYTES
        refuse(
            path,
            "its pickle is longer than any state dict's" if long else f"its pickle is cut short: {one_line(error)}",
        )
    if asking:
        refuse(path, "its pickle makes byte arrays, which no state dict holds")
