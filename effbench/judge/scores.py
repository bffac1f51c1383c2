"""Scores: one number for the trade between cost and error."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from effbench.registry import Registry


@dataclass(frozen=True, slots=True)
class Facts:
    """What a score may read of one model: parameters, FLOPs, and the error in the ranking's unit."""

    params: int
    flops: int
    error: float


@dataclass(frozen=True, slots=True)
class Score:
    """A score, lower is better.

    Attributes:
        formula: as people write it, "ERROR" standing for the error's name.
        value: the score itself; may overflow to infinity.
        log: its natural logarithm, which orders the models.
        log_cost: the logarithm of what stands beside the error's term; differences of it are exchange rates.
        error_weight: what one unit of error adds to the logarithm.
    """

    name: str
    formula: str
    value: Callable[[Facts], float]
    log: Callable[[Facts], float]
    log_cost: Callable[[Facts], float]
    error_weight: float


scores: Registry[Score] = Registry("score")


def _product(facts: Facts) -> float:
    try:
        return facts.params / 1e6 * (facts.flops / 1e9) * math.exp(facts.error)
    except OverflowError:
        return math.inf


def _log_cost(facts: Facts) -> float:
    return math.log(facts.params) - math.log(1e6) + math.log(facts.flops) - math.log(1e9)


scores.add(
    "params_flops_exp",
    Score(
        name="params_flops_exp",
        formula="params/1e6 × FLOPs/1e9 × e^ERROR",
        value=_product,
        log=lambda facts: _log_cost(facts) + facts.error,
        log_cost=_log_cost,
        error_weight=1.0,
    ),
)
