"""What a clock does, in order, and what it reads, against a device whose true times are known."""

from functools import partial

import pytest
import torch
from accelerator import FakeAccelerator

from effbench.errors import InputError
from effbench.measure.timing.clocks import AcceleratorClock, CpuClock, captured, clock_for

CUDA = torch.device("cuda:0")
NONE = "no CUDA device here"


def test_the_cpus_clock_reads_before_and_after() -> None:
    log: list[str] = []
    readings = iter((1_000_000, 3_500_000))

    def now_ns() -> int:
        log.append("read")
        return next(readings)

    assert CpuClock(now_ns).time(lambda: log.append("call")) == 0.0025
    assert log == ["read", "call", "read"]


def test_freeing_what_the_call_returned_is_part_of_its_time() -> None:
    """As in a user's loop, and in timeit's: the result is gone before the clock is read again."""
    log: list[str] = []

    class Result:
        def __del__(self) -> None:
            log.append("freed")

    def now_ns() -> int:
        log.append("read")
        return 0

    CpuClock(now_ns).time(Result)
    assert log == ["read", "freed", "read"]


def test_an_accelerators_clock_waits_before_it_reads() -> None:
    fake = FakeAccelerator()
    clock = AcceleratorClock(CUDA, api=fake)
    # 5 µs to launch on an idle device, then 3 ms of work.
    assert clock.time(lambda: fake.work(5e-6, 3e-3)) == pytest.approx(3.005e-3, rel=1e-12)
    assert fake.log == [
        "device 0",
        "record begin",
        "run",
        "record end",
        "synchronize cuda:0",
        "elapsed",
        "/device 0",
    ]


def test_calls_in_a_row_are_each_their_own() -> None:
    fake = FakeAccelerator()
    clock = AcceleratorClock(CUDA, api=fake)
    times = [clock.time(lambda s=seconds: fake.work(0.0, s)) for seconds in (0.002, 0.5, 0.001)]  # type: ignore[misc]
    assert times == pytest.approx([0.002, 0.5, 0.001], rel=1e-9)
    assert sum(times) == pytest.approx(fake.host_s, rel=1e-9)  # the host waited for all of it


def test_the_cache_is_emptied_outside_the_time_and_hides_the_launch() -> None:
    fake = FakeAccelerator(cache_bytes=50 * 2**20, flush_s=1e-3)
    clock = clock_for(CUDA, cold_cache=True, api=fake)
    assert clock.time(lambda: fake.work(5e-6, 3e-3)) == pytest.approx(3e-3, rel=1e-12)
    flush = f"flush {100 * 2**20} torch.uint8"
    assert fake.log[:4] == ["device 0", flush, "record begin", "run"]


def test_a_device_that_hides_the_size_of_its_cache_gets_more_than_any_has() -> None:
    fake = FakeAccelerator()
    clock_for(torch.device("xpu:0"), cold_cache=True, api=fake).time(lambda: None)
    assert fake.log[1] == f"flush {2**28} torch.uint8"


def test_another_device_is_the_current_one_only_while_it_is_timed() -> None:
    """Also where the call raises: the context manager of torch leaves it."""
    seen: list[int | None] = []

    class Index:
        def __init__(self, index: int | None) -> None:
            self.index = index

        def __enter__(self) -> None:
            seen.append(self.index)

        def __exit__(self, *_: object) -> None:
            seen.append(None)

    fake = FakeAccelerator()
    fake.accelerator.device_index = Index
    clock = AcceleratorClock(torch.device("cuda:1"), api=fake)

    def fails() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        clock.time(fails)
    assert seen == [1, None]


def test_the_clock_follows_the_device() -> None:
    assert clock_for(torch.device("cpu")).name == "perf_counter_ns"
    assert clock_for(torch.device("mps:0"), api=FakeAccelerator()).name == "mps events"
    with pytest.raises(InputError, match="only an accelerator's can be emptied"):
        clock_for(torch.device("cpu"), cold_cache=True)


def test_a_graph_is_captured_after_calls_aside_and_then_replayed() -> None:
    fake = FakeAccelerator()
    replay = captured(lambda: fake.log.append("call"), fake)
    assert fake.log == [
        "aside waits for current",
        "stream aside",
        "call",
        "call",
        "call",
        "/stream aside",
        "current waits for aside",
        "capture",
        "call",
        "/capture",
    ]
    del fake.log[:]
    replay()
    assert fake.log == ["replay"]


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason=NONE)
@pytest.mark.parametrize("cold_cache", [False, True])
def test_on_a_real_device_the_kernels_own_time_is_read(cold_cache: bool) -> None:
    """A kernel that spins for a number of the device's own clock ticks; half as many take half as long."""
    clock = clock_for(torch.device("cuda:0"), cold_cache)

    def spin(ticks: int) -> float:
        kernel = partial(torch.cuda._sleep, ticks)
        return min(clock.time(kernel) for _ in range(5))

    spin(10_000_000)
    assert spin(20_000_000) / spin(10_000_000) == pytest.approx(2, rel=0.1)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason=NONE)
def test_on_a_real_device_a_replayed_graph_does_the_work() -> None:
    x = torch.zeros(8, device="cuda")
    replay = captured(lambda: x.add_(1))
    before = x.clone()
    clock_for(torch.device("cuda:0")).time(replay)
    assert torch.equal(x, before + 1)
