"""`check` finds every published figure equal, finds one changed digit, and refuses what is no suite in one line."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

import effbench as eb
from effbench.cli import main
from effbench.errors import InputError
from effbench.suites.published import Verdict

SUITES = Path(__file__).parents[2] / "benchmarks" / "suites"
PUBLISHED = SUITES / "published.yaml"
TABLE = "mobilenet_v3_small_42_layers.csv"
ROWS: dict[str, dict[str, Any]] = {
    row["name"]: row for row in yaml.safe_load(PUBLISHED.read_text(encoding="utf-8"))["models"]
}

MODEL = """
import torch
class Net(torch.nn.Module):
    def __init__(self, *, strange=False):
        super().__init__()
        self.fc = torch.nn.Linear(4, 3)
        self.strange = strange
    def forward(self, x):
        x = self.fc(x)
        return torch.cdist(x, x) if self.strange else x
"""


def verdicts(path: Path) -> tuple[Verdict, ...]:
    _, found = eb.check(path)
    return tuple(verdict for _, job in found for verdict in job)


@cache
def published() -> tuple[Verdict, ...]:
    return verdicts(PUBLISHED)


# The published suite


def test_every_figure_that_can_be_recomputed_is_equal() -> None:
    found = {(item.model, item.figure): item for item in published()}
    assert len(found) == len(published())
    assert not [item for item in published() if item.verdict == "differs"]
    equal = {key for key, item in found.items() if item.verdict == "equal"}
    expected: set[tuple[str, str]] = set()
    for name, row in ROWS.items():
        given = row["published"]
        if "spec" in row and "params" in given:
            expected.add((name, "params"))
        if "spec" in row and "cost" in given:
            expected.add((name, "MACs (thop)" if given["cost"]["unit"] == "MAC" else "FLOPs (thop)"))
        if "summary" in given:
            expected |= {(name, f"summary {size} (MB)") for size in ("input", "forward/backward", "params", "total")}
            expected.add((name, "summary rows"))
        if "score" in given:
            expected.add((name, "score params_flops_exp"))
    assert equal == expected
    for name, figure in expected - {(name, "summary rows") for name in ROWS}:
        assert found[name, figure].published == found[name, figure].recomputed


def test_all_29_rows_appear() -> None:
    assert {item.model for item in published()} == set(ROWS)
    assert len(ROWS) == 29


def test_figures_are_printed_as_published() -> None:
    found = {(item.model, item.figure): (item.published, item.recomputed) for item in published()}
    assert found["custom-alexnet", "params"] == ("45,463,084", "45,463,084")
    assert found["custom-alexnet", "MACs (thop)"] == ("705,535,424", "705,535,424")
    assert found["hand-mobilenetv3s", "FLOPs (thop)"] == ("122,993,904", "122,993,904")
    assert found["hand-mobilenetv3s", "summary rows"] == ("162", "162 of 162 the same")
    for name, digits in (
        ("hand-mobilenetv3s", "182.3724"),
        ("hand-v2", "708.5009779051727"),
        ("hand-v3", "477.91665120700634"),
        ("hand-final", "285.59885234255654"),
    ):
        assert found[name, "score params_flops_exp"] == (digits, digits)


def test_what_cannot_be_recomputed_is_stated_with_the_reason() -> None:
    stated = [item for item in published() if item.verdict == "stated"]
    assert {item.recomputed for item in stated} == {""}
    unpublished = {name for name, row in ROWS.items() if "spec" not in row}
    uncosted = {name for name, row in ROWS.items() if set(row["published"]) <= {"errors", "conditions"}}
    errors = {(name, error) for name, row in ROWS.items() for error in row["published"].get("errors", {})}
    reasons = {(item.model, item.figure): item.reason for item in stated}
    assert {place for place, reason in reasons.items() if reason.startswith("measured on data")} == errors
    alone = {name for (name, _), reason in reasons.items() if reason == "measured on data; no cost figure published"}
    assert alone == uncosted
    assert {name for (name, _), reason in reasons.items() if reason == "architecture not published"} == unpublished


# One changed digit


def copy_of(name: str, folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A suite of one published row, changed, with what it needs beside it."""
    row = deepcopy(ROWS[name])
    if "spec" in row:
        row["spec"] = row["spec"].replace("..", str(SUITES.parent), 1)
    shutil.copy(SUITES / TABLE, folder)
    change(row["published"])
    path = folder / "copy.yaml"
    path.write_text(yaml.safe_dump({"suite": "copy", "models": [row]}), encoding="utf-8")
    return path


