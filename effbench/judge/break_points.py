"""How much the error must weigh for another model to win: the lower envelope of log_cost + k·error over k ≥ 0."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from effbench.errors import InputError
from effbench.stats import Floats


class Reign(NamedTuple):
    """The model that wins for all k from `k_from` to `k_to`; `winner` is its place among those given.

    At `k_to`, which is infinite in the last one, it ties with the next winner.
    """

    k_from: float
    k_to: float
    winner: int


def break_points(log_cost: ArrayLike, error: ArrayLike) -> tuple[Reign, ...]:
    """Returns the winners of log_cost + k·error, lower is better, from k = 0 on, each with its interval of k.

    The figures are taken as the exact binary numbers that they are and compared as fractions, so no winner is lost or
    made up by rounding; only the ends that are returned are rounded. A model that ties for the best at a single k wins
    nowhere. Of models with the same figures in both, which win together, the first one given is named.

    Args:
        log_cost: (models,), the logarithm of what stands beside the error's term.
        error: (models,), in the unit that k is the reciprocal of.

    Raises:
        InputError: no models, shapes that differ, or a figure that is not finite.
    """
    costs, errors = np.asarray(log_cost, dtype=np.float64), np.asarray(error, dtype=np.float64)
    if costs.ndim != 1 or costs.shape != errors.shape or not len(costs):
        raise InputError(f"break-points of costs {costs.shape} and errors {errors.shape}: one of each per model")
    if not (np.isfinite(costs).all() and np.isfinite(errors).all()):
        raise InputError("break-points need finite costs and errors: leave out models whose figures are unknown")
    hull: list[tuple[int, Fraction]] = []
    for model in _cheapest_first(costs, errors):
        since = Fraction(0)
        while hull:
            last, begun = hull[-1]
            since = _crossing(_line(costs, errors, last), _line(costs, errors, model))
            if since > begun:
                break
            hull.pop()  # it would begin to win only where the new one wins already
        hull.append((model, since))
    ends = [_rounded(begun) for _, begun in hull[1:]] + [math.inf]
    return tuple(Reign(_rounded(begun), end, model) for (model, begun), end in zip(hull, ends, strict=True))


def tie_point(log_cost: tuple[float, float], error: tuple[float, float]) -> float | None:
    """Returns the smallest k ≥ 0 at which two models' log_cost + k·error are equal; None where there is none.

    Equal costs tie at 0, whatever the errors are. Computed as `break_points` is.

    Raises:
        InputError: a figure is not finite.
    """
    if not all(map(math.isfinite, (*log_cost, *error))):
        raise InputError("a tie needs finite costs and errors")
    if log_cost[0] == log_cost[1]:
        return 0.0
    if error[0] == error[1]:
        return None
    first, second = ((Fraction(cost), Fraction(wrong)) for cost, wrong in zip(log_cost, error, strict=True))
    found = _crossing(first, second)
    return _rounded(found) if found >= 0 else None


def _cheapest_first(costs: Floats, errors: Floats) -> list[int]:
    """Returns the models that win at some k or might, by ascending cost: each with less error than all before it."""
    order = np.lexsort((np.arange(len(costs)), errors, costs))
    sorted_errors = errors[order]
    least = np.minimum.accumulate(sorted_errors)
    fresh = np.append(True, sorted_errors[1:] < least[:-1])
    return [int(model) for model in order[fresh]]


def _line(costs: Floats, errors: Floats, model: int) -> tuple[Fraction, Fraction]:
    return Fraction(float(costs[model])), Fraction(float(errors[model]))


def _crossing(first: tuple[Fraction, Fraction], second: tuple[Fraction, Fraction]) -> Fraction:
    """Returns the k at which two lines (cost, error) of different errors meet."""
    return (second[0] - first[0]) / (first[1] - second[1])


def _rounded(k: Fraction) -> float:
    """Returns the nearest float; infinity for a k beyond all floats."""
    try:
        return float(k)
    except OverflowError:
        return math.inf
