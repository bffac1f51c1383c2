"""`effbench time`: its words, formats and exit codes with made-up times, and once with real processes."""

from __future__ import annotations

import csv
import importlib.util
import json
from collections.abc import Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from cli_runner import Run, runner, source

from effbench import timing_runs
from effbench.cli.texts import import_plugins
from effbench.measure.machine.interference import Disturbance
from effbench.measure.timing.run import Progress
from effbench.measure.timing.simulated import MACHINES, Death, SimulatedEntrant, Simulation
from effbench.records import GemmRun, Peaks, StopRule, StreamRun, TimingPlan
from effbench.records.environment import Cpu, Environment, Memory, System
from effbench.timings import Timed, time_entrants

STILL = replace(MACHINES[0], call_sd=0.001, process_sd=0.001)


class Asked:
    """What the timer was asked for, and the simulated models that it times instead."""

    def __init__(self) -> None:
        self.plans: list[TimingPlan] = []
        self.rule = StopRule()
        self.seed = -1
        self.death: Death | None = None
        self.machine = STILL

    def __call__(self, entrants: Sequence[Any], rule: StopRule, seed: int, on_round: Any = None) -> Timed:
        self.plans, self.rule, self.seed = [each.plan for each in entrants], rule, seed
        simulation = Simulation(self.machine, seed)
        models = [
            SimulatedEntrant(each.name, 0.01 * (place + 1), simulation, death=self.death if place else None)
            for place, each in enumerate(entrants)
        ]
        return time_entrants(models, rule, seed, simulation.clock, on_round, Disturbance)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    found = Asked()
    monkeypatch.setattr(timing_runs, "time_entrants", found)
    here = Environment(Cpu("a processor"), Memory(), System())
    monkeypatch.setattr("effbench.measure.machine.environment.environment", lambda: here)
    return found


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    (tmp_path / "net.py").write_text(source(example="return (torch.rand(2, 3, 8, 8),)"))
    monkeypatch.chdir(tmp_path)
    return runner(capsys)


def test_options_are_the_plan_and_the_rule(run: Run, asked: Asked) -> None:
    words = "--batch 4 --precision bfloat16 --channels-last --threads 2 --compile --half-width 2.5 --budget 30"
    done = run("time", "net.py", *words.split(), "--rounds", "3-9", "--calls", "20", "--seed", "5")
    assert (done.code, done.err) == (0, "")
    assert asked.plans == [TimingPlan("cpu", 4, "bfloat16", "channels_last", 2, True)]
    assert asked.rule == StopRule(0.025, 0.02, 30.0, 3, 9, 20)
    assert asked.seed == 5
    run("time", "net.py", "--device", "cuda:1", "--cuda-graph", "--cold-cache", "--rounds", "7")
    assert asked.plans == [TimingPlan("cuda:1", captured=True, cold_cache=True)]
    assert (asked.rule.min_rounds, asked.rule.max_rounds) == (7, 7)


def test_without_options_the_defaults_hold(run: Run, asked: Asked) -> None:
    assert run("time", "net.py").code == 0
    assert (asked.plans, asked.rule, asked.seed) == ([TimingPlan()], StopRule(), 0)


def test_two_models_stand_under_each_other(run: Run, asked: Asked) -> None:
    done = run("time", "net.py:Net", "net.py:Net", "--format", "csv")
    rows = list(csv.DictReader(StringIO("".join(line for line in done.out.splitlines(True) if line[0] != "#"))))
    assert [row["model"] for row in rows] == ["Net #1", "Net #2"]
    assert [float(row["median_s"]) for row in rows] == pytest.approx([0.01, 0.02], rel=0.01)


@pytest.mark.parametrize("form", ["table", "markdown", "latex", "csv", "json"])
def test_every_format_names_machine_plan_and_notes(form: str, run: Run, asked: Asked) -> None:
    done = run("time", "net.py", "--format", form, "--rounds", "2", "--half-width", "0.0001")
    assert done.code == 3
    assert "a processor" in done.out
    assert "not-converged" in done.out
    assert "float32" in done.out
    assert done.err.startswith("effbench: net.py: not converged: raise --budget, --rounds or --half-width")


def test_json_has_every_sample(run: Run, asked: Asked) -> None:
    (model,) = json.loads(run("time", "net.py", "--format", "json").out)["models"]
    assert model["calls"] == sum(len(each["samples_s"]) for each in model["runs"]) > 100
    assert model["converged"] is True


def test_a_model_that_dies_says_how_and_costs_its_own_row_only(run: Run, asked: Asked) -> None:
    asked.death = Death(0, None, "killed by signal 9")
    done = run("time", "net.py:Net", "net.py:Net")
    assert done.code == 3
    assert "died: killed by signal 9" in done.out
    assert "10.0" in done.out
    assert done.err == "effbench: killed by signal 9\n"