def put(*keys: str | int, value: object) -> Callable[[dict[str, Any]], object]:
    """Puts a value at a place below a row's figures."""

    def change(figures: dict[str, Any]) -> None:
        place: Any = figures
        for key in keys[:-1]:
            place = place[key]
        assert place[keys[-1]] != value
        place[keys[-1]] = value

    return change


ALEXNET, HAND = "custom-alexnet", "hand-mobilenetv3s"


@pytest.mark.parametrize(
    ("name", "change", "differing"),
    [
        (ALEXNET, put("params", value=45463085), {"params"}),
        (ALEXNET, put("cost", "value", value=705535425), {"MACs (thop)"}),
        (ALEXNET, put("cost", "unit", value="FLOP"), {"FLOPs (thop)"}),
        (ALEXNET, put("cost", "convention", value="full"), {"MACs (full)"}),
        (ALEXNET, put("summary", "input_mb", value=0.58), {"summary input (MB)"}),
        (ALEXNET, put("summary", "forward_backward_mb", value=3.78), {"summary forward/backward (MB)"}),
        (ALEXNET, put("summary", "params_mb", value=173.42), {"summary params (MB)"}),
        (ALEXNET, put("summary", "total_mb", value=177.76), {"summary total (MB)"}),
        (ALEXNET, put("summary", "rows", value=9), {"summary rows"}),
        (ALEXNET, put("summary", "layers", 2, 2, value=677761), {"summary rows"}),
        (ALEXNET, put("summary", "layers", 7, 1, value="[-1, 1001]"), {"summary rows"}),
        (ALEXNET, put("summary", "layers", 5, 0, value="Linear-5"), {"summary rows"}),
        (ALEXNET, lambda figures: figures["summary"]["layers"].pop(), {"summary rows"}),
        (HAND, put("cost", "value", value=0.122993905), {"FLOPs (thop)"}),
        (HAND, put("score", "value", value=182.3725), {"score params_flops_exp"}),
        (HAND, put("errors", "pixel_error", "value", value=6.85640565), {"score params_flops_exp"}),
        ("mbconv-8-se", put("params", value=14331), {"params"}),
        ("hand-v2", put("score", "value", value=708.5009779051728), {"score params_flops_exp"}),
        ("hand-v2", put("params", value=4152449), {"score params_flops_exp"}),
        ("hand-final", put("cost", "value", value=0.302601377), {"score params_flops_exp"}),
    ],
)
def test_a_changed_digit_differs(
    name: str, change: Callable[[dict[str, Any]], object], differing: set[str], tmp_path: Path
) -> None:
    found = verdicts(copy_of(name, tmp_path, change))
    assert {item.figure for item in found if item.verdict == "differs"} == differing


def test_the_copy_itself_is_equal(tmp_path: Path) -> None:
    for name in (ALEXNET, HAND, "hand-v2"):
        assert "differs" not in {item.verdict for item in verdicts(copy_of(name, tmp_path, lambda figures: None))}


