"""What a count is a count of, and how counts are written: exact, scaled, or read back from a published table.

Everything here is integer or rational arithmetic: a total beyond 2**53 keeps its last digit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Context
from enum import Enum
from fractions import Fraction

MIB = 2**20

_PREFIXES = ("", "K", "M", "G", "T", "P")


class Unit(Enum):
    """What one count stands for."""

    MAC = "MAC"
    FLOP = "FLOP"


@dataclass(frozen=True, slots=True, order=True)
class Flops:
    """A number of floating-point operations. Not a `Macs`: a type checker refuses one for the other, so does this."""

    count: int

    def __post_init__(self) -> None:
        """Raises TypeError for anything but an integer, above all for a number of MACs."""
        _refuse_other_units(self, self.count)

    def __add__(self, other: Flops) -> Flops:
        """Returns the sum; only FLOPs can be added to FLOPs."""
        return Flops(self.count + other.count) if isinstance(other, Flops) else NotImplemented


@dataclass(frozen=True, slots=True, order=True)
class Macs:
    """A number of multiply-accumulates of inner products."""

    count: int

    def __post_init__(self) -> None:
        """Raises TypeError for anything but an integer, above all for a number of FLOPs."""
        _refuse_other_units(self, self.count)

    def __add__(self, other: Macs) -> Macs:
        """Returns the sum; only MACs can be added to MACs."""
        return Macs(self.count + other.count) if isinstance(other, Macs) else NotImplemented

    def to_flops(self) -> Flops:
        """Returns the same work in FLOPs: a multiply and an add for each MAC."""
        return Flops(2 * self.count)


def _refuse_other_units(made: Flops | Macs, count: object) -> None:
    """Raises TypeError unless the count is a plain integer."""
    if isinstance(count, bool) or not isinstance(count, int):
        hint = ": convert it with to_flops()" if isinstance(count, Macs) else ""
        raise TypeError(f"{type(made).__name__} counts in integers, not in {type(count).__name__}{hint}")


def grouped(n: int) -> str:
    """Returns the exact number with thousands separated, such as "45,463,084"."""
    return f"{n:,}"


def scaled(n: int) -> str:
    """Returns four significant digits with a decimal prefix, such as "45.46 M"; exact below 1,000.

    The prefix is K, M, G, T or P (10**3 to 10**15); ties round to even.
    """
    if abs(n) < 1000:
        return str(n)
    # Rounding comes before the choice of prefix: 999,999 is "1.000 M", not "1000 K".
    rounded = Context(prec=4).create_decimal(n)
    step = min(rounded.adjusted() // 3, len(_PREFIXES) - 1)
    return f"{rounded.scaleb(-3 * step):,f} {_PREFIXES[step]}"


def mega(n: int) -> str:
    """Returns millions with two decimals, such as "45.46"; "<0.01" where that would show work as none."""
    return _not_nothing(n, 10**6)


def giga(n: int) -> str:
    """Returns thousands of millions with two decimals, such as "4.09"; "<0.01" as in `mega`."""
    return _not_nothing(n, 10**9)


def mebibytes(nbytes: int) -> str:
    """Returns bytes / 2**20 with two decimals, such as "173.43"; a few bytes are "0.00"."""
    return fixed_point(Fraction(nbytes, MIB), 2)


def binary(nbytes: int) -> str:
    """Returns bytes with their unit: "972 B", "1.50 KiB", "173.43 MiB"; two decimals, ties round to even."""
    unit, step = "B", 0
    while nbytes >= 1024 ** (step + 1) and step < len(_BINARY):
        unit, step = _BINARY[step], step + 1
    return f"{fixed_point(Fraction(nbytes, 1024**step), 2 if step else 0)} {unit}"


def fixed_point(value: Fraction | int, decimals: int) -> str:
    """Returns the value with so many decimals and its thousands separated; ties round to even."""
    digits = round(value * 10**decimals)
    whole, part = divmod(abs(digits), 10**decimals)
    sign = "-" if digits < 0 else ""
    return f"{sign}{whole:,}.{part:0{decimals}d}" if decimals else f"{sign}{whole:,}"


def unit_of(unit: str) -> tuple[Unit, int]:
    """Returns the unit and its factor: "GMAC" is (Unit.MAC, 10**9).

    Raises:
        ValueError: the name is none of MAC, KMAC, …, TMAC, FLOP, …, TFLOP.
    """
    try:
        return _COST_UNITS[unit]
    except KeyError:
        raise ValueError(f"unknown unit {unit!r}: use one of {', '.join(_COST_UNITS)}") from None


def parse_cost(value: float, unit: str) -> int:
    """Returns the exact count that a published figure writes: 0.122993904 "GFLOP" is 122993904.

    The decimal digits are what was published, so they are scaled as digits: no binary rounding comes in.

    Raises:
        ValueError: the unit is unknown, or the figure is not a whole, non-negative count.
    """
    factor = unit_of(unit)[1]
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{value!r} {unit} is not a cost: it must be a finite number, 0 or more")
    # numpy integers have __index__ too; through float they would lose digits beyond 2**53.
    digits = str(int(value)) if hasattr(value, "__index__") else repr(float(value))
    count = Fraction(digits) * factor
    if count.denominator != 1:
        raise ValueError(f"{digits} {unit} is not a whole number of {unit_of(unit)[0].value}s: check its unit")
    return count.numerator


def _not_nothing(n: int, factor: int) -> str:
    text = fixed_point(Fraction(n, factor), 2)
    if n and text == "0.00":
        return "<0.01" if n > 0 else ">-0.01"
    return text


_BINARY = ("KiB", "MiB", "GiB", "TiB")

_COST_UNITS = {
    f"{prefix}{unit.value}": (unit, 1000**step) for unit in Unit for step, prefix in enumerate(_PREFIXES[:-1])
}
