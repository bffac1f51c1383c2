"""`effbench import`: what it prints and keeps, bad calls, and the facts of a real zoo's published tables."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cli_runner import Run, runner
from scipy.stats import spearmanr

from effbench.tables.importing import Imported, import_tables

TABLES = Path(__file__).parents[1] / "fixtures" / "tables"
RESULTS, INFERENCE = str(TABLES / "results.csv"), str(TABLES / "inference.csv")
BOTH = (RESULTS, INFERENCE, "--on", "arch,img_size")


@pytest.fixture(name="run")
def running(capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


def test_the_table_shows_the_first_models_and_every_column(run: Run) -> None:
    done = run("import", *BOTH)
    assert (done.code, done.err) == (0, "")
    assert "12 models from results.csv and inference.csv" in done.out
    assert "ibex_xl.big_ft@384" in done.out
    assert "and 2 more" in done.out
    assert "vole_035" not in done.out.split("What the columns gave")[0]  # the eleventh
    assert "kept nowhere: --record DIR keeps them" in done.out
    assert "inference.csv joined 12 of 12 models with 11 of its 12 rows" in done.out
    assert "note: not-used: inference.csv: 1 of its 12 rows join none: otter@224" in done.out


def test_json_and_csv_have_every_model(run: Run) -> None:
    told: dict[str, Any] = json.loads(run("import", *BOTH, "--format", "json").out)
    assert (told["schema"], told["models"], len(told["rows"])) == (1, 12, 12)
    assert [(table["rows"], table["used"], table["joined"]) for table in told["tables"]] == [(12, 12, 12), (12, 11, 12)]
    assert [table["layout"] for table in told["tables"]] == ["timm-results", "timm-inference"]
    costs = {row["model"]: row["cost"] for row in told["rows"]}
    assert costs["shrew.mini@160"] == 0.0
    assert costs["ibex_xl.big_ft@384"] == 1906.76
    assert {row["field"]: row["missing"] for row in told["figures"]}["macs"] == 0
    first = run("import", *BOTH, "--format", "csv").out.split("\n\n")[0]
    rows = list(csv.DictReader(line for line in io.StringIO(first) if not line.startswith("#")))
    assert {row["model"]: float(row["top1_err"]) for row in rows}["stoat_50.v1@224"] == 23.87
    assert len(rows) == 12


@pytest.mark.parametrize("form", ["table", "json", "csv", "markdown", "latex"])
def test_every_format_is_written_whole(run: Run, tmp_path: Path, form: str) -> None:
    path = tmp_path / "out"
    done = run("import", *BOTH, "--format", form, "-o", str(path))
    assert (done.code, done.out, done.err) == (0, "", "")
    assert path.read_text(encoding="utf-8") == run("import", *BOTH, "--format", form).out


def test_records_are_kept_and_say_what_was_set(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "records"
    words = ("--set", "device=RTX 4090", "--set", "precision=amp", "--set", "source_of=zoo", "--samples", "10")
    done = run("import", *BOTH, *words, "--record", str(folder))
    assert done.code == 0
    assert f"kept in {folder}" in " ".join(done.out.split())
    assert len(list(folder.glob("*.json"))) == 12
    kept = json.loads((folder / "stoat_50.v1_224.json").read_text(encoding="utf-8"))["published"]
    assert (kept["speed"]["device"], kept["speed"]["precision"], kept["speed"]["batch"]) == ("RTX 4090", "amp", 1024)
    assert kept["errors"]["top1_err"]["n"] == 10
    assert kept["conditions"]["source_of"] == "zoo"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("import",), "Missing argument 'TABLE.csv…'"),
        (("import", "none.csv"), "none.csv: no such table"),
        (("import", *BOTH[:2]), "several tables are joined by what they share"),
        (("import", RESULTS, "--map", "top1_er:error:percent"), "unknown column 'top1_er': did you mean top1_err"),
        (("import", RESULTS, "--map", "none.yaml"), "none.yaml: no such mapping"),
        (("import", RESULTS, "--set", "device"), "write FIELD=VALUE"),
        (("import", RESULTS, "--set", "a=1", "--set", "a=2"), "--set a stands twice"),
        (("import", RESULTS, "--samples", "0"), "0 is not in the range x>=1"),
        (("import", RESULTS, "--decimal", ";"), "is not one of"),
        (("import", RESULTS, "--map", "interpolation:params"), "line 2, column interpolation: 'bicubic' is no number"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_call_is_told_in_one_line_and_keeps_nothing(
    run: Run, tmp_path: Path, words: tuple[str, ...], told: str
) -> None:
    folder = tmp_path / "records"
    done = run(*words, "--record", str(folder))
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert told in done.err
    assert not folder.exists()


def test_importing_loads_neither_torch_nor_pandas(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom effbench.cli import main\ntry:\n    main(sys.argv[1:])\n"
        "except SystemExit as end:\n    print(end.code, *{n.partition('.')[0] for n in sys.modules}, file=sys.stderr)\n"
    )
    words = [sys.executable, "-c", code, "import", *BOTH, "--record", str(tmp_path / "records")]
    root = Path(__file__).parents[2]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=root)
    exit_code, *names = done.stderr.split()
    assert exit_code == "0"
    assert not {"torch", "torchvision", "timm", "pandas", "scipy"} & set(names)


# A real zoo's tables, where they lie beside the project; every fact is computed a second time with pandas and scipy

DATA = Path(__file__).parents[3] / "shared" / "data"
ZOO = DATA / "timm-results-imagenet.csv"
MACHINES = ("timm-infer-amp-4090.csv", "timm-infer-amp-5090.csv", "timm-infer-fp32-cpu-i9.csv")
zoo = pytest.mark.skipif(not ZOO.exists(), reason="the published tables are not here")


def merged(machine: str) -> pd.DataFrame:
    """The two tables joined by pandas alone."""
    results = pd.read_csv(ZOO, thousands=",")
    results["arch"] = results["model"].str.split(".").str[0]
    speed = pd.read_csv(DATA / machine, thousands=",").rename(columns={"model": "arch", "infer_img_size": "img_size"})
    return results.merge(speed.drop(columns="param_count"), on=["arch", "img_size"], how="left", validate="m:1")


def imported(machine: str) -> Imported:
    return import_tables([ZOO, DATA / machine], on="arch,img_size")


def figures(found: Imported) -> pd.DataFrame:
    rows = []
    for record in found.records:
        told = record.published
        assert told is not None
        cost, speed = told.cost, told.speed
        rows.append(
            {
                "params": told.params,
                "gmacs": None if cost is None else cost.value,
                "time": None if speed is None else speed.seconds,
                "batch": None if speed is None else speed.batch,
                "error": told.errors["top1_err"].value,
            }
        )
    return pd.DataFrame(rows)


@zoo
@pytest.mark.parametrize(("machine", "joined"), [*zip(MACHINES, (1556, 1556, 1446), strict=True)])
def test_every_published_row_is_a_record_with_its_figures(machine: str, joined: int) -> None:
    found, expected = imported(machine), merged(machine)
    assert len(found.records) == len({record.name for record in found.records}) == len(expected) == 1556
    assert expected["infer_gmacs"].notna().sum() == joined
    ours = figures(found)
    np.testing.assert_array_equal(ours["gmacs"], expected["infer_gmacs"])
    np.testing.assert_array_equal(ours["batch"], expected["infer_batch_size"])
    np.testing.assert_array_equal(ours["error"], expected["top1_err"])
    np.testing.assert_allclose(ours["params"], expected["param_count"] * 1e6, rtol=1e-12)
    np.testing.assert_allclose(ours["time"], 1 / expected["infer_samples_per_sec"], rtol=1e-12)
    # 50,000 validation images: the digits agree, and with no part of them.
    published = [record.published for record in found.records]
    assert {figure.n for one in published if one is not None for figure in one.errors.values()} == {50_000}
    alone = [note.text for note in found.notes if note.code == "not-joined"]
    assert [text.split(" ")[0] for text in alone] == ([] if joined == 1556 else ["110"])


@zoo
def test_the_literal_score_ignores_accuracy_over_a_real_zoo() -> None:
    for frame in (
        figures(imported(MACHINES[0])),
        merged(MACHINES[0]).rename(columns={"param_count": "params", "infer_gmacs": "gmacs", "top1_err": "error"}),
    ):
        cost = frame["params"] * 2 * frame["gmacs"]
        assert spearmanr(cost * np.exp(frame["error"] / 100), cost).statistic >= 0.999
        assert abs(spearmanr(cost * np.exp(frame["error"]), cost).statistic) < 0.5  # in percent the ranking turns round


def members(points: np.ndarray[Any, np.dtype[np.float64]]) -> int:
    """How many rows no other row is as good as in both and better than in one, lower being better."""
    no_worse = (points[:, None] <= points[None]).all(axis=2)
    better = (points[:, None] < points[None]).any(axis=2)
    return int((~(no_worse & better).any(axis=0)).sum())


@zoo
def test_thirty_three_models_are_on_the_front_of_time_and_error() -> None:
    ours, expected = figures(imported(MACHINES[0])), merged(MACHINES[0])
    assert members(ours[["time", "error"]].to_numpy()) == 33
    points = np.column_stack([1 / expected["infer_samples_per_sec"], expected["top1_err"]])
    assert members(points) == 33


@zoo
def test_a_real_table_s_traps_are_told(tmp_path: Path) -> None:
    found = imported(MACHINES[0])
    speed = pd.read_csv(DATA / MACHINES[0], thousands=",")
    told = {f"{note.code} {note.subject}": note.text for note in found.notes}
    batches = merged(MACHINES[0])["infer_batch_size"]
    assert told["mixed-batches batch"].startswith(f"times were taken in {batches.nunique()} batch sizes, 32 to 1024")
    assert speed["infer_batch_size"].nunique() == 13  # two of them only in rows that join nothing
    coarse = (0.005 / merged(MACHINES[0])["infer_gmacs"] > 0.01).sum()
    assert told["coarse-figure macs"].startswith(f"{coarse} models have one that rounding leaves uncertain")
    assert "times-disagree speed" not in told  # they agree within 1 % and rounding
    found.save(tmp_path)
    found.save(tmp_path)
    assert len(list(tmp_path.glob("*.json"))) == 1556
