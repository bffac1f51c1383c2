"""Every command in every format, and what its options do."""

from __future__ import annotations

import csv
import json
import math
import re
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
import yaml
from cli_runner import MACS, PARAMS, Run, run_apart, source

from effbench.report import ENDINGS

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "benchmarks" / "models"
PUBLISHED = str(ROOT / "benchmarks" / "suites" / "published.yaml")
FORMATS = ("table", "json", "csv", "markdown", "latex")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with models of one convolution and a suite of one row."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(source())
    (tmp_path / "wide.py").write_text(source(init="self.conv = nn.Conv2d(3, 8, 3)", name="Wide"))
    (tmp_path / "odd.py").write_text(source(forward="x = self.conv(x); return torch.cdist(x, x)", name="Odd"))
    row = {"name": "net", "spec": "net.py:Net", "inputs": ["1x3x8x8"]}
    cost = {"value": MACS, "unit": "MAC", "convention": "macs"}
    suite = {"suite": "one", "models": [{**row, "published": {"params": PARAMS, "cost": cost}}]}
    (tmp_path / "one.yaml").write_text(yaml.safe_dump(suite))
    return tmp_path


def comments_and_rows(text: str) -> tuple[list[str], list[dict[str, str]]]:
    """The comment lines of a CSV report and its rows by column."""
    lines = text.splitlines(keepends=True)
    rows = csv.DictReader(StringIO("".join(line for line in lines if not line.startswith("#"))))
    return [line for line in lines if line.startswith("#")], list(rows)


# Every command in every format

RANK = ("rank", PUBLISHED, "--convention", "thop", "--error", "pixel_error")
COMMANDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    # command: (its words, what must be readable in every format; digits as in JSON)
    "profile": (("profile", "net.py"), ("conv", "Conv2d", str(PARAMS), str(MACS))),
    "summary": (("summary", "net.py"), ("Conv2d-1", "[-1, 4, 6, 6]", str(PARAMS))),
    "explain": (("explain", "net.py"), ("conv", "3 × 3² × 4 + 4", "6 × 6 × 4 × 3 × 3²", str(MACS))),
    "rank": (RANK, ("hand-mobilenetv3s", "hand-v2")),
    "check": (("check", "one.yaml"), ("net", "params", str(PARAMS), str(MACS), "equal")),
    "list": (("list", "conventions"), ("macs", "full", "thop")),
}
KEYS = {
    "profile": {"name", "spec", "convention", "unit", "inputs", "params", "buffers", "macs", "flops", "activations"}
    | {"per_sample", "coverage", "memory", "layers", "types", "ops", "notes"},
    "summary": {"name", "spec", "layers", "params", "memory", "notes"},
    "explain": {"name", "spec", "convention", "unit", "inputs", "layer", "params", "cost", "separable", "notes"},
    "rank": {
        "score",
        "formula",
        "reads",
        "direction",
        "metric",
        "unit",
        "convention",
        "flops_per_count",
        "draws",
        "seed",
    }
    | {"by", "rows", "groups", "excluded", "notes"},
    "check": {"suite", "figures", "equal", "differs", "stated", "notes"},
    "list": {"kind", "entries", "notes"},
}


def plainly(text: str, form: str) -> str:
    """A report without its format's own marks and without thousands separators."""
    if form == "latex":
        text = re.sub(r"\$\^\{(\d+)\}\$", lambda match: match[1].translate(str.maketrans("23", "²³")), text)
        text = text.replace(r"$\times$", "×").replace("{[}", "[").replace("{]}", "]").replace(r"\_", "_")
    if form == "markdown":
        text = text.replace("\\", "")
    return re.sub(r"(?<=\d),(?=\d{3})", "", text).replace('""', '"')


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_speaks_every_format(command: str, form: str, run: Run, folder: Path) -> None:
    words, figures = COMMANDS[command]
    done = run(*words, "--format", form)
    assert (done.code, done.err) == (0, "")
    assert done.out.endswith("\n")
    if form == "json":
        assert set(json.loads(done.out)) == KEYS[command] | {"schema"}
        assert json.loads(done.out)["schema"] == 1
    elif form == "csv":
        tables = [comments_and_rows(table)[1] for table in done.out.split("\n\n")]
        assert tables[0]
        for row in (row for rows in tables for row in rows):
            assert None not in row  # more cells than columns
            assert None not in row.values()  # fewer
    elif form == "markdown":
        assert re.search(r"^\| -+[-:] \|", done.out, re.MULTILINE)
    elif form == "latex":
        assert done.out.count(r"\begin{tabular}") == done.out.count(r"\end{tabular}") > 0
    for figure in figures:
        assert figure in plainly(done.out, form), figure


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_s_ending_gives_its_format(command: str, ending: str, run: Run, folder: Path) -> None:
    words, _ = COMMANDS[command]
    printed = run(*words, "--format", ENDINGS[ending]).out
    assert run(*words, "-o", f"report{ending}") == (0, "", "")
    assert (folder / f"report{ending}").read_text(encoding="utf-8") == printed


