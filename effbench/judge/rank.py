"""Candidates × Score → Ranking: an order with its uncertainty, and what each row would need to rise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from effbench.judge.board import Rules, board
from effbench.judge.candidate import Candidate
from effbench.judge.entering import Entrant, Excluded, alike, enter
from effbench.judge.ranking import Group, Ranking
from effbench.judge.scores.kinds import Score
from effbench.judge.terms import Floats
from effbench.records import Note

PLAIN = Rules()


def rank(candidates: Sequence[Candidate], score: Score, metric: str | None, rules: Rules = PLAIN) -> Ranking:
    """Returns the candidates ordered by their score, ties by name.

    Args:
        candidates: with figures for the terms that the score reads, or the reason why not.
        score: what they are ordered by.
        metric: what their error is; None where there is none.
        rules: how it is done.

    Raises:
        InputError: conditions that a term of the score depends on differ, or units of the error; or too few draws.
    """
    entered = enter(candidates, score, metric, rules.unit, rules.max_error, rules.mixed)
    excluded, notes = list(entered.excluded), list(entered.notes)
    groups: list[Group] = []
    told: list[tuple[str, Note]] = []
    draws = 0
    for label, entrants in _grouped(entered.entrants, rules.by, score.reads):
        fitting, foreign, said = alike(entrants, score, rules.convention, rules.mixed)
        excluded += foreign
        if not fitting:
            continue
        fitting, terms, scoreless = _scored(fitting, score)
        excluded += scoreless
        if not fitting:
            continue
        made = board(label, fitting, terms, score, entered.measure, rules)
        groups.append(made.group)
        told += [(label, note) for note in (*said, *made.notes)]
        draws = max(draws, made.draws)
    return Ranking(
        score=score,
        metric=metric or "",
        measure=entered.measure,
        convention=rules.convention,
        groups=tuple(groups),
        excluded=tuple(excluded),
        notes=(*notes, *_of_groups(told, [group.label for group in groups], rules.by)),
        draws=draws,
        seed=rules.seed,
        by=rules.by,
    )


def _grouped(entrants: Sequence[Entrant], by: str, reads: Sequence[str]) -> list[tuple[str, tuple[Entrant, ...]]]:
    if not by:
        return [("", tuple(entrants))] if entrants else []
    found: dict[str, list[Entrant]] = {}
    for entrant in entrants:
        found.setdefault(value_of(entrant.candidate, by, reads), []).append(entrant)
    return [(label, tuple(found[label])) for label in sorted(found, key=_natural)]


def _natural(label: str) -> tuple[bool, float, str]:
    """Returns a key that sorts numbers as numbers, before words."""
    try:
        return False, float(label), label
    except ValueError:
        return True, 0.0, label


def value_of(candidate: Candidate, column: str, reads: Sequence[str] = ()) -> str:
    """Returns what a column says of a model: a condition of its figures, first of those read, or what else is known."""
    if column == "source":
        return candidate.source
    if column in candidate.also:
        return candidate.also[column]
    text = candidate.condition(column, reads)
    if text is not None:
        return text
    own = candidate.figures.get(column)
    return "not stated" if own is None else f"{own.value:g}"


def _of_groups(told: Sequence[tuple[str, Note]], labels: Sequence[str], by: str) -> list[Note]:
    """Returns each note once; one that is not of all groups says of which."""
    of: dict[Note, list[str]] = {}
    for label, note in told:
        of.setdefault(note, []).append(label)
    return [
        note if len(groups) == len(labels) else replace(note, text=f"{by} {', '.join(groups)}: {note.text}")
        for note, groups in of.items()
    ]


def _scored(
    entrants: Sequence[Entrant], score: Score
) -> tuple[tuple[Entrant, ...], dict[str, Floats], tuple[Excluded, ...]]:
    """Returns the entrants that have a score, in order of name, their terms, and the others with the reason."""
    named = sorted(entrants, key=lambda one: one.candidate.name)
    terms = {term: np.array([float(_value(one, term)) for one in named]) for term in score.reads}
    order = np.asarray(score.order(terms), dtype=np.float64)
    passed = np.broadcast_to(True if score.gate is None else score.gate.passed(terms), order.shape)
    # A score of 0 has an infinite logarithm and is the best or worst there is; an infinite score is undefined.
    known = np.isfinite(order) | (passed & np.isinf(order) & np.isfinite(np.asarray(score.value(terms))))
    why = {False: f"it does not reach the score's gate, {score.gate}", True: "its score is undefined"}
    lost = [Excluded(named[place].candidate.name, why[bool(passed[place])]) for place in np.flatnonzero(~known)]
    kept = tuple(one for one, fine in zip(named, known, strict=True) if fine)
    return kept, {term: values[known] for term, values in terms.items()}, tuple(lost)


def _value(entrant: Entrant, term: str) -> float:
    if term == "error":
        assert entrant.error is not None  # a score that reads it lets nobody else in
        return entrant.error
    return entrant.candidate.figures[term].value
