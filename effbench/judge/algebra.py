"""Exact integer expressions that remember how a person would write them.

An `Expr` is a sum of products of named factors. Its value is the count and its text is the explanation, so that
the two cannot differ: `product(H=55, W=55, Cout=64, Cin=3, k=11) * ...` prints "55 × 55 × 64 × 3 × 11²".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True, slots=True)
class Factor:
    """`value` to the power of `power`; `name` is its symbol in the formula, "" where it has none of its own."""

    value: int
    name: str = ""
    power: int = 1

    @property
    def number(self) -> int:
        """Returns the value raised to the power."""
        number: int = self.value**self.power
        return number

    def text(self, base: str) -> str:
        """Returns the base with the power as a superscript."""
        return base if self.power == 1 else f"{base}{str(self.power).translate(_SUPERSCRIPTS)}"


Product: TypeAlias = tuple[Factor, ...]


@dataclass(frozen=True, slots=True)
class Expr:
    """A sum of products; no terms at all is zero."""

    terms: tuple[Product, ...] = ()

    @property
    def value(self) -> int:
        """Returns the exact number."""
        return sum(math.prod(factor.number for factor in term) for term in self.terms)

    def __add__(self, other: Expr) -> Expr:
        return Expr(self.terms + other.terms)

    def __mul__(self, other: Expr | int) -> Expr:
        """Returns the product, multiplied out term by term; an int goes in front."""
        if isinstance(other, int):
            other = product(times=other)
            return Expr(tuple(right + left for left in self.terms for right in other.terms))
        return Expr(tuple(left + right for left in self.terms for right in other.terms))

    __rmul__ = __mul__

    def __bool__(self) -> bool:
        return bool(self.terms)

    def numbers(self) -> str:
        """Returns the calculation, such as "3 × 11² × 64 + 64"; factors of 1 are left out."""
        return " + ".join(_numbers(term) for term in self.terms) or "0"

    def symbols(self) -> str:
        """Returns the formula, such as "H·W·Cout·Cin·k²": as many terms as the calculation has."""
        return " + ".join(_symbols(term) for term in self.terms)

    def merged(self) -> Expr:
        """Returns the same sum with equal products gathered: a + a becomes 2 × a."""
        counts: dict[Product, int] = {}
        for term in self.terms:
            counts[term] = counts.get(term, 0) + 1
        return Expr(tuple(term if count == 1 else (Factor(count, "calls"), *term) for term, count in counts.items()))


ZERO = Expr()


def product(**factors: int) -> Expr:
    """Returns one product of named factors, in the order given."""
    return Expr((tuple(Factor(value, name) for name, value in factors.items()),))


def repeated(name: str, values: Sequence[int]) -> Expr:
    """Returns the product of the values under one name; equal ones become a power: k=(11, 11) is 11²."""
    if values and all(value == values[0] for value in values):
        return Expr(((Factor(values[0], name, len(values)),),))
    return Expr((tuple(Factor(value, name if index == 0 else "") for index, value in enumerate(values)),))


def elements(shape: Iterable[int], name: str = "n") -> Expr:
    """Returns the number of elements of a shape, as the product of its dimensions."""
    sizes = tuple(shape)
    if not sizes:
        return product(**{name: 1})
    return Expr((tuple(Factor(size, name if index == 0 else "") for index, size in enumerate(sizes)),))


def total(parts: Iterable[Expr]) -> Expr:
    """Returns the sum of the parts."""
    terms: list[Product] = []
    for part in parts:
        terms.extend(part.terms)
    return Expr(tuple(terms))


def _numbers(term: Product) -> str:
    shown = [factor.text(str(factor.value)) for factor in term if factor.number != 1]
    return " × ".join(shown) or "1"


def _symbols(term: Product) -> str:
    return "·".join(factor.text(factor.name) for factor in term if factor.name) or "1"
