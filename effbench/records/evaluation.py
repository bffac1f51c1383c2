"""What a model answered on a data set, sample by sample; every error and its interval are derived from these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from effbench.records.note import Note

Direction = Literal["lower", "higher"]
"""Which values of a metric are better."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One metric of one model on one data set.

    Attributes:
        metric: the registered name.
        unit: of its value: "fraction", "pixels", "dB", …
        direction: which values are better.
        n: samples that are in `per_sample`.
        per_sample: each sample's sufficient statistics by name, as the metric defines them, all of length n; values are
            computed from them by the metric's own function, never stored.
        settings: what else the value depends on: `{"t": 0.05}`, `{"width": 224, "height": 224}`, number of classes.
        data: what the data set is called.
        digest: of the data: equal digests mean the same targets in the same order, so that samples can be paired.
        left_out: samples that are not in `per_sample`, by reason.
    """

    metric: str
    unit: str
    direction: Direction
    n: int
    per_sample: Mapping[str, tuple[float, ...]]
    settings: Mapping[str, str | int | float] = field(default_factory=dict)
    data: str = ""
    digest: str = ""
    left_out: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
