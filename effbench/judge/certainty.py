"""What is said of how sure a leaderboard is: why it has no intervals, or what they are of."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from effbench.judge.comparable import listed
from effbench.judge.entering import Entrant
from effbench.judge.rank_intervals import FEWEST_DRAWS
from effbench.judge.rounding import rounding_note
from effbench.judge.standing import is_uncertain, unknown_among
from effbench.records import Note

MOST_WITH_INTERVALS = 15_000
"""Models whose ranks get intervals unasked: a minute's work at most, which grows as their square."""


def certainty(entrants: Sequence[Entrant], reads: Sequence[str], drawn: Collection[str]) -> tuple[Note, ...]:
    """Returns the notes on a leaderboard's intervals.

    Args:
        reads: the score's terms. drawn: those of them that vary, where intervals were made.
    """
    if len(entrants) < 2:
        return ()
    if not drawn and any(_is_open(one, reads) for one in entrants):
        return (Note("no-intervals", "", _too_many(len(entrants))),)
    if not drawn:
        text = "ranks are nominal: nothing that the score reads has a stated sample size or interval"
        return (Note("no-intervals", "", text),)
    exact = unknown_among(entrants, drawn)
    said = rounding_note(entrants, drawn)
    if exact and len(exact) == len(entrants):
        text = "intervals are of rounding alone: nothing that the score reads has a stated sample size or interval"
        return (*said, Note("rounding-alone", "", text))
    apart = ", rounding apart" if said else ""
    text = f"no interval is known of {listed(exact)}: taken as exact{apart}"
    return (*said, Note("exact", "", text)) if exact else said


def _is_open(entrant: Entrant, reads: Sequence[str]) -> bool:
    figures = (entrant.candidate.figures[term] for term in reads)
    return any(figure.rounding is not None or is_uncertain(figure) for figure in figures)


def _too_many(models: int) -> str:
    minutes = math.ceil((models / MOST_WITH_INTERVALS) ** 2)
    return (
        f"ranks are nominal: intervals of {models:,} models take up to some {minutes} minutes, and --draws "
        f"{FEWEST_DRAWS} asks for them; up to {MOST_WITH_INTERVALS:,} models have them unasked"
    )
