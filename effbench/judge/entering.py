"""Who enters a leaderboard: models with all that its score reads, in one unit, taken under the same conditions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from effbench.errors import InputError
from effbench.judge.candidate import Candidate, Figure, Measure, as_error, convertible, unit_for
from effbench.judge.comparable import NAMED, conditions_of, differing, listed, not_stated, remedy, told
from effbench.judge.scores.kinds import Score
from effbench.judge.terms import COSTS
from effbench.records import Note


@dataclass(frozen=True, slots=True)
class Excluded:
    """A model left out, with the reason."""

    name: str
    reason: str


class Entrant(NamedTuple):
    """A candidate with its error in the ranking's unit; None where the ranking reads none and it has none."""

    candidate: Candidate
    error: float | None


@dataclass(frozen=True, slots=True)
class Entered:
    """Who takes part, who does not and why."""

    entrants: tuple[Entrant, ...]
    excluded: tuple[Excluded, ...]
    measure: Measure | None
    notes: tuple[Note, ...] = ()


def enter(
    candidates: Sequence[Candidate],
    score: Score,
    metric: str | None,
    unit: str | None = None,
    max_error: float | None = None,
    mixed: bool = False,
) -> Entered:
    """Returns the candidates that a score can be computed of.

    Args:
        candidates: all that might enter.
        score: says which terms are read.
        metric: what their `error` is; None where there is none.
        unit: the error's unit that was asked for; None takes the figures' own, for a quality a fraction.
        max_error: in the ranking's unit; models above it are left out.
        mixed: take models whose error is in another unit than most as left out, not as a mistake.

    Raises:
        InputError: the units of the errors differ, or cannot be turned into the one that is needed.
    """
    excluded: list[Excluded] = []
    able: list[Candidate] = []
    reads = sorted(score.reads, key="params".__eq__)  # the size last
    for candidate in candidates:
        obstacle = _obstacle(candidate, reads, metric)
        if obstacle:
            excluded.append(Excluded(candidate.name, obstacle))
        else:
            able.append(candidate)
    measure, notes = _measure(able, score, metric, unit, mixed)
    entrants: list[Entrant] = []
    for candidate in able:
        error = _error(candidate, measure, max_error)
        if isinstance(error, str) and ("error" in score.reads or max_error is not None):
            excluded.append(Excluded(candidate.name, error))
        else:
            entrants.append(Entrant(candidate, None if isinstance(error, str) else error))
    return Entered(tuple(entrants), _in_order(excluded, candidates), measure, notes)


def _in_order(excluded: Iterable[Excluded], candidates: Sequence[Candidate]) -> tuple[Excluded, ...]:
    places = {candidate.name: place for place, candidate in enumerate(candidates)}
    return tuple(sorted(excluded, key=lambda item: places[item.name]))


def _obstacle(candidate: Candidate, reads: Sequence[str], metric: str | None) -> str:
    """Returns why a candidate has no score; empty where it has one. The error is looked at first, then in order."""
    if "error" in reads and "error" not in candidate.figures:
        return candidate.missing.get("error") or f"no {metric or 'error'}"
    for term in reads:
        figure = candidate.figures.get(term)
        if figure is None:
            return candidate.missing.get(term) or f"no {term}"
        if term in COSTS or term == "throughput":
            if not figure.value and term in ("params", "macs", "flops"):
                return "no parameters or FLOPs: the score would be 0"
            if not (math.isfinite(figure.value) and figure.value > 0):
                return f"its {term} is {figure.value}: a number above 0 is needed"
    return ""


def _error(candidate: Candidate, measure: Measure | None, max_error: float | None) -> float | str | None:
    """Returns a candidate's error in the ranking's unit, None where it has none, or why it cannot enter."""
    figure = candidate.figures.get("error")
    if figure is None or measure is None:
        return candidate.missing.get("error", "no error") if max_error is not None else None
    if not convertible(figure.unit, measure):
        kind = "not a fraction or percent" if measure.flipped else f"the ranking is in {measure.unit}"
        return f"its {measure.metric} is in {figure.unit}, {kind}"
    error = as_error(figure, measure)
    if max_error is not None and not isinstance(error, str) and error > max_error:
        return f"its error of {error:.4g} {measure.unit} is above the limit of {max_error:g}"
    return error


