"""Entrants that may be compared → one leaderboard: rows in order, how sure they are, what is said of all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from effbench.judge.candidate import Candidate, Measure
from effbench.judge.certainty import MOST_WITH_INTERVALS, certainty
from effbench.judge.comparable import NAMED, Conditions, conditions_of, differing, listed, told
from effbench.judge.entering import Entrant
from effbench.judge.ranking import Group, Ranked
from effbench.judge.scores.dead import dead_note, dead_terms
from effbench.judge.scores.exchange import exchange_rate
from effbench.judge.scores.kinds import Score
from effbench.judge.scores.wrong_way import wrong_way
from effbench.judge.standing import (
    Standing,
    drawn_terms,
    draws_for,
    half_width_of,
    is_uncertain,
    on_front,
    standing,
)
from effbench.judge.terms import COSTS, Floats, Terms
from effbench.judge.trade import Times, Trade, agreement, cost_and_weight, reigns_of, volume_of
from effbench.judge.uncertainty import ranks
from effbench.records import Note
from effbench.records.evaluation import Direction


@dataclass(frozen=True, slots=True)
class Rules:
    """How a ranking is made.

    Attributes:
        convention: how FLOPs are counted; models that are counted otherwise do not enter.
        unit: of the error; None takes the figures' own, for a quality a fraction.
        max_error: models above it are left out.
        mixed: rank together what was measured under different conditions, and say so.
        draws: of everything uncertain, 200 or more; None takes 1,000.
        by: each value of this column gets a leaderboard of its own.
        shown: terms that get a column though the score does not read them.
    """

    convention: str = "macs"
    unit: str | None = None
    max_error: float | None = None
    mixed: bool = False
    draws: int | None = None
    seed: int = 0
    by: str = ""
    shown: tuple[str, ...] = ("params", "flops", "latency", "error")


class Board(NamedTuple):
    """A leaderboard, what is to be said of it, and how many draws it took."""

    group: Group
    notes: tuple[Note, ...]
    draws: int


class _Columns(NamedTuple):
    """What the rows are made of; arrays of shape (models,), None where they are not known of any model."""

    value: Floats
    order: Floats
    front: NDArray[np.bool_]
    standing: Standing | None
    base: Floats | None
    weight: float
    slower: NDArray[np.int64] | None


def board(
    label: str, entrants: Sequence[Entrant], terms: Terms, score: Score, measure: Measure | None, rules: Rules
) -> Board:
    """Returns the leaderboard of entrants that may be compared and have a score.

    Args:
        label: of the group that they are. entrants: in order of name. terms: what the score reads of them, (models,).
    """
    order = np.asarray(score.order(terms), dtype=np.float64)
    senses = _senses(entrants[0].candidate, score)
    draws = draws_for(len(entrants), rules.draws)
    few = len(entrants) <= MOST_WITH_INTERVALS or rules.draws is not None
    drawn = drawn_terms(entrants, terms, measure, draws, rules.seed) if few and len(entrants) > 1 else {}
    found = standing(score, terms, drawn, order, senses) if drawn else None
    times, slower, said = _times(entrants, order, score, rules)
    line = cost_and_weight(score, terms)
    base, weight = line if line is not None else (None, 0.0)
    front = on_front(terms, senses)
    columns = _Columns(np.asarray(score.value(terms)), order, front, found, base, weight, slower)
    unit = measure.unit if measure is not None else ""
    names = [one.candidate.name for one in entrants]
    trade = Trade(
        models=len(entrants),
        on_front=int(front.sum()),
        axes=tuple(senses),
        volume=volume_of(terms, senses, unit),
        weight="" if base is None else score.error_parameter or "weight",
        k=None if base is None else score.settings.get(score.error_parameter, weight),
        reigns=() if base is None else reigns_of(base, terms["error"], names, weight / (_k(score) or weight)),
        times=times,
    )
    rows = _rows(label, entrants, columns, score, rules)
    about = (*_about(score, terms, measure), *wrong_way(score, terms, senses))
    uncertain = certainty(entrants, score.reads, drawn)
    return Board(Group(label, rows, trade), (*about, *said, *uncertain, *_missing(rows)), draws if drawn else 0)


def _k(score: Score) -> float | None:
    return score.settings.get(score.error_parameter)


def _senses(candidate: Candidate, score: Score) -> dict[str, Direction]:
    """Returns the axes of the front, what the score reads, with the better direction of each."""
    found: dict[str, Direction] = {}
    for term in score.reads:
        if term in COSTS or term == "error":
            found[term] = "lower"
        else:
            found[term] = "higher" if term == "throughput" else candidate.figures[term].direction
    return found


def _about(score: Score, terms: Terms, measure: Measure | None) -> tuple[Note, ...]:
    """Returns the exchange rate, and the terms that do not matter."""
    name, unit = (measure.label, measure.unit) if measure is not None else ("error", "")
    dead = (dead_note(item, name) for item in dead_terms(score, terms))
    return (exchange_rate(score, terms, name, unit), *dead)


def _times(
    entrants: Sequence[Entrant], order: Floats, score: Score, rules: Rules
) -> tuple[Times | None, NDArray[np.int64] | None, tuple[Note, ...]]:
    """Returns how the order agrees with latency, and of each row how many above it are slower.

    Where times of different batches are ranked together, those of one sample are compared.
    """
    figures = [one.candidate.figures.get("latency") for one in entrants]
    stated = [
        (one.candidate.name, {"latency": figure.conditions})
        for one, figure in zip(entrants, figures, strict=True)
        if figure is not None
    ]
    if len(stated) < 2:
        return None, None, ()
    apart = differing(conditions_of(stated, ["latency"]))
    seconds = np.array([np.nan if figure is None else figure.value for figure in figures])
    if not apart:
        times, slower = agreement(order, seconds)
        return times, np.where(np.isnan(seconds), -1, slower), ()
    if not rules.mixed:
        return None, None, (Note("latency", "", f"not compared with the score: {told(apart, NAMED)}"),)
    said = () if {"latency", "throughput"} & set(score.reads) else (Note("mixed", "latency", told(apart, NAMED)),)
    rates = [one.candidate.figures.get("throughput") for one in entrants]
    of = "call"
    if "batch" in {one.condition for one in apart}:
        of, seconds = "sample", np.array([np.nan if figure is None else 1 / figure.value for figure in rates])
    if np.isfinite(seconds).sum() < 2:
        return None, None, said
    times, slower = agreement(order, seconds, of)
    return times, np.where(np.isnan(seconds), -1, slower), said


def _rows(label: str, entrants: Sequence[Entrant], columns: _Columns, score: Score, rules: Rules) -> tuple[Ranked, ...]:
    places = np.argsort(columns.order, kind="stable")
    shown = tuple(dict.fromkeys((*rules.shown, *score.reads)))
    rank_of = ranks(columns.order).tolist()
    bare = columns.standing is None and len(entrants) > MOST_WITH_INTERVALS  # theirs take time too
    value, order, front = columns.value.tolist(), columns.order.tolist(), columns.front.tolist()
    rows: list[Ranked] = []
    merged: dict[tuple[int, ...], Conditions] = {}
    above: int | None = None
    for place in places.tolist():
        one = entrants[place]
        rows.append(
            Ranked(
                rank=rank_of[place],
                name=one.candidate.name,
                group=label,
                figures=_figures(one, shown),
                half_widths={} if bare else _half_widths(one, shown, columns.standing, place),
                missing={term: _why(one.candidate, term) for term in shown if _lacks(one, term)},
                score=value[place],
                order=order[place],
                source=one.candidate.source,
                front=front[place],
                conditions=_conditions(one.candidate, score.reads, merged),
                **_standing(columns.standing, place),
                **_beside(columns, entrants, place, above),
            )
        )
        above = place
    return tuple(rows)


def _figures(one: Entrant, shown: Sequence[str]) -> dict[str, float | None]:
    figures = one.candidate.figures
    found: dict[str, float | None] = {term: figures[term].value if term in figures else None for term in shown}
    if "error" in found:
        found["error"] = one.error
    return found


def _lacks(one: Entrant, term: str) -> bool:
    return one.error is None if term == "error" else term not in one.candidate.figures


def _why(candidate: Candidate, term: str) -> str:
    return candidate.missing.get(term) or f"no {term}"


def _conditions(candidate: Candidate, reads: Sequence[str], merged: dict[tuple[int, ...], Conditions]) -> Conditions:
    """Returns the conditions of a model's figures, each once; those of equal ones are one object, kept in `merged`."""
    found = [candidate.figures[term].conditions for term in reads]
    key = tuple(map(id, found))  # many models share few conditions, which live as long as they do
    if key not in merged:
        merged[key] = tuple(dict.fromkeys(pair for one in found for pair in one))
    return merged[key]


