"""The best batch by intervals: those that came near the highest throughput are measured again, in rounds.

One figure of each batch finds the neighbourhood and no more: figures of one batch in two processes differ by percents.
Rounds go through the candidates in random order, so that a slow minute hits all of them alike, and batches are compared
round by round.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from effbench.measure.timing.entrant import OutOfMemory
from effbench.measure.timing.throughput import BestBatch, Throughput
from effbench.stats import ERROR, Interval, centre, student_quantile, typical

ROUNDS = 6
"""As many as the fewest pairs of processes that a verdict needs. All of them are taken before anything is concluded."""
_NEAR = 0.1
"""A batch whose single figure is this far below the highest, relatively, is not measured again."""
_MOST = 4


@dataclass(frozen=True, slots=True)
class Repeated:
    """A batch that was measured again.

    Attributes:
        samples_per_s: of each round.
        typical: of a typical round, with its 95 % interval.
        within_noise: whether it was not shown to serve less than the batch of the highest typical throughput. The batch
            that truly serves most is within noise in 95 % of all runs, however many candidates there are.
    """

    batch: int
    samples_per_s: tuple[float, ...]
    typical: Interval
    within_noise: bool


@dataclass(frozen=True, slots=True)
class Confirmed:
    """Where a search ended, and what the repetitions say of the best of it.

    Attributes:
        search: with single figures.
        best: the smallest one whose typical throughput comes within the tolerance of the highest.
        repeats: of the candidates, smallest first.
    """

    search: BestBatch
    best: Repeated
    repeats: tuple[Repeated, ...]

    @property
    def within_noise(self) -> tuple[int, ...]:
        """Returns the other batches that were not shown to serve less than the highest."""
        return tuple(one.batch for one in self.repeats if one.within_noise and one is not self.best)


def confirmed(
    search: BestBatch,
    throughput: Callable[[int], float],
    chance: random.Random,
    on_round: Callable[[int, Sequence[int]], None] = lambda number, batches: None,
    tolerance: float = 0.01,
) -> Confirmed:
    """Returns the best batch of a search by repetitions of those that came near the highest throughput.

    Args:
        search: where it ended.
        throughput: samples a second at a batch, from a fresh process each time.
        chance: of the order in each round.
        on_round: told the number of each round, and its batches, before it.
        tolerance: a batch this much below the highest, relatively, is as good, and the smaller one is taken.

    Raises:
        OutOfMemory: none of the candidates fits any more.
    """
    values: dict[int, list[float]] = {batch: [] for batch in candidates(search)}
    for number in range(ROUNDS):
        on_round(number, sorted(values))
        for batch in chance.sample(sorted(values), len(values)):
            try:
                values[batch].append(throughput(batch))
            except OutOfMemory:
                del values[batch]  # it fitted once, which is not enough to be recommended
    if not values:
        raise OutOfMemory("no batch that was tried fits into memory a second time")
    repeats = judged(values)
    best = max(repeats, key=lambda one: one.typical.estimate).typical.estimate
    good = next(one for one in repeats if one.typical.estimate >= (1 - tolerance) * best)
    return Confirmed(replace(search, best=Throughput(good.batch, good.typical.estimate)), good, repeats)


def candidates(search: BestBatch) -> tuple[int, ...]:
    """Returns the batches whose single figures are near the highest: the highest few, the search's best among them."""
    known = {item.batch: item.samples_per_s for item in search.tried if item.samples_per_s is not None}
    most = max(known.values())
    near = [batch for batch, reached in known.items() if reached >= (1 - _NEAR) * most and batch != search.best.batch]
    highest = sorted(near, key=lambda batch: (-known[batch], batch))[: _MOST - 1]
    return tuple(sorted((search.best.batch, *highest)))


def judged(values: Mapping[int, Sequence[float]]) -> tuple[Repeated, ...]:
    """Returns what the rounds say of each batch, smallest first.

    Each batch is tested one-sided against the one of the highest mean, at 5 % over all of them together (Bonferroni):
    whichever is truly best, each of the others outdoes it by chance that seldom. It is the set of multiple comparisons
    with the best (Hsu, Annals of Statistics 9, 1981) with wider limits.

    Args:
        values: samples a second of each round, by batch; at least two rounds.
    """
    logs = {batch: np.log(np.asarray(each, dtype=np.float64)) for batch, each in sorted(values.items())}
    top = max(logs, key=lambda batch: float(centre(logs[batch]).mean))
    error = 2 * ERROR / max(len(logs) - 1, 1)
    found = []
    for batch, own in logs.items():
        ahead = centre(logs[top] - own)
        limit = student_quantile(error, ahead.freedom) * float(ahead.standard_error)
        interval = typical(own)
        assert interval is not None
        within = batch == top or float(ahead.mean) <= limit or math.isclose(float(ahead.mean), 0, abs_tol=1e-12)
        found.append(Repeated(batch, tuple(values[batch]), interval, within))
    return tuple(found)
