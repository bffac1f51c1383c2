"""Models that are timed until no further round of processes would end in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from effbench.measure.timing.entrant import Died, Entrant, Now, Session, Wrapped

TIME_IS_UP = "no time was left for another pair of processes"


@dataclass(frozen=True, slots=True)
class _Member(Wrapped):
    """An entrant that starts while there is time."""

    place: int
    deadline: Deadline

    def start(self, number: int) -> Session:
        self.deadline.check(self.place)
        return self.entrant.start(number)


@dataclass(slots=True)
class Deadline:
    """Lets no round begin that would end too late, judged by the longest so far.

    Attributes:
        originals: the models.
        now: the clock.
        end_s: when all rounds are to be over.
    """

    originals: Sequence[Entrant]
    now: Now
    end_s: float
    begun_s: float | None = None
    longest_s: float = 0.0
    over: bool = False
    started: set[int] = field(default_factory=set)

    @property
    def entrants(self) -> tuple[Entrant, ...]:
        """Returns the entrants to be timed."""
        return tuple(_Member(entrant, place, self) for place, entrant in enumerate(self.originals))

    def check(self, place: int) -> None:
        """Raises Died where a process of the model at that place would be of a round that ends too late."""
        if self.begun_s is None or place in self.started:
            self._begin()
        if self.over:
            raise Died(TIME_IS_UP)
        self.started.add(place)

    def _begin(self) -> None:
        now_s = self.now()
        if self.begun_s is not None:
            self.longest_s = max(self.longest_s, now_s - self.begun_s)
        # One that was not started again had died: alone the other has nothing to be compared with.
        alone = bool(self.started) and len(self.started) < len(self.originals)
        self.over = self.over or alone or now_s + self.longest_s > self.end_s
        self.begun_s, self.started = now_s, set()
