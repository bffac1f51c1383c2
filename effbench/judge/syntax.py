"""The white list of what formulas and filters may say; everything else is one line with the column."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from effbench.errors import InputError
from effbench.judge.plain import known_number
from effbench.judge.terms import TERMS

LONGEST = 500
"""Characters that a text may have."""

DEEPEST = 60
"""How deep brackets and operators may be nested: a sum of so many terms, too, since each holds the one before it."""

LARGEST_POWER = 100.0
"""The largest constant exponent: x**100 is beyond any score, 9**9**9**9 beyond any machine."""

ONE, MANY = ("exp", "log", "log2", "log10", "sqrt", "abs"), ("min", "max")
"""Functions of one number, and of two or more."""

_TOKEN = re.compile(
    r"\s+|(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_]\w*)"
    r"|\*\*|//|<=|>=|==|!=|[-+*/<>(),]",
    re.ASCII,
)

_INSTEAD = {
    "^": "write ** for a power",
    "×": "write *",
    "·": "write *",
    "÷": "write /",
    "−": "write - (this is another dash)",
    "²": "write **2",
    "√": "write sqrt(…)",
    "≤": "write <=",
    "≥": "write >=",
    "=": "write == to compare",
    "&": "write and",
    "|": "write or",
    "!": "write not",
    "%": "a percentage is written as its fraction, 10 % as 0.1",
}


@dataclass(frozen=True, slots=True)
class Text:
    """What a user wrote.

    Attributes:
        kind: "formula" or "filter", for messages.
        whole: all of it; `text` begins `offset` characters into it.
    """

    kind: str
    text: str
    whole: str
    offset: int

    def wrong(self, column: int, what: str) -> InputError:
        """Returns the error at a place in `text`, counted from 0; people count columns from 1."""
        shown = " ".join(self.whole.split())
        shown = shown if len(shown) <= 100 else shown[:99] + "…"
        return InputError(f"{self.kind} {shown!r}, column {self.offset + column + 1}: {what}")


Kind = Literal["number", "condition"]
"""What a part of a text is."""


def checked(source: Text, known: Mapping[str, str], wanted: Kind) -> tuple[ast.expr, tuple[str, ...]]:
    """Returns the syntax tree of a text and the terms that it reads; nothing in the tree is outside the white list.

    Args:
        source: the text.
        known: the terms that may be used, with their units.
        wanted: what it has to be as a whole.

    Raises:
        InputError: anything else stands in it.
    """
    _refuse_strange_characters(source)
    indent = len(source.text) - len(source.text.lstrip())
    flat = re.sub(r"\s", " ", source.text.strip())
    inner = Text(source.kind, flat, source.whole, source.offset + indent)
    node = _parsed(inner)
    found = _Reader(inner, known).kind_of(node, 0)
    if found != wanted:
        hints = {"number": "compare it, as in params < 5e6", "condition": "a score is a number"}
        raise inner.wrong(node.col_offset, f"this is a {found}: {hints[found]}")
    reads = tuple(dict.fromkeys(name.id for name in _names(node)))
    if not reads:
        raise inner.wrong(0, f"it reads no term, so all models would be equal; {listed(known)}")
    return node, reads


def _refuse_strange_characters(source: Text) -> None:
    """Raises unless the text is made of a formula's words: the parser then warns of nothing and reads no string."""
    text = source.text
    if not text.strip():
        raise source.wrong(0, "it is empty")
    if len(text) > LONGEST:
        raise source.wrong(LONGEST, f"it has {len(text)} characters, {LONGEST} are allowed")
    place = 0
    while place < len(text):
        token = _TOKEN.match(text, place)
        if token is None:
            hint = _INSTEAD.get(text[place])
            raise source.wrong(place, f"{text[place]!r} is no part of a {source.kind}" + (f": {hint}" if hint else ""))
        place = token.end()
        if token["number"] and place < len(text) and re.match(r"[\w.]", text[place]):
            raise source.wrong(
                place, f"{text[place]!r} follows a number: write 5e6 for five millions, 2*x for a product"
            )


def _parsed(source: Text) -> ast.expr:
    try:
        return ast.parse(source.text, mode="eval").body
    except SyntaxError as error:
        if source.text[-1] in "+-*/<>=(,":
            raise source.wrong(len(source.text), "it ends too early") from None
        column = min(max((error.offset or 1) - 1, 0), len(source.text) - 1)
        raise source.wrong(column, f"it cannot be read ({error.msg})") from None
    except (ValueError, MemoryError, RecursionError):
        raise source.wrong(0, "it is too large to be read: fewer digits, fewer brackets") from None


def _names(node: ast.expr) -> Iterator[ast.Name]:
    """Yields the terms of a checked tree in the order they are written."""
    functions = {id(item.func) for item in ast.walk(node) if isinstance(item, ast.Call)}
    found = [item for item in ast.walk(node) if isinstance(item, ast.Name) and id(item) not in functions]
    yield from sorted(found, key=lambda item: item.col_offset)


def listed(known: Mapping[str, str]) -> str:
    """Returns the terms with their units, the standard ones first, and the functions, as one text."""
    names = (*(name for name in TERMS if name in known), *sorted(known.keys() - TERMS.keys()))
    terms = ", ".join(f"{name} ({known[name]})" if known[name] else name for name in names)
    return f"terms: {terms}; functions: {', '.join((*ONE, *MANY))}"


