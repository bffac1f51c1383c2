"""Which models are on the Pareto front, with what probability, and how much the front dominates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from effbench.errors import InputError
from effbench.records.evaluation import Direction
from effbench.stats import Floats

_CELLS = 2_000_000
"""Numbers that are compared at once: a few tens of MB, whatever the number of draws."""

_MARGIN = 0.1


@dataclass(frozen=True, slots=True)
class Hypervolume:
    """The volume that a front dominates, and the point up to which it is measured, in the objectives' own units."""

    volume: float
    reference: tuple[float, ...]


def front(points: ArrayLike, senses: Sequence[Direction] | None = None) -> NDArray[np.bool_]:
    """Returns which models no other one dominates, shape (models,).

    One model dominates another if it is at least as good in every objective and better in one. Models with the same
    figures in all objectives do not dominate each other: both are on the front, or neither is.

    Args:
        points: (models, objectives), any number of objectives.
        senses: which values of each objective are better; None for lower in all.

    Raises:
        InputError: a figure is not a number, or the shapes do not fit.
    """
    return np.asarray(_fronts(_losses(points, senses, 2)[None])[0])


def front_probability(draws: ArrayLike, senses: Sequence[Direction] | None = None) -> Floats:
    """Returns the share of draws in which each model is on the front, shape (models,).

    Two objectives take O(models · log models) a draw; three and more O(models · models on the front).

    Args:
        draws: (draws, models, objectives).
        senses: which values of each objective are better; None for lower in all.

    Raises:
        InputError: a figure is not a number, or the shapes do not fit.
    """
    losses = _losses(draws, senses, 3)
    if not len(losses):
        raise InputError("no draws: a probability needs at least one")
    step = max(1, _CELLS // max(1, losses[0].size))
    hits = np.zeros(losses.shape[1])
    for start in range(0, len(losses), step):
        hits += _fronts(losses[start : start + step]).sum(axis=0)
    return hits / len(losses)


def hypervolume(
    points: ArrayLike, reference: Sequence[float] | None = None, senses: Sequence[Direction] | None = None
) -> Hypervolume:
    """Returns the exact volume of all that the points dominate up to a reference point, in 2 or 3 objectives.

    Zitzler and Thiele, "Multiobjective evolutionary algorithms: a comparative case study", IEEE TEC 3 (1999). Points
    that are not better than the reference in every objective add nothing.

    Args:
        points: (models, objectives), two or three objectives.
        reference: one value for each objective. None takes, for each, the worst value of all points and a tenth of
            their range beyond it, so that the models at the ends of the front count; where all points are equal,
            one unit beyond, as if the objective had been left out. It moves with the points: give it to compare sets.
        senses: which values of each objective are better; None for lower in all.

    Raises:
        InputError: not two or three objectives, no points, or a figure is not a finite number.
    """
    losses = _losses(points, senses, 2)
    count, objectives = losses.shape
    if objectives not in (2, 3) or not count:
        raise InputError(f"hypervolume of {count} points in {objectives} objectives: it needs points, and 2 or 3")
    given = () if reference is None else tuple(reference)
    if len(given) not in (0, objectives) or not (np.isfinite(losses).all() and np.isfinite(given).all()):
        raise InputError(f"hypervolume needs finite figures, and a reference of {objectives} finite ones if any")
    signs = _signs(senses, objectives)
    bound = np.asarray(given, dtype=np.float64) * signs if given else _beyond(losses)
    inside = losses[(losses < bound).all(axis=1)]
    kept = np.unique(inside[_fronts(inside[None])[0]], axis=0)
    volume = _area(kept, bound) if objectives == 2 else _volume(kept, bound)
    return Hypervolume(volume, tuple(map(float, bound * signs)))


def _signs(senses: Sequence[Direction] | None, objectives: int) -> Floats:
    given = senses if senses is not None else ("lower",) * objectives
    if len(given) != objectives or not set(given) <= {"lower", "higher"}:
        raise InputError(f"senses {tuple(given)} of {objectives} objectives: give lower or higher for each")
    return np.array([1.0 if sense == "lower" else -1.0 for sense in given])


def _losses(points: ArrayLike, senses: Sequence[Direction] | None, dimensions: int) -> Floats:
    """Returns the figures with their signs turned so that lower is better everywhere."""
    given = np.asarray(points, dtype=np.float64)
    if given.ndim != dimensions or not given.shape[-1]:
        wanted = "(models, objectives)" if dimensions == 2 else "(draws, models, objectives)"
        raise InputError(f"points of shape {given.shape}: a front needs {wanted}")
    if np.isnan(given).any():
        raise InputError("a figure is not a number: leave out models whose figures are unknown")
    return np.asarray(given * _signs(senses, given.shape[-1]))


def _fronts(losses: Floats) -> NDArray[np.bool_]:
    """Returns which models are on the front of each draw, shape (draws, models); lower is better."""
    keys = tuple(losses[..., objective] for objective in reversed(range(losses.shape[-1])))
    order = np.lexsort(keys, axis=-1)
    ordered = np.take_along_axis(losses, order[..., None], axis=1)
    found = _sweep(ordered) if losses.shape[-1] == 2 else _cull(ordered)
    back = np.empty_like(found)
    np.put_along_axis(back, order, found, axis=1)
    return back


def _sweep(ordered: Floats) -> NDArray[np.bool_]:
    """Returns the front of points in lexicographic order, two objectives: those below all that came before.

    Points that equal their predecessor share its fate.
    """
    second = ordered[..., 1]
    fresh = np.ones(second.shape, dtype=np.bool_)
    fresh[:, 1:] = (ordered[:, 1:] != ordered[:, :-1]).any(axis=-1)
    below = np.ones(second.shape, dtype=np.bool_)
    below[:, 1:] = second[:, 1:] < np.minimum.accumulate(second, axis=1)[:, :-1]
    places = np.where(fresh, np.arange(second.shape[1]), 0)
    first = np.maximum.accumulate(places, axis=1)
    return np.take_along_axis(below & fresh, first, axis=1)


def _cull(ordered: Floats) -> NDArray[np.bool_]:
    """Returns the front of points in lexicographic order, any number of objectives, all draws at once.

    The first point that is left is on the front, since what dominates it would have come before; what it dominates
    comes after, and goes.
    """
    draws, models, objectives = ordered.shape
    columns = [np.ascontiguousarray(ordered[..., objective]) for objective in range(objectives)]
    alive, found = np.ones((2, draws, models), dtype=np.bool_)
    found[:] = False
    rows = np.arange(draws)
    while (some := alive.any(axis=1)).any():
        picked = alive.argmax(axis=1)
        found[rows[some], picked[some]] = True
        alive[rows, picked] = False
        start = int(picked[some].min())
        worse, equal = np.ones((2, draws, models - start), dtype=np.bool_)
        for column in columns:
            best = column[rows, picked][:, None]
            rest = column[:, start:]
            worse &= best <= rest
            equal &= best == rest
        alive[:, start:] &= ~worse | equal
    return found


def _beyond(losses: Floats) -> Floats:
    worst = losses.max(axis=0)
    reach = worst - losses.min(axis=0)
    return np.asarray(worst + np.where(reach > 0, _MARGIN * reach, 1.0))


def _area(kept: Floats, bound: Floats) -> float:
    """Returns the area between a front without duplicates and the bound: one strip for each point."""
    if not len(kept):
        return 0.0
    ordered = kept[np.argsort(kept[:, 0])]
    above = np.concatenate([bound[1:], ordered[:-1, 1]])
    return float((bound[0] - ordered[:, 0]) @ (above - ordered[:, 1]))


def _volume(kept: Floats, bound: Floats) -> float:
    """Returns the volume in slices: between two values of the last objective the points up to the first one count."""
    ordered = kept[np.argsort(kept[:, 2], kind="stable")]
    ends = np.append(ordered[1:, 2], bound[2])
    total = 0.0
    for place, thickness in enumerate(ends - ordered[:, 2]):
        if thickness > 0:
            seen = ordered[: place + 1, :2]
            total += float(thickness) * _area(seen[_fronts(seen[None])[0]], bound[:2])
    return total
