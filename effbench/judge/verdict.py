"""Whether one model is faster than another, slower, the same, or whether that cannot be said yet."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from effbench.errors import InputError
from effbench.judge.timings import looks_of
from effbench.records.timing import Timing
from effbench.stats import (
    Interval,
    detectable_difference,
    log_ratio,
    look,
    pairs_needed,
    spread,
)

Verdict = Literal["faster", "slower", "same", "undecided"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One model against another, from pairs of processes that were alive together.

    Attributes:
        base: what `other` is compared with.
        verdict: of `other`: "slower" where the interval of the ratio is above 1, "faster" where it is below, "same"
            where two one-sided tests at 5 % put it within the margin; a difference shown to be within the margin is
            "same".
        ratio: time of `other` over time of `base`, with its 95 % interval; None for fewer than two pairs.
        pairs: of processes; each is one value.
        spread: standard deviation of a pair's log ratio; None for fewer than two pairs.
        margin: the relative difference below which two models are the same.
        detectable: the relative difference that so many pairs find with power 90 %.
        pairs_for_margin: the pairs that would find a difference of the margin with power 90 %; None for no margin.
        why: one line where the verdict is "undecided", else "".
    """

    base: str
    other: str
    verdict: Verdict
    ratio: Interval | None
    pairs: int
    spread: float | None
    margin: float
    detectable: float | None
    pairs_for_margin: float | None
    why: str = ""


def pair_log_ratios(base: Timing, other: Timing) -> tuple[float, ...]:
    """Returns the log ratio other/base of each round that both took part in, in order."""
    by_round = {run.round: run for run in base.runs}
    return tuple(
        log_ratio(first.samples_s, first.order, run.samples_s, run.order)
        for run in other.runs
        if (first := by_round.get(run.round))
    )


def compare(base: Timing, other: Timing) -> Comparison:
    """Returns the verdict on two models that were timed in one run.

    Over all looks together, a model is called different from itself, or the same as one at the margin, in 5 % at most.

    Raises:
        InputError: they were timed under different rules, so not in one run.
    """
    if base.rule != other.rule:
        raise InputError(f"{base.model} and {other.model} were timed under different rules: time them in one run")
    rule, ratios = base.rule, pair_log_ratios(base, other)
    pairs = len(ratios)
    if pairs < 2:
        why = _unpaired(base, other, pairs)
        return Comparison(base.model, other.model, "undecided", None, pairs, None, rule.margin, None, None, why)
    interrupted = base.interrupted or other.interrupted  # perhaps for what was seen, which a last look must not be
    final = not (interrupted or (base.converged and other.converged))
    seen = look(ratios, looks_of(rule), final=final, margin=math.log1p(rule.margin))
    ratio = Interval(*(math.exp(float(end)) for end in (seen.mean, seen.low, seen.high)))
    verdict: Verdict = "undecided"
    if pairs >= rule.min_rounds:
        verdict = _verdict(bool(seen.same), bool(seen.different), ratio.estimate)
    sd = spread(ratios)
    detectable = detectable_difference(sd, pairs)
    why = _undecided(pairs, rule.min_rounds, ratio, rule.margin) if verdict == "undecided" else ""
    return Comparison(
        base.model,
        other.model,
        verdict,
        ratio,
        pairs,
        sd,
        rule.margin,
        detectable,
        pairs_needed(sd, rule.margin) if rule.margin else None,
        f"interrupted: {why}" if why and interrupted else why,
    )


def _verdict(same: bool, different: bool, ratio: float) -> Verdict:
    if same:
        return "same"
    if not different:
        return "undecided"
    return "slower" if ratio > 1 else "faster"


def _unpaired(base: Timing, other: Timing, pairs: int) -> str:
    for timing in (base, other):
        if timing.died is not None:
            return f"{timing.model} died: {timing.died.removeprefix(f'{timing.model}: ')}"
    return f"{pairs} pairs of processes: an interval needs 2"


def _undecided(pairs: int, fewest: int, ratio: Interval, margin: float) -> str:
    if pairs < fewest:
        return f"{pairs} pairs of processes: a verdict needs {fewest}"
    return f"the ratio may be {ratio.low:.3f} or {ratio.high:.3f}: neither apart from 1 nor surely within ±{margin:.1%}"
