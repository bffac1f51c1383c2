"""Intervals and decisions from few noisy values that may be looked at after each one; pure functions of arrays.

A value stands for one fresh process (or one pair of them): calls of one process share its memory layout, its cores and
its clock, so they are no independent witnesses. Values are logarithms, so that a difference is a ratio. The last axis
runs over processes; axes before it, where a function allows them, are independent repetitions.
"""

from effbench.stats.intervals import (
    TRIMMED,
    TYPICAL_TRIMMED,
    Centre,
    Decision,
    Interval,
    centre,
    look,
    spread,
    typical,
    worth,
)
from effbench.stats.looks import DIFFERENT, SAME, TYPICAL, Looks, Spending, nominal_error
from effbench.stats.samples import log_median, log_ratio, quantile
from effbench.stats.settled import Settled, settled, share_interval, spread_interval
from effbench.stats.student import ERROR, Floats, detectable_difference, pairs_needed, power, student_quantile

__all__ = [
    "DIFFERENT",
    "ERROR",
    "SAME",
    "TRIMMED",
    "TYPICAL",
    "TYPICAL_TRIMMED",
    "Centre",
    "Decision",
    "Floats",
    "Interval",
    "Looks",
    "Settled",
    "Spending",
    "centre",
    "detectable_difference",
    "log_median",
    "log_ratio",
    "look",
    "nominal_error",
    "pairs_needed",
    "power",
    "quantile",
    "settled",
    "share_interval",
    "spread",
    "spread_interval",
    "student_quantile",
    "typical",
    "worth",
]
