"""Running a command in this process or in one of its own, and small model files to run it on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

import effbench
from effbench.cli import main


class Outcome(NamedTuple):
    """What a command left: its exit code, and what it wrote."""

    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


def runner(capsys: pytest.CaptureFixture[str]) -> Run:
    """Returns a function that runs a command in this process."""

    def run(*words: str) -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main(words)
        out, err = capsys.readouterr()
        assert isinstance(end.value.code, int)
        return Outcome(end.value.code, out, err)

    return run


def run_apart(folder: Path, *words: str, python: bool = False) -> Outcome:
    """Runs the console script, or with `python` the module as these tests import it, in a process of its own."""
    command = [sys.executable, "-m", "effbench"] if python else [str(Path(sys.executable).with_name("effbench"))]
    variables = {**os.environ, "PYTHONPATH": str(Path(effbench.__file__).parents[1])} if python else None
    done = subprocess.run([*command, *words], cwd=folder, capture_output=True, text=True, check=False, env=variables)
    return Outcome(done.returncode, done.stdout, done.stderr)


def source(
    init: str = "self.conv = nn.Conv2d(3, 4, 3)",
    forward: str = "return self.conv(x)",
    arguments: str = "",
    head: str = "",
    example: str = "return (torch.rand(1, 3, 8, 8),)",
    name: str = "Net",
) -> str:
    """Returns the text of a model file: a 3×3 convolution of an 8×8 image, or parts of it replaced."""
    return f"""{head}
import torch
from torch import nn


class {name}(nn.Module):
    def __init__(self{arguments}):
        super().__init__()
        {init}

    def forward(self, x):
        {forward}


def example_inputs():
    {example}
"""


PARAMS = 3 * 3**2 * 4 + 4
MACS = 6 * 6 * 4 * 3 * 3**2
"""Of the file that `source()` gives."""
