"""What one process can say of a model beside how long its calls take: its trace, and the time of each op."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import torch

from effbench.measure.machine.environment import environment
from effbench.measure.source import Source, Traced, runnable
from effbench.measure.state import same_random_state
from effbench.measure.timing.layer_times import AcceleratorStopwatch, keeps_busy, op_times
from effbench.measure.timing.live import died
from effbench.measure.timing.step import Step, prepare
from effbench.measure.timing.step_times import step_times
from effbench.measure.trace import trace
from effbench.records import Fact, TimingPlan, Trace
from effbench.records.environment import Environment
from effbench.records.op_times import OpTimes


class Looker:
    """A model in this process that is looked at and never timed as a whole.

    Attributes:
        name: what tables call it.
        trace: of one forward pass, or what a file says itself.
    """

    def __init__(self, source: Source, plan: TimingPlan, needs: Collection[Fact] = ()) -> None:
        """Records the trace with the facts needed; `plan` says how ops are timed."""
        self.name = source.name
        self.trace: Trace = source.trace if isinstance(source, Traced) else trace(source, needs=frozenset(needs))
        self._source = source
        self._plan = plan
        self._step: Step | None = None

    def op_times(self, passes: int) -> OpTimes:
        """Returns the seconds of each op call of the trace in so many forward passes, as the plan has them.

        A compiled model or a CUDA graph has no ops to time, so the model runs as written.

        Raises:
            InputError: it cannot be run, or not under the plan.
            Died: the model raised.
        """
        with died(self.name, "running"), same_random_state():
            step = self._prepared()
            device = torch.device(self._plan.device)
            with _threads(step.threads), torch.no_grad():
                if device.type == "cpu":
                    return op_times(step.call, self.trace, passes)
                return op_times(step.call, self.trace, passes, AcceleratorStopwatch(device), keeps_busy(device))

    def step_times(self, passes: int) -> tuple[Mapping[str, float], ...]:
        """Returns the seconds of each module path, forward and backward, in so many training steps as the plan has.

        Raises:
            InputError: it cannot be trained, or not under the plan.
            Died: the model raised.
        """
        with died(self.name, "running"), same_random_state():
            step = self._prepared()
            device = torch.device(self._plan.device)
            with step.around():
                if device.type == "cpu":
                    return step_times(step.call, passes)
                return step_times(step.call, passes, AcceleratorStopwatch(device), keeps_busy(device))

    def _prepared(self) -> Step:
        if self._step is None:
            eager = replace(self._plan, compiled=False, captured=False, cold_cache=False)
            self._step = prepare(runnable(self._source), eager)
        return self._step

    def environment(self) -> Environment:
        """Returns the machine, PyTorch and Python as this process sees them."""
        return environment()

    def close(self) -> None:
        """Lets the model go; a second time does nothing."""
        self._step = None


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    if count != before:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        if count != before:
            torch.set_num_threads(before)
