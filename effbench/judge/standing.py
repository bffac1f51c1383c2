"""How sure a leaderboard is: draws of what is uncertain → intervals of ranks, ties, chances to be on the front."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from effbench.errors import InputError
from effbench.judge.candidate import SHARES, Figure, Measure
from effbench.judge.entering import Entrant
from effbench.judge.pareto import front, front_probability
from effbench.judge.rank_intervals import FEWEST_DRAWS
from effbench.judge.rounding import unrounded
from effbench.judge.scores.kinds import Score
from effbench.judge.terms import Floats, Terms
from effbench.judge.uncertainty import (
    ProcessTimes,
    RankIntervals,
    draw_errors,
    draw_times,
    has_spread,
    rank_intervals,
    ranks,
    tie_groups,
)
from effbench.records.evaluation import Direction
from effbench.stats import TYPICAL_TRIMMED, typical

DRAWS = 1_000
_CELLS = 20_000_000
"""Draws times models that are computed at once: each array of them takes 160 MB."""
_MOST_CELLS = 5 * _CELLS
"""The same where draws are asked for."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What draws say of each model; every array has the shape (models,).

    Attributes:
        half_widths: of the 95 % interval by term, in the term's unit; NaN where a model's figure has none.
    """

    rank_low: NDArray[np.int64]
    rank_high: NDArray[np.int64]
    p_best: Floats
    tie: NDArray[np.int64]
    p_front: Floats
    half_widths: Mapping[str, Floats]


def draws_for(models: int, asked: int | None) -> int:
    """Returns how many draws are made: those asked for, else 1,000 or as many as so many models leave room for.

    Raises:
        InputError: fewer are asked for than a 95 % interval needs, or more than fit in memory.
    """
    if asked is not None and asked < FEWEST_DRAWS:
        raise InputError(f"--draws {asked}: a 95 % interval of ranks needs at least {FEWEST_DRAWS}")
    if asked is not None and asked * models > _MOST_CELLS and asked > FEWEST_DRAWS:
        fit = max(FEWEST_DRAWS, _MOST_CELLS // models)
        raise InputError(f"--draws {asked} of {models:,} models do not fit in memory: {fit} do")
    return asked if asked is not None else max(1, min(DRAWS, _CELLS // max(models, 1)))


def drawn_terms(
    entrants: Sequence[Entrant], terms: Terms, measure: Measure | None, draws: int, seed: int
) -> dict[str, Floats]:
    """Returns draws of those of the terms that are uncertain, each of shape (draws, models)."""
    drawn: dict[str, Floats] = {}
    for term in terms:
        figures = [one.candidate.figures[term] for one in entrants]
        places = np.array([i for i, figure in enumerate(figures) if is_uncertain(figure)], dtype=np.int64)
        rounded = np.array([i for i, figure in enumerate(figures) if figure.rounding is not None], dtype=np.int64)
        if not len(places) + len(rounded):
            continue
        found = np.tile(terms[term], (draws, 1))
        if len(places):
            uncertain = [figures[place] for place in places]
            found[:, places] = _drawn(term, uncertain, terms[term][places], measure, draws, seed)
        if len(rounded):
            moved = [figures[place] for place in rounded]
            scales = [10.0 ** _places(figure.unit, measure) if term == "error" and measure else 1.0 for figure in moved]
            found[:, rounded] = unrounded(term, moved, found[:, rounded], scales, seed)
        drawn[term] = found
    return drawn


def unknown_among(entrants: Sequence[Entrant], terms: Collection[str]) -> list[str]:
    """Returns the names of entrants of which no figure has an interval, rounding apart, in any of these terms."""
    return [
        one.candidate.name for one in entrants if not any(is_uncertain(one.candidate.figures[term]) for term in terms)
    ]


def is_uncertain(figure: Figure) -> bool:
    """Returns whether more than rounding leaves a figure open."""
    return figure.evidence is not None and has_spread(figure.evidence)


def _drawn(
    term: str, figures: Sequence[Figure], nominal: Floats, measure: Measure | None, draws: int, seed: int
) -> Floats:
    evidence: list[Any] = [figure.evidence for figure in figures]
    if term in ("latency", "throughput"):
        # One time gives both, so they are drawn from one stream: the ratio to its middle, up or down.
        ratios = draw_times(evidence, draws, seed) / np.array([_time(figure) for figure in figures])
        return np.asarray(nominal * ratios if term == "latency" else nominal / ratios)
    found = draw_errors(evidence, draws, seed)
    if term != "error" or measure is None:
        return found
    moved = np.array([10.0 ** _places(figure.unit, measure) for figure in figures])
    return np.asarray(10.0 ** SHARES[measure.unit] - found * moved if measure.flipped else found * moved)


def _time(figure: Figure) -> float:
    """Returns the middle of what a time is drawn from, in seconds."""
    known = figure.evidence
    return typical_s(known.log_medians) if isinstance(known, ProcessTimes) else float(known.value)


def typical_s(log_medians: Sequence[float]) -> float:
    """Returns the typical time of processes in seconds: the geometric mean without the tenth at each end.

    It is the estimate of `effbench.stats.typical`, without numpy: it is asked for a hundred thousand times.
    """
    cut = int(TYPICAL_TRIMMED * len(log_medians))
    kept = sorted(log_medians)[cut : len(log_medians) - cut]
    return math.exp(math.fsum(kept) / len(kept))


def half_width_of(figure: Figure) -> float | None:
    """Returns the half-width of a time's 95 % interval in the figure's unit; None where none is known."""
    known = figure.evidence
    if isinstance(known, ProcessTimes):
        found = typical(known.log_medians)
        return None if found is None else found.half_width * figure.value
    relative = getattr(known, "half_width", None)
    return None if relative is None else relative * figure.value


def _places(unit: str, measure: Measure) -> int:
    return 0 if unit == measure.unit else SHARES[measure.unit] - SHARES[unit]


def standing(
    score: Score, terms: Terms, drawn: Mapping[str, Floats], nominal: Floats, senses: Mapping[str, Direction]
) -> Standing:
    """Returns what draws say of each model.

    Args:
        score: whose terms they are. terms: nominal, (models,). drawn: those that vary, (draws, models).
        nominal: the order that the rows have, (models,). senses: of the front's axes, which values are better.
    """
    shape = next(iter(drawn.values())).shape
    whole = {term: drawn.get(term, np.broadcast_to(values, shape)) for term, values in terms.items()}
    orders, placed = _finite(np.asarray(score.order(_gated_by_nominal(score, whole, terms))), nominal)
    found = _intervals(orders, placed, np.isfinite(nominal))
    return Standing(
        rank_low=np.asarray(found.low),
        rank_high=np.asarray(found.high),
        p_best=np.asarray(found.best),
        tie=np.asarray(tie_groups(orders, placed, intervals=found)),
        p_front=_front_shares(whole, senses, shape[1]),
        half_widths={term: _half_width(values) for term, values in drawn.items()},
    )


def _gated_by_nominal(score: Score, whole: Terms, terms: Terms) -> Terms:
    """Returns the draws with the gate's term as it was stated: who passes is decided once, as a challenge does."""
    if score.gate is None:
        return whole
    term = score.gate.term
    return {**whole, term: np.broadcast_to(terms[term], np.shape(whole[term]))}


