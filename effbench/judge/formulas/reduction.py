"""Reductions of n elements to m: n−m operations of their kind, and what comes after the sum."""

from __future__ import annotations

import math

from effbench.judge.algebra import ZERO, Expr, elements, product
from effbench.judge.work import NO_WORK, Work, formula
from effbench.records import Attr, Shape


def _rest(shape: Shape, out: Shape) -> Expr:
    return product(**{"(n−m)": max(math.prod(shape) - math.prod(out), 0)})


@formula("aten::sum", "aten::nansum")
def sum_(self: Shape, out: Shape) -> Work:
    """Returns n−m additions."""
    return Work(add=_rest(self, out))


@formula("aten::mean", "aten::nanmean")
def mean(self: Shape, out: Shape) -> Work:
    """Returns n−m additions and m divisions."""
    return Work(add=_rest(self, out), div=elements(out))


@formula("aten::prod")
def prod(self: Shape, out: Shape) -> Work:
    """Returns n−m multiplications."""
    return Work(mul=_rest(self, out))


@formula("aten::amax", "aten::amin", "aten::argmax", "aten::argmin", "aten::max", "aten::min", "aten::aminmax")
def extremum(self: Shape, other: Shape | None, out: Shape) -> Work:
    """Returns n−m comparisons; one per output where two tensors are compared element by element."""
    return Work(cmp=_rest(self, out) if other is None else elements(out))


@formula("aten::var", "aten::var_mean")
def variance(self: Shape, out: Shape) -> Work:
    """Returns the work of the mean (n−m add, m div), n differences, n squares, n−m add and m div."""
    rest, n, m = _rest(self, out), elements(self), elements(out)
    return Work(add=rest + n + rest, mul=n, div=m + m)


@formula("aten::std", "aten::std_mean")
def deviation(self: Shape, out: Shape) -> Work:
    """Returns the work of the variance and one root per output."""
    return variance(self, out) + Work(special=elements(out))


@formula("aten::linalg_vector_norm", "aten::norm")
def vector_norm(self: Shape, out: Shape) -> Work:
    """Returns the work of (Σ |x|ᵖ)^(1/p) for p = 2: n mul, n−m add, m roots."""
    return Work(mul=elements(self), add=_rest(self, out), special=elements(out))


@formula("aten::logsumexp")
def logsumexp(self: Shape, out: Shape) -> Work:
    """Returns the work of max + log Σ exp(x − max)."""
    n, m, rest = elements(self), elements(out), _rest(self, out)
    return Work(cmp=rest, add=n + rest + m, special=n + m)


@formula("aten::cumsum", "aten::cumsum_")
def cumsum(self: Shape, dim: int) -> Work:
    """Returns d−1 additions per row of d along `dim`."""
    size = self[dim] if self else 1
    return Work(add=product(**{"(n−rows)": math.prod(self) - math.prod(self) // max(size, 1)}))


@formula("aten::trace")
def trace(self: Shape) -> Work:
    """Returns d−1 additions for a diagonal of d."""
    return Work(add=product(**{"(d−1)": max(min(self) - 1, 0)}))


@formula("aten::index_put", "aten::index_put_", "aten::_index_put_impl_", "aten::_unsafe_index_put")
def index_put(self: Shape, values: Shape, accumulate: bool) -> Work:
    """Returns one addition per element written where it is added to what is there, else nothing."""
    return Work(add=elements(values)) if accumulate else NO_WORK


@formula("aten::sort")
def sort(self: Shape, dim: int) -> Work:
    """Returns nothing for rows of one element; how often longer ones are compared depends on them."""
    return NO_WORK if not self or self[dim] < 2 else Work(unknown=frozenset({"cmp"}))


@formula("aten::index_add", "aten::index_add_")
def index_add(source: Shape, alpha: Attr) -> Work:
    """Returns one addition per element of the source, and one multiplication where `alpha` scales it."""
    n = elements(source)
    return Work(add=n, mul=n if alpha not in (None, 1) else ZERO)


@formula("aten::scatter_add", "aten::scatter_add_")
def scatter_add(index: Shape) -> Work:
    """Returns one addition per element that an index is given for."""
    return Work(add=elements(index))
