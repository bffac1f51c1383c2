"""What `--input` asks for, as read from its text: `1x3x224x224`, `ids:1x128:int64`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from effbench.errors import InputError
from effbench.records import Shape

_INPUT = re.compile(r"(?:(?P<name>[A-Za-z_][\w.]*):)?(?P<shape>\d+(?:x\d+)*)(?::(?P<dtype>\w+))?")
HINT = "pass the input's shape, for example --input 1x3x224x224"


class Asked(NamedTuple):
    """One input: `name` and `dtype` are None where the text has none."""

    name: str | None
    shape: Shape
    dtype: str | None
    text: str


def parse_asked(texts: Sequence[str]) -> tuple[Asked, ...]:
    """Returns what the texts ask for, in order.

    Raises:
        InputError: a text is not [NAME:]SHAPE[:DTYPE].
    """
    return tuple(map(_parse, texts))


def _parse(text: str) -> Asked:
    match = _INPUT.fullmatch(text)
    if match is None:
        raise InputError(f"--input {text!r}: write [NAME:]SHAPE[:DTYPE], such as 1x3x224x224 or ids:1x128:int64")
    try:
        shape = tuple(int(size) for size in match["shape"].split("x"))
    except ValueError:  # Python reads no integer of thousands of digits
        raise InputError(f"--input {text[:40]!r}…: a size is beyond any tensor") from None
    return Asked(match["name"], shape, match["dtype"], text)
