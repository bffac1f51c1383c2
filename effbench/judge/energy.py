"""Joules per call with their interval, from the windows that a counter measured."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean, stdev

from effbench.records.energy import Energy, EnergySource
from effbench.stats import Interval, student_quantile


@dataclass(frozen=True, slots=True)
class CallEnergy:
    """What one call draws.

    Attributes:
        source: where every joule in here is from.
        joules: mean over the repeats with its 95 % interval, the idle share included; without an interval where there
            is one repeat only.
        above_idle_joules: the same less what the idle windows drew in the time of a call; None where none was measured.
        idle_watts: mean of the idle windows, weighted by their length; None where none was measured.
    """

    source: EnergySource
    joules: Interval
    above_idle_joules: Interval | None
    idle_watts: float | None


def call_energy(energy: Energy) -> CallEnergy | None:
    """Returns the energy of one call; None where no window holds a call.

    The repeats are the unit: the interval is Student's t over their means, half-width t(.975, n − 1)·s/√n.
    """
    windows = [window for window in energy.windows if window.calls]
    if not windows:
        return None
    per_call = [window.joules / window.calls for window in windows]
    idle_s = sum(window.window_s for window in energy.idle)
    if not idle_s:
        return CallEnergy(energy.source, _interval(per_call), None, None)
    watts = sum(window.joules for window in energy.idle) / idle_s
    above = [(window.joules - watts * window.window_s) / window.calls for window in windows]
    return CallEnergy(energy.source, _interval(per_call), _interval(above), watts)


def _interval(values: list[float]) -> Interval:
    middle = fmean(values)
    if len(values) < 2:
        return Interval(middle, -math.inf, math.inf)
    half = student_quantile(0.05, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return Interval(middle, middle - half, middle + half)
