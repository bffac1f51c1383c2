"""The search for peaks on a machine whose rates are known, with a clock that it drives; and one real product."""

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import pytest
import torch
from pydantic import TypeAdapter

from effbench.errors import InputError
from effbench.measure.machine.bench import Call, TorchBench, precisions_on
from effbench.measure.machine.interference import Disturbance
from effbench.measure.machine.peaks import PeaksPlan, array_size, measure_peaks
from effbench.records import Note
from effbench.records.peaks import GemmRun, Peaks, StreamRun

GIB = 2**30


class FakeBench:
    """A machine of two cores; its products reach their peak at size 1024 and fall off by a tenth beyond 2048.

    Every call costs 5 µs besides, every sample may be slowed by up to `noise`, and filling memory has its own rate.
    """

    device = "fake"

    def __init__(self, noise: float = 0.0, peak: float = 1e11, bandwidth: float = 1e10, fill: float = 5e9) -> None:
        self.now_s = 0.0
        self.filled: list[int] = []
        self.asked: list[tuple[str, int, int]] = []
        self._cores = 0
        self._random = Random(1)
        self._noise, self._peak, self._bandwidth, self._fill = noise, peak, bandwidth, fill

    def clock(self) -> float:
        return self.now_s

    def finish(self) -> None:
        pass

    @contextmanager
    def threads(self, count: int) -> Iterator[None]:
        before, self._cores = self._cores, count
        yield
        self._cores = before

    def _spend(self, seconds: float) -> None:
        self.now_s += seconds * (1 + self._noise * self._random.random())

    def gemm(self, precision: str, size: int) -> Call:
        if precision == "float16":
            raise RuntimeError("not implemented for 'Half'")
        self.asked.append((precision, self._cores, size))
        speed = self._peak * (2 if precision == "bfloat16" else 1) * min(self._cores, 2)
        efficiency = min(1.0, size / 1024) * (0.9 if size > 2048 else 1.0)
        return lambda: self._spend(5e-6 + 2 * size**3 / (speed * efficiency))

    def streams(self, array_bytes: int) -> dict[str, tuple[Call, int]]:
        self.filled.append(array_bytes)
        self.now_s += 3 * array_bytes / self._fill
        passes = {"copy": 2 * array_bytes, "triad": 3 * array_bytes, "read": 2 * array_bytes}
        share = {"copy": 0.8, "triad": 0.9, "read": 1.0}

        def call(name: str) -> Call:
            return lambda: self._spend(passes[name] / (self._bandwidth * share[name] * min(self._cores, 2)))

        return {name: (call(name), moved) for name, moved in passes.items()}


