"""What becomes of many runs that are looked at after each new value and end with their verdict."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from effbench.stats.intervals import look
from effbench.stats.looks import Looks
from effbench.stats.student import ERROR, Floats

SLOWER, FASTER, SAME_TIME, UNDECIDED = 1, -1, 2, 0


class Settled(NamedTuple):
    """Each run's verdict (1 slower, −1 faster, 2 same, 0 undecided) and how many values it took."""

    verdicts: NDArray[np.int64]
    values: NDArray[np.int64]


def settled(log_ratios: Floats, looks: Looks, margin: float) -> Settled:
    """Returns what becomes of runs that end with their verdict, or after all of their values.

    Args:
        log_ratios: shaped (runs, values); fewer values than `looks.last` are a run that a budget ended.
        looks: when a run is looked at.
        margin: log ratios within ± this are the same; 0 for none.
    """
    runs, most = log_ratios.shape
    verdicts = np.full(runs, UNDECIDED, dtype=np.int64)
    values = np.full(runs, most, dtype=np.int64)
    for count in range(looks.first, most + 1):
        seen = look(log_ratios[:, :count], looks, final=count == most, margin=margin)
        sign = np.where(seen.mean > 0, SLOWER, FASTER)
        found = np.where(seen.same, SAME_TIME, np.where(seen.different, sign, UNDECIDED)).astype(np.int64)
        new = (verdicts == UNDECIDED) & (found != UNDECIDED)
        verdicts[new], values[new] = found[new], count
    return Settled(verdicts, values)


def share_interval(hits: int, trials: int) -> tuple[float, float]:
    """Returns the 95 % interval of a share of independent trials (Clopper and Pearson, Biometrika 26, 1934)."""
    from scipy.special import betaincinv

    low = float(betaincinv(hits, trials - hits + 1, ERROR / 2)) if hits else 0.0
    high = float(betaincinv(hits + 1, trials - hits, 1 - ERROR / 2)) if hits < trials else 1.0
    return low, high


def spread_interval(sd: float, count: int) -> tuple[float, float]:
    """Returns the 95 % interval of a standard deviation that was estimated from so many normal values."""
    from scipy.special import chdtri

    freedom = count - 1
    low, high = (float(chdtri(freedom, tail)) for tail in (ERROR / 2, 1 - ERROR / 2))
    return sd * (freedom / low) ** 0.5, sd * (freedom / high) ** 0.5
