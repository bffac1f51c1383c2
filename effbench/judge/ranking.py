"""A leaderboard as data: its rows, what is said of them together, and who was left out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from effbench.judge.candidate import Measure
from effbench.judge.comparable import Conditions
from effbench.judge.entering import Excluded
from effbench.judge.scores.kinds import Score
from effbench.judge.trade import Trade
from effbench.records import Note

if TYPE_CHECKING:
    from pandas import DataFrame

KEYS: Mapping[str, str] = MappingProxyType(
    {"latency": "latency_s", "throughput": "samples_per_s", "memory": "memory_bytes", "energy": "energy_j"}
)
"""What a term is called where its unit has to be said; others are called as they are."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """One row of a leaderboard; None is unknown.

    Attributes:
        rank: by the nominal score; equal scores share one.
        group: what `--by` put it under; empty where there is one leaderboard.
        figures: by term, in base units; the error in the ranking's unit.
        half_widths: of the 95 % intervals, in the term's unit.
        missing: why a term that is shown has no figure.
        score: infinite where it overflows.
        order: what the rows are sorted by, lower is better: the score's logarithm, or minus it; infinite for
            a score of 0.
        rank_low, rank_high: 95 % interval of its rank. p_best: the probability that it is the best.
        tie: rows that share this number cannot be told apart; None where nothing has an interval.
        front: whether no other row is better in one term that the score reads and as good in the others.
        p_front: the probability of that.
        break_even: by how much its error must be below that of the row above to tie with it; None in the first row and
            where the score is not a cost times an exponential of the error.
        lead: by how much its error is below that of the row above.
        reversed: how many rows with a better score are slower; None where its latency is not known.
    """

    rank: int
    name: str
    group: str
    figures: Mapping[str, float | None]
    half_widths: Mapping[str, float]
    missing: Mapping[str, str]
    score: float
    order: float
    source: str
    rank_low: int | None = None
    rank_high: int | None = None
    p_best: float | None = None
    tie: int | None = None
    front: bool | None = None
    p_front: float | None = None
    break_even: float | None = None
    lead: float | None = None
    reversed: int | None = None
    conditions: Conditions = ()

    def to_dict(self, conditions: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Returns the row as plain data, keys with their units; None for a score that overflowed, and for ln 0.

        Args:
            conditions: those that are to be told; None is all of the row's.
        """
        figures = {KEYS.get(term, term): value for term, value in self.figures.items()}
        widths = {f"{KEYS.get(term, term)}_half_width": width for term, width in self.half_widths.items()}
        return {
            "rank": self.rank,
            "rank_low": self.rank_low,
            "rank_high": self.rank_high,
            "p_best": self.p_best,
            "tie": self.tie,
            "group": self.group or None,
            "model": self.name,
            **figures,
            **widths,
            "score": self.score if math.isfinite(self.score) else None,
            "order": self.order if math.isfinite(self.order) else None,
            "source": self.source,
            "front": self.front,
            "p_front": self.p_front,
            "break_even": self.break_even,
            "lead": self.lead,
            "reversed": self.reversed,
            "conditions": dict(self.conditions) if conditions is None else conditions,
            "missing": dict(self.missing),
        }

    @property
    def params(self) -> float | None:
        """Returns the number of parameters."""
        return self.figures.get("params")

    @property
    def flops(self) -> float | None:
        """Returns the FLOPs in the ranking's convention."""
        return self.figures.get("flops")

    @property
    def error(self) -> float | None:
        """Returns the error in the ranking's unit."""
        return self.figures.get("error")


@dataclass(frozen=True, slots=True)
class Group:
    """One leaderboard: rows best first, and what is said of them together."""

    label: str
    rows: tuple[Ranked, ...]
    trade: Trade


@dataclass(frozen=True, slots=True)
class Ranking:
    """One or more leaderboards by one score.

    Attributes:
        measure: the error that the score reads, or that is shown; None where there is none.
        draws: how often everything uncertain was drawn; 0 where nothing is.
    """

    score: Score
    metric: str
    measure: Measure | None
    convention: str
    groups: tuple[Group, ...]
    excluded: tuple[Excluded, ...]
    notes: tuple[Note, ...]
    draws: int = 0
    seed: int = 0
    by: str = ""

    @property
    def rows(self) -> tuple[Ranked, ...]:
        """Returns the rows of all groups."""
        return tuple(row for group in self.groups for row in group.rows)

    @property
    def unit(self) -> str:
        """Returns the unit of the error."""
        return self.measure.unit if self.measure is not None else ""

    @property
    def error_name(self) -> str:
        """Returns the error as the formula writes it."""
        return self.measure.label if self.measure is not None else self.metric

    def to_frame(self) -> DataFrame:
        """Returns one row per model, best first, under the keys that the rows of the JSON document have.

        Counts are floats: as integers, params × FLOPs of a large model would overflow without a word.
        """
        from pandas import DataFrame

        frame = DataFrame([row.to_dict() for row in self.rows])
        return frame.astype({name: float for name in ("params", "macs", "flops") if name in frame})
