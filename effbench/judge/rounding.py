"""Figures that were published rounded: draws of what they may have been, and how far off that makes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from effbench.judge.candidate import Figure
from effbench.judge.draws import draw_rounding
from effbench.judge.entering import Entrant
from effbench.judge.terms import Floats
from effbench.records import Note

TOLD = 0.001
"""Rounding that moves no figure by a larger share of it is not told of."""


def unrounded(term: str, figures: Sequence[Figure], drawn: Floats, scales: Sequence[float], seed: int) -> Floats:
    """Returns draws moved to anywhere within the last digit that was published, shape (draws, figures).

    A time that was published as a rate, or the reverse, is moved as the other was. None crosses 0.

    Args:
        term: what the figures are; each has a rounding.
        drawn: without it. scales: what one of a figure's unit is in that of its draws.
    """
    roundings = [figure.rounding for figure in figures if figure.rounding is not None]
    halves = np.array([one.half for one in roundings])
    shifts = draw_rounding([f"{one.of}, {one.cell}" for one in roundings], len(drawn), seed) * halves
    inverse = np.array([{term, one.of} == {"latency", "throughput"} for one in roundings])
    ratios = 1 + shifts / [figure.value or 1.0 for figure in figures]
    return np.where(inverse, drawn / np.where(inverse, ratios, 1.0), _same_sign(drawn, drawn + shifts * scales))


def _same_sign(values: Floats, moved: Floats) -> Floats:
    return np.asarray(np.where(values < 0, np.minimum(moved, 0.0), np.maximum(moved, 0.0)))


def rounding_note(entrants: Sequence[Entrant], terms: Iterable[str]) -> tuple[Note, ...]:
    """Returns how far rounding leaves the figures open that a score reads, the worst model of each named."""
    worst: dict[str, tuple[float, str]] = {}
    for entrant in entrants:
        for term in terms:
            figure = entrant.candidate.figures[term]
            if figure.rounding is not None and figure.value:
                found = figure.rounding.half / abs(figure.value), entrant.candidate.name
                worst[figure.rounding.of] = max(worst.get(figure.rounding.of, (0.0, "")), found)
    told = [f"{of} ± {100 * share:.2g} % of {name}" for of, (share, name) in worst.items() if share > TOLD]
    if not told:
        return ()
    return (Note("rounding", "", f"figures are drawn within their last published digit, at most {', '.join(told)}"),)