def test_a_named_format_outranks_the_ending(run: Run, folder: Path) -> None:
    assert run("profile", "net.py", "-o", "report.txt", "--format", "json").code == 0
    assert json.loads((folder / "report.txt").read_text())["macs"] == MACS


def test_plain_text_is_the_default(run: Run, folder: Path) -> None:
    assert run("profile", "net.py").out == run("profile", "net.py", "--format", "table").out


# profile


def test_profile_json_is_design_md_s(run: Run, folder: Path) -> None:
    document = json.loads(run("profile", "net.py", "--input", "2x3x8x8", "--format", "json").out)
    layers, types, ops = (document.pop(key) for key in ("layers", "types", "ops"))
    params_bytes = 4 * PARAMS
    output = 2 * 4 * 6 * 6
    assert document == {
        "schema": 1,
        "name": "Net",
        "spec": "net.py",
        "convention": "macs",
        "unit": "MAC",
        "inputs": [{"name": None, "shape": [2, 3, 8, 8], "dtype": "float32"}],
        "params": {"total": PARAMS, "trainable": PARAMS, "frozen": 0, "shared": 0, "bytes": params_bytes},
        "buffers": {"total": 0, "bytes": 0},
        "macs": 2 * MACS,
        "flops": 4 * MACS,
        "activations": output,
        "per_sample": {"macs": MACS, "flops": 2 * MACS},
        "coverage": {"counted": 1, "free": 0, "unknown": {}},
        "memory": {
            "parameters_bytes": params_bytes,
            "peak_activation_bytes": 4 * (2 * 3 * 8 * 8 + output),
            "peak_op": "aten::convolution",
            "peak_module": "conv",
            "floor_bytes": 4 * (2 * 3 * 8 * 8 + output),
            "largest_op_bytes": 4 * (2 * 3 * 8 * 8 + output),
            "largest_block_bytes": 4 * (2 * 3 * 8 * 8 + output),
            "forward_backward_bytes": 2 * 4 * output // 2,
        },
        "notes": [],
    }
    conv = {"params": PARAMS, "macs": 2 * MACS, "flops": 4 * MACS}
    nothing = {"params": 0, "macs": 0, "flops": 0}
    out = {"calls": 1, "outputs": [[2, 4, 6, 6]]}
    assert layers == [
        {"path": "", "type": "effbench_source_net.Net", **out, **nothing, "subtotal": conv},
        {"path": "conv", "type": "torch.nn.modules.conv.Conv2d", **out, **conv, "subtotal": conv},
    ]
    assert types[0] == {"name": "torch.nn.modules.conv.Conv2d", "calls": 1, **conv}
    assert ops == [{"name": "aten::convolution", "calls": 1, **conv, "params": 0}]


@pytest.mark.parametrize("convention", ["macs", "full", "thop"])
def test_rows_sum_to_the_total(convention: str, run: Run) -> None:
    words = ("profile", str(MODELS / "efficientnet_teacher.py"), "--convention", convention, "--format", "json")
    document = json.loads(run(*words).out)
    for key in ("params", "macs", "flops"):
        total = document["params"]["total"] if key == "params" else document[key]
        if total is None:  # a convention that counts FLOPs has no MACs
            assert (convention, key) == ("full", "macs")
            continue
        assert sum(row[key] for row in document["layers"]) == total
        assert sum(row[key] for row in document["types"]) == total
        assert document["layers"][0]["subtotal"][key] == total
        if key != "params":
            assert sum(row[key] for row in document["ops"]) == total


