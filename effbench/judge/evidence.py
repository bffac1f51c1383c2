"""What is known of a model's error or time, and how far it may be wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass

from effbench.errors import InputError
from effbench.records.evaluation import Evaluation
from effbench.records.published import ErrorFigure, SpeedFigure

WHOLE = {"fraction": 1.0, "percent": 100.0}
"""Units of shares, and what all samples are in them."""


@dataclass(frozen=True, slots=True)
class PerSample:
    """A figure that was measured sample by sample: its own value comes from the metric of the evaluation."""

    evaluation: Evaluation


@dataclass(frozen=True, slots=True)
class Share:
    """A share of `n` samples (top-1, its error, …), of which nothing else is known; `unit` is fraction or percent."""

    value: float
    n: int
    unit: str = "fraction"

    def __post_init__(self) -> None:
        """Raises InputError for what is no share of samples."""
        if self.unit not in WHOLE:
            raise InputError(f"a share in {self.unit}: a binomial needs fraction or percent")
        if not 0 <= self.value <= WHOLE[self.unit] or self.n < 1:
            raise InputError(f"{self.value} {self.unit} of {self.n} samples is no share")


@dataclass(frozen=True, slots=True)
class Exact:
    """A figure as it is stated; `half_width` is that of its 95 % interval relative to it, None where none is stated."""

    value: float
    half_width: float | None = None

    def __post_init__(self) -> None:
        """Raises InputError for a value that is not finite, or a half-width that it cannot have."""
        if not math.isfinite(self.value):
            raise InputError(f"a figure of {self.value} cannot be drawn: leave the model out")
        if self.half_width is not None and not (self.value > 0 and 0 <= self.half_width < math.inf):
            raise InputError(f"{self.value} ± {self.half_width} of itself: both must be positive")


@dataclass(frozen=True, slots=True)
class ProcessTimes:
    """The times of fresh processes.

    Attributes:
        log_medians: of each process's median call, in seconds, in the order of their measuring.
        rounds: the round of each process.
        run: names the run that models were timed in together, in turns: what disturbed a round disturbed all of them,
            and cancels in their differences. Empty for a model timed alone.
    """

    log_medians: tuple[float, ...]
    rounds: tuple[int, ...]
    run: str = ""

    def __post_init__(self) -> None:
        """Raises InputError where there is nothing, a time is not finite, or a round is named twice or not at all."""
        logs, rounds = self.log_medians, self.rounds
        if not logs or not all(map(math.isfinite, logs)) or len(set(rounds)) != len(rounds) or len(logs) != len(rounds):
            raise InputError(f"{len(logs)} times of rounds {rounds}: each process has a finite time and its own round")


ErrorEvidence = PerSample | Share | Exact
TimeEvidence = ProcessTimes | Exact


def stated_error(figure: ErrorFigure) -> Share | Exact:
    """Returns what a stated error is evidence of: a share of n samples where both are said, else the bare value."""
    if figure.n is not None and figure.unit in WHOLE:
        return Share(figure.value, figure.n, figure.unit)
    return Exact(figure.value)


def stated_time(figure: SpeedFigure) -> Exact:
    """Returns what a stated time is evidence of."""
    return Exact(figure.seconds, figure.half_width)


def has_spread(evidence: ErrorEvidence | TimeEvidence) -> bool:
    """Returns whether draws differ: False for a bare value, one sample or one process, whose noise is unknown."""
    match evidence:
        case Exact():
            return bool(evidence.half_width)
        case Share():
            return True
        case PerSample():
            return evidence.evaluation.n > 1
        case ProcessTimes():
            return len(evidence.log_medians) > 1