def test_a_changed_digit_in_the_table_of_layers_is_named(tmp_path: Path) -> None:
    path = copy_of(HAND, tmp_path, lambda figures: None)
    table = tmp_path / TABLE
    lines = table.read_text(encoding="utf-8").split("\n")
    index = next(index for index, line in enumerate(lines) if line.startswith("BatchNorm2d-17,"))
    lines[index] = lines[index][:-1] + str((int(lines[index][-1]) + 1) % 10)
    table.write_text("\n".join(lines), encoding="utf-8")
    (item,) = [item for item in verdicts(path) if item.verdict == "differs"]
    assert (item.figure, item.recomputed) == ("summary rows", "161 of 162 the same")
    assert item.reason == "first difference at BatchNorm2d-17"


def test_a_difference_ends_with_code_1_after_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = copy_of(ALEXNET, tmp_path, put("params", value=45463085))
    with pytest.raises(SystemExit) as end:
        main(["check", str(path)])
    out, err = capsys.readouterr()
    assert end.value.code == 1
    assert re.search(r"custom-alexnet +params +45,463,085 +45,463,084 +differs", out)
    assert "6 figures equal, 1 differ" in out
    assert err == "effbench: 1 published figures differ, first params of custom-alexnet\n"


def test_an_equal_suite_ends_with_code_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["check", str(copy_of(ALEXNET, tmp_path, lambda figures: None))])
    assert end.value.code == 0
    assert capsys.readouterr().err == ""


# A figure that cannot be recomputed is never passed over


def suite_of(folder: Path, **row: Any) -> Path:
    (folder / "net.py").write_text(MODEL)
    path = folder / "suite.yaml"
    path.write_text(yaml.safe_dump({"suite": "s", "models": [{"name": "net", **row}]}), encoding="utf-8")
    return path


COST = {"value": 12.0, "unit": "MAC", "convention": "macs"}
SIZES = {"rows": 1, "input_mb": 0.0, "forward_backward_mb": 0.0, "params_mb": 0.0, "total_mb": 0.0}


def test_an_unknown_count_differs_and_is_not_taken_for_0(tmp_path: Path) -> None:
    score = {"name": "params_flops_exp", "error": "loss", "value": 0.0}
    errors = {"loss": {"value": 1.0, "unit": "none"}}
    row = {"spec": "net.py:Net", "inputs": ["2x4"], "args": {"strange": True}}
    found = verdicts(
        suite_of(tmp_path, **row, published={"params": 15, "cost": COST, "score": score, "errors": errors})
    )
    assert [(item.figure, item.recomputed, item.verdict) for item in found] == [
        ("params", "15", "equal"),
        ("MACs (macs)", "unknown", "differs"),
        ("loss", "", "stated"),
        ("score params_flops_exp", "unknown", "differs"),
    ]


def test_figures_of_an_unpublished_architecture_are_all_listed(tmp_path: Path) -> None:
    layers = [["Linear-1", "[-1, 3]", 15]]
    found = verdicts(suite_of(tmp_path, published={"params": 15, "cost": COST, "summary": {**SIZES, "layers": layers}}))
    assert [item.figure for item in found] == [
        "params",
        "MACs (macs)",
        "summary input (MB)",
        "summary forward/backward (MB)",
        "summary params (MB)",
        "summary total (MB)",
        "summary rows",
    ]
    assert {(item.verdict, item.reason) for item in found} == {("stated", "architecture not published")}


def test_small_scores_keep_their_digits(tmp_path: Path) -> None:
    errors = {"loss": {"value": 0.0, "unit": "none"}}
    cost = {"value": 1500.0, "unit": "FLOP", "convention": "macs"}
    for value, verdict in ((1.5e-6, "equal"), (1.6e-6, "differs")):
        score = {"name": "params_flops_exp", "error": "loss", "value": value}
        path = suite_of(tmp_path, published={"params": 10**6, "cost": cost, "score": score, "errors": errors})
        assert verdicts(path)[-1].verdict == verdict


# What is no suite


