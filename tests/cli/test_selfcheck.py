"""`effbench selfcheck`: its exit codes and formats; what it measures is tested on simulated machines."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from cli_runner import Run

from effbench import selfchecks
from effbench.cli.interruptions import Terminated
from effbench.errors import Interrupted
from effbench.judge.selfcheck import SelfCheck, Share, self_check
from effbench.judge.timings import estimate
from effbench.judge.verdict import compare
from effbench.records import Note, StopRule, Timing, TimingPlan
from effbench.records.environment import Cpu, Environment, Memory, System
from effbench.records.peaks import Peaks
from effbench.selfchecks import Checked

CHECK = self_check([0.01, -0.02, 0.015, -0.01, 0.02, -0.015], 1.0, StopRule(), draws=100)


def found(check: SelfCheck | None, *notes: Note) -> Checked:
    timing = Timing("A", TimingPlan(), StopRule(), (), 2, converged=False)
    environment = Environment(Cpu(governor="performance"), Memory(), System())
    peaks = Peaks("cpu", (), (), 1.0)
    verdict = compare(timing, timing)
    return Checked("cpu", 2, 30.0, 29.0, estimate(timing), verdict, check, peaks, (), environment, notes)


def stand_in(monkeypatch: pytest.MonkeyPatch, checked: Checked) -> list[tuple[object, ...]]:
    """Puts a finished selfcheck in the place of a real one; returns what it was asked for."""
    asked: list[tuple[object, ...]] = []

    def selfcheck(budget_s: float, device: str, threads: int | None, say: object) -> Checked:
        asked.append((budget_s, device, threads))
        return checked

    monkeypatch.setattr(selfchecks, "selfcheck", selfcheck)
    return asked


def test_done(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = stand_in(monkeypatch, found(CHECK))
    done = run("selfcheck", "--threads", "2")
    assert (done.code, done.err) == (0, "")
    assert asked == [(180.0, "cpu", 2)]
    assert "false alarms" in done.out
    assert "clock governor" in done.out


def test_json_to_a_file(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stand_in(monkeypatch, found(CHECK))
    done = run("selfcheck", "-o", str(tmp_path / "machine.json"))
    assert (done.code, done.out) == (0, "")
    document = json.loads((tmp_path / "machine.json").read_text())
    assert (document["schema"], document["draws"], document["governor"]) == (1, 100, "performance")


def test_too_few_pairs_are_incomplete(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, found(None, Note("few-pairs", "A/A", "2 pairs: raise --budget")))
    done = run("selfcheck")
    assert (done.code, done.err) == (3, "effbench: 2 pairs: raise --budget\n")
    assert "Peaks" in done.out


def test_more_false_alarms_than_promised_fail(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, found(replace(CHECK, false_alarms=Share(0.12, 0.1, 0.14))))
    done = run("selfcheck")
    assert done.code == 1
    assert done.err == "effbench: false alarms in 12.0% of comparisons (10.0% at least): 5 % is promised\n"
    assert "more than the 5 % promised" in done.out


@pytest.mark.parametrize(
    ("because", "code"),
    [(KeyboardInterrupt(), 130), (Terminated(signal.SIGTERM), 143), (Terminated(signal.SIGHUP), 129)],
)
def test_what_was_found_until_an_interruption_is_shown(
    run: Run, monkeypatch: pytest.MonkeyPatch, because: KeyboardInterrupt, code: int
) -> None:
    kept = replace(found(None, Note("few-pairs", "A/A", "2 pairs")), peaks=None)

    def selfcheck(*words: object) -> Checked:
        raise Interrupted(kept, because)

    monkeypatch.setattr(selfchecks, "selfcheck", selfcheck)
    done = run("selfcheck")
    assert (done.code, done.err) == (code, "effbench: interrupted: what was measured by then is shown\n")
    assert "peaks           not measured\n" in done.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--budget", "3"), "two pairs of processes and the peaks need 20 s at least"),
        (("--threads", "0"), "0 is not in the range"),
        (("--device", "nosuch"), "nosuch"),
        (("--format", "tabel"), "unknown format 'tabel'"),
    ],
)
def test_a_wrong_call_is_one_line(words: tuple[str, ...], said: str, run: Run) -> None:
    done = run("selfcheck", *words)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert said in done.err
