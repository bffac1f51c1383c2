"""A model alive in this process: what a worker serves to others, and what times a Python object in its own process."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Literal

import torch
from torch import nn

from effbench.errors import InputError, ModelError, one_line
from effbench.measure.source import Build, Loaded
from effbench.measure.state import same_random_state
from effbench.measure.timing import resting
from effbench.measure.timing.entrant import Died, OutOfMemory
from effbench.measure.timing.memory import exact_bytes, is_out_of_memory, peak_bytes
from effbench.measure.timing.step import Step, prepare
from effbench.records import Note, TimingPlan

Memory = Literal["marks", "exact"]
"""The high-water marks that are kept anyway, or beside them, for one more call, all that a CPU's allocator gave."""


class Live:
    """A step with its clock; a failure of the model is a `Died` with one line, as it is of a process.

    Attributes:
        wall_s: seconds around all calls so far by the host's counter, until the device had nothing left to do: a check
            on the clock, which does its own waiting.
    """

    def __init__(
        self,
        name: str,
        step: Step,
        device: str,
        memory: Memory = "marks",
        at_end: ExitStack | None = None,
        now: Callable[[], float] = perf_counter,
    ) -> None:
        """`at_end` holds what is put back when the session closes; `now` reads the host's counter in seconds."""
        self.notes = step.notes
        self.samples = step.samples
        self.wall_s = 0.0
        self._name = name
        self._step = step
        self._device = torch.device(device)
        self._memory = memory
        self._now = now
        self._at_end = at_end or ExitStack()

    def ready(self) -> None:
        """Returns at once: it was built in this process."""

    @property
    def threads(self) -> int:
        """Returns the intra-op threads that it runs with."""
        return self._step.threads

    def call(self, times: int) -> tuple[float, ...]:
        """Returns the seconds of each of so many calls in a row.

        Raises:
            Died: the model raised.
            InputError: the model's output cannot be trained on.
        """
        time, call = self._step.clock.time, self._step.call
        with died(self._name, "running"), self._step.around():
            start = self._now()
            seconds = tuple([time(call) for _ in range(times)])
            if self._device.type != "cpu":
                torch.accelerator.synchronize(self._device)
            self.wall_s += self._now() - start
        return seconds

    def rest(self) -> None:
        """Returns once the threads of this process have stopped to spin."""
        resting.rest()

    def peak_bytes(self, memory: Memory | None = None) -> tuple[tuple[str, int], ...]:
        """Returns the most memory held so far, by kind; "allocated" on a CPU only where exact memory is asked for.

        Raises:
            Died: the model raised in the call that its allocations were read from.
        """
        marks = peak_bytes(self._device)  # first: what reads the exact ones takes memory itself
        if (memory or self._memory) == "marks" or self._device.type != "cpu":
            return marks
        with died(self._name, "running"):
            return (*marks, ("allocated", exact_bytes(self._step, self._device)))

    def close(self) -> None:
        """Puts back what the session changed; a second time does nothing."""
        self._at_end.close()


@dataclass(frozen=True, slots=True)
class InProcess:
    """An entrant for a model that is a Python object: timed here, since no object can be sent to a fresh process."""

    name: str
    loaded: Loaded
    plan: TimingPlan
    memory: Memory = "marks"

    @property
    def notes(self) -> tuple[Note, ...]:
        """Returns what a reader of its times must know."""
        text = (
            "timed in the process that built it: rounds share its memory layout and its history, and what differs "
            "between processes is not seen; a spec is timed in fresh processes"
        )
        return (Note("in-process", self.name, text),)

    def start(self, number: int) -> Live:
        """Returns a session on a copy of the model; the random states are put back at its end.

        Raises:
            Died: building the model raised.
            InputError: the model cannot be copied, or the plan cannot be had here.
        """
        with ExitStack() as stack:
            stack.enter_context(same_random_state())
            with died(self.name, "loading"):
                step = prepare(replace(self.loaded, build=copied(self.loaded)), self.plan)
            told = replace(step, notes=(*step.notes, *self.notes))
            return Live(self.name, told, self.plan.device, self.memory, stack.pop_all())


def copied(loaded: Loaded) -> Build:
    """Returns a build whose model shares nothing with the user's."""

    def build(device: str) -> nn.Module:
        model = loaded.build(device)
        try:
            return copy.deepcopy(model)
        except Exception as error:
            raise InputError(
                f"{loaded.name}: cannot be copied ({one_line(error)}): time it from a file, as path/to/file.py:Name"
            ) from error

    return build


@contextmanager
def died(name: str, doing: str) -> Iterator[None]:
    """Turns what a model raises into `Died` with one line, `OutOfMemory` where memory was refused."""
    try:
        yield
    except (InputError, Died):
        raise
    except (Exception, SystemExit) as error:
        kind = OutOfMemory if is_out_of_memory(error) else Died
        told = str(error) if isinstance(error, ModelError) else f"{name}: {doing} the model raised {one_line(error)}"
        raise kind(told) from error
