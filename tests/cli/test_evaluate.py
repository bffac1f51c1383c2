"""`effbench evaluate`: its words, formats and exit codes, on images of one colour and on answers in files."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_runner import Run, runner
from PIL import Image

from effbench.cli.evaluation_options import told
from effbench.measure.evaluate import Progress

NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, turned=False):
        super().__init__()
        self.weight = nn.Parameter(torch.eye(3) if turned else torch.eye(3).flip(0))

    def forward(self, x):
        return x.mean((2, 3)) @ self.weight.T
"""
COLORS = {"blue": (0, 0, 255), "green": (0, 255, 0), "red": (255, 0, 0)}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command beside a model and twelve images, one of "red" green."""
    (tmp_path / "net.py").write_text(NET)
    for name, color in COLORS.items():
        (tmp_path / "val" / name).mkdir(parents=True)
        for number in range(4):
            shown = COLORS["green"] if (name, number) == ("red", 2) else color
            Image.new("RGB", (8, 8), shown).save(tmp_path / "val" / name / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    return runner(capsys)


def broken() -> None:
    Path("val/blue/1.png").write_bytes(b"\x89PNG")


WORDS = ("evaluate", "net.py:Net", "--data", "val", "--metric", "top1")


@pytest.mark.parametrize("form", ["table", "markdown", "latex", "csv", "json"])
def test_every_format_says_what_was_evaluated_on_what(form: str, run: Run) -> None:
    done = run(*WORDS, "--metric", "f1", "--confusion", "--format", form)
    assert (done.code, done.err) == (0, "")
    for word in ("top1", "f1", "fraction", "higher", "green", "pixels / 255", "digest"):
        assert word in done.out


def test_the_table_has_value_interval_and_confusion(run: Run) -> None:
    out = run(*WORDS, "--metric", "accuracy", "--confusion").out
    assert "val: 12 samples, digest " in out
    assert "0 blue, 1 green, 2 red" in out
    (top1,) = [line.split() for line in out.splitlines() if line.startswith("top1")]
    assert top1[1] == "0.9167"  # 11 of 12
    assert top1[-3:] == ["fraction", "higher", "12"]
    (red,) = [line.split() for line in out.splitlines() if line.startswith("red ")]
    assert red == ["red", "0", "1", "3"]
    assert "interval: percentile bootstrap over samples (of top1, accuracy with Jeffreys' prior), 1,000 draws" in out
    assert "interval: percentile bootstrap over samples, 1,000 draws" in run(*WORDS[:-1], "f1").out


def test_json_has_each_sample(run: Run) -> None:
    document = json.loads(run(*WORDS, "--format", "json", "--confusion").out)
    first, second = document["metrics"]
    assert (first["metric"], first["value"], first["n"]) == ("top1", 11 / 12, 12)
    # Of the green image in "red", blue scores as little as red: a tie is not settled in the model's favour.
    assert first["per_sample"]["rank"] == [1.0] * 10 + [3.0, 1.0]
    assert first["interval"][0] < 11 / 12 < first["interval"][1]
    assert second["metric"] == "accuracy"  # which has the confusion matrix
    assert document["confusion"]["rows"] == [[4, 0, 0], [0, 4, 0], [0, 1, 3]]
    assert document["bootstrap"] == {"level": 0.95, "draws": 1000, "seed": 0}
    assert document["data"]["classes"] == ["blue", "green", "red"]


def test_csv_has_raw_values(run: Run) -> None:
    out = run(*WORDS, "--format", "csv").out
    (row,) = csv.DictReader(StringIO("".join(line for line in out.splitlines(True) if line[0] != "#")))
    assert float(row["value"]) == pytest.approx(11 / 12, abs=1e-12)


def test_samples_that_are_left_out_are_named_and_end_with_3(run: Run) -> None:
    broken()
    done = run(*WORDS)
    assert done.code == 3
    assert "blue/1.png" in done.out
    assert "left out: 1 × does not decode" in done.out
    assert done.err == (
        "effbench: Net: samples were left out: top1: 1 × does not decode; --allow-left-out accepts that\n"
    )
    assert run(*WORDS, "--allow-left-out").code == 0


def test_arguments_weights_and_steps_reach_the_model(run: Run) -> None:
    document = json.loads(run(*WORDS, "--format", "json", "--arg", "turned=True", "--resize", "4x6").out)
    assert document["metrics"][0]["value"] == 4 / 12  # green stays
    assert document["preprocessing"] == "resize 4×6 (bilinear), pixels / 255"
    torch.save({"weight": torch.eye(3)}, "turned.pth")
    document = json.loads(run(*WORDS, "--format", "json", "--weights", "turned.pth", "--batch", "5").out)
    assert (document["metrics"][0]["value"], document["weights"]) == (4 / 12, "turned.pth")


def test_class_indices_come_out_of_a_file(run: Run) -> None:
    Path("index.csv").write_text("name,index\nred,0\ngreen,1\nblue,2\n")
    words = (*WORDS, "--format", "json", "--class-index", "index.csv", "--weights", "turned.pth")
    torch.save({"weight": torch.eye(3)}, "turned.pth")
    assert json.loads(run(*words).out)["metrics"][0]["value"] == 11 / 12


def test_padding_is_told_in_table_json_and_record(run: Run) -> None:
    text = "12 of 12 images were smaller than the crop and were padded with black to 9×8, blue/0.png the first"
    assert text in run(*WORDS, "--crop", "9x8", "--record", "records").out
    document = json.loads(run(*WORDS, "--crop", "9x8", "--format", "json").out)
    kept = json.loads(Path("records/Net.json").read_text())["evaluations"][0]
    for notes in (document["notes"], kept["notes"]):
        assert {"code": "padded", "subject": "val", "text": text} in notes


def test_words_in_files_are_named_in_the_confusion_matrix(run: Run) -> None:
    Path("p.csv").write_text("label\ncat\ndog\ncat\n")
    Path("t.csv").write_text("label\ncat\ncat\ndog\n")
    words = ("evaluate", "--predictions", "p.csv", "--targets", "t.csv", "--metric", "accuracy", "--confusion")
    document = json.loads(run(*words, "--format", "json").out)
    assert document["metrics"][0]["value"] == 1 / 3
    assert document["confusion"] == {"metric": "accuracy", "classes": ["cat", "dog"], "rows": [[1, 1], [1, 0]]}
    Path("t.csv").write_text("label\n7\n7\n9\n")
    assert "state each word's number with --class-index FILE" in run(*words).err
    Path("index.csv").write_text("cat,7\ndog,9\n")
    document = json.loads(run(*words, "--format", "json", "--class-index", "index.csv").out)
    assert document["metrics"][0]["value"] == 1 / 3


def test_settings_that_are_missing_are_told_at_once_with_their_words(run: Run) -> None:
    Path("t.csv").write_text("path,x0,y0\nval/red/0.png,1,1\n")
    words = ("evaluate", "net.py:Net", "--data", "t.csv", "--metric", "pck:t=0.1", "--metric", "pixel_error")
    done = run(*words)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    needed = "--setting width=N --setting height=N --setting normalized=N --setting reference=NAME:"
    assert f"pck, pixel_error: settings are missing: add {needed} width and height (of the image" in done.err
    assert "--resize HxW or --crop N states width and height, too" in done.err
    assert "add --setting normalized=N --setting reference=NAME: normalized" in run(*words, "--crop", "8").err


def test_evaluations_are_added_to_the_record_of_a_profile(run: Run) -> None:
    assert run("profile", "net.py:Net", "--input", "1x3x8x8", "--record", "records").code == 0
    assert run(*WORDS, "--record", "records").code == 0
    assert run(*WORDS[:-1], "error_rate", "--record", "records").code == 0
    (file,) = Path("records").glob("*.json")
    held = json.loads(file.read_text())
    assert held["trace"] is not None
    assert [each["metric"] for each in held["evaluations"]] == ["top1", "error_rate"]


def answers(n: int = 4) -> tuple[str, ...]:
    Path("answers.csv").write_text("id,label\n" + "".join(f"{place},{place % 2}\n" for place in range(n)))
    Path("right.csv").write_text("id,label\n0,0\n1,1\n2,1\n3,1\n")
    return ("evaluate", "--predictions", "answers.csv", "--targets", "right.csv", "--metric", "accuracy")


def test_answers_in_files_need_no_model(run: Run) -> None:
    done = run(*answers(), "--format", "json")
    document = json.loads(done.out)
    assert (done.code, document["name"], document["spec"], document["run"]) == (0, "answers", None, None)
    assert document["metrics"][0]["value"] == 3 / 4
    done = run(*answers(3))
    assert done.code == 3
    assert "no prediction with its id" in done.err


def test_answers_in_files_join_the_record_of_their_model(run: Run) -> None:
    assert run("profile", "net.py:Net", "--input", "1x3x8x8", "--record", "records").code == 0
    first, *others = answers()
    assert run(first, "net.py:Net", *others, "--input", "1x3x8x8", "--record", "records").code == 0
    (file,) = Path("records").glob("*.json")
    assert [each["metric"] for each in json.loads(file.read_text())["evaluations"]] == ["accuracy"]


def test_a_name_is_what_tables_call_it(run: Run) -> None:
    assert run(*answers(), "--name", "mine", "--record", "records").out.startswith("model   mine")
    assert Path("records/mine.json").is_file()


def apart(*words: str) -> subprocess.CompletedProcess[str]:
    """Runs a command in a process of its own, which says its exit code and whether torch was loaded."""
    here = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run([sys.executable, "-c", COMMAND, *words], capture_output=True, text=True, check=True, env=here)


COMMAND = """
import sys
from effbench.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    print(end.code, sorted({name.partition(".")[0] for name in sys.modules} & {"torch", "torchvision", "timm"}))
"""


def test_answers_in_files_need_no_torch(run: Run) -> None:
    done = apart(*answers())
    assert done.stdout.splitlines()[-1] == "0 []"
    assert "accuracy" in done.stdout


def test_help_loads_no_torch() -> None:
    done = apart("evaluate", "--help")
    assert done.stdout.splitlines()[-1] == "0 []"
    assert "--predictions" in done.stdout


def test_an_unknown_metric_is_told_before_torch_is_loaded(run: Run) -> None:
    done = apart(*WORDS[:-1], "top2")
    assert done.stdout == "2 []\n"
    assert done.stderr.startswith("effbench: unknown metric 'top2': did you mean")


def test_keypoints_have_settings_for_all_metrics_and_for_one(run: Run) -> None:
    np.save("p.npy", np.array([[[3.0, 4.0]], [[0.0, 0.0]]]))
    np.save("t.npy", np.array([[[0.0, 0.0]], [[0.0, 1.0]]]))
    settings = ("width=100", "height=50", "normalized=0", "reference=longer_side")
    words = [word for setting in settings for word in ("--setting", setting)]
    metrics = ("--metric", "pixel_error", "--metric", "pck:t=0.02", "--metric", "pck:t=0.05")
    done = run("evaluate", "--predictions", "p.npy", "--targets", "t.npy", *metrics, *words, "--format", "json")
    assert [each["value"] for each in json.loads(done.out)["metrics"]] == [3.0, 0.5, 1.0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("net.py:Net --data val", "no metric: name one with --metric"),
        ("net.py:Net", "give a SPEC and --data, or --predictions and --targets, and a metric, such as --metric top1"),
        ("net.py:Net --data val --metric pck --setting widht=3", "unknown setting of pck 'widht': did you mean width"),
        ("net.py:Net --data val --metric pck --setting width", "--setting 'width': write NAME=VALUE, such as width=22"),
        ("net.py:Net --data t.csv --metric top1 --data-arg path", "--data-arg 'path': write NAME=VALUE"),
        ("net.py:Net --metric top1", "give a SPEC and --data, or --predictions and --targets"),
        ("--data val --metric top1", "give a SPEC and --data"),
        ("--predictions a.csv --metric top1", "go together"),
        ("--predictions a.csv --targets b.csv --metric top1", "a.csv: no such file"),
        ("--predictions a.csv --targets b.csv --metric top1 --data val", "--data has nowhere to go"),
        ("--predictions a.csv --targets b.csv --metric top1 --crop 3", "--crop has nowhere to go"),
        ("--predictions a.csv --targets b.csv --metric top1 --weights w.pth", "--weights has nowhere to go"),
        ("net.py:Net --data val --metric top1 --target-column y", "--target-column has nowhere to go"),
        ("net.py:Net --data nowhere --metric top1", "--data nowhere: no such folder"),
        ("net.py:Net --data val --metric top1 --data-arg n=3", "--data-arg n has nowhere to go"),
        ("net.py:Net --data val --metric top1 --split test", "--split is for torchvision:NAME"),
        ("net.py:Net --data val --metric top1 --resize big", "write pixels, as 224"),
        ("net.py:Net --data val --metric top1 --resize 0", "write pixels, as 224"),
        ("net.py:Net --data val --metric top1 --mean a,b,c --std 1,1,1", "a number for each channel"),
        ("net.py:Net --data val --metric top1 --preprocess weights", "does not say how its images were prepared"),
        ("net.py:Net --data val --metric top1 --limit 0", "--limit"),
        ("net.py:Nett --data val --metric top1", "did you mean Net"),
        ("net.py:Net --data val --metric top1 --class-index gone.csv", "gone.csv: no such CSV"),
        ("net.py:Net --data val --metric pck:t=0.1", "pck: settings are missing"),
        ("net.py:Net --data val --metric pixel_error:normalized=0,width=8,height=8", "are not keypoints"),
    ],
)
def test_a_wrong_call_is_one_line(words: str, said: str, run: Run) -> None:
    done = run("evaluate", *words.split(), "--record", "records")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert said in done.err
    assert not Path("records").exists()


@pytest.mark.parametrize(
    ("text", "said"), [("cat\n", ":1: write a class's name"), ("a,0\na,1\n", ":2: a stands twice")]
)
def test_class_indices_that_cannot_be_read_are_refused(text: str, said: str, run: Run) -> None:
    Path("index.csv").write_text(text)
    done = run(*WORDS, "--class-index", "index.csv")
    assert (done.code, said in done.err) == (2, True)


def test_data_sources_are_listed_without_torch() -> None:
    done = apart("list", "data", "--format", "csv")
    rows = list(csv.DictReader(StringIO("".join(done.stdout.splitlines(True)[:-1]))))
    assert {row["name"]: row["spec"] for row in rows} == {
        "csv": "TABLE.csv",
        "file": "path/to/file.py:Name",
        "folder": "DIR",
        "npz": "ARRAYS.npz",
        "torchvision": "torchvision:NAME",
    }
    assert done.stdout.splitlines()[-1] == "0 []"


def test_progress_is_a_bar_with_rate_and_values() -> None:
    said: list[str] = []
    told(said.append)(Progress(1500, 5000, 212.4, (("top1", 0.75), ("f1", None))))
    assert said == ["██████░░░░░░░░░░░░░░ 30%, 1,500 of 5,000 samples, 212.4 samples/s: top1 0.75, f1 ?"]
