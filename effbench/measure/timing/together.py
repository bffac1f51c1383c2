"""Models whose processes of one round are started at once, until no further round would end in time."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from effbench.measure.timing.entrant import Died, Entrant, Now, Session, Wrapped

TIME_IS_UP = "no time was left for another pair of processes"


@dataclass(frozen=True, slots=True)
class _Member(Wrapped):
    """An entrant that starts when all of its round do."""

    place: int
    together: Together

    def start(self, number: int) -> Session:
        return self.together.start(self.place, number)


@dataclass(slots=True)
class Together:
    """Starts the processes of a round at once, which halves what starting takes, and none that would end too late.

    Attributes:
        originals: the models.
        now: the clock.
        end_s: when all rounds are to be over, judged by the longest so far.
    """

    originals: Sequence[Entrant]
    now: Now
    end_s: float
    begun_s: float | None = None
    longest_s: float = 0.0
    over: bool = False
    ready: dict[int, Future[Session]] = field(default_factory=dict)

    @property
    def entrants(self) -> tuple[Entrant, ...]:
        """Returns the entrants to be timed."""
        return tuple(_Member(entrant, place, self) for place, entrant in enumerate(self.originals))

    def start(self, place: int, number: int) -> Session:
        """Returns a model's session, which began with those of the others.

        Raises:
            Died: its process ended, or another round would end after the time.
        """
        if place not in self.ready:
            self._begin(number)
        return self.ready.pop(place).result()

    def _begin(self, number: int) -> None:
        now_s = self.now()
        if self.begun_s is not None:
            self.longest_s = max(self.longest_s, now_s - self.begun_s)
        # One that was not asked for had died: alone the other has nothing to be compared with.
        self.over = self.over or bool(self.ready) or now_s + self.longest_s > self.end_s
        if self.over:
            raise Died(TIME_IS_UP)
        self.begun_s = now_s
        with ThreadPoolExecutor(len(self.originals)) as pool:  # whose end waits for all of them
            # Known before that wait, so that `close` finds them where it is interrupted.
            self.ready = {place: pool.submit(entrant.start, number) for place, entrant in enumerate(self.originals)}

    def close(self) -> None:
        """Ends the processes that nobody asked for."""
        for session in self.ready.values():
            if session.exception() is None:
                session.result().close()
        self.ready = {}