def _half_widths(one: Entrant, shown: Sequence[str], found: Standing | None, place: int) -> dict[str, float]:
    widths: dict[str, float] = {}
    for term in shown:
        figure = one.candidate.figures.get(term)
        if figure is None or not is_uncertain(figure):  # what is rounded shows its digits
            continue
        if term in ("latency", "throughput", "energy"):
            width = half_width_of(figure)
        else:
            drawn = None if found is None else found.half_widths.get(term)
            width = None if drawn is None or np.isnan(drawn[place]) else float(drawn[place])
        if width is not None:
            widths[term] = width
    return widths


def _standing(found: Standing | None, place: int) -> dict[str, Any]:
    if found is None:
        return {}
    return {
        "rank_low": int(found.rank_low[place]),
        "rank_high": int(found.rank_high[place]),
        "p_best": float(found.p_best[place]),
        "tie": int(found.tie[place]),
        "p_front": float(found.p_front[place]),
    }


def _beside(columns: _Columns, entrants: Sequence[Entrant], place: int, above: int | None) -> dict[str, Any]:
    """Returns what a row says of the row above it and of those above that are slower."""
    found: dict[str, Any] = {}
    if columns.slower is not None and columns.slower[place] >= 0:
        found["reversed"] = int(columns.slower[place])
    if above is None:
        return found
    if columns.base is not None:
        found["break_even"] = float((columns.base[place] - columns.base[above]) / columns.weight)
    own, better = entrants[place].error, entrants[above].error
    if own is not None and better is not None:
        found["lead"] = better - own
    return found


def _missing(rows: Sequence[Ranked]) -> tuple[Note, ...]:
    """Returns which models lack a figure that others have, and why."""
    groups: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        for term, why in row.missing.items():
            groups.setdefault((term, why), []).append(row.name)
    known = {term for row in rows[:1] for term in row.figures}
    some = {term for term in known if any(row.figures[term] is not None for row in rows)}
    return tuple(
        Note("missing", term, f"{why}: {listed(names)}") for (term, why), names in groups.items() if term in some
    )
