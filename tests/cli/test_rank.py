"""`effbench rank`: its options, what it refuses, and what each format shows."""

from __future__ import annotations

import csv
import json
import re
from io import StringIO
from pathlib import Path

import pytest
import yaml
from cli_runner import Run


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A suite of four published rows: a small, a middle, a large model and one that nothing is better in than large."""
    monkeypatch.chdir(tmp_path)
    figures = (("small", 1, 30.0, 0.002, 64), ("middle", 4, 20.0, 0.001, 64), ("large", 16, 10.0, 0.004, 64))
    rows = [row(*one) for one in (*figures, ("huge", 32, 10.0, 0.008, 256))]
    path = tmp_path / "suite.yaml"
    path.write_text(yaml.safe_dump({"suite": "s", "models": rows}))
    return path


def row(name: str, params_m: float, error: float, seconds: float, batch: int) -> dict[str, object]:
    published = {
        "params": params_m * 1_000_000,
        "cost": {"value": params_m, "unit": "GMAC", "convention": "macs"},
        "errors": {"top1_err": {"value": error, "unit": "percent", "n": 10_000}},
        "speed": {"seconds": seconds, "batch": batch, "device": "cuda"},
        "conditions": {"family": "odd" if params_m in (1, 16) else "even"},
    }
    return {"name": name, "published": published}


def names(out: str) -> list[str]:
    return [one["model"] for one in json.loads(out)["rows"]]


def test_the_order_turns_with_the_weight_of_the_error(run: Run, suite: Path) -> None:
    by_cost = names(run("rank", "suite.yaml", "--score", "params_flops_exp:k=0.001", "--format", "json").out)
    by_error = names(run("rank", "suite.yaml", "--score", "params_flops_exp:k=9", "--format", "json").out)
    assert by_cost == ["small", "middle", "large", "huge"]
    assert by_error == ["large", "huge", "middle", "small"]


def test_the_table_says_the_trade(run: Run, suite: Path) -> None:
    out = run("rank", "suite.yaml", "--score", "params_flops_exp:k=0.2").out
    assert out.startswith("Score = params/1e6 × FLOPs/1e9 × e^(0.2·top1_err), FLOPs = 2 × MACs, lower is better\n")
    assert "one doubling of cost (params or flops) = 3.466 percentage points of top1_err" in out  # ln 2 / .2
    assert re.search(r"^front +3 of 4 models by params, flops, top1_err$", out, re.MULTILINE)
    assert re.search(r"^hypervolume +\S+ M params × GFLOPs × percent, up to 35.1 M params, ", out, re.MULTILINE)
    # small and middle tie where 2 ln 4 = 10 k, middle and large too
    assert re.search(r"^winner +by k: small up to 0.2773, then large \(k is 0.2\)$", out, re.MULTILINE)
    assert re.search(r"^latency +", out, re.MULTILINE) is None
    assert "latency: not compared with the score: batch differs: 64 (large, middle, small), 256 (huge)" in out


def test_latency_is_compared_where_it_may_be(run: Run, suite: Path) -> None:
    out = run("rank", "suite.yaml", "--filter", "batch == 64").out
    assert "note: filter: 1 of 4 models do not meet batch == 64" in out
    assert re.search(r"^latency +Spearman .* with the score over 3 models; ", out, re.MULTILINE)


def test_batches_that_differ_are_one_line(run: Run, suite: Path) -> None:
    done = run("rank", "suite.yaml", "--score", "latency * exp(0.1*error)")
    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1
    assert "batch differs: 64 (small, middle, large), 256 (huge): rank those apart with --by batch" in done.err
    mixed = run("rank", "suite.yaml", "--score", "latency * exp(0.1*error)", "--mixed")
    assert mixed.code == 0
    assert "note: mixed: batch: batch differs: 64 " in mixed.out
    document = json.loads(run("rank", "suite.yaml", "--score", "latency", "--mixed", "--format", "json").out)
    assert {one["model"]: one["conditions"] for one in document["rows"]}["huge"] == {"batch": "256"}
    assert document["groups"][0]["conditions"] == {"device": "cuda"}


def test_groups_are_ranked_apart(run: Run, suite: Path) -> None:
    done = run("rank", "suite.yaml", "--by", "batch", "--format", "json", "--score", "latency")
    document = json.loads(done.out)
    assert [(one["group"], one["model"], one["rank"]) for one in document["rows"]] == [
        ("64", "middle", 1),
        ("64", "small", 2),
        ("64", "large", 3),
        ("256", "huge", 1),
    ]
    assert [one["group"] for one in document["groups"]] == ["64", "256"]
    assert [one["conditions"] for one in document["groups"]] == [
        {"batch": "64", "device": "cuda"},
        {"batch": "256", "device": "cuda"},
    ]
    assert {str(one["conditions"]) for one in document["rows"]} == {"{}"}
    assert "batch 64" in run("rank", "suite.yaml", "--by", "batch").out
    assert json.loads(run("rank", "suite.yaml", "--by", "family", "--format", "json").out)["by"] == "family"


def test_gated_models_are_listed(run: Run, suite: Path) -> None:
    out = run("rank", "suite.yaml", "--max-error", "15").out
    assert re.search(r"^small +its error of 30 percent is above the limit of 15$", out, re.MULTILINE)
    assert json.loads(run("rank", "suite.yaml", "--max-error", "15", "--format", "json").out)["rows"][0]["rank"] == 1


def test_of_many_left_out_people_are_shown_the_first(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [row(f"m{place:02}", 1 + place, 5.0 + place, 0.001, 64) for place in range(30)]
    Path("many.yaml").write_text(yaml.safe_dump({"suite": "s", "models": rows}))
    words = ("rank", "many.yaml", "--max-error", "8")  # 5, 6, 7 and 8 stay
    table = run(*words).out
    assert table.count("is above the limit of 8") == 20
    assert "and 6 more, which --format json and csv name" in table
    assert len(json.loads(run(*words, "--format", "json").out)["excluded"]) == 26
    assert run(*words, "--format", "csv").out.count("is above the limit of 8") == 26


def test_sorting_and_cutting(run: Run, suite: Path) -> None:
    done = run("rank", "suite.yaml", "--sort", "-error", "--top", "2", "--format", "json")
    assert names(done.out) == ["small", "middle"]
    assert "2 of 4 rows are shown" in json.loads(done.out)["notes"][0]["text"]


def test_an_error_in_another_unit(run: Run, suite: Path) -> None:
    document = json.loads(run("rank", "suite.yaml", "--error", "top1_err:fraction", "--format", "json").out)
    assert (document["unit"], document["metric"]) == ("fraction", "top1_err")
    assert {one["model"]: one["error"] for one in document["rows"]}["middle"] == 0.2
    (note,) = [one["text"] for one in document["notes"] if one["code"] == "dead-term" and "top1_err" in one["subject"]]
    assert "k = " in note


def test_csv_has_a_row_a_model_in_base_units(run: Run, suite: Path) -> None:
    out = run("rank", "suite.yaml", "--filter", "batch == 64", "--format", "csv").out
    rows = list(csv.DictReader(StringIO("".join(line for line in out.splitlines(True) if not line.startswith("#")))))
    by_name = {one["model"]: one for one in rows}
    assert set(by_name) == {"small", "middle", "large"}
    assert float(by_name["middle"]["latency_s"]) == 0.064
    assert by_name["middle"]["params"] == "4000000"
    assert by_name["small"]["front"] == "true"
    assert 0 < float(by_name["small"]["error_half_width"]) < 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--score", "latenc"), "unknown score 'latenc'"),
        (("--score", "params *"), "formula 'params *', column 9"),
        (("--filter", "params <"), "filter"),
        (("--filter", "colour < 3"), "colour"),
        (("--by", "colour"), "unknown column 'colour'"),
        (("--sort", "colour"), "unknown column 'colour'"),
        (("--error", "top1_er"), "unknown error 'top1_er': did you mean top1_err?"),
        (("--error", "top1_err:pixels"), "top1_err is in percent, which cannot be turned into pixels"),
        (("--top", "0"), "--top"),
        (("--draws", "many"), "--draws"),
        (("--max-error", "1"), "nothing to rank by top1_err under macs: "),
    ],
)
def test_a_wrong_option_is_one_line(words: tuple[str, ...], said: str, run: Run, suite: Path) -> None:
    done = run("rank", "suite.yaml", *words)
    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1
    assert said in done.err
