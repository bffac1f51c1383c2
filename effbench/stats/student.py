"""Student's t, and how many pairs of processes a difference needs."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ERROR = 0.05
"""Probability that an interval misses the truth, or that equal models are called different, at any look."""

_POWER_QUANTILES = 3.24
"""Normal quantiles 1.960 + 1.282: two-sided error 5 %, power 90 %."""


def student_quantile(error: float, freedom: float) -> float:
    """Returns the bound that Student's t exceeds in size with probability `error`."""
    from scipy.special import stdtrit

    return -float(stdtrit(freedom, error / 2))


def pairs_needed(sd: float, difference: float) -> float:
    """Returns the pairs that find a relative difference with power 90 % in one test at 5 %: (3.24·s/d)².

    Args:
        sd: standard deviation of one pair's log ratio.
        difference: relative, above 0: .03 for 3 %.
    """
    return (_POWER_QUANTILES * sd / difference) ** 2


def power(sd: float, difference: float, pairs: int) -> float:
    """Returns the probability that one two-sided test at 5 % finds a relative difference with so many pairs."""
    shift = difference * math.sqrt(pairs) / sd
    return (math.erfc((1.959964 - shift) / math.sqrt(2)) + math.erfc((1.959964 + shift) / math.sqrt(2))) / 2


def detectable_difference(sd: float, pairs: int) -> float:
    """Returns the smallest relative difference that so many pairs find with power 90 %: 3.24·s/√pairs."""
    return _POWER_QUANTILES * sd / math.sqrt(pairs)
