"""How far a document rounded its figures → how far the figures that a ranking reads may be off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from effbench.judge.candidate import Figure, Rounded
from effbench.records import Published

_WRITTEN_AS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("macs", "flops"), ("macs", "flops")),
    **dict.fromkeys(("latency", "throughput"), ("throughput", "latency")),
}
"""Terms that are read of another one too."""

_MOST = 0.5
"""Half of a step is at most that share of what was not rounded to 0."""


def with_rounding(figures: Mapping[str, Figure], published: Published, metric: str, name: str) -> dict[str, Figure]:
    """Returns the figures by term, published ones with how far they may be off for having been rounded.

    Args:
        metric: what the term `error` is.
        name: of the model; it stands for the cell that a figure was written in where that is not known.
    """
    found = dict(figures)
    for term, figure in figures.items():
        own = metric if term == "error" else term
        written = next((one for one in _WRITTEN_AS.get(own, (own,)) if one in published.rounded), None)
        if figure.source == "published" and written is not None:
            rounding = published.rounded[written]
            half = _half(figure, written, rounding.step, published)
            found[term] = replace(figure, rounding=Rounded(half, written, rounding.cell or name))
    return found


def _half(figure: Figure, written: str, step: float, published: Published) -> float:
    """Returns half of a step in the figure's unit; of a time that was written as a rate, and the reverse, its share."""
    stated: float | None = None
    if written in ("macs", "flops") and published.cost is not None:
        stated = published.cost.value
    elif written in ("latency", "throughput") and published.speed is not None:
        stated = published.speed.seconds if written == "latency" else 1 / published.speed.seconds
    return step / 2 if stated is None else min(step / 2 / stated, _MOST) * figure.value
