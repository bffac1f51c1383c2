"""Figures that documents state of a model; people write these files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

STRICT: Mapping[str, str] = {"extra": "forbid"}
"""Read by pydantic when a record comes from a file that people write: a misspelt key is an error."""


@dataclass(frozen=True, slots=True)
class ErrorFigure:
    """A stated error or quality: `unit` is fraction, percent, pixels, … and is never left out.

    `n` is how many samples it was measured on, where that is known: a share of them then has a binomial interval.
    """

    __pydantic_config__: ClassVar[Mapping[str, str]] = STRICT
    value: float
    unit: str
    note: str = ""
    n: int | None = None


@dataclass(frozen=True, slots=True)
class CostFigure:
    """A stated cost: `unit` is MAC or FLOP with an optional K, M, G or T; `convention` says how it was counted."""

    __pydantic_config__: ClassVar[Mapping[str, str]] = STRICT
    value: float
    unit: str
    convention: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class ScoreFigure:
    """A stated score: the name of its formula and of the error it reads."""

    __pydantic_config__: ClassVar[Mapping[str, str]] = STRICT
    name: str
    error: str
    value: float


@dataclass(frozen=True, slots=True)
class SummaryFigure:
    """A published torchsummary report.

    `layers` holds (layer, output shape as printed, parameters); `table` names a CSV file with the same columns
    that lies beside the suite.
    """

    __pydantic_config__: ClassVar[Mapping[str, str]] = STRICT
    rows: int
    input_mb: float
    forward_backward_mb: float
    params_mb: float
    total_mb: float
    table: str | None = None
    layers: tuple[tuple[str, str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class SpeedFigure:
    """A stated time: `seconds` for one sample, in batches of `batch`, under conditions that may not be stated.

    `half_width` is that of its 95 % interval relative to it, where it is stated.
    """

    __pydantic_config__: ClassVar[Mapping[str, str]] = STRICT
    seconds: float
    batch: int | None = None
    device: str | None = None
    precision: str | None = None
    threads: int | None = None
    torch: str | None = None
    half_width: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Rounding:
    """How far a stated figure was rounded: `step` is one unit of its last digit.

    `cell` says where it is written: models whose figures stand in one cell have one figure, however it was rounded.
    """

    __pydantic_config__: ClassVar[Mapping[str, str]] = STRICT
    step: float
    cell: str = ""


@dataclass(frozen=True, slots=True)
class Published:
    """Figures that a document states of a model; each may be missing. `source` names the document.

    `rounded` has the steps of `params`, of `macs` or `flops` in the cost's unit, of `throughput` in samples a second or
    `latency` in seconds a sample, whichever the speed was stated as, and of errors by their names in their own units.
    """

    __pydantic_config__: ClassVar[Mapping[str, str]] = STRICT
    params: int | None = None
    cost: CostFigure | None = None
    errors: Mapping[str, ErrorFigure] = field(default_factory=dict)
    score: ScoreFigure | None = None
    summary: SummaryFigure | None = None
    speed: SpeedFigure | None = None
    source: str | None = None
    conditions: Mapping[str, str | int | float] = field(default_factory=dict)
    rounded: Mapping[str, Rounding] = field(default_factory=dict)
