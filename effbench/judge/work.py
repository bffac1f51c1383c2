"""What an op does, by kind of arithmetic, and the table of formulas that say it.

A formula is a plain function of shapes. Its parameters are named as the op's schema names its arguments: a
tensor argument arrives as its shape, a list of tensors as a tuple of shapes, an absent tensor as None, anything
else as its value. `out` is the shape of the first tensor returned, `outs` the shapes of all. It returns `Work`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from effbench.errors import InputError
from effbench.judge.algebra import ZERO, Expr, product
from effbench.records import OpCall, Shape, Value
from effbench.registry import Registry

KINDS = ("mac", "add", "mul", "div", "special", "cmp")


@dataclass(frozen=True, slots=True)
class Work:
    """Numbers of operations by kind.

    Attributes:
        mac: a multiply with its accumulate in an inner product.
        add: additions and subtractions. mul, div: multiplications, divisions.
        special: exp, log, sqrt, rsqrt, erf, tanh, pow, sin, cos.
        cmp: comparisons, minima and maxima.
        activations: elements that the op's inner products output; None for those of its result.
        unknown: kinds of which the op does an amount that is not known; they are ZERO above.
    """

    mac: Expr = ZERO
    add: Expr = ZERO
    mul: Expr = ZERO
    div: Expr = ZERO
    special: Expr = ZERO
    cmp: Expr = ZERO
    activations: Expr | None = None
    unknown: frozenset[str] = frozenset()

    def __add__(self, other: Work) -> Work:
        """Returns the work of both, done by one op."""
        sums = {kind: getattr(self, kind) + getattr(other, kind) for kind in KINDS}
        activations = other.activations if self.activations is None else self.activations
        return Work(**sums, activations=activations, unknown=self.unknown | other.unknown)


NO_WORK = Work()

FormulaFunction = Callable[..., "Work | int"]
Function = TypeVar("Function", bound=FormulaFunction)


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula with the argument names it wants."""

    function: FormulaFunction
    wants: tuple[str, ...]

    def work(self, call: OpCall, values: Sequence[Value]) -> Work:
        """Returns the work of one call; a formula that returns a bare integer means MACs."""
        arguments = {name: _argument(name, call, values) for name in self.wants}
        result = self.function(**arguments)
        return result if isinstance(result, Work) else Work(mac=product(macs=result))


formulas: Registry[Formula] = Registry("op formula")


def formula(*ops: str) -> Callable[[Function], Function]:
    """Returns a decorator that registers a formula for each op, named as in "aten::mm".

    Raises:
        InputError: an op has a formula already, or its name lacks the namespace.
    """
    for op in ops:
        if "::" not in op:
            raise InputError(f"op {op!r} lacks its namespace: write it as {'aten::' + op!r} or 'mylib::{op}'")

    def enter(function: Function) -> Function:
        entry = Formula(function, tuple(inspect.signature(function).parameters))
        for op in ops:
            formulas.add(op, entry)
        return function

    return enter


def _argument(name: str, call: OpCall, values: Sequence[Value]) -> Any:
    if name == "out" and "out" not in call.inputs:
        return values[call.outputs[0]].shape if call.outputs else ()
    if name == "outs":
        return tuple(values[number].shape for number in call.outputs)
    if name in call.inputs:
        return _shapes(call.inputs[name], values)
    return call.attrs.get(name)


def _shapes(ids: int | tuple[int, ...], values: Sequence[Value]) -> Shape | tuple[Shape, ...]:
    if isinstance(ids, int):
        return values[ids].shape
    return tuple(values[number].shape for number in ids)
