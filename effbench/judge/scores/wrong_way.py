"""Terms that a score reads the wrong way round: models that are worse in them get the better score."""

from __future__ import annotations

from collections.abc import Mapping

from effbench.judge.scores.kinds import Direction, Score
from effbench.judge.terms import Terms
from effbench.records.note import Note

STEP = 1.01
"""What a term is made worse by."""


def wrong_way(score: Score, terms: Terms, senses: Mapping[str, Direction]) -> tuple[Note, ...]:
    """Returns a note where most models' scores would be better with a worse figure of a term.

    Args:
        score: the score. terms: what it reads, (models,).
        senses: which values of each term are better.
    """
    import numpy as np

    order = np.asarray(score.order(terms), dtype=np.float64)
    found = []
    for term, better in senses.items():
        worse = terms[term] * STEP if better == "lower" else terms[term] / STEP
        moved = np.asarray(score.order({**terms, term: worse}), dtype=np.float64)
        if (moved < order).sum() > (moved > order).sum():
            found.append(term)
    if not found:
        return ()
    other = "max" if score.direction == "lower" else "min"
    bare = score.name.removeprefix("max:").removeprefix("min:").strip()
    remedy = f"{other}: {bare} turns it round" if len(found) == len(score.reads) else "check the signs in it"
    return (Note("wrong-way", ", ".join(found), f"the worse it is, the better the score: {remedy}"),)
