"""What disturbed a block of measuring: two readings of the kernel's and the driver's counters, and their difference.

Counters that only grow are read before and after, nothing in between, so watching costs the timed calls nothing.
A note *taints* where running the block again may cure it and it takes enough time to make a verdict by itself; what
lies below that, or would come back every time, is only *told*.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from effbench.measure.machine.nvml import (
    HARDWARE_SLOWDOWN,
    HARDWARE_THERMAL,
    POWER_BRAKE,
    POWER_CAP,
    SOFTWARE_THERMAL,
    GpuState,
)
from effbench.measure.machine.readings import Reading
from effbench.records.note import Note


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From where on something is told, and from where on it taints, with the reason for each figure.

    Attributes:
        taint_share: share of the wanted CPU time that was not given. Two models nearer than the default equivalence
            margin, 2 %, count as the same, so that much missing time can by itself turn "same" into a verdict.
        tell_share: half of the default half-width of an interval, 1 %: less cannot be told from the noise.
        steal_ticks: the kernel counts stolen time in ticks of 10 ms that rounding can shift by one at either end.
        switches_per_s: preemptions of the timed threads per second of their CPU time. The kernel's own threads cause
            some; each costs a few microseconds and cold caches, so 100 per second stay near 0.1 %.
        pressure_share: of the block's time with some thread waiting for a core, anywhere on the machine.
        clock_drop: the SM clock moves in steps of 15 MHz, just below 1 % of what it runs at; 2 % is more than a step.
        spare_cores: work of others, in cores, that the machine does not show: what an idle system does is below it.
    """

    taint_share: float = 0.02
    tell_share: float = 0.005
    steal_ticks: int = 3
    switches_per_s: float = 100.0
    pressure_share: float = 0.10
    clock_drop: float = 0.02
    spare_cores: float = 0.10


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What disturbed one block: `tainted` calls for running it again, `told` only for saying so."""

    tainted: tuple[Note, ...] = ()
    told: tuple[Note, ...] = ()


_Found = Iterator[tuple[bool, Note]]


def disturbance(before: Reading, after: Reading, thresholds: Thresholds | None = None) -> Disturbance:
    """Returns what disturbed the time between two readings."""
    limits = thresholds or Thresholds()
    rules = (_steal, _throttling, _waiting, _switches, _neighbours, _pressure, _heat, _gpus)
    found = [one for rule in rules for one in rule(before, after, limits)]
    return Disturbance(
        tuple(note for taints, note in found if taints),
        tuple(note for taints, note in found if not taints),
    )


class Watch:
    """Says what disturbed the time since it was last asked, or since it was made."""

    def __init__(self, read: Callable[[], Reading], thresholds: Thresholds | None = None) -> None:
        """`read` takes a reading of the machine, or of a fake one."""
        self._read = read
        self._thresholds = thresholds
        self._last = read()

    def restart(self) -> None:
        """Forgets what came before: the next block begins now."""
        self._last = self._read()

    def __call__(self) -> Disturbance:
        """Returns what disturbed the block that ends now; the next begins."""
        before, self._last = self._last, self._read()
        return disturbance(before, self._last, self._thresholds)


def unwatched(reading: Reading, nvml_missing: str | None = None) -> tuple[Note, ...]:
    """Returns a Note for each kind of disturbance that this machine gives no sign of.

    Args:
        reading: any reading.
        nvml_missing: why NVML cannot be asked, where a GPU is timed without it.
    """
    missing = (
        (reading.ticks is None, "steal", "/proc/stat is missing: stolen time and neighbours are not seen"),
        (reading.throttling is None, "cgroup", "no control group counts throttling: it is not seen"),
        (reading.threads is None, "scheduler", "the scheduler's counters are missing: waiting is not seen"),
        (reading.pressure_s is None, "pressure", "/proc/pressure/cpu is missing: pressure is not seen"),
        (reading.thermal_throttles is None, "thermal", "no thermal counters: throttling by heat is not seen"),
        (nvml_missing is not None, "gpu", f"{nvml_missing}: foreign processes, clocks and throttling are not seen"),
    )
    return tuple(Note("unwatched", subject, text) for is_missing, subject, text in missing if is_missing)


def _steal(before: Reading, after: Reading, limits: Thresholds) -> _Found:
    if before.ticks is None or after.ticks is None:
        return
    stolen, busy = after.ticks.stolen - before.ticks.stolen, after.ticks.busy - before.ticks.busy
    if stolen < limits.steal_ticks or stolen < limits.tell_share * (busy + stolen):
        return
    share = stolen / (busy + stolen)
    text = f"the hypervisor gave {share:.1%} of the wanted CPU time to others"
    yield share > limits.taint_share, Note("steal", "cpu", text)


def _throttling(before: Reading, after: Reading, limits: Thresholds) -> _Found:
    if before.throttling is None or after.throttling is None:
        return
    times = after.throttling.times - before.throttling.times
    if times > 0:  # each one stops every thread for up to a period of 100 ms: no number of them is harmless
        seconds = after.throttling.seconds - before.throttling.seconds
        text = f"the control group's CPU limit stopped the process {_often(times)}, {seconds:.3f} s in total"
        yield True, Note("throttled", "cgroup", text)


def _waiting(before: Reading, after: Reading, limits: Thresholds) -> _Found:
    ran, waited, _ = _own(before, after)
    if waited <= limits.tell_share * (ran + waited):
        return
    share = waited / (ran + waited)
    text = f"the timed threads waited for a core {share:.1%} of the time they could have run"
    yield share > limits.taint_share, Note("waiting", "cpu", text)


def _switches(before: Reading, after: Reading, limits: Thresholds) -> _Found:
    ran, _, switches = _own(before, after)
    if ran > 0 and switches > limits.switches_per_s * ran:
        text = f"{switches} involuntary context switches, {switches / ran:.0f} per second of CPU time"
        yield False, Note("switches", "cpu", text)  # how long they took is what "waiting" says


def _neighbours(before: Reading, after: Reading, limits: Thresholds) -> _Found:
    wall = after.at_s - before.at_s
    if before.ticks is None or after.ticks is None or before.threads is None or after.threads is None or wall <= 0:
        return
    own = _own(before, after)[0] / wall
    others = (after.ticks.busy - before.ticks.busy) * after.tick_s / wall - own
    if others <= limits.spare_cores:
        return
    # Beyond the physical cores, two threads share one's arithmetic units, with or without waiting for it.
    crowded = after.physical_cores is not None and own + others > after.physical_cores + limits.spare_cores
    text = f"other processes used {others:.1f} cores, the timed ones {own:.1f}"
    room = "" if after.physical_cores is None else f" of {after.physical_cores}"
    yield crowded, Note("neighbours", "cpu", text + room)


def _pressure(before: Reading, after: Reading, limits: Thresholds) -> _Found:
    wall = after.at_s - before.at_s
    if before.pressure_s is None or after.pressure_s is None or wall <= 0:
        return
    share = (after.pressure_s - before.pressure_s) / wall
    if share > limits.pressure_share:
        were = "thread was" if after.runnable == 1 else "threads were"
        queue = "" if after.runnable is None else f"; {after.runnable} {were} runnable at its end"
        yield False, Note("pressure", "cpu", f"some thread waited for a core {share:.0%} of the block's time{queue}")


def _heat(before: Reading, after: Reading, limits: Thresholds) -> _Found:
    if before.thermal_throttles is None or after.thermal_throttles is None:
        return
    times = after.thermal_throttles - before.thermal_throttles
    if times > 0:
        yield True, Note("thermal", "cpu", f"the processor slowed down {_often(times)} because of heat")


_SLOWED = {
    HARDWARE_SLOWDOWN: "hardware slowdown",
    SOFTWARE_THERMAL: "thermal limit (software)",
    HARDWARE_THERMAL: "thermal limit (hardware)",
    POWER_BRAKE: "external power brake",
}


def _gpus(before: Reading, after: Reading, limits: Thresholds) -> _Found:
    earlier = {state.uuid: state for state in before.gpus}
    for now in after.gpus:
        was = earlier.get(now.uuid, now)
        yield from _foreign(was, now, before.pids | after.pids)
        bits = (was.throttle_bits or 0) | (now.throttle_bits or 0)
        reasons = [text for bit, text in _SLOWED.items() if bits & bit]
        if reasons:
            yield True, Note("gpu-throttled", now.uuid, f"clocks held down by: {', '.join(reasons)}")
        if bits & POWER_CAP:  # the model itself draws that much: the next run would too
            yield False, Note("gpu-power-cap", now.uuid, "clocks held down by the board's power limit")
        if was.sm_hz and now.sm_hz and now.sm_hz < was.sm_hz * (1 - limits.clock_drop):
            most = f" (at most {now.max_sm_hz / 1e6:.0f})" if now.max_sm_hz else ""
            text = f"SM clock fell from {was.sm_hz / 1e6:.0f} to {now.sm_hz / 1e6:.0f} MHz{most}"
            yield False, Note("gpu-clock", now.uuid, text)


def _foreign(was: GpuState, now: GpuState, own: frozenset[int]) -> _Found:
    """Yields the other processes on a GPU.

    In a container the driver numbers processes as its host does. Where none of ours is among them, ours may be there
    under another number, so nobody can be called foreign.
    """
    pids = (was.pids or frozenset()) | (now.pids or frozenset())
    others = sorted(pids - own)
    if others and pids & own:
        yield True, Note("gpu-foreign", now.uuid, f"other processes hold a context on this GPU: {others}")
    elif others:
        text = f"processes on this GPU: {len(others)}; whether they are ours cannot be told"
        yield False, Note("gpu-processes", now.uuid, text)


def _often(times: int) -> str:
    return "once" if times == 1 else f"{times} times"


def _own(before: Reading, after: Reading) -> tuple[float, float, int]:
    """Returns (seconds run, seconds waited, involuntary switches) of the timed threads between the readings."""
    if before.threads is None or after.threads is None:
        return 0.0, 0.0, 0
    earlier = {thread.key: thread for thread in before.threads}
    ran = waited = 0.0
    switches = 0
    for thread in after.threads:  # one that began in between began at nothing
        was = earlier.get(thread.key)
        ran += thread.ran_s - (was.ran_s if was else 0.0)
        waited += thread.waited_s - (was.waited_s if was else 0.0)
        switches += thread.involuntary - (was.involuntary if was else 0)
    return ran, waited, switches
