"""What starts fast stays fast: commands that run no model load neither torch nor what torch brings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_runner import source

ROOT = Path(__file__).parents[1]
PUBLISHED = str(ROOT / "benchmarks" / "suites" / "published.yaml")

# Runs a command as the console script does and tells on standard error what was loaded, and the exit code.
COMMAND = """
import json, sys
from effbench.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    print(json.dumps([end.code, sorted({name.partition(".")[0] for name in sys.modules})]), file=sys.stderr)
"""
PEERS = frozenset({"thop", "fvcore", "torchinfo", "ptflops", "calflops", "deepspeed"})
HEAVY = PEERS | {"torch", "torchvision", "pandas", "scipy", "numpy", "timm"}
BROUGHT = {"sympy", "triton", "mpmath"}
SLOW = (
    PEERS
    | BROUGHT
    | {"torchvision", "timm", "pandas", "scipy", "pydantic", "rich", "typer", "onnx", "transformers", "yaml"}
)
"""What a profile of a model file that imports torch alone has no use for; torch brings some of it, on first need."""


def loaded(*words: str, code: str = COMMAND) -> tuple[int, set[str], str]:
    """The exit code of a command in a fresh process, the packages loaded at its end, and what it printed."""
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=ROOT, check=True)
    exit_code, names = json.loads(done.stderr)
    return exit_code, set(names), done.stdout


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        *([command, "--help"] for command in ("profile", "summary", "explain", "rank", "check", "list")),
        *(["list", kind] for kind in ("conventions", "ops", "loaders", "scores", "formats")),
    ],
    ids=" ".join,
)
def test_help_and_list_load_nothing_heavy(words: list[str]) -> None:
    code, names, out = loaded(*words)
    assert code == 0
    assert out
    assert names & (HEAVY | SLOW) == set()


def test_profiling_a_model_file_loads_torch_and_little_else(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(source())
    code, names, out = loaded("profile", str(tmp_path / "net.py"))
    assert code == 0
    assert "Conv2d" in out
    assert "torch" in names
    assert names & SLOW == set()


@pytest.mark.parametrize("form", ["table", "json", "csv", "markdown", "latex"])
def test_ranking_published_rows_loads_no_torch(form: str) -> None:
    code, names, out = loaded("rank", PUBLISHED, "--convention", "thop", "--error", "pixel_error", "--format", form)
    assert code == 0
    assert "hand-mobilenetv3s" in out
    assert names & HEAVY == {"numpy"}


def test_ranking_a_folder_of_records_loads_no_torch() -> None:
    code, names, out = loaded("rank", str(ROOT / "tests" / "fixtures"), "--error", "pixel_error")
    assert code == 0
    assert "Fixture net" in out
    assert names & HEAVY == {"numpy"}


@pytest.mark.parametrize(
    "words",
    [
        ["profile", "missing.py", "--convention", "mac"],
        ["profile", "missing.py", "--format", "jsn"],
        ["list", "op"],
        ["profil"],
    ],
    ids=" ".join,
)
def test_a_wrong_word_is_told_before_torch_is_loaded(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "effbench", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 2
    assert {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()} & HEAVY == set()


def test_importing_effbench_loads_nothing_heavy() -> None:
    code = """
import json, sys
before = set(sys.modules)
import effbench
print(json.dumps([0, sorted({name.partition(".")[0] for name in set(sys.modules) - before})]), file=sys.stderr)
"""
    _, names, _ = loaded(code=code)
    assert names - set(sys.stdlib_module_names) == {"effbench"}


def test_plain_python_runs_effbench_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "effbench", "list", "scores"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert "params_flops_exp" in done.stdout
    assert done.stderr == ""
