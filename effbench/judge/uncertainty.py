"""How sure a ranking is: what is known of each model, draws of it, and intervals of ranks.

Evidence (`effbench.judge.evidence`) becomes draws (`effbench.judge.draws`), a score makes one order of each draw, and
orders become intervals of ranks (`effbench.judge.rank_intervals`).
"""

from effbench.judge.draws import Values, draw_errors, draw_rounding, draw_times
from effbench.judge.evidence import (
    ErrorEvidence,
    Exact,
    PerSample,
    ProcessTimes,
    Share,
    TimeEvidence,
    has_spread,
    stated_error,
    stated_time,
)
from effbench.judge.rank_intervals import RankIntervals, pair_probability, rank_intervals, ranks, tie_groups

__all__ = [
    "ErrorEvidence",
    "Exact",
    "PerSample",
    "ProcessTimes",
    "RankIntervals",
    "Share",
    "TimeEvidence",
    "Values",
    "draw_errors",
    "draw_rounding",
    "draw_times",
    "has_spread",
    "pair_probability",
    "rank_intervals",
    "ranks",
    "stated_error",
    "stated_time",
    "tie_groups",
]
