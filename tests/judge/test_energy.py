"""Joules per call by hand."""

import pytest

from effbench.judge.energy import call_energy
from effbench.records.energy import Energy, EnergyWindow

T_975_4 = 2.7764451052
"""The .975 quantile of Student's t with 4 degrees of freedom, from a printed table."""


def windows(*joules: float) -> tuple[EnergyWindow, ...]:
    return tuple(EnergyWindow(one, 10.0, 100, 50) for one in joules)


def test_the_interval_is_over_the_repeats() -> None:
    """500 … 520 J in 50 calls are 10.0, 10.1, … 10.4 J each: mean 10.2, s = √.025 = .158114; t·s/√5 = .19632."""
    found = call_energy(Energy("nvml", "GPU 0", 0.1, windows(500, 505, 510, 515, 520)))
    assert found is not None
    assert found.joules.estimate == pytest.approx(10.2)
    assert found.joules.high - found.joules.estimate == pytest.approx(T_975_4 * 0.025**0.5 / 5**0.5)
    assert found.joules.estimate - found.joules.low == pytest.approx(0.19632, abs=1e-5)
    assert (found.source, found.above_idle_joules, found.idle_watts) == ("nvml", None, None)


def test_idle_is_taken_off_by_time() -> None:
    """Idle: 30 J in 10 s and 70 J in 10 s are 5 W; a call lasts .2 s, so 1 J of 10 J is idle."""
    idle = (EnergyWindow(30, 10, 100), EnergyWindow(70, 10, 100))
    found = call_energy(Energy("rapl", "package-0", 0.001, windows(500, 500), idle))
    assert found is not None
    assert found.above_idle_joules is not None
    assert (found.joules.estimate, found.above_idle_joules.estimate, found.idle_watts) == pytest.approx((10, 9, 5))


def test_one_repeat_has_no_interval_and_no_call_no_energy() -> None:
    found = call_energy(Energy("modelled", "somebody", None, windows(500)))
    assert found is not None
    assert (found.source, found.joules.low, found.joules.high) == ("modelled", float("-inf"), float("inf"))
    assert call_energy(Energy("nvml", "GPU 0", 0.1, (EnergyWindow(500, 10, 100),))) is None
