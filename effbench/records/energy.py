"""Joules with their source: what a counter read while a model ran, or why nothing did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from effbench.records.note import Note

EnergySource = Literal["nvml", "rapl", "modelled"]
"""Two counters of the hardware, and a stated power times the time, which is no measurement."""


@dataclass(frozen=True, slots=True)
class EnergyWindow:
    """What the counter counted between two readings.

    Attributes:
        joules: of everything it covers, the idle share included.
        window_s: seconds between the readings.
        ticks: how often the counter was renewed in them.
        calls: of the model, all within the window; 0 while idle.
    """

    joules: float
    window_s: float
    ticks: int
    calls: int = 0


@dataclass(frozen=True, slots=True)
class Energy:
    """What a model drew.

    Attributes:
        source: where every joule in here is from.
        covers: what the counter covers, such as "package-0 + dram" or the name of a GPU; whoever else used that is
            in it too.
        tick_s: how often the counter was seen to be renewed; None where nothing was counted.
        windows: the repeats, the model called without a pause.
        idle: the same counter without the model, before and after the repeats.
    """

    source: EnergySource
    covers: str
    tick_s: float | None
    windows: tuple[EnergyWindow, ...]
    idle: tuple[EnergyWindow, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def ranks(self) -> bool:
        """Returns whether a ranking may use it unasked: only where a counter read it."""
        return self.source != "modelled"


@dataclass(frozen=True, slots=True)
class NoEnergy:
    """No counter could be read: `source` and the reason, with what to do about it."""

    source: EnergySource
    reason: str
