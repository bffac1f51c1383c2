"""Commands that are told to end: what was measured by then is shown, the exit code says how, nothing stays behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cli_runner import Run, runner, source

from effbench import timing_runs
from effbench.cli.interruptions import Terminated, exit_code, unwinding
from effbench.errors import Interrupted
from effbench.measure.machine.interference import Disturbance
from effbench.measure.timing.entrant import Wrapped
from effbench.measure.timing.simulated import MACHINES, SimulatedEntrant, SimulatedSession, Simulation
from effbench.records import StopRule
from effbench.records.environment import Cpu, Environment, Memory, System
from effbench.timings import Timed, time_entrants


@dataclass(frozen=True)
class Stopped(Wrapped):
    """A simulated model; this process gets a signal while a process of a certain round starts."""

    entrant: SimulatedEntrant
    in_round: int
    number: int

    def start(self, number: int) -> SimulatedSession:
        if number == self.in_round:
            os.kill(os.getpid(), self.number)
        return self.entrant.start(number)


class Timer:
    """Stands for `time_entrants`: the models cost 10 and 20 ms on a quiet machine."""

    in_round = 4
    number = signal.SIGTERM

    def __call__(self, entrants: Sequence[Any], rule: StopRule, seed: int, on_round: Any = None) -> Timed:
        simulation = Simulation(MACHINES[0], seed)
        models = [
            Stopped(SimulatedEntrant(each.name, 0.01 * (place + 1), simulation), self.in_round, self.number)
            for place, each in enumerate(entrants)
        ]
        return time_entrants(models, rule, seed, simulation.clock, on_round, Disturbance)


@pytest.fixture
def timer(monkeypatch: pytest.MonkeyPatch) -> Timer:
    found = Timer()
    here = Environment(Cpu("a processor"), Memory(), System())
    monkeypatch.setattr(timing_runs, "time_entrants", found)
    monkeypatch.setattr("effbench.comparisons.time_entrants", found)
    monkeypatch.setattr("effbench.measure.machine.environment.environment", lambda: here)
    return found


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    (tmp_path / "net.py").write_text(source(), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return runner(capsys)


@pytest.fixture(autouse=True)
def usual_handlers() -> Iterator[None]:
    """Signals as a terminal's process has them: a shell lets what it runs in the background ignore Ctrl-C."""
    usual: dict[signal.Signals, Any] = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_finished_rounds_are_shown_and_recorded(run: Run, timer: Timer, number: signal.Signals, code: int) -> None:
    timer.number = number
    done = run("time", "net.py", "--record", "records", "--format", "json")
    assert (done.code, done.err) == (code, "effbench: interrupted: what was measured by then is shown\n")
    found = json.loads(done.out)
    (model,) = found["models"]
    assert (model["processes"], model["converged"], model["interrupted"]) == (4, False, True)
    assert model["median_s"] == pytest.approx(0.01, rel=0.1)
    (note,) = [note for note in found["notes"] if note["code"] == "interrupted"]
    assert note["text"].startswith("stopped after 4 processes at ±")
    (file,) = Path("records").glob("*.json")
    assert len(json.loads(file.read_text(encoding="utf-8"))["timings"][0]["runs"]) == 4


def test_the_table_says_so(run: Run, timer: Timer) -> None:
    (row,) = [line for line in run("time", "net.py").out.splitlines() if line.strip().endswith("interrupted")]
    assert "10." in row or "9." in row


def test_before_the_first_round_is_finished_there_is_nothing_to_show(run: Run, timer: Timer) -> None:
    timer.in_round = 0
    assert run("time", "net.py", "--record", "records") == (143, "", "effbench: interrupted\n")
    assert not Path("records").exists()


def test_what_is_not_settled_is_undecided_so_far(run: Run, timer: Timer) -> None:
    done = run("compare", "net.py", "net.py", "--format", "json")
    assert (done.code, done.err) == (143, "effbench: interrupted: what was measured by then is shown\n")
    (verdict,) = json.loads(done.out)["verdicts"]
    assert (verdict["verdict"], verdict["pairs"]) == ("undecided", 4)
    assert verdict["why"] == "interrupted: 4 pairs of processes: a verdict needs 6"


def test_an_interruption_after_the_times_leaves_them_whole(
    run: Run, timer: Timer, monkeypatch: pytest.MonkeyPatch
) -> None:
    timer.in_round = -1

    def interrupted(*words: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(timing_runs, "energy_of", interrupted)
    done = run("time", "net.py", "--energy", "--half-width", "5", "--format", "json")
    assert done.code == 130
    found = json.loads(done.out)
    assert (found["models"][0]["converged"], found["models"][0]["interrupted"]) == (True, False)
    assert "interrupted after the times" in next(n["text"] for n in found["notes"] if n["code"] == "interrupted")


# Signals


def test_a_second_signal_does_not_interrupt_what_the_first_one_undoes() -> None:
    undone: list[bool] = []

    def told_thrice() -> None:
        with unwinding():
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)
                os.kill(os.getpid(), signal.SIGHUP)
                undone.append(True)

    with pytest.raises(Terminated) as caught:
        told_thrice()
    assert undone
    assert exit_code(caught.value) == 143
    assert exit_code(Interrupted(None, Interrupted(None, caught.value))) == 143
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)] == [signal.SIG_DFL] * 2


