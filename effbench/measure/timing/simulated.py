"""Machines and models that exist only as numbers: a fake clock, seeded noise, and a truth that is known.

All entrants of one `Simulation` share its clock and its state, so that a drift or a burst hits whoever runs then. The
truth is what a call costs without noise.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

import numpy as np

from effbench.measure.timing.entrant import Died
from effbench.records.timing import TimingPlan
from effbench.stats import Floats

BETWEEN_ROUNDS_S = 0.5
"""What the processes of a round take to start."""

_TICK_S = 0.005
_BLOCK = 256


@dataclass(frozen=True, slots=True)
class WarmUp:
    """How a process gets to its steady speed: factors on the cost, falling to 1.

    Attributes:
        first: of the first call.
        decay: what the second call takes beyond 1; falls by e every `decay_calls` calls.
        step: of every call before number `step_at`.
    """

    first: float = 1.0
    decay: float = 0.0
    decay_calls: float = 10.0
    step: float = 1.0
    step_at: int = 0

    def factor(self, number: int) -> float:
        """Returns the factor on the cost of a call; the first has number 0."""
        if number == 0:
            return self.first
        late = self.step if number < self.step_at else 1.0
        return late * (1 + self.decay * math.exp(-(number - 1) / self.decay_calls))


@dataclass(frozen=True, slots=True)
class Switch:
    """A slower state that the machine falls into now and then, for exponential times of these means."""

    every_s: float
    lasts_s: float
    factor: float

    @property
    def share(self) -> float:
        """Returns the share of time spent in it."""
        return self.lasts_s / (self.every_s + self.lasts_s)


@dataclass(frozen=True, slots=True)
class Machine:
    """The noise of one machine; every sd is of the logarithm of a time.

    Attributes:
        call_sd: between calls of one process, each for itself.
        process_sd: between processes of one model. With `call_sd` and 50 calls it makes the log ratio of a round of
            two models have sd .05.
        wave_sd: of a fluctuation that calls close in time share; `wave_s` is how long it remembers.
        drift_per_minute: relative slow-down per minute.
    """

    name: str
    says: str
    call_sd: float = 0.05
    process_sd: float = 0.0345
    wave_sd: float = 0.0
    wave_s: float = 0.05
    drift_per_minute: float = 0.0
    switches: tuple[Switch, ...] = ()
    warm_up: WarmUp = WarmUp()


MACHINES = (
    Machine("quiet", "calls and processes differ by chance alone"),
    Machine("drifting", "2 % slower every minute", drift_per_minute=0.02),
    Machine("bursty", "a neighbour takes a third of the time for 0.2 s, every 2 s", switches=(Switch(2.0, 0.2, 1.5),)),
    Machine(
        "autocorrelated",
        "calls near in time share a fluctuation of 10 %, remembered for 0.05 s",
        process_sd=0.0339,
        wave_sd=0.1,
    ),
    Machine("bimodal", "the clock is 20 % slower for 0.3 s, every 0.5 s", switches=(Switch(0.5, 0.3, 1.2),)),
    Machine(
        "cold", "a first call of 150 times, then half as much again that wears off", warm_up=WarmUp(150.0, 0.5, 10.0)
    ),
)
"""The six machines on which every statistical promise of the timer is tested."""


class FakeClock:
    """A clock that only moves when told to."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        """Returns the seconds that passed."""
        return self.now_s

    def advance(self, seconds: float) -> None:
        """Lets so many seconds pass."""
        self.now_s += seconds


class State:
    """What a machine's condition adds to the log of every cost, at any time; drawn once, as far as it is asked for."""

    def __init__(self, machine: Machine, seed: int) -> None:
        self._machine = machine
        self._random = np.random.default_rng(seed)
        self._wave = np.zeros(0)
        self._changes = [np.zeros(0) for _ in machine.switches]

    def log_factor(self, at_s: Floats) -> Floats:
        """Returns what is added to the log of a cost at each of these times, in seconds from 0 on."""
        end_s = float(at_s.max())
        found = at_s * (math.log1p(self._machine.drift_per_minute) / 60)
        if self._machine.wave_sd:
            found = found + self._waves(end_s)[(at_s / _TICK_S).astype(np.int64)]
        for place, switch in enumerate(self._machine.switches):
            slow = np.searchsorted(self._switched(place, switch, end_s), at_s) % 2
            found = found + math.log(switch.factor) * slow
        return found

    def _waves(self, end_s: float) -> Floats:
        """Returns the fluctuation at every tick until then: x ← kept·x + noise, whose sd stays the same."""
        kept = math.exp(-_TICK_S / self._machine.wave_s)
        powers = kept ** np.arange(1, _BLOCK + 1)
        last = self._wave[-1] if len(self._wave) else self._random.standard_normal() * self._machine.wave_sd
        blocks = [self._wave]
        for _ in range(math.ceil((end_s / _TICK_S + 1 - len(self._wave)) / _BLOCK)):
            noise = self._random.standard_normal(_BLOCK) * math.sqrt(1 - kept * kept) * self._machine.wave_sd
            blocks.append(powers * (last + np.cumsum(noise / powers)))
            last = blocks[-1][-1]
        if len(blocks) > 1:
            self._wave = np.concatenate(blocks)
        return self._wave

    def _switched(self, place: int, switch: Switch, end_s: float) -> Floats:
        """Returns the times at which the switch turns, in order; it is off until the first."""
        while not len(self._changes[place]) or self._changes[place][-1] <= end_s:
            drawn = self._random.standard_exponential((256, 2)) * (switch.every_s, switch.lasts_s)
            changes = self._changes[place]
            # It began long before 0, so that 0 finds it in either state.
            begin = changes[-1] if len(changes) else -20 * (switch.every_s + switch.lasts_s)
            self._changes[place] = np.concatenate([changes, begin + np.cumsum(drawn.ravel())])
        return self._changes[place]


