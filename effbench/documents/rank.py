"""The document of `effbench rank`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from effbench.documents.common import Document
from effbench.judge.convention import conventions
from effbench.judge.ranking import Group, Ranking
from effbench.records import SCHEMA, Note
from effbench.report.table import notes_data
from effbench.units import Unit

if TYPE_CHECKING:
    from effbench.judge.trade import Trade


def ranking_document(ranking: Ranking, notes: Sequence[Note] = ()) -> Document:
    """Returns the document of `effbench rank`; a score that overflowed is null, what it is ordered by is not."""
    score = ranking.score
    shared = [_shared(group) for group in ranking.groups]
    own = [_own(group, same) for group, same in zip(ranking.groups, shared, strict=True)]
    return {
        "schema": SCHEMA,
        "score": score.name,
        "formula": score.formula.replace("ERROR", ranking.error_name or "error"),
        "reads": list(score.reads),
        "direction": score.direction,
        "metric": ranking.metric,
        "unit": ranking.unit,
        "convention": ranking.convention,
        "flops_per_count": 2 if conventions.get(ranking.convention).unit is Unit.MAC else 1,
        "draws": ranking.draws,
        "seed": ranking.seed,
        "by": ranking.by or None,
        "rows": [
            row.to_dict(conditions[id(row.conditions)])
            for group, conditions in zip(ranking.groups, own, strict=True)
            for row in group.rows
        ],
        "groups": [_group(group, same) for group, same in zip(ranking.groups, shared, strict=True)],
        "excluded": [{"model": item.name, "reason": item.reason} for item in ranking.excluded],
        "notes": notes_data((*ranking.notes, *notes)),
    }


def _shared(group: Group) -> set[tuple[str, str]]:
    """Returns the conditions that all rows of a leaderboard have in common: they are told once, not with each row."""
    distinct = [set(conditions) for conditions in {id(row.conditions): row.conditions for row in group.rows}.values()]
    return set.intersection(*distinct) if distinct else set()


def _own(group: Group, shared: set[tuple[str, str]]) -> dict[int, dict[str, str]]:
    """Returns by identity the conditions of rows, of which few are distinct, without those that all rows have."""
    every = {id(row.conditions): row.conditions for row in group.rows}
    return {key: dict(pair for pair in pairs if pair not in shared) for key, pairs in every.items()}


def _group(group: Group, shared: set[tuple[str, str]]) -> Document:
    """Returns what is said of one leaderboard as a whole; `shared` are the conditions that all of its rows have."""
    trade = group.trade
    times = trade.times
    return {
        "group": group.label or None,
        "conditions": dict(sorted(shared)),
        "models": trade.models,
        "front": {"axes": list(trade.axes), "models": trade.on_front},
        "hypervolume": _volume(trade),
        "winners": {
            "weight": trade.weight or None,
            "now": trade.k,
            "by_weight": [
                {"from": one.k_from, "to": one.k_to if math.isfinite(one.k_to) else None, "model": one.model}
                for one in trade.reigns
            ],
        },
        "latency": None
        if times is None
        else {
            "of": times.of,
            "models": times.models,
            "spearman": times.spearman,
            "reversed_pairs": times.reversed,
            "pairs": times.pairs,
        },
    }


def _volume(trade: Trade) -> dict[str, Any] | None:
    if trade.volume is None:
        return None
    found = trade.volume
    return {"value": found.value, "reference": list(found.reference), "units": list(found.units)}
