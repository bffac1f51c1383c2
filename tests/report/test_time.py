"""The report of times from hand-made documents: every cell is a figure of the document in the unit of its column."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from effbench.report import render
from effbench.report.table import Terminal
from effbench.report.time import digits, machine_lines, plan_text, rule_text, time_report, time_table

PLAN: dict[str, Any] = {
    "device": "cpu",
    "batch": None,
    "precision": "float32",
    "memory_format": "contiguous",
    "threads": None,
    "compiled": False,
    "runs": "inference",
    "captured": False,
    "cold_cache": False,
}
RULE = {"half_width": 0.01, "margin": 0.02, "budget_s": 60.0, "min_rounds": 6, "max_rounds": 40, "calls": 50}


def model(name: str = "net", **changed: Any) -> dict[str, Any]:
    return {
        "name": name,
        "spec": f"{name}.py",
        "plan": PLAN,
        "threads": 2,
        "samples": 8,
        "converged": True,
        "interrupted": False,
        "died": None,
        "refused": None,
        "median_s": 0.01234,
        "interval_s": [0.0122, 0.0125],
        "half_width": 0.0083,
        "p50_s": 0.0123,
        "p90_s": 0.0145,
        "p99_s": 0.0246,
        "quantile_intervals_s": {},
        "samples_per_s": 648.3,
        "between": 0.0125,
        "first_s": 0.5,
        "compile_s": None,
        "processes": 6,
        "worth": 6.0,
        "calls": 290,
        "peak_bytes": {"resident": 512 * 2**20, "allocated": 3 * 2**20},
        "runs": [{"samples_s": [0.01] * calls} for calls in (40, 50)],
        **changed,
    }


def document(*models: dict[str, Any], notes: tuple[Any, ...] = ()) -> dict[str, Any]:
    facts = {"CPU": "A Processor", "available cores": "2 physical, 4 logical", "quota": "unlimited"}
    facts |= {"governor": "unknown", "vector instructions": "AVX2", "torch": "2.14.1", "Python": "3.11"}
    environment = {"fingerprint": facts, "facts": {}}
    return {
        "schema": 1,
        "environment": environment,
        "rule": RULE,
        "seed": 3,
        "models": list(models),
        "notes": list(notes),
    }


def test_a_row_by_hand() -> None:
    text = render(time_report(document(model())))
    assert text.splitlines() == [
        "machine   A Processor, 2 physical, 4 logical cores, AVX2",
        "software  torch 2.14.1, Python 3.11",
        "plan      inference in float32 on cpu, inputs as given",
        "rule      until ±1 %, 6 to 40 processes each, 60 s of measuring at most, seed 3",
        "",
        "Model  Batch  Median ms  95 % ±  p50 ms  p90 ms  p99 ms  Samples/s  Spread  First ms  Runs × calls  Peak "
        "memory  Threads",
        "-----  -----  ---------  ------  ------  ------  ------  ---------  ------  --------  ------------  -----"
        "------  -------",
        "net        8      12.34  0.83 %   12.30   14.50   24.60      648.3  1.25 %     500.0     6 × 40–50     3.00"
        " MiB        2",
        "",
        "median of a typical process with its 95 % interval; spread: standard deviation between processes",
        "peak memory: the most in tensors during a call, inputs included, weights and optimiser left out",
    ]


NOTHING = dict.fromkeys(
    ("median_s", "half_width", "p50_s", "p90_s", "p99_s", "samples_per_s", "between", "first_s", "interval_s")
)


def test_a_row_says_what_became_of_its_model() -> None:
    dead = model("b", **NOTHING, died="b: its process was killed by signal 9", runs=[], converged=False)
    lying = model("c", **NOTHING, refused="4 samples add up to 9 s")
    late = model("d", **NOTHING, runs=[], converged=False)
    wide = model("e", converged=False)
    rows = time_table([model(), dead, lying, late, wide]).rows
    assert [row["state"] for row in rows] == [
        "",
        "died: its process was killed by signal 9",
        "refused: 4 samples add up to 9 s",
        "not timed: the budget ended first",
        "not converged",
    ]
    assert [row["median_s"] for row in rows] == [0.01234, "", "", "", 0.01234]


@pytest.mark.parametrize(
    ("seconds", "title", "cell"),
    [(2.5, "Median s", "2.500"), (0.0025, "Median ms", "2.500"), (25e-6, "Median µs", "25.00")],
)
def test_the_unit_is_that_of_the_fastest_model(seconds: float, title: str, cell: str) -> None:
    table = time_table([model(median_s=seconds), model(median_s=3.0)])
    (column,) = [column for column in table.columns if column.key == "median_s"]
    assert (column.title, column.show(table.rows[0]["median_s"])) == (title, cell)


def test_what_no_model_has_takes_no_column_and_what_one_lacks_is_unknown() -> None:
    keys = [column.key for column in time_table([model()]).columns]
    assert "compile_s" not in keys
    assert "state" not in keys
    table = time_table([model(samples=None, samples_per_s=None), model(compile_s=12.0)])
    assert "compile_s" in [column.key for column in table.columns]
    assert table.rows[0]["samples_per_s"] is None


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"batch": 8, "threads": 1}, "inference in float32 on cpu, batch 8, 1 thread"),
        ({"runs": "training", "threads": 2}, "a training step in float32 on cpu, inputs as given, 2 threads"),
        (
            {"device": "cuda", "compiled": True, "cold_cache": True, "memory_format": "channels_last"},
            "inference in float32 on cuda, inputs as given, channels last, torch.compile, cold cache",
        ),
    ],
)
def test_a_plan_is_one_line(changed: dict[str, Any], text: str) -> None:
    assert plan_text({**PLAN, **changed}) == text


def test_models_under_different_plans_are_named_beside_them() -> None:
    text = render(time_report(document(model("a"), model("b", plan={**PLAN, "batch": 4}))))
    assert "plan      inference in float32 on cpu, inputs as given (a)" in text
    assert "plan      inference in float32 on cpu, batch 4 (b)" in text


def test_as_many_rounds_at_least_as_at_most_are_one_number() -> None:
    assert "4 processes each" in rule_text({**RULE, "min_rounds": 4, "max_rounds": 4}, 0)


def test_a_machine_says_what_limits_it() -> None:
    facts = {"CPU": "P", "quota": "1.5 cores", "governor": "powersave"}
    assert machine_lines({"fingerprint": facts})[0] == "machine   P, quota 1.5 cores, governor powersave"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1.0, "1.000"),
        (9.99951, "10.00"),
        (12.345, "12.35"),
        (999.96, "1,000"),
        (1234.5, "1,234"),
        (12345.6, "12,346"),
        (0.01234, "0.01234"),
        (1.2e-7, "1.2e-07"),
    ],
)
def test_four_digits(value: float, text: str) -> None:
    assert digits(value) == text


def again(typical: float | None, interval: list[float] | None, within: bool | None) -> dict[str, Any]:
    return {"again_samples_per_s": typical, "interval_samples_per_s": interval, "within_noise": within}


def test_a_search_a_step_and_joules_are_shown() -> None:
    search = {
        "batch": 8,
        "samples_per_s": 810.0,
        "interval_samples_per_s": [800.0, 820.0],
        "within_noise": [4],
        "ended_by": "memory",
        "tried": [
            {"batch": 4, "samples_per_s": 790.0, **again(795.0, [780.0, 815.0], True)},
            {"batch": 8, "samples_per_s": 800.0, **again(810.0, [800.0, 820.0], True)},
            {"batch": 2, "samples_per_s": 300.0, **again(None, None, None)},
            {"batch": 16, "samples_per_s": None, **again(None, None, None)},
        ],
    }
    training = {"macs": 3000, "forward_macs": 1000, "backward_macs": 2000, "macs_per_s": 2e9, "optimiser_flops": 160}
    energy: dict[str, Any] = {"source": "rapl", "covers": "package-0", "unavailable": None, "joules": 0.5}
    energy |= {"above_idle_joules": 0.2}
    energy |= {"interval_joules": [0.4, 0.6]}
    text = render(time_report(document(model(search=search, training={**training, "unknown": {}}, energy=energy))))
    assert "net: batch 8 serves most samples a second; the next one did not fit into memory" in text
    assert "no memory" in text
    assert "batch 8: 800.0 to 820.0 samples a second; within noise of the highest: 4" in text
    assert re.search(r" 4 +790.0 +795.0 +780.0 to 815.0 +yes", text)
    assert "step      net: 3,000 MACs (1,000 forward, 2,000 backward), 2 GMAC/s; AdamW 160 FLOPs" in text
    joules = "0.5 J a call (95 % interval 0.4 to 0.6 J), 0.2 J above idle; rapl: package-0"
    assert f"energy    net: {joules}" in text


def test_what_is_not_known_of_energy_and_step_is_said() -> None:
    energy = {"source": "rapl", "unavailable": "a virtual machine"}
    text = render(time_report(document(model(energy=energy, training={"macs": None, "unknown": {"my::op": 2}}))))
    assert "energy    net: unavailable: a virtual machine" in text
    assert "step      net: MACs unknown: my::op (2)" in text


@pytest.mark.parametrize("form", ["table", "csv", "markdown", "latex", "json"])
def test_every_format_has_the_figures_and_the_notes(form: str) -> None:
    note = {"code": "steal", "subject": "cpu", "text": "3 rounds"}
    text = render(time_report(document(model(), notes=(note,))), form)
    assert ("0.01234" if form in ("csv", "json") else "12.34") in text
    assert "3 rounds" in text
    if form == "json":
        assert json.loads(text)["models"][0]["runs"][0]["samples_s"] == [0.01] * 40


@pytest.mark.parametrize("columns", [40, 80, 160])
def test_no_line_is_wider_than_the_terminal(columns: int) -> None:
    dead = model("b", **NOTHING, died="b: its process was killed by signal 9 (SIGKILL)", runs=[], converged=False)
    text = render(time_report(document(model(), dead)), "table", Terminal(columns, color=False))
    assert max(map(len, text.splitlines())) <= columns
