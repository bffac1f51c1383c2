"""Softmax and its logarithm, computed the stable way: the row's maximum is taken off first."""

from __future__ import annotations

from effbench.judge.algebra import Expr, elements, product
from effbench.judge.work import Work, formula
from effbench.records import Shape


def softmax_work(rows: Expr, n: int) -> Work:
    """Returns the work of `rows` softmaxes of n: n−1 cmp, n sub, n exp, n−1 add, n div."""
    each = rows * product(n=n)
    rest = rows * product(**{"(n−1)": n - 1})
    return Work(cmp=rest, add=each + rest, special=each, div=each)


def _rows(shape: Shape, dim: int) -> tuple[Expr, int]:
    if not shape:
        return product(rows=1), 1
    axis = dim % len(shape)
    return elements(shape[:axis] + shape[axis + 1 :], "rows"), shape[axis]


@formula("aten::_softmax", "aten::_safe_softmax", "aten::softmax")
def softmax(self: Shape, dim: int) -> Work:
    """Returns the work of a softmax along `dim`."""
    return softmax_work(*_rows(self, dim))


@formula("aten::_log_softmax", "aten::log_softmax")
def log_softmax(self: Shape, dim: int) -> Work:
    """Returns the work of x − max − log Σ exp(x − max): per row n−1 cmp, 2n sub, n exp, n−1 add, one log."""
    rows, n = _rows(self, dim)
    each = rows * product(n=n)
    rest = rows * product(**{"(n−1)": n - 1})
    return Work(cmp=rest, add=each + each + rest, special=each + rows)
