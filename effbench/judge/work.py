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
from effbench.judge.blame import is_theirs, is_users, raised, wrong
from effbench.records import OpCall, Value
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
    """A formula with the argument names it wants; what a user's returns is looked at before it is believed."""

    function: FormulaFunction
    wants: tuple[str, ...]
    is_users: bool = False

    def work(self, call: OpCall, values: Sequence[Value]) -> Work:
        """Returns the work of one call; a formula that returns a bare integer means MACs.

        Raises:
            InputError: a user's formula raised, or returned neither a count nor `Work`.
        """
        return self.of(call.op, self.arguments(call, values))

    def arguments(self, call: OpCall, values: Sequence[Value]) -> tuple[Any, ...]:
        """Returns what the formula is given of a call, in the order of `wants`."""
        inputs, attrs, found = call.inputs, call.attrs, list[Any]()
        for name in self.wants:
            ids = inputs.get(name)
            if isinstance(ids, int):
                found.append(values[ids].shape)
            elif ids is not None:
                found.append(tuple([values[number].shape for number in ids]))
            elif name == "out":
                found.append(values[call.outputs[0]].shape if call.outputs else ())
            elif name == "outs":
                found.append(tuple([values[number].shape for number in call.outputs]))
            else:
                found.append(attrs.get(name))
        return tuple(found)

    def of(self, op: str, arguments: tuple[Any, ...]) -> Work:
        """Returns the work of a call of an op with these arguments; raises as `work` does."""
        try:
            result = self.function(**dict(zip(self.wants, arguments, strict=True)))
        except Exception as error:
            if not is_theirs(self.function, error):
                raise
            given = ", ".join(f"{name}={value!r}" for name, value in zip(self.wants, arguments, strict=True))
            raise raised(f"the formula of {op}", self.function, error, given) from error
        if self.is_users and not _is_work(result):
            wanted = "its MACs, an int of 0 or more, or a Work of effbench.product(…)s"
            raise wrong(f"the formula of {op}", self.function, result, wanted)
        return result if isinstance(result, Work) else Work(mac=product(macs=result))


def _is_work(result: object) -> bool:
    """Returns whether it is a count of MACs, or work whose every kind is an expression of counts."""
    if isinstance(result, Work):
        amounts = [getattr(result, kind) for kind in KINDS]
        amounts += [] if result.activations is None else [result.activations]
        return all(isinstance(amount, Expr) and _is_count(amount.value) for amount in amounts)
    return _is_count(result)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


class Works:
    """The work of op calls, each formula asked once for equal arguments: most calls of a model repeat another."""

    def __init__(self, table: Registry[Formula]) -> None:
        self._table = table
        self._known: dict[tuple[Any, ...], Work] = {}

    def of(self, call: OpCall, values: Sequence[Value]) -> Work | None:
        """Returns the work of one call; None where the op has no formula."""
        entry = self._table.find(call.op)
        if entry is None:
            return None
        arguments = entry.arguments(call, values)
        key = (call.op, arguments, tuple(map(type, arguments)))  # 2 and 2.0 are equal, and give an int and a float
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = entry.of(call.op, arguments)
        return known


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
        entry = Formula(function, tuple(inspect.signature(function).parameters), is_users(function))
        for op in ops:
            formulas.add(op, entry)
        return function

    return enter