SUMMARY = "{summary: {rows: 1, input_mb: 0, forward_backward_mb: 0, params_mb: 0, total_mb: 0, table: %s.csv}}"
GOOD = "suite: s\nmodels:\n  - name: net\n    spec: net.py:Net\n    inputs: ['2x4']\n    published: "


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("suite: [", "suite.yaml: no YAML: "),
        ("suite: s\n\tmodels: []", "suite.yaml: no YAML: "),
        ("", "suite.yaml: a suite is a mapping with the keys suite and models"),
        ("- net", "suite.yaml: a suite is a mapping with the keys suite and models"),
        ("suite: s", "suite.yaml: models: "),
        ("models: []", "suite.yaml: suite: "),
        ("suite: s\nmodels: []\nmodles: []", "suite.yaml: modles: "),
        ("suite: s\nmodels:\n  - title: net", "suite.yaml: models.0.name: "),
        ("suite: s\nmodels:\n  - name: net\n    publishd: {}", "suite.yaml: models.0.publishd: "),
        ("suite: s\nmodels:\n  - name: net\n  - name: net", "suite.yaml: the name 'net' stands twice"),
        (GOOD + "{parms: 15}", "suite.yaml: models.0.published.parms: "),
        (GOOD + "{params: many}", "suite.yaml: models.0.published.params: "),
        (GOOD + "{params: 1.5}", "suite.yaml: models.0.published.params: "),
        (GOOD + "{cost: {value: 1, unit: MAC}}", "suite.yaml: models.0.published.cost.convention: "),
        (GOOD + "{errors: {loss: {value: 1}}}", "suite.yaml: models.0.published.errors.loss.unit: "),
        (GOOD + "{cost: {value: 1, unit: MAC, convention: mac}}", "net: unknown convention 'mac': did you mean macs"),
        (GOOD + "{cost: {value: 1, unit: MACS, convention: macs}}", "net: unknown unit 'MACS': use one of MAC, "),
        (GOOD + "{cost: {value: 1.5, unit: MAC, convention: macs}}", "net: 1.5 MAC is not a whole number of MACs"),
        (GOOD + "{cost: {value: .nan, unit: MAC, convention: macs}}", "net: nan MAC is not a cost"),
        (
            GOOD + "{score: {name: params_flops_exp, error: loss, value: 1}}",
            "net: a published score needs params, cost and the error 'loss'",
        ),
        (
            GOOD + "{params: 15, cost: {value: 12, unit: MAC, convention: macs}, "
            "errors: {loss: {value: 1, unit: none}}, score: {name: params_flops, error: loss, value: 1}}",
            "net: unknown score 'params_flops': did you mean params_flops_exp",
        ),
        (
            GOOD + SUMMARY % "no",
            "no.csv: no such table of layers",
        ),
        (
            GOOD + SUMMARY % "x",
            "x.csv: each row needs layer, output_shape and a whole number of params",
        ),
        (GOOD.replace("net.py", "ten.py") + "{params: 15}", "ten.py: no such file"),
        (GOOD.replace(":Net", ":Nte") + "{params: 15}", "unknown name in net.py 'Nte': did you mean Net"),
        (GOOD.replace("2x4", "2y4") + "{params: 15}", "net: --input '2y4'"),
        (GOOD.replace("2x4", "2x5") + "{params: 15}", "fc (Linear) raised RuntimeError"),
    ],
)
def test_a_bad_suite_is_one_line(text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.py").write_text(MODEL)
    (tmp_path / "x.csv").write_text("layer,params\nLinear-1,15\n")
    path = tmp_path / "suite.yaml"
    path.write_text(text)
    with pytest.raises(SystemExit) as end:
        main(["check", str(path)])
    out, err = capsys.readouterr()
    assert end.value.code == 2
    assert out == ""
    assert said in err
    assert err.startswith("effbench: ")
    assert err.count("\n") == 1
    assert "fault in effbench" not in err


def test_a_missing_suite_is_told() -> None:
    with pytest.raises(InputError, match=r"^/none/suite\.yaml: no such suite$"):
        eb.check(Path("/none/suite.yaml"))