@dataclass(frozen=True, slots=True)
class _Reader:
    """Walks a tree once and refuses what is not on the list."""

    source: Text
    known: Mapping[str, str]

    def kind_of(self, node: ast.expr, depth: int) -> Kind:
        """Returns "number" or "condition"."""
        if depth > DEEPEST:
            raise self.source.wrong(node.col_offset, f"it is nested deeper than {DEEPEST} levels")
        match node:
            case ast.BoolOp(values=values):
                self._all(values, "condition", "and / or join comparisons", depth)
                return "condition"
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                self._all([inner], "condition", "not turns a comparison round", depth)
                return "condition"
            case ast.Compare(left=left, comparators=others, ops=ops):
                if not all(isinstance(op, ast.Lt | ast.LtE | ast.Gt | ast.GtE | ast.Eq | ast.NotEq) for op in ops):
                    raise self.source.wrong(node.col_offset, "compare with <, <=, >, >=, == or !=")
                self._all([left, *others], "number", "only numbers are compared", depth)
                return "condition"
        self._number(node, depth)
        if not any(True for _ in _names(node)):
            self._refuse_no_number(node)
        return "number"

    def _number(self, node: ast.expr, depth: int) -> None:
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                return
            case ast.Name(id=name):
                self._term(name, node.col_offset)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=inner):
                self._all([inner], "number", "a sign stands before a number", depth)
            case ast.BinOp(op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div() | ast.Pow(), left=left, right=right):
                self._all([left, right], "number", "arithmetic is of numbers", depth)
                self._refuse_impossible(node.op, right)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                self._function(name, args, node.col_offset)
                self._all(args, "number", f"{name} takes numbers", depth)
            case _:
                allowed = "numbers, terms, + - * / **, brackets and the functions " + ", ".join((*ONE, *MANY))
                raise self.source.wrong(node.col_offset, f"a {self.source.kind} has {allowed}; this is something else")

    def _all(self, nodes: list[ast.expr], wanted: Kind, why: str, depth: int) -> None:
        for node in nodes:
            if self.kind_of(node, depth + 1) != wanted:
                raise self.source.wrong(node.col_offset, f"a {wanted} is needed here: {why}")

    def _term(self, name: str, column: int) -> None:
        if name in self.known:
            return
        near = get_close_matches(name, self.known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        if name in (*ONE, *MANY):
            raise self.source.wrong(column, f"{name} is a function: write {name}(…)")
        raise self.source.wrong(column, f"unknown term {name!r}: {hint}{listed(self.known)}")

    def _function(self, name: str, args: list[ast.expr], column: int) -> None:
        if name not in (*ONE, *MANY):
            near = get_close_matches(name, (*ONE, *MANY), n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join((*ONE, *MANY))}"
            raise self.source.wrong(column, f"unknown function {name!r}: {hint}")
        if name in ONE and len(args) != 1:
            raise self.source.wrong(column, f"{name} takes one number, not {len(args)}")
        if name in MANY and len(args) < 2:
            raise self.source.wrong(column, f"{name} takes two numbers or more, not {len(args)}")

    def _refuse_impossible(self, op: ast.operator, right: ast.expr) -> None:
        """Raises for a constant exponent that is too large and for a division by a constant 0."""
        if any(True for _ in _names(right)):
            return  # of terms: computed with logarithms, and undefined where it is
        if isinstance(op, ast.Pow) and abs(constant(right)) > LARGEST_POWER:
            raise self.source.wrong(right.col_offset, f"an exponent beyond {LARGEST_POWER:g} is refused")
        if isinstance(op, ast.Div) and constant(right) == 0:
            raise self.source.wrong(right.col_offset, "a division by 0")

    def _refuse_no_number(self, node: ast.expr) -> None:
        if not math.isfinite(constant(node)):
            raise self.source.wrong(node.col_offset, "this is no finite number")


def constant(node: ast.expr) -> float:
    """Returns the value of a part without terms; NaN where it is undefined, infinite where it is beyond doubles."""
    try:
        found = known_number(node, {})
    except OverflowError:  # digits of a whole number beyond doubles
        return math.inf
    return math.nan if found is None else found


def is_never_negative(node: ast.expr, positive: frozenset[str]) -> bool:
    """Returns whether a checked formula is 0 or more whatever its terms, those of `positive` being so."""
    match node:
        case ast.Constant():
            return True  # a sign is an operator
        case ast.Name(id=name):
            return name in positive
        case ast.UnaryOp(op=op, operand=inner):
            return isinstance(op, ast.UAdd) and is_never_negative(inner, positive)
        case ast.BinOp(left=left, op=ast.Pow(), right=_):
            return is_never_negative(left, positive)
        case ast.BinOp(left=left, op=op, right=right):
            both = is_never_negative(left, positive) and is_never_negative(right, positive)
            return both and not isinstance(op, ast.Sub)
        case ast.Call(func=ast.Name(id=name), args=args):
            if name in ("exp", "sqrt", "abs"):
                return True
            known = [is_never_negative(item, positive) for item in args]
            return {"max": any, "min": all}[name](known) if name in MANY else False
    return False
