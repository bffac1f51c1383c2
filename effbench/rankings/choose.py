"""What a ranking is asked for → candidates, filtered, ranked, sorted and cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from shlex import quote

import effbench.judge.conventions  # noqa: F401  fills the table
from effbench.errors import InputError, UnknownName
from effbench.garbage import no_collection
from effbench.judge.board import Rules
from effbench.judge.candidate import Candidate
from effbench.judge.convention import conventions
from effbench.judge.entering import Excluded
from effbench.judge.expression import Filter, filter_of
from effbench.judge.rank import rank as rank_candidates
from effbench.judge.ranking import Ranking
from effbench.judge.scores import Score, score_of
from effbench.judge.terms import TERMS
from effbench.rankings.candidates import Known, Wanted, candidates_of
from effbench.rankings.columns import cut, facts_of, grouping, numbers_of, sorted_by
from effbench.rankings.metric_choice import MetricChoice, names_of, parse_metric
from effbench.rankings.naming import told_apart
from effbench.rankings.sources import known_of
from effbench.records import Note
from effbench.store import Stored

DEFAULT = "params_flops_exp"


@dataclass(frozen=True, slots=True)
class Choice:
    """What a leaderboard is asked for.

    Attributes:
        metric: the error that the score reads, such as "top1_err", "top1_err:fraction" or "pck:t=0.1"; None takes the
            one that all records have, if there is one.
        score: a registered score with its parameters, or a formula of terms.
        convention: how FLOPs are counted.
        max_error: models above it are left out; in the ranking's unit.
        by: a leaderboard for each value of this column.
        where: a condition on terms, such as "params < 5e6 and error < 0.1".
        sort: a column to sort rows by; "-" before it turns the order round. Ranks stay.
        top: so many rows of each leaderboard.
        mixed: rank together what was measured under different conditions, and say so.
        draws: of everything uncertain; None takes 1,000.
    """

    metric: str | None = None
    score: str = DEFAULT
    convention: str = "macs"
    max_error: float | None = None
    by: str = ""
    where: str = ""
    sort: str = ""
    top: int | None = None
    mixed: bool = False
    draws: int | None = None
    seed: int = 0


def rank(
    records: Sequence[Stored | Known],
    metric: str | None = None,
    score: str = DEFAULT,
    convention: str = "macs",
    *,
    max_error: float | None = None,
    by: str = "",
    where: str = "",
    sort: str = "",
    top: int | None = None,
    mixed: bool = False,
    draws: int | None = None,
    seed: int = 0,
) -> Ranking:
    """Returns the leaderboard of records: `.rows`, `.groups`, `.excluded`, `.notes`, `.to_frame()`.

    Args:
        records: what `read_folder` or `read_published` gave, or made from profiles.
        metric: the error that the score reads; None takes the one that all of them state, if there is one. A unit or
            settings may follow: "top1_err:fraction", "pck:t=0.1".
        score: one of `effbench list scores`, with parameters ("params_flops_exp:k=20"), or a formula of terms.
        convention: how FLOPs are counted; a figure published under another one is refused, by name.
        max_error: models above it are left out; in the ranking's unit.
        by: a leaderboard for each value of this column.
        where: a condition on terms, such as "params < 5e6 and error < 0.1".
        sort: a column to sort rows by; "-" before it turns the order round. Ranks stay.
        top: so many rows of each leaderboard.
        mixed: rank together what was measured under different conditions, and say so.
        draws: of everything uncertain; None takes 1,000.
        seed: of the draws.

    Raises:
        InputError: the score, convention or metric is unknown, several metrics could be meant, models differ in what
            their figures depend on, or no record can be ranked; the reasons are given.
    """
    choice = Choice(metric, score, convention, max_error, by, where, sort, top, mixed, draws, seed)
    return rank_known(told_apart(known_of(records, _convention(convention), reads_memory(choice))), choice)


def _convention(name: str) -> str:
    conventions.get(name)
    return name


def reads_memory(choice: Choice) -> bool:
    """Returns whether a ranking needs the memory of traces, which takes time to derive."""
    return any("memory" in text for text in (choice.score, choice.where, choice.sort))


def rank_known(records: Sequence[Known], choice: Choice) -> Ranking:
    """Returns the leaderboard of records, as `rank` does."""
    with no_collection():
        return _ranked(records, choice)


def _ranked(records: Sequence[Known], choice: Choice) -> Ranking:
    _convention(choice.convention)
    stated = [names_of(known.view) for known in records]
    known = set().union(*stated)
    score = score_of(choice.score, {**dict.fromkeys(known, ""), **TERMS})
    condition = _filter(choice.where, records, known)
    reads = (*score.reads, *(condition.reads if condition is not None else ()))
    error = _metric(stated, known, choice.metric, "error" in reads or choice.max_error is not None)
    asked = (*score.reads, *(name for name in (*reads, choice.sort.lstrip("-")) if name in known))
    qualities = tuple(dict.fromkeys(name for name in asked if name not in TERMS))
    candidates = candidates_of(records, Wanted(choice.convention, error, qualities))
    kept, excluded, notes = _kept(candidates, condition, _in_unit_of(score, error), score.reads)
    metric = error.metric if error is not None else None
    ranking = rank_candidates(kept, score, metric, _rules(choice, error, score, kept, qualities))
    ranking = replace(ranking, excluded=(*excluded, *ranking.excluded), notes=(*notes, *ranking.notes))
    if not ranking.rows:
        raise InputError(_nothing(ranking, choice))
    return cut(sorted_by(ranking, choice.sort), choice.top)


def _in_unit_of(score: Score, error: MetricChoice | None) -> MetricChoice | None:
    """Returns the error in the ranking's unit: that which was asked for, else that which the score needs."""
    return error if error is None else replace(error, unit=error.unit or score.error_unit)


