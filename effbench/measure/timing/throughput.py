"""Offline throughput: the batch that serves most samples a second, found by search and kept within memory."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from effbench.errors import InputError
from effbench.measure.machine.hardware import read_memory
from effbench.measure.timing.entrant import Entrant, OutOfMemory, Session
from effbench.records import TimingPlan

Limit = Literal["memory", "slower", "largest"]
"""What ended the doubling: memory, batches that no longer gain, or the largest batch that may be tried."""

_PATIENCE = 2
"""Doublings in a row without a gain that end the search: one alone may be a batch that divides badly among cores."""
_FINEST = 8
"""Refinement stops at steps of an eighth of the batch: what is below is noise and rounding to vector widths."""
_SHARE_OF_HOST = 0.8
"""Of the host's memory that is free, what a search may take; the rest is for the system and what else runs."""
_KINDS = ("reserved", "resident")
"""Where the peak of a batch is read from: an accelerator's blocks, else the host's pages."""


@dataclass(frozen=True, slots=True)
class Throughput:
    """What a batch reached; `samples_per_s` is None where it did not fit into memory."""

    batch: int
    samples_per_s: float | None


@dataclass(frozen=True, slots=True)
class BestBatch:
    """Where a search ended.

    Attributes:
        best: the smallest batch that comes within the tolerance of the highest throughput.
        tried: every batch in the order of trying.
        limit: what ended the doubling.
    """

    best: Throughput
    tried: tuple[Throughput, ...]
    limit: Limit


def best_batch(
    throughput: Callable[[int], float], largest: int = 4096, tolerance: float = 0.01, smallest: int = 1
) -> BestBatch:
    """Returns the batch of the highest throughput: doubled until it stops to rise, then refined on both sides.

    Args:
        throughput: samples a second at a batch; raises OutOfMemory where it does not fit.
        largest: no batch beyond it is tried.
        tolerance: a batch this much below the highest, relatively, is as good, and the smaller one is taken.
        smallest: where doubling begins.

    Raises:
        OutOfMemory: not even the smallest batch fits.
        InputError: there is no batch between the smallest and the largest.
    """
    if not 1 <= smallest <= largest:
        raise InputError(f"batches from {smallest} to {largest}: begin at 1 or more, and end no lower")
    search = _Search(throughput)
    limit = search.double(smallest, largest, tolerance)
    search.refine(smallest, largest)
    most = max(search.found.values())
    batch = min(batch for batch, reached in search.found.items() if reached >= (1 - tolerance) * most)
    tried = tuple(Throughput(*figures) for figures in search.tried.items())
    return BestBatch(Throughput(batch, search.found[batch]), tried, limit)


