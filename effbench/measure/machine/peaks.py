"""What a device reaches at most: FLOP/s by multiplying matrices, bytes/s by passing over arrays beyond every cache.

A peak is a rate that was seen, so the fastest sample counts; how far the others lie from it is kept beside it. Sizes
are searched upwards, since small products leave threads idle and large ones may not fit the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from effbench.errors import InputError, one_line
from effbench.measure.machine.bench import PRECISIONS, Bench, Call
from effbench.measure.machine.interference import Disturbance
from effbench.measure.timing.entrant import Now
from effbench.records.note import Note
from effbench.records.peaks import GemmRun, Peaks, StreamRun

_PROBE_BYTES = 32 * 2**20
_NONE: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class PeaksPlan:
    """What is measured and for how long.

    Attributes:
        budget_s: seconds for everything; a call that began is finished.
        threads: thread counts to measure, for both kinds of peak.
        sizes: of the matrices, in ascending order.
        samples: of each size and of each kernel, where the time allows.
        sample_s: length of a sample of products at least. Much shorter ones would time the clock and the launch; longer
            ones than the 3 ms that the scheduler lets a thread run would all be interrupted where cores are shared.
        gain: the search for a size ends after two sizes in a row that are no faster than the best by this share.
        gemm_share: of the budget that goes to products; the rest goes to memory.
    """

    budget_s: float
    threads: tuple[int, ...]
    precisions: tuple[str, ...] = ("float32", "bfloat16", "float16")
    sizes: tuple[int, ...] = (128, 256, 512, 1024, 2048, 4096, 8192)
    samples: int = 25
    sample_s: float = 0.002
    gain: float = 0.02
    gemm_share: float = 0.6

    def __post_init__(self) -> None:
        """Refuses a plan that measures nothing."""
        if self.budget_s <= 0 or not self.threads or min(self.threads) < 1 or self.samples < 1:
            raise InputError("peaks: budget_s, threads and samples must be positive")
        if unknown := set(self.precisions) - set(PRECISIONS):
            raise InputError(f"peaks: unknown precision {sorted(unknown)}: use some of {', '.join(PRECISIONS)}")


def measure_peaks(
    bench: Bench,
    plan: PeaksPlan,
    array_bytes: int,
    now: Now,
    notes: tuple[Note, ...] = (),
    watch: Callable[[], Disturbance] | None = None,
) -> Peaks:
    """Returns the peaks of a device, measured within the plan's budget.

    Args:
        bench: the device.
        plan: what to measure.
        array_bytes: size of each array of the bandwidth kernels; see `array_size`.
        now: the clock.
        notes: what is known already, such as what `array_size` said.
        watch: asked before and after what disturbed the machine.
    """
    if watch:
        watch()
    start = now()
    gemms, left_out = _all_gemms(bench, plan, now, start)
    streams, small = _all_streams(bench, plan, array_bytes, now, start + plan.budget_s)
    seen = watch() if watch else Disturbance()
    said = (*notes, *left_out, *small, *seen.tainted, *seen.told)
    return Peaks(bench.device, gemms, streams, now() - start, bool(seen.tainted), said)


def _all_gemms(bench: Bench, plan: PeaksPlan, now: Now, start: float) -> tuple[tuple[GemmRun, ...], tuple[Note, ...]]:
    cases = [(precision, threads) for threads in plan.threads for precision in plan.precisions]
    gemms: list[GemmRun] = []
    left_out: list[Note] = []
    for index, (precision, threads) in enumerate(cases):
        # What one case leaves unused, those after it share.
        share = max(0.0, start + plan.budget_s * plan.gemm_share - now()) / (len(cases) - index)
        with bench.threads(threads):
            found = _gemm_runs(bench, plan, precision, threads, now, now() + share)
        gemms += found
        if not found:
            text = f"{precision} products on {threads} threads: no time was left, or PyTorch cannot compute them here"
            left_out.append(Note("no-peak", precision, text))
    return tuple(gemms), tuple(left_out)


def array_size(last_level_bytes: int | None, usable_bytes: int | None) -> tuple[int, tuple[Note, ...]]:
    """Returns (bytes of each of three arrays, a Note where they are smaller than they should be).

    Four times the last-level cache is what STREAM asks for. Three such arrays take a quarter of the usable memory at
    most. Where the cache is unknown, 512 MiB stand for four times the largest common one.
    """
    wanted = 512 * 2**20 if last_level_bytes is None else max(4 * last_level_bytes, 64 * 2**20)
    most = wanted if usable_bytes is None else usable_bytes // 4 // 3
    size = min(wanted, most) // 4096 * 4096
    notes: tuple[Note, ...] = ()
    if last_level_bytes is None:
        text = f"the last-level cache is unknown: arrays of {size / 2**20:.0f} MiB may partly lie in it"
        notes = (Note("small-arrays", "bandwidth", text),)
    elif size < wanted // 4096 * 4096:
        text = f"arrays of {size / 2**20:.0f} MiB are {size / last_level_bytes:.2g} × the last-level cache, for lack of"
        notes = (Note("small-arrays", "bandwidth", f"{text} memory: part of the traffic may be the cache's"),)
    return size, notes


def _gemm_runs(bench: Bench, plan: PeaksPlan, precision: str, threads: int, now: Now, end: float) -> list[GemmRun]:
    """Returns a run of each size that was tried, the smallest first."""
    runs: list[GemmRun] = []
    best = 0.0
    without_gain = 0
    for size in plan.sizes:
        flop = 2.0 * size**3
        # The warm-up, three calls to find their length, and at least one sample must fit.
        if runs and now() + 5 * flop / best > end:
            break
        try:
            call = bench.gemm(precision, size)
        except (RuntimeError, MemoryError):  # no kernel for this type, or no memory for this size
            break
        run = _timed_gemm(bench, plan, call, (precision, threads, size), now, end)
        runs.append(run)
        without_gain = 0 if run.flops_per_s > best * (1 + plan.gain) else without_gain + 1
        best = max(best, run.flops_per_s)
        if without_gain == 2 or now() >= end:
            break
    return runs


def _timed_gemm(bench: Bench, plan: PeaksPlan, call: Call, case: tuple[str, int, int], now: Now, end: float) -> GemmRun:
    _timed(bench, call, 1, now)  # the first call packs, plans and may compile
    once_s = max(min(_timed(bench, call, 1, now) for _ in range(3)), 1e-9)
    calls = max(1, round(plan.sample_s / once_s))
    samples = list(_samples(bench, plan.samples, call, calls, now, end))
    return GemmRun(*case, calls, tuple(samples))


def _affordable(bench: Bench, array_bytes: int, now: Now, end: float) -> tuple[int, tuple[Note, ...]]:
    """Returns the size of arrays that can be filled in a third of the time left, and a Note where it is smaller."""
    small = min(array_bytes, _PROBE_BYTES)
    start = now()
    bench.streams(small)
    bench.finish()
    fill_s = max(now() - start, 1e-9)
    fits = max(small, int(small * (end - now()) / 3 / fill_s) // 4096 * 4096)
    if fits >= array_bytes:
        return array_bytes, ()
    text = f"arrays of {fits / 2**20:.0f} MiB instead of {array_bytes / 2**20:.0f} MiB, for lack of time"
    return fits, (Note("small-arrays", "bandwidth", text),)


def _all_streams(
    bench: Bench, plan: PeaksPlan, array_bytes: int, now: Now, end: float
) -> tuple[tuple[StreamRun, ...], tuple[Note, ...]]:
    size, notes = array_bytes, _NONE
    try:
        size, notes = _affordable(bench, array_bytes, now, end)
        return tuple(_stream_runs(bench, plan, size, now, end)), notes
    except (RuntimeError, MemoryError) as error:
        text = f"arrays of {size / 2**20:.0f} MiB could not be made: {one_line(error)}"
        return (), (*notes, Note("no-peak", "bandwidth", text))


def _stream_runs(bench: Bench, plan: PeaksPlan, array_bytes: int, now: Now, end: float) -> Iterator[StreamRun]:
    kernels = bench.streams(array_bytes)
    cases = [(threads, name) for threads in plan.threads for name in kernels]
    for index, (threads, name) in enumerate(cases):
        call, moved = kernels[name]
        share = max(0.0, end - now()) / (len(cases) - index)
        with bench.threads(threads):
            samples = tuple(_samples(bench, plan.samples, call, 1, now, now() + share))
        yield StreamRun(name, threads, array_bytes, moved, samples)


def _samples(bench: Bench, count: int, call: Call, calls: int, now: Now, end: float) -> Iterator[float]:
    """Yields the seconds of so many samples, of fewer where the next would end after the time, of one at least."""
    longest = 0.0
    for index in range(count):
        if index and now() + longest > end:
            return
        sample = _timed(bench, call, calls, now)
        longest = max(longest, sample)
        yield sample


def _timed(bench: Bench, call: Call, calls: int, now: Now) -> float:
    bench.finish()
    start = now()
    for _ in range(calls):
        call()
    bench.finish()
    return now() - start
