"""What the timer asks of a model: to be started in a fresh process and called. Real and simulated ones are alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from effbench.records.timing import TimingPlan


class Died(Exception):
    """The process of an entrant ended: one line says how (signal, out of memory, what it raised)."""


class OutOfMemory(Died):
    """It ended for want of memory: by its own words, by a stated limit, or killed as the kernel kills then."""


class Session(Protocol):
    """One model alive in one fresh process; not called yet."""

    def ready(self) -> None:
        """Returns once the model is loaded; a second time does nothing.

        Raises:
            Died: the process ended while it loaded the model.
            InputError: the spec names no model that can be run, or the plan is one that it cannot run under.
        """
        ...

    @property
    def threads(self) -> int:
        """Returns the intra-op threads that it runs with, once it is ready."""
        ...

    def call(self, times: int) -> tuple[float, ...]:
        """Returns the seconds of each of so many calls in a row, the work of each finished.

        Raises:
            Died: the process ended.
        """
        ...

    def rest(self) -> None:
        """Returns once the process leaves the machine to others: threads of a pool spin for a while after a call.

        Raises:
            Died: the process ended.
        """
        ...

    def peak_bytes(self) -> tuple[tuple[str, int], ...]:
        """Returns the most memory held so far, by kind."""
        ...

    def close(self) -> None:
        """Ends the process; a second time does nothing."""
        ...


class Entrant(Protocol):
    """One model under one plan."""

    @property
    def name(self) -> str:
        """Returns what tables call it."""
        ...

    @property
    def plan(self) -> TimingPlan:
        """Returns what it is timed under."""
        ...

    def start(self, number: int) -> Session:
        """Returns a session in a fresh process for a round of this number, which may not be ready yet.

        So the processes of a round load their models at the same time: most of that is importing PyTorch.

        Raises:
            Died: the process ended at once.
            InputError: as `Session.ready` does.
        """
        ...


class Now(Protocol):
    """A monotonic clock for budgets and wall times, in seconds."""

    def __call__(self) -> float:
        """Returns the seconds since some fixed moment."""
        ...


@dataclass(frozen=True, slots=True)
class Wrapped:
    """What has an entrant's name and plan and starts its sessions in its own way: the base of such."""

    entrant: Entrant

    @property
    def name(self) -> str:
        """Returns what tables call it."""
        return self.entrant.name

    @property
    def plan(self) -> TimingPlan:
        """Returns how it is run."""
        return self.entrant.plan