def _measure(
    able: Sequence[Candidate], score: Score, metric: str | None, unit: str | None, mixed: bool
) -> tuple[Measure | None, tuple[Note, ...]]:
    """Returns the metric with the ranking's unit, which every model's error can be turned into."""
    figures = [(candidate.name, candidate.figures["error"]) for candidate in able if "error" in candidate.figures]
    if metric is None or not figures:
        return None, ()
    if unit is not None and score.error_unit is not None and unit != score.error_unit:
        raise InputError(f"the score {score.name} needs the error in {score.error_unit}, not in {unit}")
    wanted = unit or score.error_unit
    units = Counter((figure.direction, figure.unit) for _, figure in figures)
    direction, most = units.most_common(1)[0][0]
    reads = "error" in score.reads
    try:
        measure = unit_for(metric, direction, most, wanted)
    except InputError:
        if reads:
            raise
        return None, ()
    apart = _apart(figures, measure, wanted)
    if not apart or not reads:
        return measure, ()
    what = f"unit of {metric} differs: {_told_units(figures)}"
    if not mixed:
        raise InputError(f"{what}: state all in one unit, or leave out the others with --mixed")
    text = f"{what}: those that cannot be turned into {measure.unit} are left out"
    return measure, (Note("mixed", metric, text),)


def _apart(figures: Sequence[tuple[str, Figure]], measure: Measure, wanted: str | None) -> list[str]:
    """Returns the names of models whose error is in a unit that the ranking cannot read.

    A quality as a percentage and one as a fraction are the same number; an error is read as it was stated, so that
    shares stated in both ways need the unit to be named.
    """
    free = measure.direction == "higher" or wanted is not None
    return [
        name
        for name, figure in figures
        if not (convertible(figure.unit, measure) if free else figure.unit == measure.unit)
    ]


def _told_units(figures: Sequence[tuple[str, Figure]]) -> str:
    """Returns each unit with its models: "pixels (a, b), millimetres (c)"."""
    groups: dict[str, list[str]] = {}
    for name, figure in figures:
        groups.setdefault(figure.unit, []).append(name)
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    return ", ".join(f"{unit} ({listed(names)})" for unit, names in ordered)


def alike(
    entrants: Sequence[Entrant], score: Score, convention: str, mixed: bool
) -> tuple[tuple[Entrant, ...], tuple[Excluded, ...], tuple[Note, ...]]:
    """Returns the entrants whose figures may be compared, those counted otherwise, and what a reader must know.

    Raises:
        InputError: conditions that the score's terms depend on differ; the models are named.
    """
    counted = {"flops", "macs"} & set(score.reads)
    foreign = [_counted_by(entrant.candidate, counted, convention) for entrant in entrants]
    if all(foreign):  # none is counted as asked: none can be ranked, whatever they share
        text = "its FLOPs were counted by {0}, this ranking is by {1}: --convention {0} ranks it"
        pairs = zip(entrants, foreign, strict=True)
        return (), tuple(Excluded(one.candidate.name, text.format(by, convention)) for one, by in pairs), ()
    found = conditions_of(
        [(one.candidate.name, _conditions(one.candidate, score.reads)) for one in entrants], score.reads
    )
    apart = differing(found)
    if apart and not mixed:
        raise InputError(f"{told(apart, NAMED)}: {remedy(apart)}")
    notes = [Note("mixed", one.condition, told([one], NAMED)) for one in apart]
    for one in not_stated(found):
        notes.append(
            Note("not-stated", one.condition, f"not stated of {listed(one.unstated)}: taken to be like the others")
        )
    return tuple(entrants), (), (*notes, *_said(entrants, score.reads))


def _said(entrants: Sequence[Entrant], reads: Sequence[str]) -> list[Note]:
    """Returns what is noted of the figures that are read, each text once with the models that it is about."""
    found: dict[Note, dict[str, None]] = {}
    for entrant in entrants:
        for term in reads:
            figure = entrant.candidate.figures.get(term)
            for note in figure.notes if figure is not None else ():
                found.setdefault(note, {})[entrant.candidate.name] = None
    return [Note(note.code, note.subject, f"{listed(list(names))}: {note.text}") for note, names in found.items()]


def _counted_by(candidate: Candidate, terms: Iterable[str], convention: str) -> str:
    """Returns the convention that a candidate's cost was counted by, where it is another one than asked for."""
    for term in terms:
        by = dict(candidate.figures[term].conditions).get("convention", convention)
        if by != convention:
            return by
    return ""


def _conditions(candidate: Candidate, reads: Sequence[str]) -> dict[str, tuple[tuple[str, str], ...]]:
    return {term: candidate.figures[term].conditions for term in reads if term in candidate.figures}
