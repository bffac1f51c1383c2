"""The batch that serves most: found on curves whose best batch is known, and kept within memory."""

from collections.abc import Callable
from pathlib import Path

import pytest

from effbench.errors import InputError
from effbench.measure.timing.entrant import Died, OutOfMemory
from effbench.measure.timing.throughput import Measured, Throughput, best_batch, expected_bytes, host_limit_bytes
from effbench.records import TimingPlan


def saturating(batch: int) -> float:
    """1 ms a call and 1 ms a sample: rises towards 1,000 samples a second, and never falls."""
    return batch / (1e-3 + 1e-3 * batch)


def peaked(top: int) -> Callable[[int], float]:
    """Rises in a line up to a batch, then falls."""
    return lambda batch: batch if batch <= top else top * top / batch


@pytest.mark.parametrize("top", [1, 2, 4, 8, 64, 512])
def test_a_peak_at_a_power_of_two_is_found_exactly(top: int) -> None:
    found = best_batch(peaked(top), tolerance=0.0)
    assert found.best == Throughput(top, top)
    assert found.limit == "slower"


@pytest.mark.parametrize("top", range(3, 200, 7))
def test_any_peak_is_found_within_an_eighth(top: int) -> None:
    found = best_batch(peaked(top), tolerance=0.0)
    assert abs(found.best.batch - top) <= max(top / 8, 1)
    assert len(found.tried) == len({item.batch for item in found.tried}) <= 18


def test_where_larger_batches_gain_little_a_smaller_one_is_taken() -> None:
    """Doubling gains 1 % no more from 128 on (1/129 of what is left); two such doublings end it."""
    found = best_batch(saturating)
    most = max(item.samples_per_s or 0 for item in found.tried)
    assert found.limit == "slower"
    assert found.best.samples_per_s is not None
    assert found.best.samples_per_s >= 0.99 * most
    assert all(item.batch >= found.best.batch for item in found.tried if (item.samples_per_s or 0) >= 0.99 * most)


def test_one_doubling_without_gain_is_passed_over() -> None:
    """Batch 4 divides badly here; 8 is better than 2 all the same."""
    speeds = {1: 10.0, 2: 20.0, 3: 15.0, 4: 15.0, 6: 30.0, 8: 50.0}
    assert best_batch(lambda batch: speeds.get(batch, 1.0), tolerance=0.0).best.batch == 8


def test_two_doublings_that_were_disturbed_do_not_end_the_search() -> None:
    """16 and 32 read a quarter at first, as where a neighbour ran meanwhile: they are measured once more."""
    asked: list[int] = []

    def disturbed(batch: int) -> float:
        asked.append(batch)
        true = peaked(64)(batch)
        return true / 4 if batch in (16, 32) and asked.count(batch) == 1 else true

    found = best_batch(disturbed, tolerance=0.0)
    assert found.best == Throughput(64, 64.0)
    assert Throughput(16, 16.0) in found.tried
    assert len(found.tried) == len({item.batch for item in found.tried})
    assert sorted({batch for batch in asked if asked.count(batch) > 1}) == [8, 16, 32, 64, 128, 256]


def test_a_search_whose_batches_fit_no_second_time_is_said() -> None:
    asked: list[int] = []

    def never_again(batch: int) -> float:
        asked.append(batch)
        if asked.count(batch) > 1:
            raise OutOfMemory("somebody else took it")
        return 1 / batch

    with pytest.raises(OutOfMemory, match="batch 1 does not fit into memory a second time"):
        best_batch(never_again)


def test_a_figure_of_a_fast_moment_does_not_end_the_search() -> None:
    """Batch 2 reads five times too much at first: beside 4 and 8, measured again with them, it is what it is."""
    asked: list[int] = []

    def lucky(batch: int) -> float:
        asked.append(batch)
        return peaked(64)(batch) * (5 if batch == 2 and asked.count(2) == 1 else 1)

    assert best_batch(lucky, tolerance=0.0).best == Throughput(64, 64.0)


def test_a_batch_that_fits_no_second_time_is_not_recommended() -> None:
    asked: list[int] = []

    def once(batch: int) -> float:
        asked.append(batch)
        if batch == 8 and asked.count(8) > 1:
            raise OutOfMemory("somebody else took it")
        return float(min(batch, 4) + batch / 1e4)

    found = best_batch(once, tolerance=0.001)
    assert found.best.batch != 8
    assert {one.batch: one.samples_per_s for one in found.tried}[8] is None


def test_nothing_beyond_a_batch_that_fits_no_second_time_is_recommended() -> None:
    """2 serves 200 a second, 4 and 8 gain less than 1 %; when both are measured once more 4 does not fit."""
    asked: list[int] = []

    def taken_meanwhile(batch: int) -> float:
        asked.append(batch)
        if batch == 4 and asked.count(4) > 1:
            raise OutOfMemory("somebody else took it")
        return {1: 100.0, 2: 200.0, 3: 190.0, 4: 150.0, 8: 201.9}[batch]

    found = best_batch(taken_meanwhile)
    assert (found.best, found.limit) == (Throughput(2, 200.0), "memory")
    assert [one.batch for one in found.tried if one.samples_per_s is None] == [4, 8]
    assert asked == [1, 2, 4, 8, 2, 4, 3]


