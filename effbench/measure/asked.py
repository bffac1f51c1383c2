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


def by_name(asked: Sequence[Asked], names: Sequence[str], spec: str, taker: str) -> dict[str, Asked]:
    """Returns what is asked for by the names of a graph's inputs: unnamed ones go to the first, in order.

    Args:
        asked: what `--input` gave. names: the graph's inputs, in order.
        spec: where the graph comes from, and `taker` what it is, for the message.

    Raises:
        InputError: there are more than the graph takes, or a name is none of its own or is taken.
    """
    takes = f"the {taker} takes {', '.join(names) or 'nothing'}"
    unnamed = [item for item in asked if item.name is None]
    if len(unnamed) > len(names):
        raise InputError(f"{spec}: {len(unnamed)} inputs are given, {takes}")
    found = dict(zip(names, unnamed, strict=False))
    for item in asked:
        if item.name is not None:
            if item.name not in names or item.name in found:
                raise InputError(f"{spec}: --input {item.name} fits no open input: {takes}")
            found[item.name] = item
    return found


def _parse(text: str) -> Asked:
    match = _INPUT.fullmatch(text)
    if match is None:
        raise InputError(f"--input {text!r}: write [NAME:]SHAPE[:DTYPE], such as 1x3x224x224 or ids:1x128:int64")
    try:
        shape = tuple(int(size) for size in match["shape"].split("x"))
    except ValueError:  # Python reads no integer of thousands of digits
        raise InputError(f"--input {text[:40]!r}…: a size is beyond any tensor") from None
    return Asked(match["name"], shape, match["dtype"], text)
