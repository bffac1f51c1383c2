"""A training step → Trace: its forward, backward and optimiser ops as they run, with real tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from effbench.measure.dispatch import Ops
from effbench.measure.frames import Frames
from effbench.measure.ops import OpInfo, OpLog, as_call
from effbench.measure.tensors import Tensors
from effbench.measure.timing.step_paths import StepPaths
from effbench.measure.whole import functions_whole
from effbench.records import Trace


def step_trace(call: Callable[[], object]) -> Trace:
    """Returns what a training step does after a first one, in which an optimiser makes its state.

    It has ops and values alone, which is all that a roofline needs. Each op's module is that of its forward op.

    Args:
        call: one training step, not compiled, in the context that it is timed in.
    """
    call()
    tensors = Tensors(lambda storage: None)
    log = _StepLog(tensors)
    with log.paths.following(), functions_whole(log), Ops(log):
        call()
    return Trace((), tuple(tensors.values), tuple(map(as_call, log.ops)), (), (), (), (), ())


class _StepLog(OpLog):
    """The op calls of a step, each with the path that it is of.

    Attributes:
        paths: which module the step is in.
    """

    def __init__(self, tensors: Tensors) -> None:
        super().__init__(tensors, Frames({}, tensors), False, False)
        self.paths = StepPaths()

    def run(
        self, op: Any, info: OpInfo, run: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """Returns what an op gives, written down; of what runs inside a call that is, the node is remembered."""
        self.paths.now()
        return super().run(op, info, run, args, kwargs)

    def _where(self) -> tuple[str, bool]:
        return self.paths.now(), False
