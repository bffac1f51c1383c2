"""Draws of what models are ordered by → intervals of their ranks, who may be best, and who cannot be told apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

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
"""Numbers that are held at once: 32 MB."""

_ROWS = 256
"""Models whose intervals are found at once."""


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
    best, expected = _over_draws(draws)
    return RankIntervals(low, high, best, expected)


def _over_draws(draws: Floats) -> tuple[Floats, Floats]:
    """Returns the probability of being best and the mean rank of each model, from some draws at a time."""
    count, models = draws.shape
    best, total = np.zeros((2, models))
    step = max(1, _CELLS // models)
    for start in range(0, count, step):
        found = ranks(draws[start : start + step])
        first = found == 1
        best += (first / first.sum(axis=1, keepdims=True)).sum(axis=0)
        total += found.sum(axis=0)
    return best / count, total / count


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


class _Sorted(NamedTuple):
    """Models in order of their nominal figures.

    Attributes:
        middle: (models,), ascending. scale: of the noise, whose unit it is: none of it is beyond 1.
        noise: (models, draws), by model so that neighbours are read in one go.
        single: the noise in single precision, which bounds do not feel.
        variance: (models,). usual: a standard deviation that 99 % of the models do not exceed.
        wide: those that do.
    """

    middle: Floats
    scale: float
    noise: Floats
    single: NDArray[np.float32]
    variance: Floats
    usual: float
    wide: Integers

    def rows(self) -> list[Integers]:
        """Returns models that are near each other, some at a time; wide ones apart, for they are near many."""
        models = len(self.middle)
        step = min(_ROWS, max(1, _CELLS // models))
        parts = (np.setdiff1d(np.arange(models), self.wide, assume_unique=True), self.wide)
        return [part[start : start + step] for part in parts for start in range(0, len(part), step)]

    def around(self, rows: Integers, errors: float) -> tuple[Integers, int, int]:
        """Returns (models that may be within so many standard errors of one of the rows, others below, others above).

        The standard error of a difference is at most the sum of both standard deviations.
        """
        reach = errors * (math.sqrt(self.variance[rows].max()) + self.usual) * self.scale
        first = int(np.searchsorted(self.middle, self.middle[rows[0]] - reach, side="left"))
        end = int(np.searchsorted(self.middle, self.middle[rows[-1]] + reach, side="right"))
        below, above = self.wide[self.wide < first], self.wide[self.wide >= end]
        columns = np.concatenate([below, np.arange(first, end), above])
        return columns, first - len(below), len(self.middle) - end - len(above)


def _sorted(draws: Floats, middle: Floats, order: Integers) -> _Sorted:
    noise = np.take(draws.T, order, axis=0)
    noise -= noise.mean(axis=1, keepdims=True)
    scale = float(np.abs(noise).max()) or 1.0
    noise /= scale  # sums of squares neither overflow nor vanish
    variance = np.einsum("md,md->m", noise, noise) / max(len(draws) - 1, 1)
    spread = np.sqrt(variance)
    usual = float(np.quantile(spread, 0.99, method="higher"))
    wide = np.flatnonzero(spread > usual)
    return _Sorted(middle[order], scale, noise, noise.astype(np.float32), variance, usual, wide)


def _shown(draws: Floats, middle: Floats, level: float) -> tuple[Integers, Integers]:
    """Returns the ends of the rank intervals.

    Only models that noise might turn round are compared, some at a time: what lies further apart is apart for sure.
    """
    order = np.argsort(middle, kind="stable")
    models = _sorted(draws, middle, order)
    low, high = np.empty((2, len(order)), dtype=np.int64)
    parts = models.rows()
    for rows in parts:
        low[order[rows]], high[order[rows]] = _ends(models, rows, level, len(parts))
    return low, high


def _ends(models: _Sorted, rows: Integers, level: float, parts: int) -> tuple[Integers, Integers]:
    """Returns the ends of the intervals of some models; `parts` is how many times that is done."""
    columns, lower, higher = models.around(rows, _APART)
    gap, error, size = _compared(models, rows, columns)
    near = (size < _APART) & (error > 0)
    used = _draws_used(models.noise.shape[1], int(near.sum()) * parts)
    above, below = _bounds(models.single[rows, :used], models.single[columns, :used], near, error, level)
    largest = float(max(above.max(), below.max()))
    if largest > _APART:  # few rounds have long tails
        columns, lower, higher = models.around(rows, largest)
        gap, error, size = _compared(models, rows, columns)
    low = 1 + lower + ((gap > 0) & (size > above[:, None])).sum(axis=1)
    # What ties for certain, a model with itself too, takes no better rank.
    worse = (gap < 0) & (size > below[:, None])
    high = len(models.middle) + 1 - higher - (worse | ((error == 0) & (gap == 0))).sum(axis=1)
    return low, high


def _compared(models: _Sorted, rows: Integers, columns: Integers) -> tuple[Floats, Floats, Floats]:
    """Returns differences, their standard errors, and the first in units of the second, each (rows, columns)."""
    gap = (models.middle[rows, None] - models.middle[columns]) / models.scale
    error = _errors(models.noise[rows], models.noise[columns], models.variance[rows], models.variance[columns])
    return gap, error, _sizes(gap, error)


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
