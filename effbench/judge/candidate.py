"""What one model brings to a leaderboard: a figure for each term that a score may read, and why others are missing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from effbench.errors import InputError
from effbench.judge.comparable import Conditions
from effbench.metrics import metrics
from effbench.records import Note
from effbench.records.evaluation import Direction

SHARES: Mapping[str, int] = {"fraction": 0, "percent": 2}
"""Units that are turned into each other by moving the decimal point so many places."""

EVERY_QUALITY = frozenset(
    {"accuracy", "acc", "precision", "recall", "f1", "top1", "top5", "map", "ap", "miou", "iou", "dice", "auc", "auroc"}
    | {"psnr", "ssim"}
)
"""Names of stated figures that say a quality, in lower case; a measured one says so itself."""

ERROR_WORDS = ("err", "loss", "mse", "mae", "distance", "wer", "cer", "perplexity")
"""What a name holds that says an error."""


class Rounded(NamedTuple):
    """How far a figure may be off for having been rounded.

    Attributes:
        half: of a unit of its last digit, in the figure's unit.
        of: what was written: "throughput" for a latency that was derived from it.
        cell: where it was; figures of one cell are off together.
    """

    half: float
    of: str
    cell: str


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of one model.

    Attributes:
        value: in the term's base unit; an error or a quality in `unit`.
        conditions: what it depends on beside the model.
        unit: of an error or a quality; empty where the term has one unit.
        direction: which values are better.
        source: "measured", "stated" or "published".
        evidence: what its interval is drawn from (`effbench.judge.uncertainty`); None takes it as exact.
        notes: what a reader of it must know; a ranking names the models before each text.
        rounding: that it went through before it was published; None where that is not known.
    """

    value: float
    conditions: Conditions = ()
    unit: str = ""
    direction: Direction = "lower"
    source: str = "measured"
    evidence: Any = None
    notes: tuple[Note, ...] = ()
    rounding: Rounded | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """One model as it enters a ranking.

    Attributes:
        figures: by term: params, macs, flops, latency, throughput, memory, energy, error, and metrics by their name.
        missing: why a term has no figure.
        source: "published" or "measured", of its costs.
        also: what else is known of it and may group models, such as "document".
    """

    name: str
    figures: Mapping[str, Figure]
    missing: Mapping[str, str] = field(default_factory=dict)
    source: str = "measured"
    also: Mapping[str, str] = field(default_factory=dict)

    def condition(self, name: str, reads: Sequence[str] = ()) -> str | None:
        """Returns a condition of its figures, those of the terms that a score reads first; None if unstated."""
        first = [self.figures[term] for term in reads if term in self.figures]
        pairs = (pair for figure in (*first, *self.figures.values()) for pair in figure.conditions)
        return next((text for condition, text in pairs if condition == name), None)


class Measure(NamedTuple):
    """The error that a ranking reads: which metric, whether more of it is better, and the ranking's unit."""

    metric: str
    direction: Direction
    unit: str

    @property
    def flipped(self) -> bool:
        """Returns whether it enters a score as one minus its share."""
        return self.direction == "higher" and self.unit in SHARES

    @property
    def is_part(self) -> bool:
        """Returns whether it is known to be a part of a whole; a word error rate, for one, may be above 100 %."""
        known = metrics.find(self.metric)
        return known is not None and known.unit in SHARES

    @property
    def label(self) -> str:
        """Returns how formulas write it: "pixel_error", "(1 − accuracy)", "(100 − accuracy)"."""
        if not self.flipped:
            return self.metric
        return f"({10 ** SHARES[self.unit]} − {self.metric})"


def unit_for(metric: str, direction: Direction, unit: str, asked: str | None) -> Measure:
    """Returns the measure for a metric whose figures are in `unit`, in the unit asked for.

    A quality becomes an error as a fraction unless another unit is asked for; one that is no share, such as a PSNR in
    dB, cannot become one.

    Raises:
        InputError: the one cannot be turned into the other.
    """
    if direction == "higher" and unit not in SHARES:
        raise InputError(
            f"{metric} is in {unit} and higher is better, so it is no error: read it by its name, as in "
            f'--score "latency / {metric}"'
        )
    wanted = asked or ("fraction" if direction == "higher" else unit)
    if wanted != unit and not {wanted, unit} <= set(SHARES):
        raise InputError(f"{metric} is in {unit}, which cannot be turned into {wanted}")
    return Measure(metric, direction, wanted)


def as_error(figure: Figure, measure: Measure) -> float | str:
    """Returns a figure as the ranking's error, or why it cannot be one."""
    value, unit = figure.value, figure.unit
    if not (math.isfinite(value) and value >= 0):
        return f"its {measure.metric} is {value}: a number from 0 up is needed"
    if measure.unit not in SHARES:
        return value
    whole = float(10 ** SHARES[measure.unit])
    share = _moved(value, SHARES[measure.unit] - SHARES[unit])
    if share > whole and (measure.flipped or measure.is_part):
        return f"its {measure.metric} of {value} is more than all, in {unit}: check its unit"
    return whole - share if measure.flipped else share


def convertible(unit: str, measure: Measure) -> bool:
    """Returns whether figures in a unit can be read in the ranking's."""
    return unit == measure.unit or {unit, measure.unit} <= set(SHARES)


def _moved(value: float, places: int) -> float:
    """Returns the value with its digits moved, so that 93.37 percent ties with 0.9337."""
    return value if not places else float(Decimal(repr(float(value))).scaleb(places))
