"""`effbench compare`: its words, its exit codes, and one run of each kind in real processes."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from cli_runner import MACS, PARAMS, Run, run_apart, runner, source
from simulated_runs import simulated

from effbench.api import load
from effbench.measure.timing.look import Look
from effbench.measure.timing.looker import Looker
from effbench.measure.timing.simulated import MACHINES, Death
from effbench.measure.timing.worker import Worker

Timed = Callable[..., None]


@contextmanager
def looks_here(entrants: Sequence[Worker], needs: Sequence[str] = ()) -> Iterator[tuple[Look, ...]]:
    """Looks at the models in this process, which is quicker than in their own."""
    yield tuple(Looker(load(entrant.model.spec), entrant.plan, ()) for entrant in entrants)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    (tmp_path / "a.py").write_text(source(), encoding="utf-8")
    (tmp_path / "b.py").write_text(source(init="self.conv = nn.Conv2d(3, 8, 3)"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("effbench.comparisons.looks_at", looks_here)
    return runner(capsys)


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> Timed:
    """Lets the models take these times on a quiet machine."""

    def take(*costs_s: float, **more: Death) -> None:
        monkeypatch.setattr("effbench.comparisons.time_entrants", simulated(costs_s, MACHINES[0], more))

    return take


def test_the_cost_table_needs_no_clock(run: Run) -> None:
    done = run("compare", "a.py", "b.py", "--no-time", "--format", "json")
    assert (done.code, done.err) == (0, "")
    found = json.loads(done.out)
    a, b = found["models"]
    assert (a["name"], a["params"], a["macs"]) == ("a.py", PARAMS, MACS)
    assert (b["params"], b["macs"], b["ratios"]["macs"]) == (2 * PARAMS, 2 * MACS, 2.0)
    assert (found["verdicts"], found["layers"], found["rule"]) == ([], {}, None)


def test_a_regression_ends_with_1_after_the_report(run: Run, timed: Timed) -> None:
    timed(0.01, 0.012)
    done = run("compare", "a.py", "b.py")
    assert done.code == 1
    assert "b.py is slower than a.py: 1." in done.out
    assert done.err.startswith("effbench: b.py is slower than a.py: 1.")
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("costs_s", "words", "code"),
    [
        ((0.012, 0.01), (), 0),
        ((0.01, 0.01), (), 0),
        ((0.01, 0.0101), ("--rounds", "6", "--margin", "0.1"), 3),
        ((0.01, 0.0101), ("--rounds", "6", "--margin", "0.1", "--fail-on", "slower,undecided"), 1),
        ((0.01, 0.012), ("--fail-on", "undecided"), 0),
        ((0.01, 0.012), ("--fail-on", ""), 0),
        ((0.012, 0.01), ("--fail-on", "faster"), 1),
    ],
)
def test_exit_codes(run: Run, timed: Timed, costs_s: tuple[float, ...], words: tuple[str, ...], code: int) -> None:
    timed(*costs_s)
    done = run("compare", "a.py", "b.py", "--format", "json", *words)
    assert done.code == code, done.err
    assert json.loads(done.out)["verdicts"]


def test_a_died_worker_is_incomplete_and_a_regression_beside_it_still_fails(run: Run, timed: Timed) -> None:
    death = Death(0, None, "b.py: its process was killed by signal 9")
    timed(0.01, 0.01, **{"b.py": death})
    done = run("compare", "a.py", "b.py")
    assert (done.code, done.err) == (3, "effbench: b.py: its process was killed by signal 9\n")
    assert "b.py died" in done.out
    timed(0.01, 0.01, 0.02, **{"b.py": death})
    assert run("compare", "a.py", "b.py", "a.py:Net").code == 1


def test_markdown_says_the_verdict_the_machine_and_the_notes(run: Run, timed: Timed) -> None:
    timed(0.01, 0.012)
    out = run("compare", "a.py", "b.py", "--format", "markdown").out
    assert "- b.py is slower than a.py: " in out
    assert "\nmachine   " in out
    assert out.index("**Cost") < out.index("**Time against a.py**") < out.index("\nmachine   ")


def test_different_inputs_need_a_word(run: Run) -> None:
    Path("c.py").write_text(source(example="return (torch.rand(1, 3, 16, 16),)"), encoding="utf-8")
    done = run("compare", "a.py", "b.py", "c.py", "--no-time")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("effbench: c.py: its input is 1×3×16×16 float32, and that of a.py 1×3×8×8 float32")
    mixed = run("compare", "a.py", "b.py", "c.py", "--no-time", "--mixed")
    assert mixed.code == 0
    assert "note: inputs-differ: c.py: " in mixed.out


def test_stated_errors_and_those_of_records_stand_in_the_table(run: Run) -> None:
    assert run("profile", "b.py", "--record", "runs", "--error", "top1=0.2:fraction", "--quiet").code == 0
    words = ("compare", "a.py", "b.py", "--no-time", "--format", "json")
    found = json.loads(run(*words, "--error", "top1", "--error-of", "a=0.3:fraction", "--records", "runs").out)
    assert [model["errors"]["top1"]["value"] for model in found["models"]] == [0.3, 0.2]
    mixed = run(*words, "--error", "top1", "--error-of", "a=30:percent", "--records", "runs")
    assert (mixed.code, mixed.out) == (2, "")
    assert "top1 is known in percent and in fraction" in mixed.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("a.py",), "one model alone is no comparison"),
        (("a.py", "b.py", "--revision-a", "v1"), "compare one SPEC with itself: 2 are given"),
        (("a.py", "--python-a", "no/such/python"), "no/such/python: no such Python interpreter"),
        (("a.py", "b.py", "--fail-on", "slowest"), "'slowest': write some of faster, slower, same, undecided"),
        (("a.py", "b.py", "--rounds", "1"), "write 6-40"),
        (("a.py", "b.py", "--convention", "mac"), "unknown convention 'mac'"),
        (("a.py", "b.py", "--no-time", "--error-of", "c=1:percent"), "names no model"),
    ],
)
def test_a_wrong_call_is_one_line(run: Run, words: tuple[str, ...], says: str) -> None:
    done = run("compare", *words)
    assert (done.code, done.out) == (2, "")
    assert says in done.err
    assert len(done.err.splitlines()) == 1


# In real processes


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """net.py imports its neighbour, which is twice as wide in the working tree as at tag v1."""
    net = source(init="self.conv = nn.Conv2d(3, WIDTH, 3)", head="from width import WIDTH")
    (tmp_path / "net.py").write_text(net, encoding="utf-8")
    (tmp_path / "width.py").write_text("WIDTH = 4\n", encoding="utf-8")
    who = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
    for words in (("init", "--quiet"), ("add", "."), (*who, "commit", "--quiet", "-m", "1"), ("tag", "v1")):
        subprocess.run(("git", "-C", str(tmp_path), *words), check=True)
    (tmp_path / "width.py").write_text("WIDTH = 8\n", encoding="utf-8")
    return tmp_path


def test_a_revision_against_the_file_as_it_lies_here_with_its_layers(repository: Path) -> None:
    words = ("compare", "net.py", "--revision-a", "v1", "--layers", "--threads", "1", "--no-time", "--format", "json")
    done = run_apart(repository, *words, "--python-a", sys.executable)
    assert done.code == 0, done.err
    found = json.loads(done.out)
    old, new = found["models"]
    assert (old["name"], new["name"]) == ("net.py@v1", "net.py@here")
    assert (old["macs"], new["macs"]) == (MACS, 2 * MACS)
    assert [row["path"] for row in found["layers"]["net.py@here"]] == ["conv"]
    listed = subprocess.run(("git", "-C", str(repository), "worktree", "list"), capture_output=True, check=True)
    assert len(listed.stdout.splitlines()) == 1


def test_neighbours_of_one_name_are_not_mixed_up_and_a_raising_model_keeps_its_row(tmp_path: Path) -> None:
    for name, width in (("old", 4), ("new", 8)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "net.py").write_text(
            source(init="self.conv = nn.Conv2d(3, WIDTH, 3)", head="from width import WIDTH"), encoding="utf-8"
        )
        (tmp_path / name / "width.py").write_text(f"WIDTH = {width}\n", encoding="utf-8")
    (tmp_path / "bad.py").write_text(source(forward="return self.conv(x[0, 0])"), encoding="utf-8")
    done = run_apart(tmp_path, "compare", "old/net.py", "new/net.py", "bad.py", "--no-time", "--format", "json")
    assert done.code == 3, done.err
    assert done.err.startswith("effbench: bad.py: ")
    assert [model["macs"] for model in json.loads(done.out)["models"]] == [MACS, 2 * MACS, None]


def virtual_environment(folder: Path, version: str) -> Path:
    """The interpreter of a new environment that has all packages of this one, and `extra` in this version."""
    venv.create(folder, with_pip=False, symlinks=True)
    words = (folder / "bin" / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))")
    own = Path(subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip())
    (own / "extra.py").write_text(f"__version__ = '{version}'\nWIDTH = {4 * int(version[0])}\n", encoding="utf-8")
    theirs = sysconfig.get_path("purelib")
    (own / "theirs.pth").write_text(f"{theirs}\n", encoding="utf-8")
    return folder / "bin" / "python"


def test_two_interpreters_have_packages_of_their_own_and_each_environment_is_kept(tmp_path: Path) -> None:
    one, two = (virtual_environment(tmp_path / f"venv{number}", f"{number}.0") for number in (1, 2))
    net = source(init="self.conv = nn.Conv2d(3, WIDTH, 3)", head="from extra import WIDTH")
    (tmp_path / "net.py").write_text(net, encoding="utf-8")
    words = ("compare", "net.py", "--python-a", str(one), "--python-b", str(two), "--no-time", "--format")
    done = run_apart(tmp_path, *words, "json", python=True)
    assert done.code == 0, done.err
    found = json.loads(done.out)
    a, b = found["models"]
    assert (a["macs"], b["macs"]) == (MACS, 2 * MACS)
    assert "extra 1.0" in a["environment"]["facts"]["packages"]
    assert "extra 2.0" in b["environment"]["facts"]["packages"]
    assert found["environment"] == a["environment"]
    notes = {(note["code"], note["subject"]): note["text"] for note in found["notes"]}
    assert notes["packages-differ", "net.py (B)"] == "against net.py (A): extra: 1.0 ≠ 2.0"
    assert notes["interpreter", "net.py (B)"] == f"runs in {two}"
