"""How long each op of a model takes, in passes of their own: the timed run of the whole model has no hooks.

A mode of the dispatcher starts and stops a watch around each op. It takes composite ops apart and leaves attention
whole as the recorder does, so that the n-th op of a pass is the n-th op of the trace. The time is that of the op's own
dispatch and kernel; Python between the ops, the model's and ours, is outside.

Of three ways this one agrees best with the time of the whole call. Seconds of all ops together, over the median
latency without hooks, measured in turns, one thread, ResNet-18 and MobileNetV3-small on a busy machine: this 0.98 and
1.00; `torch.autograd.profiler` 1.03 and 0.84, whose events have to be matched to the trace by name; each op again and
again by itself 0.94 and 0.77, since its inputs then lie in a cache.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from difflib import SequenceMatcher
from time import perf_counter_ns
from typing import Any, Protocol

import torch

from effbench.errors import InputError
from effbench.measure.dispatch import Ops
from effbench.measure.ops import OpInfo, op_info
from effbench.measure.trace import plain_forward
from effbench.measure.whole import functions_whole
from effbench.records import Trace
from effbench.records.op_times import OpTimes

Call = Callable[[], object]

_FILLER = 4096
"""Side of the square matrices whose products keep a device busy."""


class Stopwatch(Protocol):
    """What is started and stopped around each op, and read when all of them are done."""

    @property
    def name(self) -> str:
        """Returns what reports call it."""
        ...

    def start(self) -> None:
        """Begins an interval."""
        ...

    def stop(self) -> None:
        """Ends the interval."""
        ...

    def read(self) -> list[float]:
        """Returns the seconds of each interval since the last reading, the work of each finished."""
        ...


class CpuStopwatch:
    """The host's monotonic counter."""

    name = "perf_counter_ns"

    def __init__(self, now_ns: Callable[[], int] = perf_counter_ns) -> None:
        """`now_ns` reads nanoseconds since some fixed moment."""
        self._now_ns = now_ns
        self._began = 0
        self._intervals: list[int] = []

    def start(self) -> None:
        """Begins an interval."""
        self._began = self._now_ns()

    def stop(self) -> None:
        """Ends the interval."""
        self._intervals.append(self._now_ns() - self._began)

    def read(self) -> list[float]:
        """Returns the seconds of each interval since the last reading."""
        taken, self._intervals = self._intervals, []
        return [interval / 1e9 for interval in taken]


class AcceleratorStopwatch:
    """Two events in a device's stream around each op; the time between them is the device's own.

    Where the host launches ops more slowly than the device runs them, the time of an op includes the wait for its
    launch; `busy` keeps the device behind the host.
    """

    def __init__(self, device: torch.device, api: Any = torch) -> None:
        """`api` has torch's `Event` and `accelerator`."""
        self.name = f"{device.type} events"
        self._device = device
        self._api = api
        self._events: list[tuple[Any, Any]] = []

    def start(self) -> None:
        """Puts the first event of an interval into the stream."""
        pair = tuple(self._api.Event(device=self._device, enable_timing=True) for _ in range(2))
        self._events.append((pair[0], pair[1]))
        pair[0].record()

    def stop(self) -> None:
        """Puts the second event of the interval into the stream."""
        self._events[-1][1].record()

    def read(self) -> list[float]:
        """Returns the seconds of each interval since the last reading, when the device has finished.

        Raises:
            RuntimeError: the device failed.
        """
        taken, self._events = self._events, []
        self._api.accelerator.synchronize(self._device)
        return [begin.elapsed_time(end) / 1e3 for begin, end in taken]


def op_times(
    call: Call,
    trace: Trace,
    passes: int = 15,
    watch: Stopwatch | None = None,
    busy: Callable[[float], None] | None = None,
    now_ns: Callable[[], int] = perf_counter_ns,
    around: Callable[[], AbstractContextManager[None]] = plain_forward,
) -> OpTimes:
    """Returns the seconds of each op call of a trace, as often as there are passes, after one that is not kept.

    Args:
        call: one forward pass or training step, not compiled, of the model and the shapes that the trace is of. A pass
            is best outside of `torch.inference_mode`, under which PyTorch takes some products apart in another way.
        trace: in the same mode, training or evaluating.
        passes: how many.
        watch: what times an op; by default the host's counter, which is right for a CPU alone.
        busy: keeps a device occupied for so many seconds, called before each pass with the length of the last one.
        now_ns: reads nanoseconds, for the time around each pass.
        around: gives the context of each pass; the one of a trace's by default, in which nothing has a gradient.

    Raises:
        InputError: no pass is asked for, or the trace is not of a whole one.
    """
    if passes < 1:
        raise InputError(f"{passes} passes: op times need at least one")
    if trace.failed is not None:
        raise InputError(f"op times need a trace of a whole forward pass, and {trace.failed}")
    watch = watch or CpuStopwatch()
    expected = [item.op for item in trace.ops]
    samples, elsewhere, walls = [], [], []
    _, last_s = _one_pass(call, watch, now_ns, around)
    for _ in range(passes):
        if busy is not None:
            busy(last_s)
        seen, last_s = _one_pass(call, watch, now_ns, around)
        places = matched(expected, [name for name, _ in seen])
        samples.append(tuple(None if place is None else seen[place][1] for place in places))
        beside = set(range(len(seen))).difference(places)
        elsewhere.append(math.fsum(seen[place][1] or 0.0 for place in beside))
        walls.append(last_s)
    return OpTimes(watch.name, tuple(samples), tuple(elsewhere), tuple(walls))