def test_a_clock_that_lies_is_a_failed_check(run: Run, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    def lying(*words: Any, **named: Any) -> Timed:
        seen = asked(*words, **named)
        (timing,) = seen.timings
        runs = tuple(replace(each, samples_s=tuple(1000 * s for s in each.samples_s)) for each in timing.runs)
        return replace(seen, timings=(replace(timing, runs=runs),))

    monkeypatch.setattr(timing_runs, "time_entrants", lying)
    done = run("time", "net.py")
    assert done.code == 1
    assert "refused: in" in done.out
    assert "milliseconds kept as seconds" in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("net.py --rounds 9-3", "write 6-40 for 6 to 40 fresh processes"),
        ("net.py --rounds 1", "at least 2"),
        ("net.py --half-width 0", "--half-width"),
        ("net.py --budget x", "--budget"),
        ("net.py --batch 0", "--batch"),
        ("net.py --precision int8", "autocast-bfloat16"),
        ("net.py --throughput --batch 4", "leave --batch out"),
        ("net.py -o x.svg", "give one SPEC and --roofline"),
        ("net.py net.py --roofline -o x.svg", "give one SPEC and --roofline"),
        ("", "Missing argument"),
    ],
)
def test_a_wrong_call_is_one_line_and_times_nothing(
    words: str, said: str, run: Run, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("effbench.report.roofline_svg.require", lambda: None)
    done = run("time", *words.split())
    assert (done.code, done.out, done.err.count("\n"), asked.seed) == (2, "", 1, -1)
    assert said in done.err


def peaks(*words: object) -> Peaks:
    gemm, stream = GemmRun("float32", 1, 1000, 1, (0.02,)), StreamRun("copy", 1, 8, 10**9, (0.1,))
    return Peaks("cpu", (gemm,), (stream,), 1.0)


def test_a_roofline_stands_below_and_is_drawn(run: Run, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("effbench.rooflines.peaks_here", peaks)
    done = run("time", "net.py", "--roofline", "--threads", "1")
    assert done.code == 0
    assert "ceilings: 100 GFLOP/s in float32, 10 GB/s" in done.out
    assert "convolution" in done.out
    if importlib.util.find_spec("altair") is None or importlib.util.find_spec("vl_convert") is None:
        pytest.skip("the extra report is not installed")
    assert run("time", "net.py", "--roofline", "--threads", "1", "-o", "net.svg") == (0, "", "")
    assert ElementTree.parse("net.svg").getroot().tag.endswith("svg")


def test_a_training_step_has_a_roofline(run: Run, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("effbench.rooflines.peaks_here", peaks)
    done = run("time", "net.py", "--train", "--roofline", "--threads", "1", "--format", "json")
    assert done.code == 0
    (model,) = json.loads(done.out)["models"]
    ops = {op["op"]: op["path"] for op in model["roofline"]["ops"]}
    assert (ops["aten::convolution_backward"], ops["aten::addcdiv_"]) == ("conv", "(optimiser)")


def test_a_model_that_died_has_no_picture(run: Run, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("effbench.report.roofline_svg.require", lambda: None)

    def dying(*words: Any, **named: Any) -> Timed:
        seen = asked(*words, **named)
        return replace(seen, timings=(replace(seen.timings[0], runs=(), died="killed", converged=False),))

    monkeypatch.setattr(timing_runs, "time_entrants", dying)
    done = run("time", "net.py", "--roofline", "-o", "net.svg")
    assert (done.code, done.err) == (2, "effbench: net.py: killed: there is no roofline to draw\n")


def test_times_are_added_to_the_record_of_a_profile(run: Run, asked: Asked) -> None:
    assert run("profile", "net.py", "--record", "records").code == 0
    assert run("time", "net.py", "--record", "records").code == 0
    (file,) = Path("records").glob("*.json")
    held = json.loads(file.read_text())
    assert held["trace"] is not None
    assert [timing["threads"] for timing in held["timings"]] == [1]
    assert run("rank", "records", "--error-of", f"{held['name']}=5:percent").code == 0


def test_progress_says_how_narrow_the_intervals_are() -> None:
    from effbench.cli.timing_options import rounds_told
    from effbench.stats import Interval

    said: list[str] = []
    intervals = (("a", Interval(1.0, 0.98, 1.02)), ("b", None))
    rounds_told(said.append)(Progress(3, 40, 11.6, 60.0, intervals))
    assert said == ["round 3 of at most 40, 12 of 60 s: a ±2.0%, b ?"]


def test_plugins_travel_to_the_processes(run: Run, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, ...]] = []

    def timed(entrants: Sequence[Any], *words: Any, **named: Any) -> Timed:
        seen.extend(each.model.plugins for each in entrants)
        return asked(entrants, *words, **named)

    monkeypatch.setattr(timing_runs, "time_entrants", timed)
    assert run("time", "net.py", "--plugin", "json").code == 0
    import_plugins(())
    assert seen == [("json",)]


def test_real_processes_are_timed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("effbench.timings.watch_here", lambda plans: (Disturbance, ()))
    done = run("time", "net.py", "--train", "--rounds", "2", "--calls", "3", "--budget", "5", "--format", "json")
    assert done.code in (0, 3), done.err
    (model,) = json.loads(done.out)["models"]
    assert (model["processes"], model["samples"], model["died"], model["refused"]) == (2, 2, None, None)
    assert {"resident", "allocated"} <= set(model["peak_bytes"])
    assert model["training"]["macs"] == 2 * 2 * 6 * 6 * 4 * 27