class Simulation:
    """One machine in one run: the clock and the state that all its entrants share."""

    def __init__(self, machine: Machine, seed: int) -> None:
        self.machine = machine
        self.clock = FakeClock()
        self.seed = seed
        self._state = State(machine, seed)

    def log_factor(self) -> float:
        """Returns what the machine's condition adds to the log of a cost now."""
        return float(self._state.log_factor(np.array([self.clock.now_s]))[0])


@dataclass(frozen=True, slots=True)
class Death:
    """When a process ends: in this round, before the call of this number; None while it starts."""

    round: int
    before_call: int | None
    says: str = "killed by signal 9"


@dataclass(frozen=True, slots=True)
class SimulatedEntrant:
    """A model whose every call costs `cost_s` without noise.

    Attributes:
        warm_up: of its own, on top of the machine's.
        start_s: what a process takes to start; `around_s` what passes around a call that no sample has.
    """

    name: str
    cost_s: float
    simulation: Simulation
    warm_up: WarmUp = WarmUp()
    death: Death | None = None
    start_s: float = BETWEEN_ROUNDS_S
    around_s: float = 20e-6
    plan: TimingPlan = field(default_factory=TimingPlan)

    def start(self, number: int) -> SimulatedSession:
        """Returns a session in a new process.

        Raises:
            Died: its death comes while it starts.
        """
        self.simulation.clock.advance(self.start_s)
        death = self.death if self.death and self.death.round == number else None
        if death and death.before_call is None:
            raise Died(death.says)
        noise = random.Random(f"{self.simulation.seed} {self.name} {number}")
        return SimulatedSession(self, noise, death, noise.gauss(0.0, self.simulation.machine.process_sd))


@dataclass(slots=True)
class SimulatedSession:
    """One process of a simulated model."""

    entrant: SimulatedEntrant
    noise: random.Random
    death: Death | None
    offset: float
    calls: int = 0
    closed: bool = False
    threads: int = field(default=1, init=False)

    def ready(self) -> None:
        """Returns at once."""

    def call(self, times: int) -> tuple[float, ...]:
        """Returns the seconds of each call.

        Raises:
            Died: its death comes before one of them.
        """
        assert not self.closed, "a closed session was called"
        self.entrant.simulation.clock.advance(self.entrant.around_s)
        return tuple(self._one() for _ in range(times))

    def _one(self) -> float:
        if self.death and self.calls == self.death.before_call:
            raise Died(self.death.says)
        simulation = self.entrant.simulation
        warm = self.entrant.warm_up.factor(self.calls) * simulation.machine.warm_up.factor(self.calls)
        log = self.offset + simulation.log_factor() + self.noise.gauss(0.0, simulation.machine.call_sd)
        seconds = self.entrant.cost_s * warm * math.exp(log)
        self.calls += 1
        simulation.clock.advance(seconds)
        return seconds

    def rest(self) -> None:
        """Returns at once: a simulated process has no threads."""

    def peak_bytes(self) -> tuple[tuple[str, int], ...]:
        """Returns a made-up figure that only grows."""
        return (("process", 1_000_000 + self.calls),)

    def close(self) -> None:
        """Ends the process."""
        self.closed = True
