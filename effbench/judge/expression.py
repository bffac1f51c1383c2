"""Formulas and filters that users write: arithmetic of terms, read from a white list of syntax and never run as code.

    formula_of("params**0.5 * latency * exp(10*error)").value({"params": …, "latency": …, "error": …})
    filter_of("params < 5e6 and error < 0.1").keep({"params": 4.2e6, "error": None})     # None: not known

Terms are in base units (`effbench.judge.terms`): params, macs and flops are counts, latency is in seconds.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from effbench.judge.arithmetic import (
    FUNCTIONS,
    Numbers,
    add,
    divide,
    multiply,
    negative,
    numbers,
    ordered,
    ordered_from_zero,
    power,
)
from effbench.judge.plain import known_truth
from effbench.judge.syntax import Text, checked, constant, is_never_negative
from effbench.judge.terms import TERMS, Floats, Terms

_BINARY: Mapping[type[ast.operator], Callable[[Numbers, Numbers], Numbers]] = {
    ast.Add: add,
    ast.Sub: lambda a, b: add(a, negative(b)),
    ast.Mult: multiply,
    ast.Div: divide,
    ast.Pow: power,
}


@dataclass(frozen=True, slots=True)
class Formula:
    """Arithmetic of terms.

    Attributes:
        text: as the user wrote it, spaces evened out.
        reads: the terms in it, in the order of their first appearance.
        never_negative: its value is 0 or more whatever the models, since its terms are.
    """

    text: str
    reads: tuple[str, ...]
    never_negative: bool
    _node: ast.expr

    def value(self, terms: Terms) -> Floats:
        """Returns the formula's value of each model; infinite beyond doubles, NaN where it is undefined."""
        import numpy as np

        return np.array(self._computed(terms).value)

    def order(self, terms: Terms) -> Floats:
        """Returns numbers that rise with the value and do not overflow; NaN where it is undefined.

        It is ln(value) where the formula is never negative, and sign · ln(1 + |value|) otherwise. Only an exponential
        of an exponential may leave the doubles all the same.
        """
        found = self._computed(terms)
        import numpy as np

        with np.errstate(all="ignore"):
            return ordered_from_zero(found) if self.never_negative else ordered(found)

    def _computed(self, terms: Terms) -> Numbers:
        import numpy as np

        with np.errstate(all="ignore"):
            found = _computed(self._node, terms)
            shape = np.broadcast_shapes(*(np.shape(terms[name]) for name in self.reads))
            return Numbers(*(np.broadcast_to(part, shape) for part in (found.value, found.sign, found.log)))


def _computed(node: ast.expr, terms: Terms) -> Numbers:
    match node:
        case ast.Name(id=name):
            return numbers(terms[name])
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return negative(_computed(inner, terms))
        case ast.UnaryOp(operand=inner):
            return _computed(inner, terms)
        case ast.BinOp(left=left, op=op, right=right):
            return _BINARY[type(op)](_computed(left, terms), _computed(right, terms))
        case ast.Call(func=ast.Name(id=name), args=args):
            return FUNCTIONS[name](*(_computed(item, terms) for item in args))
    return numbers(constant(node))


def formula_of(text: str, known: Mapping[str, str] = TERMS, offset: int = 0, whole: str = "") -> Formula:
    """Returns the formula that a text writes: numbers, terms, + - * / **, brackets and the functions.

    The functions are exp, log, log2, log10, sqrt and abs of one number, min and max of two or more.

    Args:
        text: what the user wrote.
        known: the terms that may be used, with their units.
        offset: how many characters stand before `text` in what the user wrote, for the columns of messages.
        whole: what the user wrote in all; "" is `text`.

    Raises:
        InputError: it cannot be read, uses an unknown name, compares, reads no term or has a constant part that is no
            finite number; one line with the column.
    """
    source = Text("formula", text, whole or text, offset)
    node, reads = checked(source, known, "number")
    never_negative = is_never_negative(node, frozenset(TERMS))
    return Formula(" ".join(text.split()), reads, never_negative, node)


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on models.

    Attributes:
        reads: the terms in it, in the order of their first appearance.
        keep: terms → whether a model meets the condition; None where that hangs on a term that is missing or None, or
            on arithmetic that is undefined (a division by 0).
    """

    text: str
    reads: tuple[str, ...]
    keep: Callable[[Mapping[str, float | None]], bool | None]


def filter_of(text: str, known: Mapping[str, str] = TERMS) -> Filter:
    """Returns the condition that a text writes: comparisons of formulas, joined by and, or, not.

    A missing term leaves open what it decides and nothing else: with params = 10e6 and no error known,
    `params < 5e6 and error < 0.1` is False, and `params > 5e6 and error < 0.1` is None.

    Raises:
        InputError: it cannot be read, uses an unknown name, or is no condition; one line with the column.
    """
    node, reads = checked(Text("filter", text, text, 0), known, "condition")
    return Filter(" ".join(text.split()), reads, lambda terms: known_truth(node, terms))
