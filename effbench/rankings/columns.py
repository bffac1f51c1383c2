"""Columns by name: what filters, groups and sorting read of candidates and rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from effbench.errors import InputError, UnknownName
from effbench.judge.candidate import Candidate, as_error, unit_for
from effbench.judge.ranking import KEYS, Ranked, Ranking
from effbench.rankings.candidates import Known
from effbench.rankings.metric_choice import MetricChoice
from effbench.records import Note


def facts_of(records: Sequence[Known]) -> dict[str, str]:
    """Returns the names that a filter may read beside terms and metrics: batch, threads, and what tables state."""
    stated = {
        name
        for known in records
        if known.view.published is not None
        for name, value in known.view.published.conditions.items()
        if name.isidentifier() and _number(value) is not None
    }
    return {**dict.fromkeys(sorted(stated), "as stated"), "batch": "samples in a call", "threads": "intra-op threads"}


def numbers_of(
    candidate: Candidate, names: Sequence[str], error: MetricChoice | None, reads: Sequence[str] = ()
) -> dict[str, float | None]:
    """Returns what a filter reads of a candidate, conditions first of what the score reads; None is not known."""
    return {name: _number_of(candidate, name, error, reads) for name in names}


def _number_of(candidate: Candidate, name: str, error: MetricChoice | None, reads: Sequence[str]) -> float | None:
    figure = candidate.figures.get(name)
    if figure is not None:
        if name != "error" or error is None:
            return float(figure.value)
        try:
            found = as_error(figure, unit_for(error.metric, figure.direction, figure.unit, error.unit))
        except InputError:
            return None
        return None if isinstance(found, str) else found
    text = candidate.also.get(name)
    if text is None:
        text = candidate.condition(name, reads)
    return None if text is None else _number(text)


def _number(value: object) -> float | None:
    try:
        found = float(str(value))
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def grouping(candidates: Sequence[Candidate], column: str) -> str:
    """Returns the column that groups the candidates.

    Raises:
        UnknownName: no candidate has such a column.
    """
    if not column:
        return ""
    known = {"source"}
    for candidate in candidates:
        known |= {*candidate.also, *candidate.figures}
        known |= {name for figure in candidate.figures.values() for name, _ in figure.conditions}
    if column not in known:
        raise UnknownName("column", column, known)
    return column


def sorted_by(ranking: Ranking, column: str) -> Ranking:
    """Returns the ranking with the rows of each group sorted by a column; what is unknown comes last.

    Raises:
        UnknownName: there is no such column.
    """
    if not column:
        return ranking
    name, falls = column.removeprefix("-"), column.startswith("-")
    known = {KEYS.get(term, term): term for row in ranking.rows[:1] for term in row.figures}
    plain = ("rank", "score", "order", "p_best", "p_front", "tie", "lead", "break_even", "reversed", "source", "model")
    if name not in (*plain, *known, *known.values()):
        raise UnknownName("column", name, (*plain, *known.values()))

    def value(row: Ranked) -> float | str | None:
        found: float | str | None
        if name == "model":
            found = row.name
        else:
            found = getattr(row, name) if name in plain else row.figures[known.get(name, name)]
        return found

    def ordered(rows: Sequence[Ranked]) -> tuple[Ranked, ...]:
        there = [row for row in rows if value(row) is not None]
        return (*sorted(there, key=value, reverse=falls), *(row for row in rows if value(row) is None))  # type: ignore[arg-type]  # no None among them

    groups = tuple(replace(group, rows=ordered(group.rows)) for group in ranking.groups)
    return replace(ranking, groups=groups)


def cut(ranking: Ranking, top: int | None) -> Ranking:
    """Returns the ranking with so many rows of each group, and a note on how many it has."""
    models = len(ranking.rows)
    if top is None or all(len(group.rows) <= top for group in ranking.groups):
        return ranking
    groups = tuple(replace(group, rows=group.rows[:top]) for group in ranking.groups)
    shown = sum(len(group.rows) for group in groups)
    note = Note(
        "top", "", f"{shown:,} of {models:,} rows are shown; ranks and all that is said below are of all of them"
    )
    return replace(ranking, groups=groups, notes=(note, *ranking.notes))
