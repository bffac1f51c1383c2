"""What is told and what taints, from pairs of readings made by hand; and readings from files made by hand."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from machines import container, write

from effbench.measure.machine.cgroups import Throttling
from effbench.measure.machine.interference import Disturbance, Thresholds, Watch, disturbance, unwatched
from effbench.measure.machine.nvml import GpuState, Pynvml, open_nvml, uuid_of
from effbench.measure.machine.readings import (
    Reader,
    Reading,
    ThreadTime,
    Ticks,
    family_of,
    read_threads,
    read_ticks,
    reader,
)
from effbench.records import Note

OWN = frozenset({7})
BEFORE = Reading(
    100.0,
    OWN,
    Ticks(busy=5000, stolen=100),
    Throttling(2, 0.5),
    (ThreadTime((7, 1), 50.0, 1.0, 10),),
    pressure_s=30.0,
    runnable=1,
    thermal_throttles=4,
    gpus=(GpuState("GPU-a", OWN, 1_980_000_000, 1_980_000_000, 0),),
    physical_cores=4,
)


def after(**changes: Any) -> Reading:
    """Ten seconds later, in which the timed thread ran for 8 s and nobody else did anything."""
    calm = replace(
        BEFORE, at_s=110.0, ticks=Ticks(5800, 100), threads=(ThreadTime((7, 1), 58.0, 1.0, 10),), pressure_s=30.0
    )
    return replace(calm, **changes)


def own(waited_s: float = 0.0, switches: int = 0) -> tuple[ThreadTime, ...]:
    return (ThreadTime((7, 1), 58.0, 1.0 + waited_s, 10 + switches),)


def gpu(**changes: Any) -> tuple[GpuState, ...]:
    return (replace(BEFORE.gpus[0], **changes),)


def codes(notes: tuple[Note, ...]) -> list[str]:
    return [note.code for note in notes]


@pytest.mark.parametrize(
    ("runnable", "queue"),
    [(1, "; 1 thread was runnable at its end"), (3, "; 3 threads were runnable at its end"), (None, "")],
)
def test_pressure_names_the_threads_in_the_queue(runnable: int | None, queue: str) -> None:
    found = disturbance(BEFORE, after(pressure_s=32.0, runnable=runnable))  # 2 of 10 s
    (note,) = found.told
    assert note.text == f"some thread waited for a core 20% of the block's time{queue}"


def test_calm_is_silent() -> None:
    assert disturbance(BEFORE, after()) == Disturbance()


# 800 ticks of work; a share of s taints beyond .02, that is 800·.02/.98 = 16.3 stolen ticks, and is told from .005 on,
# 4.02 ticks. In seconds: 8 s of work, .163 s and .040 s of waiting.
TAINTS = [
    (after(ticks=Ticks(5800, 117)), "steal", "the hypervisor gave 2.1% of the wanted CPU time to others"),
    (
        after(throttling=Throttling(3, 0.59)),
        "throttled",
        "the control group's CPU limit stopped the process once, 0.090 s in total",
    ),
    (
        after(threads=own(waited_s=0.17)),
        "waiting",
        "the timed threads waited for a core 2.1% of the time they could have run",
    ),
    (
        after(ticks=Ticks(5000 + 800 + 3400, 100)),
        "neighbours",
        "other processes used 3.4 cores, the timed ones 0.8 of 4",
    ),
    (after(thermal_throttles=5), "thermal", "the processor slowed down once because of heat"),
    (after(gpus=gpu(pids=frozenset({7, 9, 8}))), "gpu-foreign", "other processes hold a context on this GPU: [8, 9]"),
    (after(gpus=gpu(throttle_bits=0x8)), "gpu-throttled", "clocks held down by: hardware slowdown"),
    (
        after(gpus=gpu(throttle_bits=0x20 | 0x40 | 0x80 | 0x1)),
        "gpu-throttled",
        "clocks held down by: thermal limit (software), thermal limit (hardware), external power brake",
    ),
]


@pytest.mark.parametrize(("later", "code", "text"), TAINTS)
def test_what_taints(later: Reading, code: str, text: str) -> None:
    found = disturbance(BEFORE, later)
    assert found.tainted == (Note(code, found.tainted[0].subject, text),)
    assert found.told == ()


TOLD = [
    (after(ticks=Ticks(5800, 105)), "steal"),
    (after(ticks=Ticks(5800, 116)), "steal"),
    (after(threads=own(waited_s=0.16)), "waiting"),
    (after(threads=own(switches=801)), "switches"),
    (after(ticks=Ticks(5000 + 800 + 3200, 100)), "neighbours"),
    (after(pressure_s=31.1), "pressure"),
    (after(gpus=gpu(throttle_bits=0x4)), "gpu-power-cap"),
    (after(gpus=gpu(sm_hz=1_935_000_000)), "gpu-clock"),
    (after(gpus=gpu(pids=frozenset())), None),
]


@pytest.mark.parametrize(("later", "code"), TOLD)
def test_what_is_only_told(later: Reading, code: str | None) -> None:
    found = disturbance(BEFORE, later)
    assert (found.tainted, codes(found.told)) == ((), [code] if code else [])


SILENT = [
    after(ticks=Ticks(5800, 102)),  # two ticks may be rounding
    after(ticks=Ticks(5800, 104)),  # .497 %
    after(threads=own(waited_s=0.04)),
    after(threads=own(switches=800)),  # 100 per second of 8 s
    after(ticks=Ticks(5000 + 800 + 95, 100)),  # a tenth of a core
    after(pressure_s=30.9),
    after(gpus=gpu(sm_hz=1_950_000_000)),  # 1.5 %
    after(gpus=gpu(throttle_bits=0x1)),  # idle between blocks
]


@pytest.mark.parametrize("later", SILENT)
def test_what_is_below_every_threshold(later: Reading) -> None:
    assert disturbance(BEFORE, later) == Disturbance()


def test_a_rounding_of_ticks_is_not_a_share_of_a_short_block() -> None:
    """2 of 12 ticks would be 17 %."""
    later = after(ticks=Ticks(5010, 102), threads=(ThreadTime((7, 1), 50.1, 1.0, 10),))
    assert disturbance(BEFORE, later) == Disturbance()


def test_the_share_is_of_what_was_wanted_not_of_what_was_given() -> None:
    """As much stolen as given is half of what was wanted; the same for waiting."""
    later = after(ticks=Ticks(5800, 900), threads=own(waited_s=8.0))
    assert [note.text for note in disturbance(BEFORE, later).tainted] == [
        "the hypervisor gave 50.0% of the wanted CPU time to others",
        "the timed threads waited for a core 50.0% of the time they could have run",
    ]


def test_another_threshold_can_be_stated() -> None:
    later = after(ticks=Ticks(5800, 110))
    assert codes(disturbance(BEFORE, later).told) == ["steal"]
    assert codes(disturbance(BEFORE, later, Thresholds(taint_share=0.01)).tainted) == ["steal"]


def test_a_thread_that_began_in_between_counts_from_nothing_and_one_that_ended_not_at_all() -> None:
    """Thread 9 ran 1 s and waited 1 s; that a later thread has number 7 again is seen by when it began."""
    later = after(threads=(ThreadTime((7, 55), 1.0, 0.0, 0), ThreadTime((9, 60), 1.0, 1.0, 5)), ticks=Ticks(5200, 100))
    (note,) = disturbance(BEFORE, later).tainted
    assert note.text == "the timed threads waited for a core 33.3% of the time they could have run"


def test_processes_that_cannot_be_told_apart_are_not_called_foreign() -> None:
    """In a container the driver's process numbers are the host's: none is ours."""
    unknown = gpu(pids=frozenset({4711}))
    found = disturbance(replace(BEFORE, gpus=unknown), after(gpus=unknown))
    assert found.tainted == ()
    assert [note.text for note in found.told] == ["processes on this GPU: 1; whether they are ours cannot be told"]


def test_nothing_can_be_read_so_nothing_is_said_but_that() -> None:
    blind = Reading(0.0)
    assert disturbance(blind, replace(blind, at_s=9.0)) == Disturbance()
    notes = unwatched(blind, "pynvml is not installed")
    assert [note.subject for note in notes] == ["steal", "cgroup", "scheduler", "pressure", "thermal", "gpu"]
    assert set(codes(notes)) == {"unwatched"}
    assert unwatched(BEFORE) == ()


def test_a_watch_speaks_of_the_last_block_only() -> None:
    hot = after(thermal_throttles=5)
    readings = iter([BEFORE, hot, replace(hot, at_s=120.0), replace(hot, thermal_throttles=9), hot, hot])
    watch = Watch(lambda: next(readings))
    assert codes(watch().tainted) == ["thermal"]
    assert watch() == Disturbance()
    watch.restart()  # what happened until here is nobody's block
    watch()
    assert watch() == Disturbance()


# Reading the files


def proc(root: Path) -> Path:
    """Process 7 with two threads, its child 20 "(a) b" with one, and 30, which is nobody's."""
    stat = "{} ({}) S {} 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 {} 0 0"
    files = {
        "proc/stat": (
            "cpu  1 2 3 4 5 6 7 8 9 0\ncpu0 10 1 20 1000 50 2 3 4 5 0\ncpu1 100 1 200 1000 50 2 3 40 5 0\nintr 5"
        ),
        "proc/7/stat": stat.format(7, "python", 1, 900),
        "proc/20/stat": stat.format(20, "(a) b", 7, 901),
        "proc/30/stat": stat.format(30, "other", 1, 902),
        "proc/pressure/cpu": "some avg10=0.81 avg60=1.09 avg300=1.09 total=3500000\nfull avg10=0 total=9",
        "proc/loadavg": "0.61 0.47 1.23 5/101 6135",
        "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "3",
        "sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count": "4",
    }
    for pid, tid in ((7, 7), (7, 8), (20, 20), (30, 30)):
        task = f"proc/{pid}/task/{tid}"
        files |= {
            f"{task}/stat": stat.format(tid, "x", 1, 1000 + tid),
            f"{task}/schedstat": f"{tid}000000000 500000000 9",
            f"{task}/status": f"Name:\tx\nvoluntary_ctxt_switches:\t1\nnonvoluntary_ctxt_switches:\t{tid}",
        }
    return write(root, files)