def test_what_the_process_was_started_to_ignore_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with unwinding():
        os.kill(os.getpid(), signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


# In real processes


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """net.py, at tag v1 and as it lies here, leaves the number of each process that imports it in a folder."""
    (tmp_path / "alive").mkdir()
    head = f"import os, pathlib\npathlib.Path({str(tmp_path / 'alive')!r}, str(os.getpid())).touch()"
    (tmp_path / "net.py").write_text(source(head=head), encoding="utf-8")
    who = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
    for words in (("init", "--quiet"), ("add", "net.py"), (*who, "commit", "--quiet", "-m", "1"), ("tag", "v1")):
        subprocess.run(("git", "-C", str(tmp_path), *words), check=True)
    return tmp_path


def worktrees(top: Path) -> list[str]:
    words = ("git", "-C", str(top), "worktree", "list")
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()[1:]


def variables(temporary: Path) -> dict[str, str]:
    """The environment of a process that has this very code and a folder for temporary files of its own."""
    return {**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": str(Path(timing_runs.__file__).parents[1])}


@contextmanager
def comparing(top: Path, temporary: Path) -> Any:
    """A comparison with a revision in a process of its own, whose workers live."""
    temporary.mkdir(exist_ok=True)
    words = (sys.executable, "-m", "effbench", "compare", "net.py", "--revision-a", "v1", "--threads", "1")
    with subprocess.Popen(words, cwd=top, env=variables(temporary), stdout=-1, stderr=-1, text=True) as process:
        deadline = time.monotonic() + 120
        while len(list((top / "alive").iterdir())) < 2 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert process.poll() is None
        yield process


def living(folder: Path) -> list[int]:
    """The processes that left their number and still live, after the moment that the kernel takes."""
    for _ in range(100):
        found = [int(file.name) for file in folder.iterdir() if Path(f"/proc/{file.name}").exists()]
        if not found:
            return []
        time.sleep(0.05)
    return found


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="processes are looked for in /proc")
def test_a_comparison_that_is_terminated_leaves_nothing_and_a_killed_one_is_cleared_up(
    repository: Path, tmp_path: Path
) -> None:
    temporary = tmp_path / "tmp"
    with comparing(repository, temporary) as process:
        assert len(worktrees(repository)) == 1
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    assert err.startswith("effbench: interrupted")
    assert worktrees(repository) == []
    assert list(temporary.glob("effbench-*")) == []
    assert living(repository / "alive") == []
    for file in (repository / "alive").iterdir():
        file.unlink()
    with comparing(repository, temporary) as process:
        process.kill()
        process.communicate(timeout=60)
    assert living(repository / "alive") == []
    assert len(worktrees(repository)) == 1
    words = ("-m", "effbench", "compare", "net.py", "--revision-a", "v1", "--no-time", "--format", "json")
    subprocess.run((sys.executable, *words), cwd=repository, env=variables(temporary), check=True, capture_output=True)
    assert worktrees(repository) == []
    assert list(temporary.glob("effbench-*")) == []


CHECKED = """
import pathlib, signal
from effbench import selfchecks
from effbench.cli import main

def standing(*words):
    pathlib.Path("finished").touch()
    signal.pause()

selfchecks._standing = standing
main(["selfcheck", "--budget", "20", "--threads", "1", "--format", "json"])
"""
"""A selfcheck that leaves a file when its first pair of processes is finished, and waits there for a signal."""


def started_from(folder: Path) -> list[str]:
    """The processes whose temporary files lie in a folder, after the moment that the kernel takes."""
    for _ in range(100):
        found = []
        for file in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):  # another user's, or gone
                found += [file.parent.name] if f"TMPDIR={folder}\0".encode() in file.read_bytes() else []
        if not found:
            return []
        time.sleep(0.05)
    return found


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="processes are looked for in /proc")
def test_a_selfcheck_that_is_terminated_shows_its_pairs_and_leaves_no_process(tmp_path: Path) -> None:
    words = (sys.executable, "-c", CHECKED)
    with subprocess.Popen(words, cwd=tmp_path, env=variables(tmp_path), stdout=-1, stderr=-1, text=True) as process:
        deadline = time.monotonic() + 120
        while not (tmp_path / "finished").exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (143, "effbench: interrupted: what was measured by then is shown\n")
    found = json.loads(out)
    assert found["pairs"] == 1
    assert found["peaks"] is None
    assert found["notes"][0]["code"] == "interrupted"
    assert started_from(tmp_path) == []
