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
        "rows": [row.to_dict() for row in ranking.rows],
        "groups": [_group(group) for group in ranking.groups],
        "excluded": [{"model": item.name, "reason": item.reason} for item in ranking.excluded],
        "notes": notes_data((*ranking.notes, *notes)),
    }


def _group(group: Group) -> Document:
    """Returns what is said of one leaderboard as a whole."""
    trade = group.trade
    times = trade.times
    return {
        "group": group.label or None,
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
