"""One reading of everything that grows when a measurement is disturbed, from the kernel's files and NVML."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from effbench.measure.machine.cgroups import Throttling, throttling
from effbench.measure.machine.nvml import GpuState, Nvml
from effbench.measure.machine.procfs import numbered, read_number, read_text, words_by_key
from effbench.measure.timing.entrant import Now


@dataclass(frozen=True, slots=True)
class Ticks:
    """The kernel's ticks since it started, over the logical processors that we may run on."""

    busy: int
    stolen: int


@dataclass(frozen=True, slots=True)
class ThreadTime:
    """What the scheduler counted of one thread; `key` tells it from a later one of the same number."""

    key: tuple[int, int]
    ran_s: float
    waited_s: float
    involuntary: int


@dataclass(frozen=True, slots=True)
class Reading:
    """All counters at one moment; None where the machine has none.

    Attributes:
        at_s: the clock when it was taken.
        pids: this process and those it started, directly or not.
        threads: all their threads.
        pressure_s: seconds during which some thread of the machine waited for a core.
        runnable: threads of the machine that could run at this moment.
        thermal_throttles: how often the processors slowed down because of heat.
        gpus: the GPUs that are timed.
        physical_cores: those that we may run on.
        tick_s: seconds of one tick.
    """

    at_s: float
    pids: frozenset[int] = frozenset()
    ticks: Ticks | None = None
    throttling: Throttling | None = None
    threads: tuple[ThreadTime, ...] | None = None
    pressure_s: float | None = None
    runnable: int | None = None
    thermal_throttles: int | None = None
    gpus: tuple[GpuState, ...] = ()
    physical_cores: int | None = None
    tick_s: float = 0.01


@dataclass(frozen=True, slots=True)
class Reader:
    """Takes readings of one machine.

    Attributes:
        root: where `proc` and `sys` are.
        pid: the process whose family is timed.
        processors: the logical processors that it may run on; None for all.
        physical_cores: the cores they belong to, None where that is unknown.
        nvml: the library, where a GPU is timed.
        uuids: the GPUs that are timed; None for all that NVML sees.
    """

    root: Path
    pid: int
    now: Now
    processors: frozenset[int] | None = None
    physical_cores: int | None = None
    tick_s: float = 0.01
    nvml: Nvml | None = None
    uuids: frozenset[str] | None = None

    def __call__(self) -> Reading:
        """Returns a reading."""
        family = family_of(self.root, self.pid)
        states = self.nvml.states() if self.nvml else ()
        return Reading(
            self.now(),
            frozenset(family),
            read_ticks(self.root, self.processors),
            throttling(self.root),
            read_threads(self.root, family),
            read_pressure(self.root),
            read_runnable(self.root),
            read_thermal(self.root, self.processors),
            tuple(state for state in states if self.uuids is None or state.uuid in self.uuids),
            self.physical_cores,
            self.tick_s,
        )


def reader(physical_cores: int | None, nvml: Nvml | None = None, uuids: frozenset[str] | None = None) -> Reader:
    """Returns a reader of this machine and this process; `uuids` are the GPUs that are timed."""
    affinity = getattr(os, "sched_getaffinity", None)
    sysconf: Callable[[str], int] | None = getattr(os, "sysconf", None)
    return Reader(
        Path("/"),
        os.getpid(),
        time.perf_counter,
        frozenset(affinity(0)) if affinity else None,
        physical_cores,
        1 / sysconf("SC_CLK_TCK") if sysconf else 0.01,
        nvml,
        uuids,
    )


def read_ticks(root: Path, processors: frozenset[int] | None) -> Ticks | None:
    """Returns the ticks of the given processors; None where /proc/stat does not list them.

    A guest's time is part of user and nice already, and idle and waiting for a disk are no work.
    """
    busy = stolen = lines = 0
    for line in (read_text(root / "proc/stat") or "").splitlines():
        name, *fields = line.split()
        number = name.removeprefix("cpu")
        if not name.startswith("cpu") or not number.isdecimal() or len(fields) < 8:
            continue
        if processors is None or int(number) in processors:
            user, nice, system, _, _, irq, softirq, steal = map(int, fields[:8])
            busy, stolen, lines = busy + user + nice + system + irq + softirq, stolen + steal, lines + 1
    return Ticks(busy, stolen) if lines else None


def family_of(root: Path, pid: int) -> tuple[int, ...]:
    """Returns a process and all that it started, directly or not, as far as they live."""
    children: dict[int, list[int]] = defaultdict(list)
    for child, folder in numbered(root / "proc", ""):
        # The second field is the program's name in brackets, which may hold any character.
        fields = (read_text(folder / "stat") or "").rpartition(")")[2].split()
        if len(fields) > 1:
            children[int(fields[1])].append(child)
    found = [pid]
    for parent in found:
        found += children[parent]
    return tuple(found)


def read_threads(root: Path, pids: tuple[int, ...]) -> tuple[ThreadTime, ...] | None:
    """Returns the scheduler's counters of all threads of the processes; None where it keeps none."""
    found = [thread for pid in pids for thread in _threads(root / f"proc/{pid}/task")]
    return tuple(found) or None


def _threads(folder: Path) -> Iterator[ThreadTime]:
    for number, task in numbered(folder, ""):
        ran, waited, *_ = (*(read_text(task / "schedstat") or "").split(), "", "")
        started = (read_text(task / "stat") or "").rpartition(")")[2].split()[19:20]
        switches = words_by_key(task / "status").get("nonvoluntary_ctxt_switches", "")
        if ran.isdecimal() and waited.isdecimal() and switches.isdecimal() and started:
            yield ThreadTime((number, int(started[0])), int(ran) / 1e9, int(waited) / 1e9, int(switches))


def read_pressure(root: Path) -> float | None:
    """Returns the seconds that some thread has waited for a core since the machine started."""
    found = [line for line in (read_text(root / "proc/pressure/cpu") or "").splitlines() if line.startswith("some")]
    total = found[0].rpartition("total=")[2] if found else ""
    return int(total) / 1e6 if total.isdecimal() else None


def read_runnable(root: Path) -> int | None:
    """Returns how many threads of the machine can run now, the one that asks included."""
    fields = (read_text(root / "proc/loadavg") or "").split()
    running = fields[3].partition("/")[0] if len(fields) > 3 else ""
    return int(running) if running.isdecimal() else None


def read_thermal(root: Path, processors: frozenset[int] | None) -> int | None:
    """Returns how often the processors slowed down because of heat; None where they do not count it."""
    folders = [
        path
        for number, path in numbered(root / "sys/devices/system/cpu", "cpu")
        if processors is None or number in processors
    ]
    counts = [
        count for path in folders if (count := read_number(path / "thermal_throttle/core_throttle_count")) is not None
    ]
    return sum(counts) if counts else None
