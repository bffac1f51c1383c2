"""Where the calls of a fresh process become steady: found in what they took, not guessed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from effbench.measure.timing.entrant import Now, Session

_ENOUGH = 10
"""Steady calls in a row before a process counts as warm."""

_NEARLY = 1.2
"""Cuts whose score is this near to the best are as good. Of 300 steady calls of sd 5 % the best cut leaves out 44 or
more in one of 20 draws (10,000), the first good one none in 98 of 100. It costs little: after half as much again that
falls by e every 10 calls the median left is .47 % off (root mean square of 2,000 draws), with the best cut .42 %; after
a step at call 100 .45 and .46 %."""

_BATCH_S = 0.05
_BATCH = 10


@dataclass(frozen=True, slots=True)
class WarmUpLimit:
    """How long a process is warmed up.

    Attributes:
        least_calls: calls after the first one before it may count as warm.
        most_calls: calls after the first one after which it is taken as it is.
        most_s: seconds after the first call after which it is taken as it is; a call that began is finished.
        most_first_s: after a longer first call no other is spent on warming up.
    """

    least_calls: int = _ENOUGH
    most_calls: int = 200
    most_s: float = float("inf")
    most_first_s: float = float("inf")


@dataclass(frozen=True, slots=True)
class WarmedUp:
    """What a process took until it was warm.

    Attributes:
        first_s: the first call.
        samples_s: the calls after it.
        steady: whether they ended steady.
        spent_s: what passed on the clock after the first call.
    """

    first_s: float
    samples_s: tuple[float, ...]
    steady: bool
    spent_s: float


def steady_from(samples_s: Sequence[float]) -> int:
    """Returns the number of calls to leave out before the steady ones: at least the first, at most three in four.

    The first cut with nearly the smallest squared standard error of the mean of what is left (MSER: White, "An
    effective truncation heuristic for bias reduction in simulation output", Simulation 69, 1997), here on medians of up
    to five neighbouring log times, which no single interrupted call moves.

    Args:
        samples_s: every call of one process, in order, all above 0.
    """
    count = len(samples_s)
    if count < 4:
        return min(1, count)
    together = min(5, max(1, count // 20))
    logs = np.log(np.asarray(samples_s[1:], dtype=np.float64))
    groups = len(logs) // together
    # What does not fill a group is left at the front, where it matters least.
    front = len(logs) - groups * together
    medians = np.median(logs[front:].reshape(groups, together), axis=-1)
    left = np.arange(groups, 0, -1)
    sums, squares = (np.cumsum(each[::-1])[::-1] for each in (medians - medians[-1], (medians - medians[-1]) ** 2))
    scores = (squares - sums**2 / left) / left**2
    allowed = scores[: max(1, groups - max(3, groups // 4))]
    cut = int(np.argmax(allowed <= _NEARLY * allowed.min()))
    return 1 + (front + cut * together if cut else 0)


def is_steady(samples_s: Sequence[float]) -> bool:
    """Returns whether at least half of the calls, and ten, are steady ones that do not still get faster."""
    steady = samples_s[steady_from(samples_s) :]
    return len(steady) >= max(_ENOUGH, len(samples_s) / 2) and not _is_falling(steady)


def _is_falling(samples_s: Sequence[float]) -> bool:
    """Returns whether later calls are faster beyond chance: one-sided 5 %, by Mann's and Kendall's trend test."""
    values = np.asarray(samples_s, dtype=np.float64)
    count = len(values)
    rises = np.sign(values[None, :] - values[:, None])[np.triu_indices(count, 1)].sum()
    return bool(rises < -1.645 * math.sqrt(count * (count - 1) * (2 * count + 5) / 18))


def warm_up(session: Session, limit: WarmUpLimit, now: Now) -> WarmedUp:
    """Returns the calls of a fresh process until they are steady or a limit is reached.

    Raises:
        Died: the process ended.
    """
    (first_s,) = session.call(1)
    begin_s = now()
    if first_s > limit.most_first_s:
        return WarmedUp(first_s, (), False, 0.0)
    samples: list[float] = []
    steady, batch = False, 1
    least = max(limit.least_calls, _ENOUGH)
    while not (steady and len(samples) >= least):
        if len(samples) >= limit.most_calls or now() - begin_s >= limit.most_s:
            break
        samples += session.call(min(batch, limit.most_calls - len(samples)))
        left_s = limit.most_s - (now() - begin_s)
        batch = max(1, int(min(_BATCH, min(_BATCH_S, left_s) / max(samples[-1], 1e-9))))
        steady = is_steady((first_s, *samples))
    return WarmedUp(first_s, tuple(samples), steady, now() - begin_s)