def within(fits: int, log: list[int]) -> Callable[[int], float]:
    def throughput(batch: int) -> float:
        log.append(batch)
        if batch > fits:
            raise OutOfMemory("CUDA out of memory")
        return float(batch)

    return throughput


@pytest.mark.parametrize("fits", [1, 2, 3, 5, 8, 13, 100, 255])
def test_memory_ends_the_search_and_does_not_break_it(fits: int) -> None:
    log: list[int] = []
    found = best_batch(within(fits, log))
    assert found.limit == "memory"
    assert found.best.samples_per_s == found.best.batch <= fits
    assert found.best.batch >= fits * 0.8
    assert len(log) == len(set(log))
    # A batch at least as large as one that did not fit is never tried.
    refused = [batch for batch in log if batch > fits]
    assert refused == sorted(refused, reverse=True)
    assert [item.batch for item in found.tried if item.samples_per_s is None] == refused


def test_a_model_that_never_fits_is_said() -> None:
    with pytest.raises(OutOfMemory, match="batch 1 does not fit"):
        best_batch(within(0, []))


def test_no_batch_beyond_the_largest_is_tried() -> None:
    log: list[int] = []
    found = best_batch(within(10**9, log), largest=100)
    assert (found.best.batch, found.limit, max(log)) == (100, "largest", 100)
    with pytest.raises(InputError, match="batches from 8 to 4"):
        best_batch(saturating, largest=4, smallest=8)


def test_another_death_is_none_of_memory() -> None:
    def dies(batch: int) -> float:
        raise Died("signal 11")

    with pytest.raises(Died, match="signal 11"):
        best_batch(dies)


# With sessions


class Machine:
    """2 ms a call and 1 ms a sample, the first calls ten times as long; 100 bytes, and 10 a sample; 500 at most."""

    def __init__(self, plan: TimingPlan, log: list[str]) -> None:
        assert plan.batch is not None
        self.name = "net"
        self.plan = plan
        self.threads = 1
        self.batch = plan.batch
        self.log = log
        self.calls = 0

    def start(self, number: int) -> "Machine":
        self.log.append(f"start {self.batch}")
        if self.batch > 40:
            raise OutOfMemory("killed by signal 9")
        return self

    def call(self, times: int) -> tuple[float, ...]:
        self.calls += times
        slow = 10.0 if self.calls <= 3 else 1.0
        return (slow * (2e-3 + 1e-3 * self.batch),) * times

    def ready(self) -> None: ...

    def rest(self) -> None:
        self.log.append("rest")

    def peak_bytes(self) -> tuple[tuple[str, int], ...]:
        return (("resident", 100 + 10 * self.batch), ("allocated", 7))

    def close(self) -> None:
        self.log.append(f"close {self.batch}")


def measured(log: list[str], limit_bytes: int | None = None) -> Measured:
    return Measured(lambda plan: Machine(plan, log), TimingPlan(threads=1), limit_bytes)


def test_a_batch_is_measured_in_a_session_of_its_own_without_its_first_calls() -> None:
    log: list[str] = []
    assert measured(log)(8) == pytest.approx(8 / 10e-3)
    assert log == ["start 8", "close 8"]


def test_a_session_that_dies_is_the_end_of_the_search() -> None:
    log: list[str] = []
    found = best_batch(measured(log), tolerance=0.0)
    assert (found.limit, found.best.batch) == ("memory", 40)
    assert log.count("close 32") == 1


def test_no_batch_runs_that_is_expected_to_pass_the_limit() -> None:
    """260 bytes are 16 samples; 32 would take 420, which two batches before it tell."""
    log: list[str] = []
    found = best_batch(measured(log, limit_bytes=260), tolerance=0.0)
    assert (found.limit, found.best.batch) == ("memory", 16)
    assert "start 32" not in log


def test_a_batch_that_passed_the_limit_all_the_same_does_not_count() -> None:
    with pytest.raises(OutOfMemory, match="batch 8 took 180 bytes, beyond the limit of 179"):
        measured([], limit_bytes=179)(8)


def test_memory_is_expected_to_go_on_in_a_line() -> None:
    assert expected_bytes({}, 4) is None
    assert expected_bytes({1: 100}, 2) is None
    assert expected_bytes({1: 50, 4: 140, 2: 120}, 8) == 140 + 4 * 10  # through 2 and 4
    assert expected_bytes({1: 100, 2: 90}, 64) == 90  # a mark that fell does not go below zero in the end


def test_the_hosts_limit_is_most_of_what_is_free(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 2000 kB\nMemAvailable: 1000 kB\n", encoding="ascii")
    assert host_limit_bytes(tmp_path) == 1000 * 1024 * 8 // 10
    assert host_limit_bytes(tmp_path / "nothing") is None
