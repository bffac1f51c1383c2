"""Draws of what models are ordered by → intervals of their ranks, who may be best, and who cannot be told apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from effbench.errors import InputError
from effbench.stats import Floats

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

_APART = 6.0
"""Standard errors beyond which two models are apart whatever else is compared: they take no part in the bound."""

_WORK = 400_000_000
"""Differences that are looked at for the bounds: about 2 s; where there are more, the first draws do."""

FEWEST_DRAWS = 200
"""A 95 % point needs so many, whatever the work."""

_CELLS = 4_000_000


@dataclass(frozen=True, slots=True)
class RankIntervals:
    """Where models may stand, arrays of shape (models,); rank 1 is best, and models that tie share the better rank.

    Attributes:
        low, high: ends of the interval of each rank.
        best: probability of being best; models that tie for it in a draw share that draw.
        expected: mean rank over the draws.
    """

    low: Integers
    high: Integers
    best: Floats
    expected: Floats


def ranks(order: ArrayLike) -> Integers:
    """Returns the ranks along the last axis, from 1 for the lowest; equal values share the lowest rank of theirs."""
    values = np.asarray(order, dtype=np.float64)
    places = np.argsort(values, axis=-1, kind="stable")
    ordered = np.take_along_axis(values, places, axis=-1)
    starts = np.zeros(values.shape, dtype=np.int64)
    starts[..., 1:] = np.where(ordered[..., 1:] != ordered[..., :-1], np.arange(1, values.shape[-1]), 0)
    found = np.empty_like(starts)
    np.put_along_axis(found, places, np.maximum.accumulate(starts, axis=-1) + 1, axis=-1)
    return found


def rank_intervals(order: ArrayLike, level: float = 0.95, nominal: ArrayLike | None = None) -> RankIntervals:
    """Returns an interval of each model's rank that holds its true rank with probability `level`.

    A model's low end is 1 and the models shown to be better than it, its high end leaves out those shown to be worse.
    A model is shown to be better by a difference that is larger, in its own standard error, than the largest of this
    model's differences from all others is by chance in `level` of the draws (a studentised maximum: looking at many
    neighbours makes none of them different); worse likewise. Each pair can be wrong in one direction only, so the two
    share the error. Mogstad, Romano, Shaikh and Wilhelm, "Inference for ranks with applications to mobility across
    neighbourhoods and academic achievement across countries", Review of Economic Studies 91 (2024), who bound both
    directions together. The quantiles of the draws' ranks are shorter, and too short among near ties: each draw adds
    noise to figures that hold noise already, which moves both ends of a table to its middle. What both cover, and how
    long they are: `results/ranking/coverage.md`. Models that are equal in every draw tie for certain.

    Args:
        order: (draws, models), lower is better; a term that is shared by models makes them move together.
        level: probability of each interval.
        nominal: (models,), what the models are ordered by without noise; None for the mean of the draws.

    Raises:
        InputError: a value is not finite, there are no draws or models, or the level is not between 0 and 1.
    """
    draws = _draws_of(order)
    if not 0 < level < 1:
        raise InputError(f"a level of {level}: give a probability such as .95")
    middle = draws.mean(axis=0) if nominal is None else _nominal_of(nominal, draws)
    low, high = _shown(draws, middle, level)
    found = ranks(draws)
    first = found == 1
    return RankIntervals(low, high, (first / first.sum(axis=1, keepdims=True)).mean(axis=0), found.mean(axis=0))


def tie_groups(
    order: ArrayLike, nominal: ArrayLike, level: float = 0.95, intervals: RankIntervals | None = None
) -> Integers:
    """Returns the number of each model's group, shape (models,), from 1 on and never falling down the table.

    A group is a leader and the models right below it whose rank interval reaches up to the leader's rank: nothing shows
    that they stand lower than it. The first model shown to stand lower leads the next group. So the first group holds
    all models that may be best, down to the first one that may not. Models with equal nominal figures share a group.

    Args:
        order: (draws, models), as `rank_intervals` takes it.
        nominal: (models,), what the table is ordered by, lower is better.
        level: of the intervals.
        intervals: what `rank_intervals` gave for these draws, so that they are not computed again.

    Raises:
        InputError: as `rank_intervals` does.
    """
    given = _draws_of(order)
    middle = _nominal_of(nominal, given)
    low = (intervals or rank_intervals(given, level, middle)).low
    place = ranks(middle)
    # Of models with one nominal figure the one that reaches highest speaks for all: no order among them matters.
    reach = np.full(len(place) + 1, len(place) + 1)
    np.minimum.at(reach, place, low)
    groups = np.zeros(len(place) + 1, dtype=np.int64)
    group, leader = 0, 0
    for rank in np.unique(place):
        if not group or reach[rank] > leader:
            group, leader = group + 1, int(rank)
        groups[rank] = group
    return groups[place]


def pair_probability(order: ArrayLike, first: int, second: int) -> float:
    """Returns the share of draws in which the first of two models is better; one in which they tie counts half."""
    draws = _draws_of(order)
    a, b = draws[:, first], draws[:, second]
    return float((a < b).mean() + (a == b).mean() / 2)


def _draws_of(order: ArrayLike) -> Floats:
    draws = np.asarray(order, dtype=np.float64)
    if draws.ndim != 2 or not draws.size:
        raise InputError(f"draws of shape {draws.shape}: intervals of ranks need (draws, models), one of each at least")
    if not np.isfinite(draws).all():
        raise InputError("a draw is not finite: leave out models whose figures are unknown, order by the logarithm")
    return draws


def _nominal_of(nominal: ArrayLike, draws: Floats) -> Floats:
    middle = np.asarray(nominal, dtype=np.float64)
    if middle.shape != draws.shape[1:] or not np.isfinite(middle).all():
        raise InputError(f"nominal figures of shape {middle.shape}: one finite figure for each of {draws.shape[1]}")
    return middle


def _shown(draws: Floats, middle: Floats, level: float) -> tuple[Integers, Integers]:
    """Returns the ends of the rank intervals, some models at a time."""
    count, models = draws.shape
    # By model, so that neighbours are read in one go; in single precision, which the bound does not feel.
    noise = np.ascontiguousarray((draws - draws.mean(axis=0)).T)
    scale = float(np.abs(noise).max()) or 1.0
    noise /= scale  # sums of squares neither overflow nor vanish
    single = noise.astype(np.float32)
    variance = np.einsum("md,md->m", noise, noise) / max(count - 1, 1)
    low, high = np.empty((2, models), dtype=np.int64)
    step = max(1, _CELLS // models)
    steps = [slice(start, min(start + step, models)) for start in range(0, models, step)]
    for part in steps:
        gap = (middle[part, None] - middle) / scale
        error = _errors(noise[part], noise, variance[part], variance)
        size = _sizes(gap, error)
        near = (size < _APART) & (error > 0)
        used = _draws_used(count, int(near.sum()) * len(steps))
        above, below = _bounds(single[part, :used], single[:, :used], near, error, level)
        low[part] = 1 + ((gap > 0) & (size > above[:, None])).sum(axis=1)
        # What ties for certain, a model with itself too, takes no better rank.
        worse = (gap < 0) & (size > below[:, None])
        high[part] = models + 1 - (worse | ((error == 0) & (gap == 0))).sum(axis=1)
    return low, high


def _errors(part: Floats, noise: Floats, of_part: Floats, variance: Floats) -> Floats:
    """Returns the standard errors of differences, paired; 0 where rounding is all that is left of one."""
    count = noise.shape[1]
    squares = of_part[:, None] + variance - 2 * (part @ noise.T) / max(count - 1, 1)
    squares[squares <= 1e-12 * (of_part[:, None] + variance)] = 0.0
    return np.asarray(np.sqrt(squares), dtype=np.float64)


def _sizes(gap: Floats, error: Floats) -> Floats:
    """Returns differences in their standard errors; certain ones are infinite, or 0 where there is none."""
    found = np.where(gap == 0, 0.0, np.inf)
    np.divide(np.abs(gap), error, out=found, where=error > 0)
    return found


def _draws_used(count: int, pairs: int) -> int:
    return min(count, max(FEWEST_DRAWS, _WORK // max(pairs, 1)))


def _bounds(
    part: NDArray[np.float32], noise: NDArray[np.float32], near: Flags, error: Floats, level: float
) -> tuple[Floats, Floats]:
    """Returns for each model what its largest difference above near ones, and below them, stays under by chance.

    With a single one near the level is that of a two-sided test of the pair, as two models alone are compared.
    """
    found = np.zeros((2, len(part)))
    for place, own in enumerate(part):
        others = np.flatnonzero(near[place])
        if len(others):
            moved = own - noise[others]
            moved *= (1 / error[place, others, None]).astype(np.float32)
            share = level if len(others) > 1 else (1 + level) / 2
            found[:, place] = np.quantile(np.stack([moved.max(axis=0), -moved.min(axis=0)]), share, axis=1)
    return found[0], found[1]