def _finite(orders: Floats, nominal: Floats) -> tuple[Floats, Floats]:
    """Returns draws and nominal orders, all of them finite.

    The logarithm of 0, the best score where lower is better, is put below all others and its negative above all; only
    NaN is undefined, and as bad as the worst of the others.
    """
    every = (orders, nominal)
    if all(np.isfinite(values).all() for values in every):
        return orders, nominal
    known = np.concatenate([values[np.isfinite(values)] for values in every])
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
    above = high + 1 if any(np.isposinf(values).any() for values in every) else high
    first, second = (np.nan_to_num(values, nan=above, posinf=above, neginf=low - 1) for values in every)
    return first, second


def _intervals(orders: Floats, placed: Floats, finite: NDArray[np.bool_]) -> RankIntervals:
    """Returns the intervals of ranks, each with the nominal rank in it.

    A nominal order that is infinite says nothing of distances: the median of its draws stands for it.
    """
    if finite.all():
        return rank_intervals(orders, nominal=placed)
    found = rank_intervals(orders, nominal=np.where(finite, placed, np.median(orders, axis=0)))
    own = ranks(placed)
    return replace(found, low=np.minimum(found.low, own), high=np.maximum(found.high, own))


def on_front(terms: Terms, senses: Mapping[str, Direction]) -> NDArray[np.bool_]:
    """Returns which models no other one dominates over the axes."""
    return front(np.column_stack([terms[axis] for axis in senses]), tuple(senses.values()))


def _front_shares(whole: Terms, senses: Mapping[str, Direction], models: int) -> Floats:
    """Returns the probability of each model to be on the front.

    A model that another one dominates even if all its own figures are at their best and the other's at their worst is
    in no draw on the front and keeps no one off it that the other does not: only the rest is compared draw by draw.
    """
    signs = {axis: 1.0 if sense == "lower" else -1.0 for axis, sense in senses.items()}
    best = np.column_stack([(sign * whole[axis]).min(axis=0) for axis, sign in signs.items()])
    worst = np.column_stack([(sign * whole[axis]).max(axis=0) for axis, sign in signs.items()])
    left = np.flatnonzero(~_surely_dominated(best, worst))
    shares = np.zeros(models)
    points = np.stack([np.asarray(whole[axis])[:, left] for axis in signs], axis=-1)
    shares[left] = front_probability(points, tuple(senses.values()))
    return shares


def _surely_dominated(best: Floats, worst: Floats) -> NDArray[np.bool_]:
    """Returns which models are dominated whatever was drawn: by one of the front of the worst cases."""
    found = np.zeros(len(best), dtype=np.bool_)
    for place in np.flatnonzero(front(worst)):
        found |= (worst[place] <= best).all(axis=1) & (worst[place] < best).any(axis=1)
    return found


def _half_width(values: Floats) -> Floats:
    """Returns half the distance of the 2.5 and 97.5 % quantiles over draws; NaN where nothing varies."""
    low, high = np.quantile(values, (0.025, 0.975), axis=0)
    width = (high - low) / 2
    return np.where(width > 0, width, np.nan)