def measured(bench: FakeBench, plan: PeaksPlan, array_bytes: int = GIB // 4) -> Peaks:
    return measure_peaks(bench, plan, array_bytes, bench.clock)


PLAN = PeaksPlan(60.0, (1, 2), ("float32", "bfloat16"))


def test_the_peaks_are_the_machine_s() -> None:
    """At size 2048 the 5 µs of a call are .003 % of 172 ms; with bfloat16 on two cores they are .01 % of 43 ms."""
    peaks = measured(FakeBench(), PLAN)
    assert peaks.flops_per_s("float32", 1) == pytest.approx(1e11, rel=1e-3)
    assert peaks.flops_per_s("float32", 2) == pytest.approx(2e11, rel=1e-3)
    assert peaks.flops_per_s("autocast-bfloat16", 2) == pytest.approx(4e11, rel=1e-3)
    assert peaks.bandwidth_bytes_per_s(1) == pytest.approx(1e10)
    assert peaks.bandwidth_bytes_per_s(2) == pytest.approx(2e10)
    assert {(run.kernel, run.threads): round(run.bytes_per_s / 1e9, 6) for run in peaks.streams} == {
        ("copy", 1): 8,
        ("triad", 1): 9,
        ("read", 1): 10,
        ("copy", 2): 16,
        ("triad", 2): 18,
        ("read", 2): 20,
    }
    best = peaks.gemm("float32", 1)
    assert best is not None
    assert best.size in (1024, 2048)
    assert best.spread == pytest.approx(0)
    assert len(best.samples_s) == 25


def test_what_slows_a_sample_does_not_lower_the_peak_but_shows_as_spread() -> None:
    """From size 512 on a single call is a sample: each is slowed by a share between 0 and 50 % of its own."""
    peaks = measured(FakeBench(noise=0.5), PLAN)
    best = peaks.gemm("float32", 1)
    assert best is not None
    assert best.calls == 1
    assert 1e11 / 1.5 < best.median_flops_per_s < 0.95 * best.flops_per_s
    assert 0.9e11 < best.flops_per_s <= 1e11
    assert best.spread is not None
    assert best.spread > 0.05


def test_the_search_ends_two_sizes_after_the_best() -> None:
    bench = FakeBench()
    measured(bench, PeaksPlan(600.0, (1,), ("float32",)))
    assert [size for _, _, size in bench.asked] == [128, 256, 512, 1024, 2048, 4096]


def test_short_products_are_timed_in_samples_that_last() -> None:
    """One of size 128 takes 5 µs and 2·128³/(1e11/8) = 336 µs: 6 of them are the nearest to 2 ms."""
    runs = measured(FakeBench(), PLAN).gemms
    assert runs[0].calls == 6
    assert all(sample == pytest.approx(6 * (5e-6 + 2 * 128**3 / 1.25e10)) for sample in runs[0].samples_s)


class Preempted(FakeBench):
    """A machine whose scheduler takes the core away for 3 ms after every 3 ms."""

    ran_s = 0.0

    def _spend(self, seconds: float) -> None:
        before = self.ran_s // 0.003
        self.ran_s += seconds
        self.now_s += seconds + 0.003 * (self.ran_s // 0.003 - before)


def test_a_shared_core_still_shows_its_peak() -> None:
    """Products of size 512 take 2.7 ms: some fit between two interruptions; samples of 30 ms take twice their time."""
    short = measured(Preempted(peak=2e11), PeaksPlan(60.0, (1,), ("float32",), sizes=(512,)))
    long = measured(Preempted(peak=2e11), PeaksPlan(60.0, (1,), ("float32",), sizes=(512,), sample_s=0.03))
    assert short.flops_per_s("float32", 1) == pytest.approx(1e11, rel=0.005)
    assert long.flops_per_s("float32", 1) == pytest.approx(0.5e11, rel=0.1)


def test_what_disturbed_the_measurement_is_kept() -> None:
    note = Note("steal", "cpu", "x")
    seen = iter([Disturbance((Note("steal", "cpu", "before"),)), Disturbance((note,))])
    bench = FakeBench()
    peaks = measure_peaks(bench, PLAN, 2**28, bench.clock, watch=lambda: next(seen))
    assert (peaks.disturbed, peaks.notes) == (True, (note,))
    bench = FakeBench()
    peaks = measure_peaks(bench, PLAN, 2**28, bench.clock, watch=lambda: Disturbance(told=(note,)))
    assert (peaks.disturbed, peaks.notes) == (False, (note,))


@pytest.mark.parametrize("budget_s", [2.0, 5.0, 20.0])
@pytest.mark.parametrize("peak", [1e10, 1e11, 1e13])
def test_the_budget_is_kept(budget_s: float, peak: float) -> None:
    """Memory at 10 GB/s: three arrays of 256 MiB are filled in .16 s, a pass takes at most .09 s, six are needed."""
    bench = FakeBench(peak=peak)
    peaks = measured(bench, PeaksPlan(budget_s, (1, 2), ("float32", "bfloat16")))
    assert peaks.spent_s == bench.now_s <= budget_s * 1.1
    assert None not in (peaks.flops_per_s("bfloat16", 2), peaks.bandwidth_bytes_per_s(2))


def test_a_slow_precision_still_gets_its_smallest_size() -> None:
    """At 1 GFLOP/s, size 128 takes 34 ms, and 256 would take 268 ms a call: five of them are longer than .6 s."""
    bench = FakeBench(peak=1e9)
    peaks = measured(bench, PeaksPlan(1.0, (1,), ("float32",)), array_bytes=2**20)
    assert {run.size for run in peaks.gemms} == {128}
    assert bench.now_s <= 1.1


def test_a_precision_that_cannot_be_computed_is_named() -> None:
    peaks = measured(FakeBench(), PeaksPlan(60.0, (1,), ("float16", "float32")))
    assert [(note.code, note.subject) for note in peaks.notes] == [("no-peak", "float16")]
    assert peaks.flops_per_s("float16", 1) is None
    assert peaks.flops_per_s("float32", 1) is not None


def test_arrays_shrink_where_time_is_short_and_that_is_said() -> None:
    """32 MiB thrice at 100 MB/s take 1.007 s of 4 s: in a third of the remaining 2.99 s, 31.7 MiB could be filled."""
    bench = FakeBench(peak=1e13, fill=1e8)
    peaks = measured(bench, PeaksPlan(4.0, (1,), ("float32",)), array_bytes=GIB)
    assert bench.filled[0] == 2**25
    assert 2**25 <= bench.filled[1] < 2**26
    assert {run.array_bytes for run in peaks.streams} == {bench.filled[1]}
    assert [note.code for note in peaks.notes] == ["small-arrays"]
    assert peaks.notes[0].text.endswith("instead of 1024 MiB, for lack of time")


def test_arrays_that_memory_does_not_hold_leave_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = FakeBench()
    fill = bench.streams

    def streams(array_bytes: int) -> dict[str, tuple[Call, int]]:
        if array_bytes > 2**25:
            raise torch.OutOfMemoryError("tried to allocate 1 GiB")
        return fill(array_bytes)

    monkeypatch.setattr(bench, "streams", streams)
    peaks = measured(bench, PLAN)
    assert peaks.bandwidth_bytes_per_s(1) is None
    assert [note.text for note in peaks.notes] == [
        "arrays of 256 MiB could not be made: OutOfMemoryError: tried to allocate 1 GiB"
    ]


@pytest.mark.parametrize(
    ("cache", "usable", "expected", "noted"),
    [
        (8 * 2**20, 16 * GIB, 64 * 2**20, False),  # 32 MiB would be enough for the cache, not for the clock
        (260 * 2**20, 24 * GIB, 1040 * 2**20, False),
        (260 * 2**20, 3 * GIB, GIB // 4, True),  # a quarter of 3 GiB in three arrays
        (260 * 2**20, None, 1040 * 2**20, False),
        (None, 96 * GIB, 512 * 2**20, True),
        (None, GIB, GIB // 12 // 4096 * 4096, True),
    ],
)
def test_the_size_of_arrays(cache: int | None, usable: int | None, expected: int, noted: bool) -> None:
    size, notes = array_size(cache, usable)
    assert size == expected
    assert [note.code for note in notes] == ["small-arrays"] * noted


def test_plans_that_measure_nothing_are_refused() -> None:
    for bad in ({"budget_s": 0.0}, {"threads": ()}, {"threads": (0,)}, {"samples": 0}):
        with pytest.raises(InputError, match="must be positive"):
            PeaksPlan(**{"budget_s": 1.0, "threads": (1,), **bad})  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"unknown precision \['int7'\]"):
        PeaksPlan(1.0, (1,), ("int7",))


# The records


def test_rates_by_hand() -> None:
    """2·10³ FLOPs, twice a sample: 4,000 FLOPs in 2, 4 and 8 s; the quartiles of 2, 4, 8 are 3 and 6."""
    run = GemmRun("float32", 1, 10, 2, (4.0, 2.0, 8.0))
    assert (run.flops_per_s, run.median_flops_per_s, run.spread) == (2000, 1000, 0.75)
    one = StreamRun("copy", 1, 100, 200, (4.0,))
    assert (one.bytes_per_s, one.median_bytes_per_s, one.spread) == (50, 50, None)


def test_more_threads_can_do_what_fewer_do_but_unmeasured_counts_are_unknown() -> None:
    gemms = (GemmRun("float32", 1, 10, 1, (1.0,)), GemmRun("float32", 4, 10, 1, (2.0,)))
    streams = (StreamRun("copy", 1, 8, 16, (4.0,)), StreamRun("copy", 4, 8, 16, (1.0,)))
    peaks = Peaks("cpu", gemms, streams, 1.0)
    assert (peaks.flops_per_s("float32", 1), peaks.flops_per_s("float32", 4)) == (2000, 2000)
    assert (peaks.flops_per_s("float32", 2), peaks.flops_per_s("bfloat16", 1)) == (None, None)
    assert (peaks.flops_by_precision(4), peaks.flops_by_precision(2)) == ({"float32": 2000}, {})
    assert [peaks.bandwidth_bytes_per_s(count) for count in (1, 2, 4)] == [4, None, 16]


def test_peaks_go_to_json_and_back() -> None:
    peaks = measured(FakeBench(), PLAN)
    adapter = TypeAdapter(Peaks)
    assert adapter.validate_json(adapter.dump_json(peaks)) == peaks


# PyTorch


def test_a_real_product_and_real_passes_do_what_their_figures_say() -> None:
    bench = TorchBench()
    before = (torch.get_num_threads(), torch.get_float32_matmul_precision())
    with bench.threads(1):
        for precision in ("float32", "bfloat16", "float64", "tf32"):
            bench.gemm(precision, 8)()
        with pytest.raises(KeyError):
            bench.gemm("int8", 8)
        passes = bench.streams(4096)
        results = {name: call() for name, (call, _) in passes.items()}
    assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == before
    # 1,024 ones each: b + 3·c is 4 everywhere and stays in a, so that the product with b adds up to 4,096.
    assert torch.equal(torch.full((1024,), 4.0), results["triad"])  # type: ignore[arg-type]
    assert results["read"] == torch.tensor(4096.0)
    assert {name: moved for name, (_, moved) in passes.items()} == {"copy": 8192, "triad": 12288, "read": 8192}


def test_threads_are_given_back_when_something_raises() -> None:
    before = torch.get_num_threads()

    def fail() -> None:
        with TorchBench().threads(before + 1):
            raise ZeroDivisionError(torch.get_num_threads())

    with pytest.raises(ZeroDivisionError, match=f"^{before + 1}$"):
        fail()
    assert torch.get_num_threads() == before


def test_cuda_also_has_tensor_cores_for_float32() -> None:
    assert "tf32" in precisions_on("cuda:1")
    assert "tf32" not in precisions_on("cpu")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_tensor_cores_are_faster_on_cuda() -> None:
    import time

    plan = PeaksPlan(10.0, (1,), ("float32", "tf32"))
    peaks = measure_peaks(TorchBench("cuda"), plan, 2**30, time.perf_counter)
    exact, rounded = peaks.flops_per_s("float32", 1), peaks.flops_per_s("tf32", 1)
    assert exact is not None
    assert rounded is not None
    assert rounded > exact
