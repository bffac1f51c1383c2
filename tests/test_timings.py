"""The pipeline of timing: names, workers, what sessions say beside their times, and Python's own front door."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cli_runner import source
from torch import nn, rand

import effbench as eb
from effbench.errors import InputError
from effbench.measure.machine.interference import Disturbance
from effbench.measure.timing.entrant import Wrapped
from effbench.measure.timing.simulated import MACHINES, SimulatedEntrant, SimulatedSession, Simulation
from effbench.measure.timing.worker import Place
from effbench.records import Note, StopRule, TimingPlan
from effbench.records.environment import Cpu, Environment, Memory, System
from effbench.timings import names_apart, time_entrants, watch_here, workers

SHORT = StopRule(min_rounds=2, max_rounds=3, calls=10, half_width=1e-6)
TINY = StopRule(min_rounds=2, max_rounds=2, calls=2, budget_s=5)
HERE = Environment(Cpu("a processor"), Memory(), System())


@dataclass(frozen=True)
class Talking(Wrapped):
    """A simulated entrant whose sessions say something, count how often they are asked, and know where they are."""

    entrant: SimulatedEntrant
    asked: list[str]

    def start(self, number: int) -> TalkingSession:
        return TalkingSession(self.entrant.start(number), self.asked)


@dataclass
class TalkingSession:
    session: SimulatedSession
    asked: list[str]
    threads: int = 3
    samples: int = 8
    notes: tuple[Note, ...] = (Note("training-step", "net", "AdamW"),)

    def call(self, times: int) -> tuple[float, ...]:
        self.asked.append("call")
        return self.session.call(times)

    def ready(self) -> None:
        self.session.ready()

    def rest(self) -> None:
        self.asked.append("rest")
        self.session.rest()

    def peak_bytes(self) -> tuple[tuple[str, int], ...]:
        self.asked.append("peak")
        return self.session.peak_bytes()

    def environment(self) -> Environment:
        self.asked.append("environment")
        return HERE

    def close(self) -> None:
        self.session.close()


def simulated(name: str = "net") -> tuple[SimulatedEntrant, Simulation]:
    simulation = Simulation(MACHINES[0], 0)
    return SimulatedEntrant(name, 0.01, simulation), simulation


@pytest.mark.parametrize(
    ("specs", "names"),
    [
        (("a.py:Net", "b.py:Other"), ("Net", "Other")),
        (("a.py:Net", "b.py:Net"), ("a.py:Net", "b.py:Net")),
        (("a.py:Net", "a.py:Net", "c/x.onnx"), ("Net #1", "Net #2", "x.onnx")),
        (("torchvision:resnet18",), ("resnet18",)),
        (("a:", "b:"), ("a:", "b:")),
    ],
)
def test_names_tell_models_apart(specs: tuple[str, ...], names: tuple[str, ...]) -> None:
    assert names_apart(specs) == names


def test_one_place_is_every_worker_s_and_several_are_one_each() -> None:
    here, there = Place(("python",)), Place(("python3",), folder="x")
    assert [item.place for item in workers(["a", "b"], places=[there])] == [there, there]
    assert [item.place for item in workers(["a", "b"], places=[here, there])] == [here, there]
    assert [item.place for item in workers(["a", "b"])] == [Place(), Place()]
    with pytest.raises(InputError, match="3 models and 2 places"):
        workers(["a", "b", "c"], places=[here, there])


def test_a_worker_has_all_that_its_model_was_asked_with() -> None:
    plan = TimingPlan(batch=4)
    (made,) = workers(["a"], {"n": 2}, ["1x3"], plan, unsafe=True, plugins=["p"], memory="exact")
    assert (made.plan, made.memory) == (plan, "exact")
    asked = made.model
    assert (asked.spec, asked.args, asked.inputs, asked.unsafe, asked.plugins) == (
        "a",
        {"n": 2},
        ("1x3",),
        True,
        ("p",),
    )


def test_what_sessions_say_is_kept_once_and_the_environment_is_asked_for_after_the_calls() -> None:
    entrant, simulation = simulated()
    asked: list[str] = []
    found = time_entrants([Talking(entrant, asked)], SHORT, now=simulation.clock, watch=Disturbance)
    (timing,) = found.timings
    assert [note.code for note in timing.notes] == ["training-step", "not-converged"]
    assert (timing.samples, len(timing.runs)) == (8, 3)
    assert (found.environment, found.notes) == (HERE, ())
    assert asked.count("environment") == 1
    first = asked.index("environment")
    assert asked[first - 1] == "peak"
    (estimate,) = found.estimates
    assert estimate.processes == 3


def test_models_that_took_turns_share_a_run_of_their_own() -> None:
    def runs(names: str, seed: int = 0) -> list[str]:
        simulation = Simulation(MACHINES[1], seed)
        models = [Talking(SimulatedEntrant(name, 0.01, simulation), []) for name in names]
        return [timing.run for timing in time_entrants(models, SHORT, 7, simulation.clock, watch=Disturbance).timings]

    first, second = runs("ab"), runs("ab", seed=1)
    assert first[0] == first[1] != second[0]
    assert first[0]
    assert runs("a") == [""]


def test_without_a_process_that_tells_this_one_s_environment_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("effbench.measure.machine.environment.environment", lambda: HERE)
    entrant, simulation = simulated()
    found = time_entrants([entrant], SHORT, now=simulation.clock, watch=Disturbance)
    assert found.environment == HERE
    assert found.timings[0].samples is None


def test_the_same_seed_gives_the_same_times() -> None:
    def seen(seed: int) -> object:
        simulation = Simulation(MACHINES[1], 1)
        pair = [SimulatedEntrant(name, 0.01, simulation) for name in "ab"]
        asked: list[str] = []
        entrants = [Talking(each, asked) for each in pair]
        return time_entrants(entrants, SHORT, seed, simulation.clock, watch=Disturbance).timings

    assert seen(3) == seen(3) != seen(4)


def test_the_watch_of_a_cpu_asks_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def never() -> str:
        raise AssertionError

    monkeypatch.setattr("effbench.timings.open_nvml", never)
    assert watch_here([TimingPlan()])[1] is not None
    monkeypatch.setattr("effbench.timings.open_nvml", lambda: "no driver")
    assert "no driver" in watch_here([TimingPlan("cuda")])[1][-1].text


# The real thing, with models of a few microseconds


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "net.py").write_text(source(example="return (torch.rand(2, 3, 8, 8),)"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("effbench.timings.watch_here", lambda plans: (Disturbance, ()))
    return tmp_path


def test_a_spec_and_an_object_are_timed_in_turns(folder: Path) -> None:
    net = nn.Linear(4, 4)
    found = eb.time(["net.py:Net", (net, (rand(5, 4),))], rule=TINY)
    spec, made = found.timings
    assert (spec.model, spec.samples, made.model, made.samples) == ("Net", 2, "Linear", 5)
    assert [note.code for note in made.notes if note.code == "in-process"] == ["in-process"]
    assert all(len(timing.runs) == 2 and timing.died is None for timing in found.timings)
    assert found.environment.torch is not None
    assert found.environment.system.python == ".".join(map(str, sys.version_info[:3]))


def test_one_model_needs_no_list_and_equal_objects_get_numbers(folder: Path) -> None:
    assert [timing.model for timing in eb.time("net.py", rule=TINY).timings] == ["net.py"]
    pair = (nn.Linear(4, 4), (rand(5, 4),))
    assert [timing.model for timing in eb.time([pair, pair], rule=TINY).timings] == ["Linear #1", "Linear #2"]


def test_a_rule_that_cannot_be_kept_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="half-width is 0"):
        eb.time("net.py", rule=replace(TINY, half_width=0))