def matched(expected: Sequence[str], seen: Sequence[str]) -> list[int | None]:
    """Returns, for every expected op, the place of the op seen that is it; None where there is none.

    A device may serve an op by another name (`cudnn_batch_norm` for `native_batch_norm`): between two ops that agree,
    as many that do not on either side are taken for each other.
    """
    if list(expected) == list(seen):
        return list(range(len(expected)))
    places: list[int | None] = [None] * len(expected)
    for tag, start, end, other, other_end in SequenceMatcher(None, expected, seen, autojunk=False).get_opcodes():
        if tag == "equal" or (tag == "replace" and end - start == other_end - other):
            places[start:end] = range(other, other_end)
    return places


def keeps_busy(device: torch.device, api: Any = torch) -> Callable[[float], None]:
    """Returns what occupies a device for at least so many seconds without waiting: products of square matrices."""
    matrix = api.ones((_FILLER, _FILLER), device=device)
    result = api.empty_like(matrix)
    begin, end = (api.Event(device=device, enable_timing=True) for _ in range(2))
    api.mm(matrix, matrix, out=result)
    begin.record()
    api.mm(matrix, matrix, out=result)
    end.record()
    api.accelerator.synchronize(device)
    each_s = begin.elapsed_time(end) / 1e3

    def busy(seconds: float) -> None:
        for _ in range(math.ceil(seconds / each_s)):
            api.mm(matrix, matrix, out=result)

    return busy


def _one_pass(
    call: Call, watch: Stopwatch, now_ns: Callable[[], int], around: Callable[[], AbstractContextManager[None]]
) -> tuple[list[tuple[str, float | None]], float]:
    """Returns the ops of one pass in order, each with its seconds, and the seconds around the pass."""
    log = OpClock(watch)
    watch.read()
    began = now_ns()
    with around(), functions_whole(log), Ops(log):
        call()
    intervals = watch.read()
    wall_s = (now_ns() - began) / 1e9
    return [(name, None if place is None else intervals[place]) for name, place in log.calls], wall_s


class OpClock:
    """The ops of a pass by name, each with the number of its interval; None for one that no interval is of."""

    def __init__(self, watch: Stopwatch) -> None:
        self.calls: list[tuple[str, int | None]] = []
        self._watch = watch
        self._intervals = 0
        self._last: int | None = None
        self._muted = 0

    @property
    def is_muted(self) -> bool:
        """Returns whether ops are the inside of a call that is timed as one."""
        return self._muted > 0

    def run(
        self, op: Any, info: OpInfo, run: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """Returns what an op gives, timed."""
        if self._muted:
            return run(*args, **kwargs)
        self._watch.start()
        result = run(*args, **kwargs)
        self._watch.stop()
        self.calls.append((info.name, self._intervals))
        self._intervals += 1
        return result

    def run_composite(self, info: OpInfo, run: Callable[..., Any], args: Sequence[Any], kwargs: Any) -> Any:
        """Returns what a composite op gives: its parts are timed."""
        return run(*args, **kwargs)

    def record_call(self, op: Any, args: Sequence[Any], kwargs: Mapping[str, Any], result: Any) -> None:
        """Writes down a call that was timed as a muted block."""
        if not self._muted:
            self.calls.append((op_info(op).name, self._last))
            self._last = None

    def run_whole(self, op: Any, run: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Returns what a function gives, timed as one call of an op."""
        with self.muted():
            result = run(*args, **kwargs)
        self.record_call(op, args, kwargs, result)
        return result

    @contextmanager
    def muted(self) -> Iterator[None]:
        """Times a block as one call."""
        self._muted += 1
        outermost = self._muted == 1
        if outermost:
            self._watch.start()
        try:
            yield
        finally:
            self._muted -= 1
            if outermost:
                self._watch.stop()
                self._last = self._intervals
                self._intervals += 1
