"""`effbench audit` on a file: every convention, the real tools' figures, differences that sum."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from effbench.cli import main

MODEL = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, bias=False)
        self.head = nn.Linear(4 * 6 * 6, 10)

    def forward(self, x):
        return self.head(torch.relu(self.conv(x)).flatten(1))


def example_inputs():
    return torch.zeros(1, 3, 8, 8)
"""


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(words)
    return int(end.value.code or 0)


@pytest.fixture
def net(tmp_path: Path) -> str:
    path = tmp_path / "net.py"
    path.write_text(MODEL, encoding="utf-8")
    return str(path)


def test_audit_runs_the_real_tools_and_explains(net: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("audit", net, "--format", "json") == 0
    rows = {row["convention"]: row for row in json.loads(capsys.readouterr().out)["conventions"]}
    by_hand = 6 * 6 * 4 * 3 * 3**2 + 4 * 6 * 6 * 10
    assert next(iter(rows)) == "macs"
    assert rows["macs"]["total"] == by_hand
    for name in ("thop", "fvcore", "torchinfo", "torch"):
        assert rows[name]["tool"]["total"] == rows[name]["total"], name
    for row in rows.values():
        assert sum(cause["difference"] for cause in row["causes"]) == row["difference"]


def test_a_tool_that_is_missing_does_not_stop_the_others(
    net: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "thop", None)
    assert run("audit", net) == 0
    text = capsys.readouterr().out
    assert "thop is missing" in text
    assert "fvcore" in text


def test_audit_of_nothing_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("audit", "nowhere.py") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "effbench: nowhere.py: no such file; a model file is named as path/to/file.py:Name\n"
