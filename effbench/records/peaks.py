"""What a machine was seen to reach at most: multiplying matrices, and moving memory."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median, quantiles

from effbench.records.note import Note


@dataclass(frozen=True, slots=True)
class GemmRun:
    """Square matrix products of one size, timed.

    Attributes:
        precision: "float32", "float16", "bfloat16"; on CUDA also "tf32", float32 data in tensor cores.
        size: n of an n × n by n × n product, which is 2·n³ FLOPs.
        calls: products in each sample.
        samples_s: seconds of each sample.
    """

    precision: str
    threads: int
    size: int
    calls: int
    samples_s: tuple[float, ...]

    @property
    def flops_per_s(self) -> float:
        """Returns the rate of the fastest sample: what disturbs a sample only ever slows it."""
        return self._flop / min(self.samples_s)

    @property
    def median_flops_per_s(self) -> float:
        """Returns the rate of the median sample."""
        return self._flop / median(self.samples_s)

    @property
    def spread(self) -> float | None:
        """Returns the interquartile range of the samples over their median; None for a single sample."""
        return _spread(self.samples_s)

    @property
    def _flop(self) -> float:
        return 2.0 * self.size**3 * self.calls


@dataclass(frozen=True, slots=True)
class StreamRun:
    """Passes over arrays well beyond the last-level cache, timed.

    Bytes are what the program asks to read and write. A write that first reads its cache line moves more: copies
    and triads therefore stay below what the memory really moved, and reading alone may be faster than either.

    Attributes:
        kernel: "copy" (a = b), "triad" (a = b + s·c) or "read" (the inner product of a and b).
        array_bytes: size of each array.
        bytes_per_call: read and written by one pass.
        samples_s: seconds of each pass.
    """

    kernel: str
    threads: int
    array_bytes: int
    bytes_per_call: int
    samples_s: tuple[float, ...]

    @property
    def bytes_per_s(self) -> float:
        """Returns the rate of the fastest pass."""
        return self.bytes_per_call / min(self.samples_s)

    @property
    def median_bytes_per_s(self) -> float:
        """Returns the rate of the median pass."""
        return self.bytes_per_call / median(self.samples_s)

    @property
    def spread(self) -> float | None:
        """Returns the interquartile range of the passes over their median; None for a single pass."""
        return _spread(self.samples_s)


@dataclass(frozen=True, slots=True)
class Peaks:
    """All that was measured of a device's limits within a budget of time.

    Attributes:
        spent_s: seconds it took.
        disturbed: whether something was noticed meanwhile that makes a measurement worthless. What was reached is then
            less than what can be: a rate above it is not impossible.
        notes: what was left out or cut short, and why.
    """

    device: str
    gemms: tuple[GemmRun, ...]
    streams: tuple[StreamRun, ...]
    spent_s: float
    disturbed: bool = False
    notes: tuple[Note, ...] = ()

    def gemm(self, precision: str, threads: int) -> GemmRun | None:
        """Returns the fastest run of a precision on so many threads or fewer; None where that count was not measured.

        More threads can do what fewer do: where they were slower, something stood in their way. What runs under
        autocast computes in the type it casts to: "autocast-bfloat16" is looked up as "bfloat16".
        """
        runs = [run for run in self.gemms if run.precision == precision.removeprefix("autocast-")]
        if threads not in {run.threads for run in runs}:
            return None
        return max((run for run in runs if run.threads <= threads), key=lambda run: run.flops_per_s)

    def stream(self, threads: int) -> StreamRun | None:
        """Returns the fastest run of all kernels on so many threads or fewer; None where the count was not measured."""
        if threads not in {run.threads for run in self.streams}:
            return None
        return max((run for run in self.streams if run.threads <= threads), key=lambda run: run.bytes_per_s)

    def flops_per_s(self, precision: str, threads: int) -> float | None:
        """Returns the peak FLOP/s of a precision and thread count; None where it was not measured."""
        run = self.gemm(precision, threads)
        return None if run is None else run.flops_per_s

    def flops_by_precision(self, threads: int) -> dict[str, float]:
        """Returns the peak FLOP/s of every precision that was measured on so many threads."""
        found = {run.precision: self.flops_per_s(run.precision, threads) for run in self.gemms}
        return {precision: rate for precision, rate in found.items() if rate is not None}

    def bandwidth_bytes_per_s(self, threads: int) -> float | None:
        """Returns the peak bytes/s of a thread count; None where it was not measured."""
        run = self.stream(threads)
        return None if run is None else run.bytes_per_s


def _spread(samples_s: tuple[float, ...]) -> float | None:
    if len(samples_s) < 2:
        return None
    low, middle, high = quantiles(samples_s, n=4, method="inclusive")
    return (high - low) / middle