def test_by_prints_a_table_for_each_grouping(run: Run, folder: Path) -> None:
    out = run("profile", "net.py", "--by", "layer,type,op").out
    places = [out.index(f"Cost by {grouping}\n") for grouping in ("layer", "type", "op")]
    assert places == sorted(places)
    assert re.search(r"^convolution|^aten::convolution", out, re.MULTILINE)
    only = run("profile", "net.py", "--by", "op").out
    assert "Cost by layer" not in only
    assert "Cost by op" in only


@pytest.mark.parametrize("depth", [0, 1, 2, 3, 9])
def test_depth_folds_rows_and_keeps_their_sum(depth: int, run: Run) -> None:
    words = ("profile", str(MODELS / "mbconv_student.py"), "--depth", str(depth), "--format", "csv")
    _, rows = comments_and_rows(run(*words).out)
    assert max(row["layer"].count(".") for row in rows if row["layer"] != "(model)") < max(depth, 1) if depth else rows
    assert sum(int(row["params"]) for row in rows) == 10754
    document = json.loads(run("profile", str(MODELS / "mbconv_student.py"), "--format", "json").out)
    assert sum(int(row["macs"]) for row in rows) == document["macs"]
    assert len({row["layer"] for row in rows}) == len(rows)


def test_depth_0_is_the_model_alone(run: Run, folder: Path) -> None:
    _, rows = comments_and_rows(run("profile", "net.py", "--depth", "0", "--format", "csv").out)
    assert [(row["layer"], row["params"], row["macs"]) for row in rows] == [("(model)", str(PARAMS), str(MACS))]


def test_an_argument_reaches_the_constructor(run: Run) -> None:
    words = ("profile", str(MODELS / "alexnet.py"), "--arg", "num_classes=10", "--format", "json")
    assert json.loads(run(*words).out)["params"]["total"] == 45463084 - 990 * 1024 - 990


def test_inputs_by_name_and_dtype(run: Run, folder: Path) -> None:
    init, forward = "self.embed = nn.Embedding(10, 4)", "return self.embed(x)"
    (folder / "ids.py").write_text(source(init=init, forward=forward))
    document = json.loads(run("profile", "ids.py", "--input", "x:2x5:int64", "--format", "json").out)
    assert document["inputs"] == [{"name": "x", "shape": [2, 5], "dtype": "int64"}]
    assert document["layers"][0]["outputs"] == [[2, 5, 4]]


# Unknown ops


@pytest.mark.parametrize("form", FORMATS)
def test_strict_ends_with_3_after_the_report(form: str, run: Run, folder: Path) -> None:
    lenient = run("profile", "odd.py", "--format", form)
    strict = run("profile", "odd.py", "--format", form, "--strict")
    assert (lenient.code, lenient.err) == (0, "")
    assert strict.code == 3
    assert strict.out == lenient.out != ""
    assert (
        strict.err
        == "effbench: Odd: no formula for aten::_cdist_forward (1 calls); declare one with @effbench.formula\n"
    )


def test_unknown_is_null_and_never_0(run: Run, folder: Path) -> None:
    document = json.loads(run("profile", "odd.py", "--format", "json").out)
    assert (document["macs"], document["flops"]) == (None, None)
    assert document["per_sample"] == {"macs": None, "flops": None}
    assert document["coverage"]["unknown"] == {"aten::_cdist_forward": 1}
    assert [row["macs"] for row in document["layers"]] == [None, MACS]
    assert document["layers"][0]["subtotal"]["macs"] is None
    assert [note["code"] for note in document["notes"]] == ["unknown-op"]
    out = run("profile", "odd.py").out
    assert re.search(r"^Total +112 +\? +\?$", out, re.MULTILINE)
    assert re.search(r"^coverage .*1 unknown$", out, re.MULTILINE)
    assert "note: unknown-op: aten::_cdist_forward" in out


def test_strict_is_content_with_known_ops(run: Run, folder: Path) -> None:
    assert run("profile", "net.py", "--strict").code == 0


# Records and ranking


