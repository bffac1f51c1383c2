"""What a machine's timer is worth, from one series of a model against itself: false alarms, power, undecided verdicts.

Every pair of fresh processes gave one log ratio, whose truth is 0. Which process was called A is chance, so a run is
drawn by taking pairs of the series, with replacement, and swapping the labels of each with probability one half; a
slow-down is planted by shifting every log ratio of the same draws. So the rates belong to one rule and to one noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from effbench.judge.timings import looks_of
from effbench.records.timing import StopRule
from effbench.stats import (
    ERROR,
    Floats,
    Settled,
    detectable_difference,
    pairs_needed,
    settled,
    share_interval,
    spread,
    spread_interval,
)

PLANTED = (0.01, 0.03, 0.10)
DRAWS = 2000
_TAIL = 1.645


@dataclass(frozen=True, slots=True)
class Share:
    """A share of the draws with its 95 % binomial interval: what more draws would settle, not what more pairs would."""

    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the draws under one true slow-down.

    Attributes:
        difference: relative; 0 compares the model with itself.
        slower, faster, same, undecided: shares of the draws; they sum to 1.
        pairs: on average until the verdict or the end.
        seconds: of measuring for these.
        pairs_for_power: that find it with power 90 % in one test at 5 %; None for no difference.
        seconds_for_power: of measuring for these.
    """

    difference: float
    slower: float
    faster: float
    same: float
    undecided: float
    pairs: float
    seconds: float
    pairs_for_power: float | None
    seconds_for_power: float | None


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """What one A/A series says of comparisons on its machine.

    Attributes:
        pairs: of processes in the series.
        pair_s: seconds of measuring for one of them.
        spread: standard deviation of a pair's log ratio, with its 95 % interval.
        pairs_allowed: that a comparison by the rule may take here, by its rounds and its budget.
        margin: of the rule.
        detectable: smallest relative difference found with power 90 % in `pairs_allowed`, with the interval that the
            spread's gives.
        draws: of the labels.
        false_alarms: slower or faster where there is no difference.
        outcomes: of no difference and each planted one.
        remembered: correlation of neighbouring pairs where it is beyond chance (one-sided 5 %), else None: drawing the
            pairs one by one hides what it does to false alarms.
    """

    pairs: int
    pair_s: float
    spread: float
    spread_low: float
    spread_high: float
    pairs_allowed: int
    margin: float
    detectable: float
    detectable_low: float
    detectable_high: float
    draws: int
    false_alarms: Share
    outcomes: tuple[Outcome, ...]
    remembered: float | None

    @property
    def is_honest(self) -> bool:
        """Returns whether the draws leave it open that at most 5 % are false alarms."""
        return self.false_alarms.low <= ERROR


def self_check(
    log_ratios: Sequence[float],
    pair_s: float,
    rule: StopRule,
    planted: Sequence[float] = PLANTED,
    draws: int = DRAWS,
    seed: int = 0,
) -> SelfCheck:
    """Returns what a comparison by a rule would say on the machine that gave these.

    Args:
        log_ratios: of a model against itself, one for each pair of fresh processes in their order; at least two.
        pair_s: seconds of measuring for one pair.
        rule: of the comparisons.
        planted: relative slow-downs.
        draws: of pairs and labels.
        seed: of the draws.
    """
    values = np.asarray(log_ratios, dtype=np.float64)
    sd, count = spread(values), len(values)
    low, high = spread_interval(sd, count)
    allowed = max(rule.min_rounds, min(rule.max_rounds, int(rule.budget_s / pair_s)))
    runs = drawn_labels(values, draws, allowed, seed)
    outcomes = tuple(_outcome(runs, difference, sd, pair_s, rule) for difference in (0.0, *planted))
    alarms = round((outcomes[0].slower + outcomes[0].faster) * draws)
    return SelfCheck(
        count,
        pair_s,
        sd,
        low,
        high,
        allowed,
        rule.margin,
        detectable_difference(sd, allowed),
        detectable_difference(low, allowed),
        detectable_difference(high, allowed),
        draws,
        Share(alarms / draws, *share_interval(alarms, draws)),
        outcomes,
        _remembered(values),
    )


def drawn_labels(log_ratios: Floats, draws: int, pairs: int, seed: int) -> Floats:
    """Returns log ratios of runs of an equal model, shaped (draws, pairs): measured ones with labels drawn anew."""
    chance = np.random.default_rng(seed)
    picked = log_ratios[chance.integers(0, len(log_ratios), (draws, pairs))]
    return np.asarray(picked * chance.choice((-1.0, 1.0), picked.shape))


def _outcome(runs: Floats, difference: float, sd: float, pair_s: float, rule: StopRule) -> Outcome:
    found: Settled = settled(runs + math.log1p(difference), looks_of(rule), math.log1p(rule.margin))
    slower, faster, same, undecided = (float(np.mean(found.verdicts == kind)) for kind in (1, -1, 2, 0))
    pairs = float(found.values.mean())
    needed = pairs_needed(sd, difference) if difference else None
    needed_s = None if needed is None else needed * pair_s
    return Outcome(difference, slower, faster, same, undecided, pairs, pairs * pair_s, needed, needed_s)


def _remembered(values: Floats) -> float | None:
    """Returns the lag-1 autocorrelation where it is beyond chance."""
    count = len(values)
    apart = values - values.mean()
    power = float(apart @ apart)
    if count < 7 or not power:
        return None
    seen = float(apart[1:] @ apart[:-1]) / power
    return seen if seen > _TAIL / math.sqrt(count) - 1 / count else None
