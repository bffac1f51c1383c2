"""What takes the place of timing real processes: the same models on a simulated machine, whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from effbench.measure.machine.interference import Disturbance
from effbench.measure.timing.entrant import Entrant
from effbench.measure.timing.run import Progress
from effbench.measure.timing.simulated import MACHINES, Death, Machine, SimulatedEntrant, Simulation
from effbench.records import StopRule
from effbench.timings import Timed, time_entrants


def simulated(
    costs_s: Sequence[float],
    machine: Machine = MACHINES[0],
    deaths: Mapping[str, Death] | None = None,
    seed: int = 0,
) -> Callable[..., Timed]:
    """A stand-in for `time_entrants` under which each model takes the time given for its place."""

    def run(
        entrants: Sequence[Entrant],
        rule: StopRule,
        number: int = 0,
        on_round: Callable[[Progress], None] | None = None,
    ) -> Timed:
        simulation = Simulation(machine, seed)
        known = deaths or {}
        models = [
            SimulatedEntrant(one.name, cost_s, simulation, death=known.get(one.name))
            for one, cost_s in zip(entrants, costs_s, strict=True)
        ]
        return time_entrants(models, rule, number, simulation.clock, on_round, Disturbance)

    return run
