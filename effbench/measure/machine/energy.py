"""The energy of a model, from counters in the hardware; a stated power only where somebody asks for it.

A counter is renewed from time to time, NVML's about every 100 ms, RAPL's about every millisecond. A window that is
short beside that says little or, shorter than one tick, nothing: so windows last until enough ticks have passed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from effbench.errors import InputError
from effbench.measure.timing.entrant import Now
from effbench.records.energy import Energy, EnergySource, EnergyWindow, NoEnergy
from effbench.records.note import Note

Sleep = Callable[[float], object]


class Counter(Protocol):
    """An energy counter: the hardware's, or a fake one."""

    source: EnergySource
    covers: str

    def joules(self) -> float:
        """Returns joules since some fixed moment; it never falls.

        Raises:
            CounterLost: it cannot be read any more, or fell.
        """
        ...


class CounterLost(Exception):
    """A counter that was there cannot be read or trusted any more: one line says why."""


@dataclass(frozen=True, slots=True)
class EnergyPlan:
    """How long is measured.

    Attributes:
        window_s: length of each window at least.
        ticks: of the counter in each window at least.
        repeats: windows with the model running.
        longest_s: a window that needed more for its ticks is refused.
        poll_s: seconds between looks at the counter while its tick is timed, and `seen` how many ticks that takes.
        still_s: a counter that does not move for so long counts nothing.
        watch_s: within a window the counter is read this often, so that none goes round twice unseen: at 1 kW the
            smallest range of RAPL, 65 kJ, lasts 65 s.
    """

    window_s: float = 10.0
    ticks: int = 100
    repeats: int = 5
    longest_s: float = 120.0
    poll_s: float = 0.0005
    seen: int = 20
    still_s: float = 5.0
    watch_s: float = 1.0

    def __post_init__(self) -> None:
        """Refuses windows and repeats that could not carry an interval."""
        if self.window_s < 10 or self.ticks < 100 or self.repeats < 5:
            raise InputError("energy needs windows of at least 10 s and 100 counter ticks, and 5 repeats")


def measure_energy(
    counter: Counter, call: Callable[[], object], now: Now, sleep: Sleep, plan: EnergyPlan | None = None
) -> Energy | NoEnergy:
    """Returns what the calls of a model draw, with the idle draw before and after apart; or why that is not known.

    Args:
        counter: whose joules they are.
        call: runs the model once and returns when its work is finished.
        now: the clock.
        sleep: waits so many seconds.
        plan: how long is measured.
    """
    plan = plan or EnergyPlan()
    try:
        tick_s = tick_of(counter, now, sleep, plan)
        if tick_s is None:
            return NoEnergy(counter.source, f"the counter of {counter.covers} did not move for {plan.still_s:g} s")
        length_s = max(plan.window_s, plan.ticks * tick_s)
        if length_s > plan.longest_s:
            text = f"{plan.ticks} ticks of {tick_s:.3g} s take longer than the {plan.longest_s:g} s of a window"
            return NoEnergy(counter.source, f"the counter of {counter.covers} is too slow: {text}")

        def idle() -> EnergyWindow:
            return _window(counter, lambda: sleep(plan.watch_s), now, length_s, tick_s, plan, counts=0)

        before = idle()
        windows = tuple(_window(counter, call, now, length_s, tick_s, plan) for _ in range(plan.repeats))
        return Energy(counter.source, counter.covers, tick_s, windows, (before, idle()))
    except CounterLost as error:
        return NoEnergy(counter.source, str(error))


def tick_of(counter: Counter, now: Now, sleep: Sleep, plan: EnergyPlan) -> float | None:
    """Returns the seconds from one renewal of the counter to the next, as seen; None where it does not move.

    Looking only now and then, renewals may be missed and the tick found too long, never too short: the windows only
    become longer.
    """
    joules = counter.joules()
    moved_s: list[float] = []
    last_s = now()
    while len(moved_s) <= plan.seen:
        if now() - last_s > plan.still_s:
            return None
        sleep(plan.poll_s)
        found = counter.joules()
        if found != joules:
            joules, last_s = found, now()
            moved_s.append(last_s)
    return (moved_s[-1] - moved_s[0]) / plan.seen


def _window(
    counter: Counter,
    call: Callable[[], object],
    now: Now,
    length_s: float,
    tick_s: float,
    plan: EnergyPlan,
    counts: int = 1,
) -> EnergyWindow:
    """Returns one window: calls without a pause until it is long enough; `counts` is 0 where a call is no model's."""
    first, start = counter.joules(), now()
    calls = 0
    watched = end = start
    while end - start < length_s:
        call()
        calls += counts
        end = now()
        if end - watched >= plan.watch_s:
            counter.joules()
            watched = end
    last = counter.joules()
    end = now()
    return EnergyWindow(last - first, end - start, math.floor((end - start) / tick_s), calls)


def modelled_energy(watts: float, window_s: float, calls: int, stated_by: str) -> Energy:
    """Returns a stated power times a measured time: a figure on request, which no ranking takes unasked.

    Raises:
        InputError: the power is no positive number.
    """
    if not (math.isfinite(watts) and watts > 0):
        raise InputError(f"modelled energy: {watts!r} W is no power; state what the device draws under this load")
    text = f"{watts:g} W as stated by {stated_by}, times the time: not measured"
    window = EnergyWindow(watts * window_s, window_s, 0, calls)
    return Energy("modelled", stated_by, None, (window,), (), (Note("modelled-energy", stated_by, text),))
