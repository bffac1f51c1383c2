"""A simulated accelerator with torch's names: work queues behind the host's back, and every call is written down.

Its events read the true time at which the device reaches them, and refuse to tell before the host has waited for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch


class FakeAccelerator:
    """The host's time, the time at which the device has done all it was given, and a log."""

    def __init__(self, cache_bytes: int = 4096, flush_s: float = 0.0) -> None:
        self.host_s = 0.0
        self.free_s = 0.0
        self.waited = False
        self.log: list[str] = []
        self.flush_s = flush_s
        self.accelerator = SimpleNamespace(device_index=self.device_index, synchronize=self.synchronize)
        self.cuda = SimpleNamespace(
            get_device_properties=lambda device: SimpleNamespace(L2_cache_size=cache_bytes),
            Stream=lambda: Stream("aside", self),
            current_stream=lambda: Stream("current", self),
            stream=lambda stream: self.scope(f"stream {stream.name}"),
            CUDAGraph=lambda: SimpleNamespace(replay=lambda: self.log.append("replay")),
            graph=lambda graph: self.scope("capture"),
        )
        self.events = iter(("begin", "end"))

    def work(self, launch_s: float, run_s: float, name: str = "run") -> None:
        """The host launches, the device runs when it is free."""
        self.log.append(name)
        self.host_s += launch_s
        self.free_s = max(self.free_s, self.host_s) + run_s
        self.waited = False

    def synchronize(self, device: torch.device) -> None:
        self.log.append(f"synchronize {device}")
        self.host_s = max(self.host_s, self.free_s)
        self.waited = True

    def device_index(self, index: int | None) -> Any:
        return self.scope(f"device {index}")

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        self.log.append(name)
        yield
        self.log.append(f"/{name}")

    def Event(self, device: torch.device, enable_timing: bool) -> Event:
        assert enable_timing
        return Event(next(self.events), self)

    def empty(self, size: int, dtype: torch.dtype, device: torch.device) -> Any:
        return SimpleNamespace(zero_=lambda: self.work(0.0, self.flush_s, f"flush {size} {dtype}"))


class Event:
    """A mark in the device's stream."""

    def __init__(self, name: str, fake: FakeAccelerator) -> None:
        self.name = name
        self.at_s: float | None = None
        self._fake = fake

    def record(self) -> None:
        self._fake.log.append(f"record {self.name}")
        self.at_s = max(self._fake.host_s, self._fake.free_s)
        self._fake.waited = False

    def elapsed_time(self, later: Event) -> float:
        self._fake.log.append("elapsed")
        if not self._fake.waited or self.at_s is None or later.at_s is None:
            raise RuntimeError("the device has not finished")
        return (later.at_s - self.at_s) * 1e3


class Stream:
    """A stream that only notes who waits for it."""

    def __init__(self, name: str, fake: FakeAccelerator) -> None:
        self.name = name
        self._fake = fake

    def wait_stream(self, other: Stream) -> None:
        self._fake.log.append(f"{self.name} waits for {other.name}")
