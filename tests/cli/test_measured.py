"""`effbench profile --sparsity --measure-memory`: in every format, in one sum, and refused where it cannot be."""

from __future__ import annotations

import csv
import json
import re
from io import StringIO
from pathlib import Path

import pytest
import torch
from cli_runner import Run, source

INIT = """self.conv = nn.Conv2d(3, 4, 3)
        self.head = nn.Linear(4 * 36, 5, bias=False)
        with torch.no_grad():
            self.conv.weight[0] = 0
            self.head.weight[:, :100] = 0"""
CONV, HEAD = 4 * 36 * 27, 5 * 144
NONZERO_CONV, NONZERO_HEAD = 3 * 36 * 27, 5 * 44
NONZERO = NONZERO_CONV + NONZERO_HEAD


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(source(init=INIT, forward="return self.head(self.conv(x).flatten(1))"))
    return tmp_path


def test_json_has_non_zero_macs_in_total_and_in_every_row(run: Run, folder: Path) -> None:
    document = json.loads(run("profile", "net.py", "--sparsity", "--format", "json").out)
    assert (document["macs"], document["nonzero_macs"]) == (CONV + HEAD, NONZERO)
    assert {row["path"]: row["nonzero_macs"] for row in document["layers"]} == {
        "": 0,
        "conv": NONZERO_CONV,
        "head": NONZERO_HEAD,
    }
    for rows in ("layers", "types", "ops"):
        assert sum(row["nonzero_macs"] for row in document[rows]) == NONZERO
    assert document["layers"][0]["subtotal"]["nonzero_macs"] == NONZERO


@pytest.mark.parametrize("form", ["table", "csv", "markdown", "latex"])
@pytest.mark.parametrize("by", ["layer", "type", "op"])
def test_every_format_shows_them(form: str, by: str, run: Run, folder: Path) -> None:
    out = run("profile", "net.py", "--sparsity", "--by", by, "--format", form).out
    assert ("nonzero_macs" if form == "csv" else "Non-zero MACs") in out
    for figure in (NONZERO_CONV, NONZERO_HEAD, NONZERO):
        assert (str(figure) if form == "csv" else f"{figure:,}") in out


def test_a_folded_row_has_what_is_below_it(run: Run, folder: Path) -> None:
    out = run("profile", "net.py", "--sparsity", "--depth", "0", "--format", "csv").out
    (row,) = csv.DictReader(StringIO("".join(line for line in out.splitlines(True) if line[0] != "#")))
    assert row["nonzero_macs"] == str(NONZERO)


def test_they_are_shown_under_a_convention_that_counts_flops(run: Run, folder: Path) -> None:
    document = json.loads(run("profile", "net.py", "--sparsity", "--convention", "full", "--format", "json").out)
    assert (document["macs"], document["nonzero_macs"]) == (None, NONZERO)


# conv: 3 × 8 × 8 in, 4 × 6 × 6 out; head: 5 out, while the input is held.
PEAK = 4 * (3 * 64 + 4 * 36 + 5)


def test_measured_memory_stands_beside_the_traces(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)  # PyTorch's own kernel: its columns are known
    memory = json.loads(run("profile", "net.py", "--measure-memory", "--format", "json").out)["memory"]
    measured = memory["measured"]
    assert memory["peak_activation_bytes"] == measured["peak_without_scratch_bytes"] == PEAK
    # It lays out the 3 × 3 × 3 window of each of the 36 places.
    assert (measured["scratch_op"], measured["scratch_bytes"]) == ("aten::convolution", 4 * 27 * 36)
    assert measured["peak_bytes"] == 4 * (3 * 64 + 4 * 36 + 27 * 36)


@pytest.mark.parametrize("form", ["table", "csv", "markdown", "latex"])
def test_every_format_says_peak_and_scratch(form: str, run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    out = run("profile", "net.py", "--measure-memory", "--format", form).out
    assert "measured     5.11 KiB" in out or re.search(r"measured[ ~]+5\.11 KiB", out)
    assert "1.33 KiB without scratch; most scratch 3.80 KiB, in aten::convolution" in out


def test_a_model_without_scratch_says_so(run: Run, folder: Path) -> None:
    (folder / "plain.py").write_text(source(init="self.act = nn.ReLU()", forward="return self.act(x)"))
    assert " at the CPU allocator's peak; no kernel takes scratch space\n" in (
        run("profile", "plain.py", "--measure-memory").out
    )


def test_both_at_once_with_a_record(run: Run, folder: Path) -> None:
    out = run("profile", "net.py", "--sparsity", "--measure-memory", "--record", "runs").out
    assert "non-zero" in out
    assert "measured" in out
    assert list((folder / "runs").glob("*.json"))


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--sparsity", "nonzeros are counted while a model runs on its weights"),
        ("--measure-memory", "these are weights alone, without the model that they belong to"),
    ],
)
def test_weights_alone_are_refused(option: str, said: str, run: Run, folder: Path) -> None:
    torch.save({"weight": torch.zeros(2, 2)}, folder / "weights.pth")
    done = run("profile", "weights.pth", option)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert said in done.err