class _Search:
    """Batches tried so far, and the later figure of those that were tried twice; None where it or a smaller one did
    not fit.
    """

    def __init__(self, throughput: Callable[[int], float]) -> None:
        self.found: dict[int, float] = {}
        self.tried: dict[int, float | None] = {}
        self._throughput = throughput
        self._too_large: int | None = None

    def double(self, smallest: int, largest: int, tolerance: float) -> Limit:
        """Returns what ended the doubling."""
        self._try(smallest)
        if not self.found:
            raise OutOfMemory(f"batch {smallest} does not fit into memory")
        batch, vain = smallest, 0
        while batch < largest:
            most = max(self.found.values())
            batch = min(2 * batch, largest)
            reached = self._try(batch)
            if reached is None:
                return "memory"
            vain = 0 if reached > (1 + tolerance) * most else vain + 1
            if vain == _PATIENCE:
                vain = self._still_vain(batch, tolerance)
                if not self.found:
                    raise OutOfMemory(f"batch {smallest} does not fit into memory a second time")
            if self._too_large is not None:
                return "memory"
            if vain == _PATIENCE:
                return "slower"
        return "largest"

    def _still_vain(self, last: int, tolerance: float) -> int:
        """Returns how many of the last doublings brought no gain when they and the best before were measured again.

        One figure that was disturbed, or that a machine read while it was fast, must not end the search: those that
        are compared are measured one after the other, and the later figure of each counts.
        """
        tried = sorted(batch for batch in self.found if batch <= last)
        before, doubtful = tried[:-_PATIENCE], tried[-_PATIENCE:]
        most, vain = self._try(max(before, key=self.found.__getitem__)) or 0.0, 0
        for batch in doubtful:
            reached = self._try(batch) or 0.0
            vain = 0 if reached > (1 + tolerance) * most else vain + 1
            most = max(most, reached)
        return vain

    def refine(self, smallest: int, largest: int) -> None:
        """Tries batches around the best one, in steps that halve, from half of it down to an eighth."""
        step = max(max(self.found, key=self.found.__getitem__) // 2, 1)
        while True:
            best = max(self.found, key=self.found.__getitem__)
            if step < max(best / _FINEST, 1):
                return
            for near in (best - step, best + step):
                if smallest <= near <= largest and near not in self.found:
                    self._try(near)
            step //= 2

    def _try(self, batch: int) -> float | None:
        if self._too_large is not None and batch >= self._too_large:
            return None
        try:
            reached = self._throughput(batch)
        except OutOfMemory:
            self._too_large = batch
            for larger in {batch, *self.found}:
                if larger >= batch:  # that it fitted once is not enough
                    self.tried[larger] = None
                    self.found.pop(larger, None)
            return None
        self.found[batch] = self.tried[batch] = reached
        return reached


class Measured:
    """Samples a second at a batch, measured in a fresh session for each.

    No batch is run whose memory, continued in a line from those before it, would pass the limit: a host that runs out
    of memory kills whom it likes.
    """

    def __init__(
        self,
        entrant_of: Callable[[TimingPlan], Entrant],
        plan: TimingPlan,
        limit_bytes: int | None = None,
        least_s: float = 0.5,
        least_calls: int = 5,
        warming_calls: int = 3,
    ) -> None:
        """Keeps how to measure.

        Args:
            entrant_of: the model under a plan; plans differ in their batch only.
            plan: the plan, whatever its batch.
            limit_bytes: the most memory that a batch may take; None leaves it to the device.
            least_s: seconds of steady calls at each batch.
            least_calls: steady calls at each batch.
            warming_calls: calls before them.
        """
        self.peaks: dict[int, int] = {}
        self._entrant_of = entrant_of
        self._plan = plan
        self._limit_bytes = limit_bytes
        self._least_s = least_s
        self._least_calls = least_calls
        self._warming_calls = warming_calls

    def __call__(self, batch: int) -> float:
        """Returns batch ÷ median seconds of a call.

        Raises:
            OutOfMemory: the batch does not fit, or is not expected to.
            Died: the process ended for another reason.
        """
        self._refuse(batch, expected_bytes(self.peaks, batch), "would take")
        session = self._entrant_of(replace(self._plan, batch=batch)).start(0)
        try:
            session.call(self._warming_calls)
            seconds = self._steady(session)
            peaks = dict(session.peak_bytes())
        finally:
            session.close()
        self.peaks[batch] = next(peaks[kind] for kind in _KINDS if kind in peaks)
        self._refuse(batch, self.peaks[batch], "took")
        return batch / statistics.median(seconds)

    def _steady(self, session: Session) -> list[float]:
        seconds: list[float] = []
        while len(seconds) < self._least_calls or sum(seconds) < self._least_s:
            seconds += session.call(self._least_calls)
        return seconds

    def _refuse(self, batch: int, peak_bytes: int | None, verb: str) -> None:
        if self._limit_bytes is not None and peak_bytes is not None and peak_bytes > self._limit_bytes:
            raise OutOfMemory(f"batch {batch} {verb} {peak_bytes:,} bytes, beyond the limit of {self._limit_bytes:,}")


def expected_bytes(peaks: dict[int, int], batch: int) -> int | None:
    """Returns the peak of a batch on the line through the two largest batches known; None before there are two."""
    if len(peaks) < 2:
        return None
    (first, low), (second, high) = sorted(peaks.items())[-2:]
    return round(high + max(high - low, 0) / (second - first) * (batch - second))


def host_limit_bytes(root: Path = Path("/")) -> int | None:
    """Returns what a search may take of the host's memory: most of what is free and allowed; None where unknown."""
    usable = read_memory(root).usable_bytes
    return None if usable is None else int(_SHARE_OF_HOST * usable)
