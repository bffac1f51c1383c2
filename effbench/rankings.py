"""Records → leaderboard: which error they are ranked by, what each brings to the ranking, or why it cannot enter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from effbench.documents import Document
from effbench.errors import InputError, UnknownName
from effbench.judge.convention import conventions
from effbench.judge.rank import Candidate, Ranking
from effbench.judge.rank import rank as rank_candidates
from effbench.judge.scores import scores
from effbench.profiles import Profile
from effbench.records import SCHEMA, CostFigure, ErrorFigure, Note, Published, Record
from effbench.report.table import notes_data
from effbench.store import Stored
from effbench.units import Unit, parse_cost, unit_of


def rank(
    records: Sequence[Stored],
    metric: str | None = None,
    score: str = "params_flops_exp",
    convention: str = "macs",
) -> Ranking:
    """Returns the leaderboard of records.

    Args:
        records: what `read_folder` or `read_published` gave, or made from profiles.
        metric: the error that the score reads; None takes the one that all of them state, if there is one.
        score: one of `effbench list scores`.
        convention: how FLOPs are counted; a figure published under another one is left out and named.

    Raises:
        InputError: the score, convention or metric is unknown, several metrics could be meant, or no record
            can be ranked; the reasons are given.
    """
    chosen = scores.get(score)
    conventions.get(convention)
    chosen_metric = _metric(records, metric)
    candidates = [_candidate(stored, chosen_metric, convention) for stored in records]
    ranking = rank_candidates(candidates, chosen, chosen_metric)
    if not ranking.rows:
        reasons = Counter(item.reason for item in ranking.excluded).most_common()
        told = "; ".join(f"{models} × {reason}" for reason, models in reasons) or "there are no models"
        raise InputError(f"nothing to rank by {chosen_metric} under {convention}: {told}")
    return ranking


def _metric(records: Sequence[Stored], asked: str | None) -> str:
    """Returns the metric asked for, else the only one stated, else the only one that every record states."""
    stated = [set(_errors(stored.record)) for stored in records]
    known = sorted(set().union(*stated))
    if not known:
        raise InputError("no record states an error: give one with --error-of MODEL=VALUE:UNIT")
    if asked is not None and asked not in known:
        raise UnknownName("error", asked, known)
    for candidates in ([asked] if asked else [], known, set.intersection(*stated)):
        if len(candidates) == 1:
            return next(iter(candidates))
    raise InputError(f"say which error to rank by, with --error NAME: {', '.join(known)}")


def _errors(entry: Record) -> Mapping[str, ErrorFigure]:
    published = entry.published.errors if entry.published is not None else {}
    return {**published, **entry.errors}


def _candidate(stored: Stored, metric: str, convention: str) -> Candidate:
    entry = stored.record
    error = _errors(entry).get(metric)
    if stored.trace is not None:
        made = Profile(entry.name, entry.spec, stored.trace, convention)
        try:
            unknown = ", ".join(made.coverage.unknown)
        except InputError as refused:  # its facts cannot be counted under this convention
            return Candidate(entry.name, made.params, None, error, "measured", str(refused))
        obstacle = f"FLOPs unknown: no formula for {unknown}" if unknown else stored.trace.failed or ""
        return Candidate(entry.name, made.params, made.flops, error, "measured", obstacle)
    published = entry.published or Published()
    flops, obstacle = _published_flops(published.cost, convention)
    obstacle = "no parameters published" if published.params is None and not obstacle else obstacle
    return Candidate(entry.name, published.params, flops, error, "published", obstacle)


def _published_flops(cost: CostFigure | None, convention: str) -> tuple[int | None, str]:
    """Returns (FLOPs, "") or (None, why a published cost cannot stand in this ranking)."""
    if cost is None:
        return None, "no FLOPs published"
    if cost.convention != convention:
        return None, f"its FLOPs were counted by {cost.convention}, this ranking is by {convention}"
    try:
        amount = parse_cost(cost.value, cost.unit)
    except ValueError as error:
        return None, str(error)
    return amount * (2 if unit_of(cost.unit)[0] is Unit.MAC else 1), ""


def with_errors(
    records: Sequence[Stored], stated: Sequence[tuple[str, ErrorFigure]], metric: str
) -> tuple[Stored, ...]:
    """Returns the records with stated errors added; a model is named by its name, its spec or its file's stem.

    Raises:
        InputError: a statement names no model, or more than one.
    """
    found = list(records)
    for name, figure in stated:
        places = [index for index, stored in enumerate(found) if name in _labels(stored.record)]
        if len(places) != 1:
            known = ", ".join(stored.record.name for stored in found)
            many = "several models" if places else "no model"
            raise InputError(f"--error-of {name!r} names {many} of this ranking: {known}")
        entry = found[places[0]].record
        found[places[0]] = replace(found[places[0]], record=replace(entry, errors={**entry.errors, metric: figure}))
    return tuple(found)


def _labels(entry: Record) -> set[str]:
    file = (entry.spec or "").partition(":")[0]
    return {entry.name, entry.spec or entry.name, Path(file).stem or entry.name}


def ranking_document(ranking: Ranking, convention: str, notes: Sequence[Note] = ()) -> Document:
    """Returns the document of `effbench rank`; a score that overflowed is null, its logarithm is not."""
    return {
        "schema": SCHEMA,
        "score": ranking.score.name,
        "formula": ranking.score.formula.replace("ERROR", ranking.error_name),
        "metric": ranking.metric,
        "unit": ranking.unit,
        "convention": convention,
        "flops_per_count": 2 if conventions.get(convention).unit is Unit.MAC else 1,
        "rows": [
            {
                "rank": row.rank,
                "model": row.name,
                "params": row.params,
                "flops": row.flops,
                "error": row.error,
                "score": row.score if row.score != float("inf") else None,
                "ln_score": row.log_score,
                "source": row.source,
                "break_even": row.break_even,
                "lead": row.lead,
            }
            for row in ranking.rows
        ],
        "excluded": [{"model": item.name, "reason": item.reason} for item in ranking.excluded],
        "notes": notes_data((*ranking.notes, *notes)),
    }