def test_a_reading(tmp_path: Path) -> None:
    write(proc(tmp_path), {name: text for name, text in container().items() if "cpuinfo" not in name})
    found = Reader(tmp_path, 7, lambda: 5.0, frozenset({0, 1}), physical_cores=2)()
    assert found == Reading(
        5.0,
        frozenset({7, 20}),
        Ticks(busy=10 + 1 + 20 + 2 + 3 + 100 + 1 + 200 + 2 + 3, stolen=44),
        Throttling(3, 0.12),
        (
            ThreadTime((7, 1007), 7.0, 0.5, 7),
            ThreadTime((8, 1008), 8.0, 0.5, 8),
            ThreadTime((20, 1020), 20.0, 0.5, 20),
        ),
        3.5,
        5,
        7,
        (),
        2,
    )


def test_only_the_processors_that_we_may_use_count(tmp_path: Path) -> None:
    assert read_ticks(proc(tmp_path), frozenset({0})) == Ticks(36, 4)
    assert read_ticks(tmp_path, frozenset({5})) is None


def test_an_empty_machine(tmp_path: Path) -> None:
    assert Reader(tmp_path, 7, lambda: 5.0)() == Reading(5.0, frozenset({7}))
    assert family_of(tmp_path, 7) == (7,)


def test_a_thread_that_ends_while_it_is_read_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, {"proc/7/task/7/stat": "7 (x) S", "proc/7/task/7/schedstat": "", "proc/7/task/7/status": "Name: x"})
    assert read_threads(tmp_path, (7,)) is None


