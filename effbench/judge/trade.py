"""What a leaderboard says as a whole: its front, how the winner hangs on the error's weight, and how it orders time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from effbench.judge.break_points import break_points
from effbench.judge.pareto import hypervolume
from effbench.judge.scores.dead import spearman
from effbench.judge.scores.kinds import Score
from effbench.judge.terms import Floats, Terms
from effbench.records.evaluation import Direction

SCALES: Mapping[str, tuple[float, str]] = {
    "params": (1e6, "M params"),
    "macs": (1e9, "GMACs"),
    "flops": (1e9, "GFLOPs"),
    "latency": (1e-3, "ms"),
    "memory": (2.0**20, "MiB"),
    "energy": (1.0, "J"),
}
"""How people read a term: what one unit of theirs is in base units, and its name."""

_BLOCK = 1024


class Reign(NamedTuple):
    """The models that win while the error weighs `k_from` to `k_to`."""

    k_from: float
    k_to: float
    model: str


class Volume(NamedTuple):
    """What the front dominates up to a reference point, in the units of its axes."""

    value: float
    reference: tuple[float, ...]
    units: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Times:
    """How the score's order agrees with measured time.

    Attributes:
        of: "call" or, where calls are of different batches, "sample".
        models: whose time is known. spearman: rank correlation of score and time; None where one is constant.
        reversed: pairs of which the one with the better score is slower. pairs: all pairs.
    """

    of: str
    models: int
    spearman: float | None
    reversed: int
    pairs: int


@dataclass(frozen=True, slots=True)
class Trade:
    """What is said of one leaderboard as a whole; None where it cannot be said.

    Attributes:
        models: that have a score. on_front: of them, those that no other one dominates.
        axes: the terms that the front is about.
        weight: what `k` in `reigns` multiplies: the name of the score's parameter, else "weight".
        reigns: the winners by the weight of the error, from 0 on; empty where the score has no such weight.
        k: the weight as it is.
    """

    models: int
    on_front: int
    axes: tuple[str, ...]
    volume: Volume | None = None
    weight: str = ""
    k: float | None = None
    reigns: tuple[Reign, ...] = ()
    times: Times | None = None


def volume_of(terms: Terms, senses: Mapping[str, Direction], unit: str) -> Volume | None:
    """Returns the hypervolume over the terms, in the units that people read; None for other than two or three terms.

    Args:
        terms: those that the score reads, each of shape (models,).
        senses: which values of each are better.
        unit: of the error.
    """
    if len(senses) not in (2, 3):
        return None
    axes = [_axis(term, terms[term], sense, unit) for term, sense in senses.items()]
    found = hypervolume(np.column_stack([axis.values for axis in axes]), senses=[axis.sense for axis in axes])
    return Volume(found.volume, found.reference, tuple(axis.unit for axis in axes))


class _Axis(NamedTuple):
    values: Floats
    sense: Direction
    unit: str


def _axis(term: str, values: Floats, sense: Direction, unit: str) -> _Axis:
    if term == "throughput":  # as the time of a sample: a rate has no worst value to measure from
        return _Axis(1e3 / values, "lower", "ms a sample")
    scale, name = SCALES.get(term, (1.0, unit if term == "error" else term))
    return _Axis(values / scale, sense, name)


def cost_and_weight(score: Score, terms: Terms) -> tuple[Floats, float] | None:
    """Returns (the order without its error, what one unit of error adds to it); None where that is not constant.

    A registered score says its slope. A formula is asked: its order at errors of 0, 1 and 2 and at the models' own must
    lie on lines of one slope.
    """
    if "error" not in score.reads or score.gate is not None:
        return None
    at = [score.order({**terms, "error": np.full_like(terms["error"], error)}) for error in (0.0, 1.0, 2.0)]
    if not all(np.isfinite(one).all() for one in at):
        return None
    slope = score.slopes.get("error")
    if slope is None:
        slopes = np.concatenate([at[1] - at[0], at[2] - at[1]])
        slope = float(np.median(slopes)) if len(slopes) else 0.0
        if not np.allclose(slopes, slope, rtol=1e-9, atol=1e-9):
            return None
        if not np.allclose(score.order(terms), at[0] + slope * terms["error"], rtol=1e-9, atol=1e-9):
            return None
    return (at[0], slope) if slope > 0 else None


def reigns_of(log_cost: Floats, errors: Floats, names: Sequence[str], per_k: float) -> tuple[Reign, ...]:
    """Returns the winners of log_cost + k·per_k·error from k = 0 on."""
    found = break_points(log_cost, errors)
    return tuple(Reign(one.k_from / per_k, one.k_to / per_k, names[one.winner]) for one in found)


def agreement(orders: Floats, times_s: Floats, of: str = "call") -> tuple[Times, NDArray[np.int64]]:
    """Returns how an order agrees with time, and for each model how many with a better score are slower.

    Args:
        orders: (models,), lower is better. times_s: (models,), NaN where unknown; such a model counts 0.
        of: what the times are of.
    """
    known = np.flatnonzero(~np.isnan(times_s))
    counts = np.zeros(len(orders), dtype=np.int64)
    counts[known] = slower_above(orders[known], times_s[known])
    models = len(known)
    correlation = spearman(orders[known], times_s[known])
    return Times(of, models, correlation, int(counts.sum()), models * (models - 1) // 2), counts


def slower_above(orders: Floats, latencies_s: Floats) -> NDArray[np.int64]:
    """Returns for each model how many have a strictly better order and a strictly longer time."""
    # Of equal orders the fastest comes first, so that none of them has a slower one above.
    sequence = np.lexsort((latencies_s, orders))
    times = latencies_s[sequence]
    counts = np.empty(len(times), dtype=np.int64)
    seen = np.empty(0)
    for start in range(0, len(times), _BLOCK):
        block = times[start : start + _BLOCK]
        before = len(seen) - np.searchsorted(seen, block, side="right")
        within = np.tril(block[None, :] > block[:, None], -1).sum(axis=1)
        counts[start : start + _BLOCK] = before + within
        seen = np.sort(np.concatenate([seen, block]), kind="stable")
    found = np.empty_like(counts)
    found[sequence] = counts
    return found