def test_profile_records_what_rank_reads(run: Run, folder: Path) -> None:
    for name, loss in (("net", "0.2"), ("wide", "0.1")):
        done = run("profile", f"{name}.py", "--record", "results", "--error", f"loss={loss}:pixels")
        assert done.code == 0
    recorded = json.loads(run("rank", "results", "--format", "json").out)
    stated = ("--error-of", "net=0.2:pixels", "--error-of", "wide=0.1:pixels")
    at_once = json.loads(run("rank", "net.py", "wide.py", *stated, "--format", "json").out)
    assert recorded["rows"] == at_once["rows"]
    assert [row["model"] for row in recorded["rows"]] == ["Net", "Wide"]
    for row, error, width in zip(recorded["rows"], (0.2, 0.1), (1, 2), strict=True):
        assert (row["params"], row["flops"], row["error"]) == (width * PARAMS, width * 2 * MACS, error)
        assert row["score"] == width * PARAMS / 1e6 * (width * 2 * MACS / 1e9) * math.exp(error)
        assert row["source"] == "measured"
    assert recorded["rows"][1]["break_even"] == pytest.approx(math.log(4))
    assert recorded["rows"][1]["lead"] == pytest.approx(0.1)


def test_a_record_gathers_what_several_calls_state(run: Run, folder: Path) -> None:
    for error in ("loss=0.5:none", "accuracy=0.9:fraction"):
        assert run("profile", "net.py", "--record", "results", "--error", error).code == 0
    assert run("profile", "net.py", "--record", "results").code == 0
    record = json.loads((folder / "results" / "Net.json").read_text())
    assert {name: figure["value"] for name, figure in record["errors"].items()} == {"loss": 0.5, "accuracy": 0.9}
    assert len(list((folder / "results" / "traces").iterdir())) == 1
    assert json.loads(run("rank", "results", "--error", "loss", "--format", "json").out)["metric"] == "loss"


def test_a_class_built_with_other_arguments_is_another_model(run: Run, folder: Path) -> None:
    convolution = "self.conv = nn.Conv2d(3, width, 3)"
    (folder / "sized.py").write_text(source(init=convolution, arguments=", width=4"))
    for width, error in ((4, "0.5"), (8, "0.3")):
        words = ("--arg", f"width={width}", "--record", "results", "--error", f"loss={error}:fraction")
        assert run("profile", "sized.py:Net", *words).code == 0
    assert run("profile", "sized.py:Net", "--arg", "width=8", "--record", "results").code == 0
    rows = json.loads(run("rank", "results", "--format", "json").out)["rows"]
    # 3 · 3² weights and one bias for each of the channels that the convolution gives; each has its own error.
    assert {row["model"]: (row["params"], row["error"]) for row in rows} == {
        "sized.py:Net(width=4)": (28 * 4, 0.5),
        "sized.py:Net(width=8)": (28 * 8, 0.3),
    }


def test_a_profile_is_recorded_under_the_name_that_an_evaluation_can_be_given(run: Run, folder: Path) -> None:
    (folder / "p.csv").write_text("label\n0\n1\n")
    (folder / "t.csv").write_text("label\n0\n0\n")
    named = ("--name", "mine", "--record", "results")
    assert run("profile", "net.py", *named).out.startswith("mine   input")
    files = ("--predictions", "p.csv", "--targets", "t.csv", "--metric", "error_rate")
    assert run("evaluate", "net.py", *files, "--setting", "num_classes=2", *named).code == 0
    (row,) = json.loads(run("rank", "results", "--format", "json").out)["rows"]
    assert (row["model"], row["params"], row["error"]) == ("mine", PARAMS, 0.5)


@pytest.mark.parametrize("name", ["net", "Net", "net.py"])
def test_error_of_names_a_model_by_stem_name_or_spec(name: str, run: Run, folder: Path) -> None:
    document = json.loads(run("rank", "net.py", "--error-of", f"{name}=0.08:fraction", "--format", "json").out)
    assert [(row["model"], row["error"]) for row in document["rows"]] == [("Net", 0.08)]


