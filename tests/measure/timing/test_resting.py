"""Waiting for a process's threads, with counters that are told what to say."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from effbench.measure.timing.resting import rest


@dataclass
class Process:
    """One whose pool spins until some moment; a look at its counter takes a microsecond of CPU time."""

    spins_until_s: float
    threads: int = 1
    now_s: float = 100.0
    ran_s: float = 7.0

    def sleep(self, seconds: float) -> None:
        spinning_s = max(0.0, min(self.spins_until_s - self.now_s, seconds))
        self.ran_s += self.threads * spinning_s
        self.now_s += seconds

    def ran(self) -> float:
        self.ran_s += 1e-6
        return self.ran_s

    def rested_s(self) -> float:
        rest(self.ran, lambda: self.now_s, self.sleep)
        return self.now_s - 100.0


def test_a_process_at_rest_is_left_after_one_look() -> None:
    assert Process(0.0).rested_s() == pytest.approx(0.001)


@pytest.mark.parametrize("threads", [1, 7])
def test_a_pool_that_spins_is_waited_for(threads: int) -> None:
    assert Process(100.0105, threads).rested_s() == pytest.approx(0.012, abs=0.0011)


def test_one_that_never_rests_is_left_after_a_while() -> None:
    assert Process(1e9).rested_s() == pytest.approx(0.3, abs=0.002)
