"""A model looked at in a process of its own: another interpreter or another checkout has its own code and packages.

Two files of one name that import neighbours of one name need two processes, too: Python keeps the first neighbour.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from effbench.measure.timing.wire import Message, load_message
from effbench.measure.timing.worker import Worker, WorkerSession
from effbench.records import Fact, Trace
from effbench.records.environment import Environment
from effbench.records.op_times import OpTimes
from effbench.store import validated


class Look(Protocol):
    """A model that is looked at, here or elsewhere."""

    @property
    def name(self) -> str:
        """Returns what its source calls it."""
        ...

    @property
    def trace(self) -> Trace:
        """Returns what one forward pass does."""
        ...

    def op_times(self, passes: int) -> OpTimes:
        """Returns the seconds of each op call of the trace in so many forward passes."""
        ...

    def step_times(self, passes: int) -> tuple[Mapping[str, float], ...]:
        """Returns the seconds of each module path, forward and backward, in so many training steps."""
        ...

    def environment(self) -> Environment:
        """Returns the machine, PyTorch and Python as its process sees them."""
        ...

    def close(self) -> None:
        """Lets the model go; a second time does nothing."""
        ...


class LookSession(WorkerSession):
    """A model looked at in a process of its own; the process is started at once, and answers when it is asked to.

    Attributes:
        trace: of one forward pass; set by `ready`.
    """

    trace: Trace

    def __init__(self, worker: Worker, needs: Collection[Fact] = ()) -> None:
        """Starts the process and tells it what to load; nothing is waited for, so that several load side by side.

        Raises:
            InputError: the interpreter cannot be started.
        """
        request = {**load_message(worker.model, worker.plan), "do": "look", "needs": sorted(needs)}
        super().__init__(worker.name, worker.child(), worker.memory, worker.timeout_s)
        self.load(request)
        self.name = worker.name

    def _take_in(self, answer: Message) -> None:
        self.name = str(answer["name"])
        self.trace = validated(answer["trace"], Trace, self.name)

    def op_times(self, passes: int) -> OpTimes:
        """Returns the seconds of each op call of the trace in so many forward passes.

        Raises:
            Died: the process ended or hung, or the model raised.
            InputError: the model cannot be run, or not under the plan.
        """
        found = self._asked({"do": "op_times", "passes": passes})["op_times"]
        return validated(found, OpTimes, self.name)

    def step_times(self, passes: int) -> tuple[Mapping[str, float], ...]:
        """Returns the seconds of each module path, forward and backward, in so many training steps.

        Raises:
            Died: the process ended or hung, or the model raised.
            InputError: the model cannot be trained, or not under the plan.
        """
        return tuple(self._asked({"do": "step_times", "passes": passes})["step_times"])