def test_this_machine_can_be_read_and_is_the_same_kind_of_thing() -> None:
    read = reader(physical_cores=None)
    first, second = read(), read()
    assert second.at_s > first.at_s
    assert read.pid in first.pids
    if first.threads and second.threads:
        assert second.threads[0].ran_s >= first.threads[0].ran_s


# NVML


class Module:
    """The part of pynvml that is asked, with one GPU that has no energy counter and one that has."""

    NVML_CLOCK_SM = 1

    class NVMLError(Exception):
        pass

    def __init__(self, starts: bool = True) -> None:
        self._starts = starts

    def nvmlInit(self) -> None:
        if not self._starts:
            raise self.NVMLError("Driver Not Loaded")

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetUUID(self, handle: int) -> bytes | str:
        return b"GPU-old" if handle == 0 else "GPU-new"  # older releases answer in bytes

    def nvmlSystemGetDriverVersion(self) -> bytes:
        return b"550.1"

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:
        if handle == 0:
            raise self.NVMLError("Not Supported")
        return 1234

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> list[Any]:
        if handle == 0:
            raise self.NVMLError("No Permission")
        return [SimpleNamespace(pid=7), SimpleNamespace(pid=8)]

    def nvmlDeviceGetClockInfo(self, handle: int, kind: int) -> int:
        assert kind == self.NVML_CLOCK_SM
        return 1410

    nvmlDeviceGetMaxClockInfo = nvmlDeviceGetClockInfo

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: int) -> int:
        return 4


def test_nvml_is_asked_and_what_it_does_not_tell_is_unknown() -> None:
    nvml = open_nvml(lambda name: Module())
    assert isinstance(nvml, Pynvml)
    old, new = nvml.states()
    assert old == GpuState("GPU-old", None, 1_410_000_000, 1_410_000_000, 4)
    assert new == GpuState("GPU-new", frozenset({7, 8}), 1_410_000_000, 1_410_000_000, 4)
    assert (nvml.energy_mj("GPU-old"), nvml.energy_mj("GPU-new"), nvml.energy_mj("GPU-x")) == (None, 1234, None)
    assert nvml.driver() == "550.1"


def test_newer_releases_speak_of_event_reasons() -> None:
    module = Module()
    module.nvmlDeviceGetCurrentClocksEventReasons = lambda handle: 8  # type: ignore[attr-defined]
    assert [state.throttle_bits for state in Pynvml(module).states()] == [8, 8]


def test_why_nvml_cannot_be_asked() -> None:
    def absent(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}")

    assert open_nvml(absent) == "pynvml is not installed (package nvidia-ml-py)"
    assert open_nvml(lambda name: Module(starts=False)) == "NVML does not answer: NVMLError: Driver Not Loaded"


@pytest.mark.parametrize(("given", "expected"), [("1a-2b", "GPU-1a-2b"), ("GPU-1a", "GPU-1a"), (None, None)])
def test_pytorch_s_name_of_a_gpu(given: str | None, expected: str | None) -> None:
    assert uuid_of(SimpleNamespace(uuid=given) if given else SimpleNamespace()) == expected


def test_the_gpus_that_are_not_timed_are_not_read(tmp_path: Path) -> None:
    read = Reader(tmp_path, 7, lambda: 5.0, nvml=Pynvml(Module()), uuids=frozenset({"GPU-new"}))
    assert [state.uuid for state in read().gpus] == ["GPU-new"]
