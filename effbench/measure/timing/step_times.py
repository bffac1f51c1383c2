"""How long each layer takes in a training step: its forward ops, and those of its gradients.

A watch is started and stopped around each op, as in `layer_times`; `step_paths` says whose each op is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from effbench.measure.dispatch import Ops
from effbench.measure.ops import OpInfo
from effbench.measure.timing.layer_times import Call, CpuStopwatch, OpClock, Stopwatch
from effbench.measure.timing.step_paths import StepPaths
from effbench.measure.whole import functions_whole


def step_times(
    call: Call, passes: int, watch: Stopwatch | None = None, busy: Callable[[float], None] | None = None
) -> tuple[Mapping[str, float], ...]:
    """Returns the seconds of each module path in each of so many training steps, after one that is not kept.

    Args:
        call: one training step, not compiled, in the context that it is timed in.
        passes: how many.
        watch: what times an op; by default the host's counter, which is right for a CPU alone.
        busy: keeps a device occupied for so many seconds, called before each pass with the length of the last one.
    """
    watch = watch or CpuStopwatch()
    found = [_one_step(call, watch)]
    for _ in range(passes):
        if busy is not None:
            busy(math.fsum(found[-1].values()))
        found.append(_one_step(call, watch))
    return tuple(found[1:])


def _one_step(call: Call, watch: Stopwatch) -> Mapping[str, float]:
    log = _StepClock(watch)
    watch.read()
    with log.where.following(), functions_whole(log), Ops(log):
        call()
    seconds = watch.read()
    sums: dict[str, list[float]] = {}
    for path, (_, place) in zip(log.paths, log.calls, strict=True):
        if place is not None:
            sums.setdefault(path, []).append(seconds[place])
    return {path: math.fsum(each) for path, each in sums.items()}


class _StepClock(OpClock):
    """The ops of a step, each with the module path that it is of.

    Attributes:
        paths: of `calls`, in their order. where: which module the step is in.
    """

    def __init__(self, watch: Stopwatch) -> None:
        super().__init__(watch)
        self.paths: list[str] = []
        self.where = StepPaths()

    def run(
        self, op: Any, info: OpInfo, run: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """Returns what an op gives, timed."""
        path = self.where.now()
        result = super().run(op, info, run, args, kwargs)
        self._belongs(path)
        return result

    def record_call(self, op: Any, args: Sequence[Any], kwargs: Mapping[str, Any], result: Any) -> None:
        """Writes down a call that was timed as a muted block."""
        super().record_call(op, args, kwargs, result)
        self._belongs(self.where.now())

    def _belongs(self, path: str) -> None:
        """Writes down whose the calls are that were added last."""
        self.paths += [path] * (len(self.calls) - len(self.paths))
