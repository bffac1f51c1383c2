"""A whole selfcheck on simulated machines: figures, budget, deaths, and the real built-in model."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass, replace

import pytest
import torch

from effbench.documents.selfcheck import selfcheck_document
from effbench.errors import InputError, Interrupted
from effbench.measure.machine.interference import Disturbance
from effbench.measure.timing.entrant import Entrant, Wrapped
from effbench.measure.timing.probe import INPUT, SPEC, Probe, probe, repeats_for
from effbench.measure.timing.simulated import (
    MACHINES,
    Death,
    Machine,
    SimulatedEntrant,
    SimulatedSession,
    Simulation,
)
from effbench.records import Note, TimingPlan
from effbench.records.environment import Environment
from effbench.records.peaks import GemmRun, Peaks, StreamRun
from effbench.report import render
from effbench.report.selfcheck import seconds, selfcheck_report
from effbench.report.table import Terminal
from effbench.selfchecks import Checked, checked, selfcheck

PEAK = Peaks(
    "cpu",
    (GemmRun("float32", 1, 1000, 1, (0.02, 0.025)), GemmRun("float32", 1, 500, 1, (0.005, 0.005))),
    (StreamRun("copy", 1, 2**20, 10**9, (0.1, 0.2)), StreamRun("read", 1, 2**20, 10**9, (0.05, 0.05))),
    20.0,
)


def quiet() -> Disturbance:
    return Disturbance()


def run(
    machine: Machine = MACHINES[0],
    budget_s: float = 180.0,
    death: Death | None = None,
    start_s: float = 1.0,
    peaks: Peaks = PEAK,
    cost_s: float = 0.01,
) -> tuple[Checked, Simulation]:
    """Returns a selfcheck of a simulated machine, whose peaks take all the time that they are given."""
    simulation = Simulation(machine, 1)
    one = SimulatedEntrant("A", cost_s, simulation, start_s=start_s)
    entrants = [one, replace(one, name="A again", death=death)]

    def measured(budget: float, environment: Environment) -> Peaks:
        simulation.clock.advance(budget)
        return peaks

    return checked(entrants, measured, budget_s, quiet, now=simulation.clock), simulation


@pytest.mark.parametrize("budget_s", [40.0, 180.0])
@pytest.mark.parametrize("start_s", [0.5, 3.0])
def test_the_budget_holds_the_start_of_processes_too(budget_s: float, start_s: float) -> None:
    found, simulation = run(budget_s=budget_s, start_s=start_s)
    assert simulation.clock.now_s <= 1.1 * budget_s
    assert simulation.clock.now_s >= 0.75 * budget_s
    assert found.spent_s == simulation.clock.now_s


def test_an_honest_machine() -> None:
    found, _ = run()
    assert found.comparison.pairs >= 30
    assert found.comparison.verdict in ("same", "undecided")
    assert found.check is not None
    assert found.check.pairs == found.comparison.pairs
    assert found.check.is_honest
    assert found.check.outcomes[3].slower == 1.0
    assert found.model.median_s == pytest.approx(0.01, rel=0.05)
    assert {each.rounds for each in found.disturbed} == {0}
    assert not [note for note in found.notes if note.code in ("few-pairs", "died")]


def test_too_few_pairs_give_no_rates_and_say_so() -> None:
    found, _ = run(budget_s=20.0, start_s=3.0)
    assert found.comparison.pairs < 6
    assert found.check is None
    (told,) = [note.text for note in found.notes if note.code == "few-pairs"]
    assert told == f"{found.comparison.pairs} pairs of processes were measured and a verdict needs 6: raise --budget"
    document = selfcheck_document(found)
    assert document["outcomes"] is document["false_alarms"] is document["detectable"] is None
    assert "Verdicts" not in render(selfcheck_report(document))


@pytest.mark.parametrize("before_call", [None, 5, 40])
def test_a_model_that_dies_ends_the_series_and_is_told(before_call: int | None) -> None:
    found, simulation = run(death=Death(3, before_call))
    assert found.comparison.pairs == 3
    assert [note.text for note in found.notes if note.code == "died"] == ["killed by signal 9"]
    assert simulation.clock.now_s < 60


def test_nothing_is_judged_where_no_pair_was_measured() -> None:
    found, _ = run(death=Death(0, None))
    assert (found.comparison.pairs, found.comparison.ratio, found.check) == (0, None, None)
    document = selfcheck_document(found)
    assert "against itself  0 pairs of fresh processes\n" in render(selfcheck_report(document))
    assert "model           unknown a call\n" in render(
        selfcheck_report({**document, "call_s": None, "between_processes": None})
    )


def test_the_document_is_plain_and_the_report_shows_its_figures() -> None:
    found, _ = run()
    document = selfcheck_document(found)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert sum(document["outcomes"][0][key] for key in ("slower", "faster", "same", "undecided")) == pytest.approx(1)
    (product,) = document["peaks"]["products"]
    assert (product["size"], product["flops_per_s"]) == (1000, 1e11)
    (memory,) = document["peaks"]["memory"]
    assert (memory["kernel"], memory["bytes_per_s"]) == ("read", 2e10)
    for form in ("table", "csv", "markdown", "latex"):
        text = render(selfcheck_report(document), form)
        assert "against itself" in text
        assert "float32" in text
    wide = render(selfcheck_report(document), "table", Terminal(80, color=False))
    assert max(map(len, wide.splitlines())) <= 80
    assert "promised: 5 % at most" in wide
    assert "3% slower" in wide
    assert "products of" not in wide  # left out at 80 columns, and said


def test_disturbed_peaks_are_called_lower_bounds() -> None:
    found, _ = run(budget_s=40.0, peaks=replace(PEAK, disturbed=True, notes=(Note("steal", "cpu", "3 %"),)))
    text = render(selfcheck_report(selfcheck_document(found)))
    assert "disturbed while they were measured: lower bounds, not limits" in text
    assert [note.code for note in found.notes].count("steal") == 1


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "?"), (4.46, "4.5 s"), (9.96, "10 s"), (41.2, "41 s"), (120, "2.0 min"), (7200, "2.0 h")],
)
def test_lengths_of_time(value: float | None, shown: str) -> None:
    assert seconds(value) == shown


def test_a_budget_that_holds_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="--budget 5: two pairs of processes and the peaks need 20 s at least"):
        selfcheck(5)


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(InputError):
        selfcheck(60, device="nosuch")


# Interrupted


@dataclass(frozen=True)
class Stopped(Wrapped):
    """A simulated model; Ctrl-C comes while its process of a certain round starts."""

    entrant: SimulatedEntrant
    in_round: int
    sessions: list[SimulatedSession]

    def start(self, number: int) -> SimulatedSession:
        if number == self.in_round:
            raise KeyboardInterrupt
        self.sessions.append(self.entrant.start(number))
        return self.sessions[-1]


def interrupted(in_round: int, sessions: list[SimulatedSession] | None = None) -> Checked:
    """Returns what is kept of a selfcheck that ends in that round; after the last one, when the peaks are measured."""
    simulation = Simulation(MACHINES[0], 1)
    one = SimulatedEntrant("A", 0.01, simulation)
    seen = [] if sessions is None else sessions
    entrants = [Stopped(one, -1, seen), Stopped(replace(one, name="A again"), in_round, seen)]

    def measured(budget: float, environment: Environment) -> Peaks:
        raise KeyboardInterrupt

    with pytest.raises(Interrupted) as caught:
        checked(entrants, measured, 60.0, quiet, now=simulation.clock)
    assert isinstance(caught.value.kept, Checked)
    return caught.value.kept


def test_the_series_so_far_is_kept() -> None:
    sessions: list[SimulatedSession] = []
    found = interrupted(8, sessions)
    assert (found.comparison.pairs, found.peaks) == (8, None)
    assert found.check is not None
    assert found.check.pairs == 8
    assert found.model.median_s == pytest.approx(0.01, rel=0.05)
    assert found.notes[0] == Note(
        "interrupted", "A/A", "stopped after 8 pairs of processes; the peaks were not measured"
    )
    assert len(sessions) == 17  # the first model's ninth process had started beside the one that was not to
    assert all(session.closed for session in sessions)


@dataclass(frozen=True)
class Signalled(Wrapped):
    """A simulated model; this process gets Ctrl-C while processes of the third round start."""

    entrant: SimulatedEntrant
    sessions: list[SimulatedSession]

    def start(self, number: int) -> SimulatedSession:
        self.sessions.append(self.entrant.start(number))
        if number == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return self.sessions[-1]


def test_processes_that_start_when_it_is_interrupted_are_ended() -> None:
    simulation, sessions = Simulation(MACHINES[0], 1), list[SimulatedSession]()
    one = SimulatedEntrant("A", 0.01, simulation)
    entrants: list[Entrant] = [one, Signalled(replace(one, name="A again"), sessions)]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(Interrupted) as caught:
            checked(entrants, lambda budget, environment: PEAK, 60.0, quiet, now=simulation.clock)
    finally:
        signal.signal(signal.SIGINT, before)
    assert caught.value.kept.comparison.pairs == 2
    assert [session.closed for session in sessions] == [True] * 3


def test_pairs_that_are_too_few_when_it_ends_ask_for_no_larger_budget() -> None:
    found = interrupted(2)
    assert [note.text for note in found.notes if note.code in ("interrupted", "few-pairs")] == [
        "stopped after 2 pairs of processes; the peaks were not measured",
        "2 pairs of processes were measured and a verdict needs 6",
    ]
    assert (found.check, found.comparison.pairs) == (None, 2)


def test_before_the_first_pair_there_is_nothing_to_keep() -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        interrupted(0)
    assert not isinstance(caught.value, Interrupted)


def test_a_series_whose_peaks_are_interrupted_is_whole() -> None:
    found = interrupted(-1)
    assert found.comparison.pairs >= 10
    assert found.peaks is None
    document = selfcheck_document(found)
    assert document["peaks"] is None
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    text = render(selfcheck_report(document))
    assert "peaks           not measured\n" in text
    assert "GFLOP/s" not in text
    assert "detectable" in text


def test_an_interruption_while_labels_are_drawn_loses_nothing() -> None:
    simulation = Simulation(MACHINES[0], 1)
    one = SimulatedEntrant("A", 0.01, simulation)

    def say(text: str) -> None:
        if text == "drawing labels":
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as caught:
        checked(
            [one, replace(one, name="A again")],
            lambda budget, environment: PEAK,
            60.0,
            quiet,
            say=say,
            now=simulation.clock,
        )
    assert caught.value.kept.peaks is PEAK
    assert caught.value.kept.check is not None


# The built-in model


def test_the_built_in_model_does_its_block_so_many_times() -> None:
    torch.manual_seed(0)
    model = Probe(3).eval()
    x = torch.rand(1, 16, 4, 4)
    assert torch.equal(model(x), model.block(model.block(model.block(x))))
    asked = probe(7)
    assert (asked.spec, asked.args, asked.inputs) == (SPEC, {"repeats": 7}, (INPUT,))


def test_repeats_grow_with_the_time_wanted() -> None:
    plan = TimingPlan(threads=1)
    assert repeats_for(1e-9, plan) == 1
    assert repeats_for(1.0, plan) > 20