def test_models_of_one_class_name_are_told_apart(run: Run, folder: Path) -> None:
    (folder / "other.py").write_text(source(init="self.conv = nn.Conv2d(3, 2, 3)"))
    stated = ("--error-of", "net=0.2:pixels", "--error-of", "other=0.1:pixels")
    at_once = json.loads(run("rank", "net.py", "other.py", *stated, "--format", "json").out)
    assert [row["model"] for row in at_once["rows"]] == ["other.py", "net.py"]
    for name, error in (("net", "0.2"), ("other", "0.1")):
        run("profile", f"{name}.py", "--record", "results", "--error", f"error={error}:pixels")
    assert json.loads(run("rank", "results", "--format", "json").out)["rows"] == at_once["rows"]


def test_accuracy_is_ranked_as_one_minus_and_warned_about(run: Run, folder: Path) -> None:
    stated = ("--error", "accuracy", "--error-of", "net=0.93:fraction", "--error-of", "wide=95:percent")
    done = run("rank", "net.py", "wide.py", *stated)
    assert "e^(1 − accuracy)" in done.out
    assert "hardly matters" in done.out
    assert re.search(r"^1 +Net .* 0\.0700 ", done.out, re.MULTILINE)
    assert re.search(r"^2 +Wide .* 0\.0500 ", done.out, re.MULTILINE)


def test_rank_lists_what_is_left_out_and_which_convention_counts(run: Run) -> None:
    out = run(*RANK).out
    assert "FLOPs = 2 × thop MACs" in out
    assert re.search(r"^custom-alexnet +no pixel_error$", out, re.MULTILINE)
    mixed = run("rank", PUBLISHED, "--error", "pixel_error")
    assert mixed.code == 2
    assert "4 × its FLOPs were counted by thop, this ranking is by macs" in mixed.err


def test_rank_reads_folders_suites_and_models_together(run: Run, folder: Path) -> None:
    run("profile", "net.py", "--record", "results", "--error", "pixel_error=5:pixels")
    words = ("results", PUBLISHED, "wide.py", "--convention", "thop", "--error", "pixel_error")
    document = json.loads(run("rank", *words, "--error-of", "wide=4:pixels", "--format", "json").out)
    assert {(row["model"], row["source"]) for row in document["rows"]} == {
        ("Net", "measured"),
        ("Wide", "measured"),
        *((f"hand-{name}", "published") for name in ("mobilenetv3s", "v2", "v3", "final")),
    }


def test_rank_names_files_that_are_no_records(run: Run, folder: Path) -> None:
    run("profile", "net.py", "--record", "results", "--error", "loss=5:none")
    (folder / "results" / "torn.json").write_text('{"name": "to')
    done = run("rank", "results")
    assert done.code == 0
    assert "note: skipped-file: torn.json" in done.out


# list, help, and the ways to start


@pytest.mark.parametrize(
    ("kind", "some"),
    [
        ("ops", {"aten::convolution", "aten::addmm", "aten::scaled_dot_product_attention"}),
        ("conventions", {"macs", "full", "thop"}),
        ("loaders", {"file", "module", "torchvision", "timm"}),
        ("scores", {"params_flops_exp"}),
        ("formats", set(FORMATS)),
    ],
)
def test_list_says_a_line_about_each(kind: str, some: set[str], run: Run) -> None:
    document = json.loads(run("list", kind, "--format", "json").out)
    names = [entry["name"] for entry in document["entries"]]
    assert document["kind"] == kind
    assert some <= set(names)
    assert len(set(names)) == len(names)
    assert all(entry["about"].strip() for entry in document["entries"])


def test_loaders_are_listed_with_how_a_spec_is_written(run: Run) -> None:
    entries = {row["name"]: row for row in json.loads(run("list", "loaders", "--format", "json").out)["entries"]}
    assert len(entries) == 10
    assert {name: entries[name]["spec"] for name in ("file", "hf", "onnx", "timm")} == {
        "file": "path/to/file.py:Name",
        "hf": "hf:DIR",
        "onnx": "file.onnx",
        "timm": "timm:NAME",
    }
    assert entries["checkpoint"]["spec"] == "file.pt, .pth, .bin, .ckpt"
    assert all(not row["about"].startswith("Returns") for row in entries.values())
    for row in entries.values():
        assert row["spec"] in run("list", "loaders").out


OWN_LOADER = """
import effbench.measure.load as load

@load.loaders.register("mine")
def mine(request):
    \"\"\"Returns a model of mine.\"\"\"
"""


