"""Which layers of two models took another time, from passes over both in turns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from effbench.stats.intervals import centre
from effbench.stats.student import ERROR, student_quantile

Present = Literal["both", "base", "other"]
Seconds = Mapping[str, float | None]
"""By module path, of its own ops in one turn; None where one of them was not timed."""


@dataclass(frozen=True, slots=True)
class LayerChange:
    """One module path in two models, in seconds; None is unknown, or absent there as `present` says.

    Attributes:
        path: of the module whose own ops were timed; "" is the model itself.
        change_s: `other_s` − `base_s`, a layer that one of them lacks taking no time there.
        noise_s: half-width of the 95 % interval of the change; None for fewer than two turns.
    """

    path: str
    base_s: float | None
    other_s: float | None
    present: Present
    change_s: float | None
    noise_s: float | None

    @property
    def changed(self) -> bool:
        """Returns whether the change stands out from its noise; of layers that do not change, one in 20 does."""
        return self.change_s is not None and self.noise_s is not None and abs(self.change_s) > self.noise_s


def layer_changes(base: Sequence[Seconds], other: Sequence[Seconds]) -> tuple[LayerChange, ...]:
    """Returns a row for each path of either model, the greatest change first, unknown ones last.

    Args:
        base: of the first model, turn by turn. other: of the other model, in the same turns.
    """
    paths = dict.fromkeys(path for turn in (*base, *other) for path in turn)
    found = [_change(path, base, other) for path in paths]
    return tuple(sorted(found, key=lambda row: -math.inf if row.change_s is None else abs(row.change_s), reverse=True))


def _change(path: str, base: Sequence[Seconds], other: Sequence[Seconds]) -> LayerChange:
    in_base, in_other = (any(path in turn for turn in turns) for turns in (base, other))
    present: Present = "both" if in_base and in_other else "base" if in_base else "other"
    before = [turn.get(path, None if in_base else 0.0) for turn in base]
    after = [turn.get(path, None if in_other else 0.0) for turn in other]
    pairs = [(was, now) for was, now in zip(before, after, strict=True) if was is not None and now is not None]
    if len(pairs) < len(before):
        return LayerChange(path, None, None, present, None, None)
    base_s, other_s = (_typical(seconds)[0] for seconds in zip(*pairs, strict=True))
    change_s, noise_s = _typical([now - was for was, now in pairs])
    return LayerChange(path, base_s if in_base else None, other_s if in_other else None, present, change_s, noise_s)


def _typical(values: Sequence[float]) -> tuple[float, float | None]:
    """Returns (the trimmed mean, the half-width of its 95 % interval)."""
    if len(values) < 2:
        return values[0], None
    found = centre(values)
    return float(found.mean), float(student_quantile(ERROR, found.freedom) * found.standard_error)