def _rules(
    choice: Choice, error: MetricChoice | None, score: Score, candidates: Sequence[Candidate], more: Sequence[str]
) -> Rules:
    shown = dict.fromkeys(("params", "flops", "latency", *(() if error is None else ("error",)), *more))
    wanted = choice.sort.lstrip("-")
    if wanted in TERMS:
        shown[wanted] = None
    return Rules(
        convention=choice.convention,
        unit=None if error is None else error.unit,
        max_error=choice.max_error,
        mixed=choice.mixed,
        draws=choice.draws,
        seed=choice.seed,
        by=grouping(candidates, choice.by),
        shown=tuple(shown),
    )


def _metric(stated: Sequence[set[str]], known: set[str], asked: str | None, needed: bool) -> MetricChoice | None:
    """Returns the metric asked for, else the only one stated, else the only one that every record states."""
    chosen = None if asked is None else parse_metric(asked)
    if not known and (needed or chosen is not None):
        raise InputError("no record states an error: give one with --error-of MODEL=VALUE:UNIT")
    if chosen is not None:
        if chosen.metric not in known:
            raise UnknownName("error", chosen.metric, known)
        return chosen
    for candidates in (known, set.intersection(*stated) if stated else set[str]()):
        if len(candidates) == 1:
            return MetricChoice(next(iter(candidates)))
    if not needed:
        return None
    raise InputError(f"say which error to rank by, with --error {' or --error '.join(map(quote, sorted(known)))}")


def _filter(text: str, records: Sequence[Known], metrics: set[str]) -> Filter | None:
    if not text:
        return None
    return filter_of(text, {**dict.fromkeys(metrics, ""), **facts_of(records), **TERMS})


def _kept(
    candidates: Sequence[Candidate], condition: Filter | None, error: MetricChoice | None, reads: Sequence[str]
) -> tuple[Sequence[Candidate], tuple[Excluded, ...], tuple[Note, ...]]:
    """Returns the candidates that meet the condition, those of which that is not known, and how many were dropped."""
    if condition is None:
        return candidates, (), ()
    kept: list[Candidate] = []
    unknown: list[Excluded] = []
    for candidate in candidates:
        known: Mapping[str, float | None] = numbers_of(candidate, condition.reads, error, reads)
        answer = condition.keep(known)
        if answer:
            kept.append(candidate)
        elif answer is None:
            lacking = ", ".join(name for name in condition.reads if known.get(name) is None)
            unknown.append(Excluded(candidate.name, f"--filter cannot be decided: no {lacking or 'such number'}"))
    dropped = len(candidates) - len(kept) - len(unknown)
    text = f"{dropped:,} of {len(candidates):,} models do not meet {condition.text}"
    return kept, tuple(unknown), (Note("filter", "", text),)


def _nothing(ranking: Ranking, choice: Choice) -> str:
    reasons = Counter(item.reason for item in ranking.excluded).most_common(3)
    rest = len(ranking.excluded) - sum(models for _, models in reasons)
    told = "; ".join([*(f"{models:,} × {reason}" for reason, models in reasons), *([f"{rest:,} more"] if rest else [])])
    said = "; ".join(note.text for note in ranking.notes if note.code == "filter")
    by = ranking.metric or ranking.score.name
    return f"nothing to rank by {by} under {choice.convention}: {told or said or 'there are no models'}"