def test_a_users_loader_is_listed_without_a_spec(folder: Path) -> None:
    (folder / "my_loader.py").write_text(OWN_LOADER)
    done = run_apart(folder, "list", "loaders", "--plugin", "my_loader", "--format", "json")
    rows = {row["name"]: row for row in json.loads(done.out)["entries"]}
    assert rows["mine"] == {"name": "mine", "spec": "", "about": "a model of mine"}


def test_a_second_formula_is_the_users_whatever_is_imported_first(folder: Path) -> None:
    (folder / "twice.py").write_text("import effbench as eb\neb.formula('aten::mm')(lambda out: 0)\n")
    done = run_apart(folder, "profile", "net.py", "--plugin", "twice")
    taken = "op formula 'aten::mm' is registered already: choose another name"
    assert done == (2, "", f"effbench: --plugin twice: {taken}\n")
    told = run_apart(folder, "list", "ops", "--plugin", "twice")
    assert told == done


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_help_names_every_command(words: tuple[str, ...], run: Run) -> None:
    done = run(*words)
    assert (done.code, done.err) == (0, "")
    for command in COMMANDS:
        assert re.search(rf"^ +{command} ", done.out, re.MULTILINE)


@pytest.mark.parametrize("python", [False, True])
def test_the_console_script_and_the_module_are_one(python: bool, folder: Path) -> None:
    done = run_apart(folder, "profile", "net.py", "--quiet", "--format", "json", python=python)
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out)["macs"] == MACS


PLUGIN = """
import effbench as eb

print("a plugin says hello")

@eb.formula("aten::_cdist_forward")
def distances(out):
    return eb.Work(mac=eb.product(n=out[-1]))
"""


def test_a_plugin_beside_the_user_is_found_and_fills_in_a_formula(folder: Path) -> None:
    (folder / "mine.py").write_text(PLUGIN)
    done = run_apart(folder, "profile", "odd.py", "--plugin", "mine", "--strict", "--format", "json")
    assert (done.code, done.err) == (0, "a plugin says hello\n")
    assert json.loads(done.out)["macs"] == MACS + 6


def test_an_importable_model_is_found_beside_the_user(folder: Path) -> None:
    done = run_apart(folder, "profile", "net:Net", "--input", "1x3x8x8", "--format", "json")
    assert json.loads(done.out)["macs"] == MACS


# The screen


def test_what_a_model_prints_is_no_part_of_the_report(run: Run, folder: Path) -> None:
    (folder / "loud.py").write_text(source(head="print('imported')", forward="print('ran'); return self.conv(x)"))
    done = run("profile", "loud.py", "--format", "json")
    assert json.loads(done.out)["macs"] == MACS
    assert done.err == "imported\nran\n"


Screen = Callable[..., str]


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch, run: Run) -> Screen:
    """Runs a command as on a terminal of so many columns."""

    def on(columns: int, *words: str) -> str:
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        return run(*words).out

    return on


@pytest.mark.parametrize("columns", [80, 160])
@pytest.mark.parametrize("command", ["profile", "explain", "rank", "check", "list"])
def test_reports_fit_the_screen(command: str, columns: int, screen: Screen, folder: Path) -> None:
    bare = re.sub(r"\x1b\[[0-9;]*m", "", screen(columns, *COMMANDS[command][0]))
    assert max(map(len, bare.splitlines())) <= columns
    for figure in COMMANDS[command][1]:
        assert figure in plainly(re.sub(r"\n +", " ", bare), "table"), figure


def test_colour_is_for_screens_and_can_be_refused(
    screen: Screen, run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "\x1b[" not in run("profile", "net.py").out
    assert "\x1b[" in screen(80, "profile", "net.py")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in screen(80, "profile", "net.py")


def test_a_reader_that_leaves_early_is_no_error(folder: Path) -> None:
    script = Path(sys.executable).with_name("effbench")
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; '{script}' list ops | head -1"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1


def test_a_stream_without_superscripts_shows_their_codes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    done = run_apart(folder, "explain", "net.py")
    assert (done.code, done.err) == (0, "")
    assert r"3 \xd7 3\xb2 \xd7 4 + 4 = 112" in done.out
