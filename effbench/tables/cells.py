"""Texts of cells → exact numbers: what was published is digits, and how many of them says how far it was rounded."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Literal, NamedTuple

Point = Literal[".", ","]
"""What separates the decimals; the other one may separate thousands."""

MISSING = frozenset({"", "-", "–", "—", "?", "nan", "na", "n/a", "#n/a", "null", "none", "<na>"})
"""How tables write that there is no figure; capitals do not matter."""


def _pattern(point: str, thousands: str) -> re.Pattern[str]:
    whole = rf"(?:\d{{1,3}}(?:[{thousands}]\d{{3}})+|\d+)"
    return re.compile(rf"[+-]?(?:{whole}(?:{re.escape(point)}\d*)?|{re.escape(point)}\d+)(?:[eE][+-]?\d+)?", re.ASCII)


# Thousands are also separated by an apostrophe, a space, and the two narrow spaces that do not break.
_NUMBERS = {".": _pattern(".", ",' \u00a0\u202f"), ",": _pattern(",", ".' \u00a0\u202f")}
_SEPARATORS = {".": re.compile("[,' \u00a0\u202f]"), ",": re.compile("[.' \u00a0\u202f]")}


class Number(NamedTuple):
    """A number as it was written: `ulp` is one unit of its last digit, `percent` whether a percent sign follows."""

    value: Decimal
    ulp: Decimal
    percent: bool = False


def is_missing(text: str) -> bool:
    """Returns whether a cell says that there is no figure."""
    return text.strip().lower() in MISSING


def number_of(text: str, point: Point = ".") -> Number | None:
    """Returns the number that a cell writes, such as "1,234.5", "1e-3" or "9.944 %"; None where it writes none."""
    bare = text.strip()
    percent = bare.endswith("%")
    bare = bare.removesuffix("%").rstrip()
    if not _NUMBERS[point].fullmatch(bare):
        return None
    digits = _SEPARATORS[point].sub("", bare).replace(",", ".")
    value = Decimal(digits)
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)  # the pattern admits neither infinities nor NaN
    return Number(value, Decimal(1).scaleb(exponent), percent)


def resolution(numbers: Iterable[Number | None]) -> Decimal:
    """Returns the step that a column was rounded to: the finest last digit in it, since "0.40" may be written "0.4"."""
    return min((one.ulp for one in numbers if one is not None), default=Decimal(1))


def key_of(text: str, point: Point = ".") -> str:
    """Returns a cell as tables are joined by it: "224", "224.0" and " 224" are one key; "" where it is missing."""
    if is_missing(text):
        return ""
    number = number_of(text, point)
    return text.strip() if number is None else str(number.value.normalize() + 0)


def plain(value: Decimal) -> str:
    """Returns an exact number without an exponent, such as "0.01" or "50000"."""
    return f"{value:f}"


def simplest(value: Decimal) -> int | float:
    """Returns the number as an int where it is whole, else as a float."""
    return int(value) if value == value.to_integral_value() else float(value)
