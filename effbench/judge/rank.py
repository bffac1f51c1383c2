"""Candidates × Score → Ranking: an order, what each row would need to rise, and who was left out and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

from effbench.judge.scores import Facts, Score
from effbench.records import ErrorFigure, Note

QUALITIES = frozenset({"accuracy", "precision", "recall", "f1", "top1", "top5"})
"""Metrics where more is better; their error is 1 − value as a fraction."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One model as it enters a ranking.

    Attributes:
        flops: in the ranking's convention; None where unknown, `obstacle` then says why.
        error: the asked-for metric as stated; None where nothing states it.
        source: "published" or "measured", of params and FLOPs.
    """

    name: str
    params: int | None
    flops: int | None
    error: ErrorFigure | None
    source: str
    obstacle: str = ""


@dataclass(frozen=True, slots=True)
class Ranked:
    """One row of a leaderboard.

    Attributes:
        break_even: by how much its error must be below that of the row above to tie with it, ln of the cost ratio
            over the score's error weight; None in the first row.
        lead: by how much its error is below that of the row above.
    """

    rank: int
    name: str
    params: int
    flops: int
    error: float
    score: float
    log_score: float
    source: str
    break_even: float | None
    lead: float | None


@dataclass(frozen=True, slots=True)
class Excluded:
    """A model left out, with the reason."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Ranking:
    """A leaderboard, best first."""

    score: Score
    metric: str
    error_name: str
    unit: str
    rows: tuple[Ranked, ...]
    excluded: tuple[Excluded, ...]
    notes: tuple[Note, ...]


def rank(candidates: Sequence[Candidate], score: Score, metric: str) -> Ranking:
    """Returns the candidates ordered by the logarithm of their score, ties by name.

    Models whose error has another unit than the first one's are left out: their scores could not be compared.
    """
    quality = metric in QUALITIES
    stated = [(candidate, _stated(candidate, metric)) for candidate in candidates]
    units = (figures.error.unit for _, figures in stated if not isinstance(figures, str))
    unit = "fraction" if quality else next(units, "")
    entering: list[tuple[float, Candidate, Facts]] = []
    excluded: list[Excluded] = []
    for candidate, figures in stated:
        facts = figures if isinstance(figures, str) else _facts(figures, metric, unit)
        if isinstance(facts, str):
            excluded.append(Excluded(candidate.name, facts))
        else:
            entering.append((score.log(facts), candidate, facts))
    entering.sort(key=lambda entry: (entry[0], entry[1].name))
    rows = _rows(entering, score)
    name = f"(1 − {metric})" if quality else metric
    return Ranking(score, metric, name, unit, rows, tuple(excluded), _notes(entering, score, name, unit))


class _Stated(NamedTuple):
    params: int
    flops: int
    error: ErrorFigure


def _stated(candidate: Candidate, metric: str) -> _Stated | str:
    """Returns a candidate's figures, the error as it was stated, or why it cannot be ranked whatever the unit."""
    error = candidate.error
    if error is None:
        return f"no {metric}"
    if not (math.isfinite(error.value) and error.value >= 0):
        return f"its {metric} is {error.value}: a number from 0 up is needed"
    if candidate.obstacle:
        return candidate.obstacle
    if not candidate.params or not candidate.flops:
        return "no parameters or FLOPs: the score would be 0"
    return _Stated(candidate.params, candidate.flops, error)


def _facts(stated: _Stated, metric: str, unit: str) -> Facts | str:
    """Returns what the score reads, the error in the ranking's unit, or why it cannot be read in that unit."""
    params, flops, error = stated
    if metric not in QUALITIES:
        if error.unit != unit:
            return f"its {metric} is in {error.unit}, the ranking is in {unit}"
        return Facts(params, flops, error.value)
    if error.unit not in ("fraction", "percent"):
        return f"its {metric} is in {error.unit}, not a fraction or percent"
    share = _as_fraction(error)
    if share > 1:
        return f"its {metric} of {error.value} is more than all, in {error.unit}: check its unit"
    return Facts(params, flops, 1 - share)


def _as_fraction(stated: ErrorFigure) -> float:
    """Returns a quality as a fraction; the digits are moved, so that 93.37 percent ties with 0.9337."""
    if stated.unit == "fraction":
        return stated.value
    return float(Decimal(repr(float(stated.value))).scaleb(-2))


def _rows(entering: Sequence[tuple[float, Candidate, Facts]], score: Score) -> tuple[Ranked, ...]:
    above: list[Facts | None] = [None, *(facts for _, _, facts in entering)]
    rows: list[Ranked] = []
    for number, ((log, candidate, facts), better) in enumerate(zip(entering, above, strict=False), start=1):
        tied = bool(rows) and rows[-1].log_score == log
        rows.append(
            Ranked(
                rank=rows[-1].rank if tied else number,
                name=candidate.name,
                params=facts.params,
                flops=facts.flops,
                error=facts.error,
                score=score.value(facts),
                log_score=log,
                source=candidate.source,
                break_even=None if better is None else _break_even(facts, better, score),
                lead=None if better is None else better.error - facts.error,
            )
        )
    return tuple(rows)


def _break_even(facts: Facts, better: Facts, score: Score) -> float:
    return (score.log_cost(facts) - score.log_cost(better)) / score.error_weight


def _notes(entering: Sequence[tuple[float, Candidate, Facts]], score: Score, name: str, unit: str) -> tuple[Note, ...]:
    """Returns the exchange rate, and a warning where the error hardly weighs."""
    if not entering:
        return ()
    rate = math.log(2) / score.error_weight
    notes = [Note("exchange-rate", score.name, f"one doubling of cost weighs as much as {rate:.4g} {unit} of {name}")]
    if len(entering) < 2:
        return tuple(notes)
    errors = [facts.error for _, _, facts in entering]
    costs = [score.log_cost(facts) for _, _, facts in entering]
    by_error = (max(errors) - min(errors)) * score.error_weight
    by_cost = max(costs) - min(costs)
    agree = sum(a <= b for a, b in pairwise(costs)) == len(costs) - 1
    if unit == "fraction" or by_error < by_cost / 10:
        spread = f"a factor of {math.exp(by_error):.3g}, cost by {math.exp(by_cost):.3g}"
        text = f"the error hardly weighs: from best to worst it changes the score by {spread}"
        if agree:
            text += "; the order is that of cost alone"
        notes.append(Note("dead-term", name, text))
    return tuple(notes)
