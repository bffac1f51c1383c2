"""Clocks that time one call, its work finished: each waits for its device inside, which nobody can leave out.

A CPU's clock reads the host's counter before and after. An accelerator works behind the host's back, so events are put
into its stream before and after, and read once all of it is done. Events and devices are torch's neutral ones
(`torch.Event`, `torch.accelerator`), which serve CUDA, XPU and MPS alike.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import Any, Protocol

import torch

from effbench.errors import InputError

Call = Callable[[], object]

_CACHE_BYTES = 2**28
"""Beyond any last-level cache of an accelerator, where the device does not say how large its own is."""
_WARMING_CALLS = 3
"""Calls on a side stream before a capture: libraries choose kernels and take their scratch space in the first ones."""


class Clock(Protocol):
    """What times a call."""

    @property
    def name(self) -> str:
        """Returns what reports call it."""
        ...

    def time(self, call: Call) -> float:
        """Returns the seconds from the start of a call to the end of all work it began."""
        ...


class CpuClock:
    """The host's monotonic counter; freeing what the call returned is part of the time, as in a user's loop."""

    name = "perf_counter_ns"

    def __init__(self, now_ns: Callable[[], int] = perf_counter_ns) -> None:
        """`now_ns` reads nanoseconds since some fixed moment."""
        self._now_ns = now_ns

    def time(self, call: Call) -> float:
        """Returns the seconds that a call takes."""
        now_ns = self._now_ns
        start_ns = now_ns()
        call()
        return (now_ns() - start_ns) / 1e9


class AcceleratorClock:
    """Two events in a device's stream around the call; the time between them is the device's own.

    The host is ahead of an idle device by as long as it takes to launch work, so a model of many small kernels is timed
    at the speed of its launches: its latency as a user sees it. After `before` the device is busy while the host
    launches, which hides launches: such a time is that of the kernels.
    """

    def __init__(self, device: torch.device, before: Call | None = None, api: Any = torch) -> None:
        """`before` runs ahead of each call, outside the time; `api` has torch's `Event` and `accelerator`."""
        self.name = f"{device.type} events"
        self._device = device
        self._before = before
        self._accelerator = api.accelerator
        self._begin, self._end = (api.Event(device=device, enable_timing=True) for _ in range(2))

    def time(self, call: Call) -> float:
        """Returns the seconds between two events around a call, read when the whole device has finished.

        Raises:
            RuntimeError: the device failed; asynchronous failures of the call show here too.
        """
        # An event goes into the current stream of the current device.
        with self._accelerator.device_index(self._device.index):
            if self._before is not None:
                self._before()
            self._begin.record()
            call()
            self._end.record()
            self._accelerator.synchronize(self._device)
            elapsed_ms: float = self._begin.elapsed_time(self._end)
        return elapsed_ms / 1e3


def clock_for(device: torch.device, cold_cache: bool = False, api: Any = torch) -> Clock:
    """Returns the clock of a device; with `cold_cache` its last-level cache is overwritten before each call.

    Raises:
        InputError: `cold_cache` on a CPU, whose caches a tensor's size does not empty for certain.
    """
    if device.type != "cpu":
        return AcceleratorClock(device, cache_flush(device, api) if cold_cache else None, api)
    if cold_cache:
        raise InputError("a cold cache: only an accelerator's can be emptied before each call, not a CPU's")
    return CpuClock()


def cache_flush(device: torch.device, api: Any = torch) -> Call:
    """Returns what overwrites a device's last-level cache: zeros over twice its bytes."""
    sizes = api.cuda.get_device_properties(device).L2_cache_size if device.type == "cuda" else 0
    buffer = api.empty(2 * sizes or _CACHE_BYTES, dtype=torch.uint8, device=device)
    flush: Call = buffer.zero_
    return flush


def captured(call: Call, api: Any = torch) -> Call:
    """Returns what replays a call that was recorded as a CUDA graph; its inputs and outputs stay where they are.

    Raises:
        RuntimeError: the call does what cannot be recorded, such as reading a value back to the host.
    """
    cuda = api.cuda
    aside = cuda.Stream()
    aside.wait_stream(cuda.current_stream())
    with cuda.stream(aside):
        for _ in range(_WARMING_CALLS):
            call()
    cuda.current_stream().wait_stream(aside)
    graph = cuda.CUDAGraph()
    with cuda.graph(graph):
        call()
    replay: Call = graph.replay
    return replay
