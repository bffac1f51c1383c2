"""The simulated machines do what their table says; a truth that is not the stated one would prove nothing."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from effbench.measure.timing.drawn import drawn
from effbench.measure.timing.entrant import Died, Entrant, Now, Session
from effbench.measure.timing.simulated import (
    MACHINES,
    Death,
    FakeClock,
    SimulatedEntrant,
    Simulation,
    State,
    WarmUp,
)
from effbench.stats import log_ratio

BY_NAME = {machine.name: machine for machine in MACHINES}


def test_there_are_six() -> None:
    assert list(BY_NAME) == ["quiet", "drifting", "bursty", "autocorrelated", "bimodal", "cold"]


def test_they_are_what_the_timer_asks_for() -> None:
    simulation = Simulation(MACHINES[0], 0)
    entrant: Entrant = SimulatedEntrant("net", 0.01, simulation)
    session: Session = entrant.start(0)
    now: Now = simulation.clock
    before = now()
    (taken,) = session.call(1)
    assert now() - before == pytest.approx(taken, rel=0.01)
    assert session.threads == 1
    assert dict(session.peak_bytes())["process"] > 0
    session.close()
    session.close()


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_the_log_ratio_of_a_round_has_sd_005(machine: object) -> None:
    ratios = drawn(BY_NAME[getattr(machine, "name")], (0.01, 0.0103), 2000, 50, 0).log_ratios(0, 1)  # noqa: B009
    assert ratios.std() == pytest.approx(0.05, abs=0.003)
    assert ratios.mean() == pytest.approx(math.log(1.03), abs=4 * 0.05 / math.sqrt(2000))


def test_a_drift_of_two_percent_a_minute() -> None:
    at_s = np.array([0.0, 60.0, 120.0])
    assert np.exp(State(BY_NAME["drifting"], 0).log_factor(at_s)) == pytest.approx([1.0, 1.02, 1.02**2])


@pytest.mark.parametrize("name", ["bursty", "bimodal"])
def test_switches_are_on_as_long_as_they_say(name: str) -> None:
    (switch,) = BY_NAME[name].switches
    slow = State(BY_NAME[name], 1).log_factor(np.arange(0, 4000, 0.01)) > 0
    assert slow.mean() == pytest.approx(switch.lasts_s / (switch.every_s + switch.lasts_s), rel=0.05)
    turns = np.count_nonzero(np.diff(slow.astype(int)) > 0)
    assert turns == pytest.approx(4000 / (switch.every_s + switch.lasts_s), rel=0.1)


def test_the_fluctuation_has_its_spread_and_its_memory() -> None:
    machine = BY_NAME["autocorrelated"]
    path = State(machine, 2).log_factor(np.arange(0, 2000, 0.01))
    assert path.std() == pytest.approx(machine.wave_sd, rel=0.03)
    assert np.corrcoef(path[1:], path[:-1])[0, 1] == pytest.approx(math.exp(-0.01 / machine.wave_s), abs=0.02)
    # Single calls of 10 ms: the wave and their own noise.
    logs = drawn(replace(machine, process_sd=0.0), (0.01,), 200, 200, 0).log_s[0]
    lag = np.corrcoef(logs[:, 1:].ravel(), logs[:, :-1].ravel())[0, 1]
    assert lag == pytest.approx(0.01 * math.exp(-0.2) / (0.01 + 0.0025), abs=0.03)


def test_the_state_does_not_depend_on_how_it_is_asked_for() -> None:
    for name in ("bursty", "autocorrelated", "bimodal"):
        at_once = State(BY_NAME[name], 3).log_factor(np.arange(0.0, 40.0, 0.05))
        state = State(BY_NAME[name], 3)
        piecewise = [float(state.log_factor(np.array([at]))[0]) for at in np.arange(0.0, 40.0, 0.05)]
        assert at_once == pytest.approx(piecewise)


def test_calls_of_all_models_share_clock_and_state() -> None:
    simulation = Simulation(replace(BY_NAME["bursty"], call_sd=0.0, process_sd=0.0), 4)
    one, two = (SimulatedEntrant(name, 0.01, simulation).start(0) for name in "ab")
    pairs = [(*one.call(1), *two.call(1)) for _ in range(1000)]
    slow = [(a > 0.012, b > 0.012) for a, b in pairs]
    assert sum(a and b for a, b in slow) > 20
    assert sum(a != b for a, b in slow) < 0.2 * sum(a or b for a, b in slow)


def test_warm_up_shapes_by_hand() -> None:
    shape = WarmUp(first=150.0, decay=0.5, decay_calls=10.0, step=1.2, step_at=3)
    expected = [150.0, 1.2 * 1.5, 1.2 * (1 + 0.5 * math.exp(-0.1)), 1 + 0.5 * math.exp(-0.2)]
    assert [shape.factor(number) for number in range(4)] == pytest.approx(expected)


def test_the_same_seed_gives_the_same_run() -> None:
    def run(seed: int) -> tuple[float, ...]:
        simulation = Simulation(BY_NAME["autocorrelated"], seed)
        return SimulatedEntrant("net", 0.01, simulation).start(2).call(20)

    assert run(5) == run(5)
    assert run(5) != run(6)


def test_processes_die_where_they_should() -> None:
    simulation = Simulation(MACHINES[0], 0)
    starting = SimulatedEntrant("a", 0.01, simulation, death=Death(1, None))
    calling = SimulatedEntrant("b", 0.01, simulation, death=Death(1, 3, "out of memory"))
    assert starting.start(0).call(5)
    with pytest.raises(Died, match="killed by signal 9"):
        starting.start(1)
    session = calling.start(1)
    assert len(session.call(3)) == 3
    with pytest.raises(Died, match="out of memory"):
        session.call(1)


def test_the_clock_moves_only_when_told_to() -> None:
    clock = FakeClock()
    assert (clock(), clock()) == (0.0, 0.0)
    clock.advance(2.5)
    assert clock() == 2.5


def test_drawn_calls_take_turns_in_random_order() -> None:
    found = drawn(MACHINES[0], (0.005, 0.02, 0.03), 4, 10, 0)
    # A turn of a 5 ms model is a cold call and two that are kept, then a rest: places 1 and 2 of 4.
    assert found.log_s.shape == found.order.shape == (3, 4, 10)
    places, turns = found.order % 4, found.order // 4
    assert (places.reshape(3, 4, 5, 2) == (1, 2)).all()
    for round_ in range(4):
        assert sorted(turns[:, round_, ::2].ravel()) == list(range(15))
        assert (turns[:, round_] // 3 == np.arange(5).repeat(2)).all()
    assert len({tuple(turns[:, 0, 2 * turn] % 3) for turn in range(5)}) > 2


def test_ratios_of_drawn_rounds_are_those_of_their_calls() -> None:
    found = drawn(MACHINES[3], (0.004, 0.0042), 5, 11, 0)
    for round_, value in enumerate(found.log_ratios(0, 1)):
        a, b = np.exp(found.log_s[:, round_])
        assert value == pytest.approx(log_ratio(a, found.order[0, round_], b, found.order[1, round_]))
