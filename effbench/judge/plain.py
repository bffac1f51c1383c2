"""Checked syntax computed for one model at a time, with plain floats; what is not known stays unknown."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping

_BINARY: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: math.pow,  # of floats, and never complex
}

_COMPARED: Mapping[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}

_FUNCTIONS: Mapping[str, Callable[..., float]] = {
    "exp": math.exp,
    "log": math.log,
    "log2": math.log2,
    "log10": math.log10,
    "sqrt": math.sqrt,
    "abs": abs,
    "min": min,
    "max": max,
}


def known_number(node: ast.expr, terms: Mapping[str, float | None]) -> float | None:
    """Returns the value of a formula; infinite beyond doubles, None where it is undefined or a term is missing."""
    match node:
        case ast.Constant(value=int() | float() as value):
            return float(value)
        case ast.Name(id=name):
            found = terms.get(name)
            return None if found is None or math.isnan(found) else float(found)
        case ast.UnaryOp(op=op, operand=inner):
            operand = known_number(inner, terms)
            return -operand if operand is not None and isinstance(op, ast.USub) else operand
        case ast.BinOp(left=left, op=op, right=right):
            return _applied(_BINARY[type(op)], known_number(left, terms), known_number(right, terms))
        case ast.Call(func=ast.Name(id=name), args=args):
            return _applied(_FUNCTIONS[name], *(known_number(item, terms) for item in args))
    raise TypeError(f"{ast.dump(node)} is no checked formula")


def _applied(function: Callable[..., float], *values: float | None) -> float | None:
    if any(value is None for value in values):
        return None
    try:
        found = function(*values)
    except OverflowError:
        return math.inf
    except (ValueError, ZeroDivisionError):
        return None
    return None if math.isnan(found) else found


def known_truth(node: ast.expr, terms: Mapping[str, float | None]) -> bool | None:
    """Returns whether a condition holds; None where that hangs on what is not known."""
    match node:
        case ast.BoolOp(op=ast.And(), values=values):
            return _all([known_truth(item, terms) for item in values])
        case ast.BoolOp(values=values):
            return _opposite(_all([_opposite(known_truth(item, terms)) for item in values]))
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            return _opposite(known_truth(inner, terms))
        case ast.Compare(left=left, ops=ops, comparators=others):
            sides = [known_number(item, terms) for item in (left, *others)]
            return _all(
                [
                    None if low is None or high is None else _COMPARED[type(op)](low, high)
                    for low, op, high in zip(sides, ops, sides[1:], strict=False)
                ]
            )
    raise TypeError(f"{ast.dump(node)} is no checked condition")


def _all(parts: list[bool | None]) -> bool | None:
    """Returns whether all hold: one that does not settles it, else one that is open leaves it open."""
    if False in parts:
        return False
    return None if None in parts else True


def _opposite(part: bool | None) -> bool | None:
    return None if part is None else not part
