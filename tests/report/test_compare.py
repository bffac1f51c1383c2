"""A comparison as it is pasted into a pull request: from traces, times and a machine made by hand."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from helpers import traced
from torch import nn

from effbench.comparisons import VERDICT, Compared, Contender, with_times
from effbench.judge.layer_changes import layer_changes
from effbench.profiles import Profile
from effbench.records import ErrorFigure, Note, ProcessRun, Timing, TimingPlan
from effbench.records.environment import Cpu, Environment, Memory, System, TorchBuild
from effbench.report import render
from effbench.report.compare import compare_report, sentence
from effbench.timings import Timed

MACHINE = Environment(
    Cpu(model="Testor 3000", available_physical=4, available_logical=8),
    Memory(),
    System(kernel="Linux 6.1", python="3.12.1"),
    torch=TorchBuild("2.9.0"),
)

GOLDEN = """\
**Cost, convention macs, input 2×8 float32**

| Model | Params |     × | MACs |     × | FLOPs | Peak memory |     × | top1 (fraction) |
| ----- | -----: | ----: | ---: | ----: | ----: | ----------: | ----: | --------------: |
| a     |     72 | 1.000 |  128 | 1.000 |   256 |       128 B | 1.000 |            0.25 |
| b     |    144 | 2.000 |  256 | 2.000 |   512 |       192 B | 1.500 |               ? |

- ×: times a; peak memory: of activations, as the trace has them
- ? = unknown

**Time against a**

| Model | Verdict |     × |  95 % interval | Median ms | Spread | Detects | Pairs | Needed |
| ----- | ------- | ----: | -------------: | --------: | -----: | ------: | ----: | -----: |
| a     |         |       |                |     10.00 | 0.00 % |         |       |        |
| b     | slower  | 1.100 | 1.092 to 1.108 |     11.00 | 1.04 % |  0.98 % |    12 |      3 |

- b is slower than a: 1.100 × its time, 95 % interval 1.092 to 1.108, from 12 pairs of processes
- spread: standard deviation between processes of one model; detects: what so many pairs find 9 times in 10
- needed: pairs of processes that find a difference of 2 % 9 times in 10

**Layers whose time changed from a to b**

| Layer                          |   a ms |  b ms | Change ms | 95 % ± |
| ------------------------------ | -----: | ----: | --------: | -----: |
| head                           | absent | 1.000 |    +1.000 |      0 |
| 1 layer without a clear change |  9.000 | 9.000 |         0 |        |
| **total**                      | **9.000** | **10.00** | **+1.000** | |

```text
machine   Testor 3000, 4 physical, 8 logical cores
software  torch 2.9.0, Python 3.12, Linux
plan      inference in float32 on cpu, inputs as given, 2 threads
rule      until the verdict, same within ±2 %, 6 to 40 pairs, 60 s at most
```

- note: unwatched: thermal: no thermal counters
"""


def timing(name: str, medians_s: list[float]) -> Timing:
    order = (0, 2) if name == "a" else (1, 3)
    runs = tuple(ProcessRun(number, 1.0, (), (each, each), order, 2 * each) for number, each in enumerate(medians_s))
    return Timing(name, TimingPlan(), VERDICT, runs, 2, converged=False)


def contender(name: str, layers: int, errors: Mapping[str, ErrorFigure] | None = None) -> Contender:
    made = traced(nn.Sequential(*(nn.Linear(8, 8) for _ in range(layers))), (2, 8))
    return Contender(name, f"{name}.py", Profile(name, f"{name}.py", made), errors or {}, MACHINE)


def compared(other_s: float = 0.011, sd: float = 0.01) -> Compared:
    models = (contender("a", 1, {"top1": ErrorFigure(0.25, "fraction")}), contender("b", 2))
    changes = layer_changes([{"body": 0.009}] * 3, [{"body": 0.009, "head": 0.001}] * 3)
    noisy = [other_s * math.exp(sd * (-1) ** number) for number in range(12)]
    seen = Timed(
        (timing("a", [0.01] * 12), timing("b", noisy)), MACHINE, (Note("unwatched", "thermal", "no thermal counters"),)
    )
    return with_times(Compared("macs", models, layers={"b": changes}), seen)


def squeezed(text: str) -> str:
    """Markdown without what only aligns its tables."""
    return re.sub(r"-{2,}", "--", re.sub(r" +", " ", text))


def test_the_markdown_of_a_comparison() -> None:
    written = render(compare_report(compared().to_dict()), "markdown")
    assert squeezed(written) == squeezed(GOLDEN)


def test_the_golden_columns_add_up() -> None:
    document = compared().to_dict()
    a, b = document["models"]
    assert (a["params"], b["params"]) == (8 * 8 + 8, 2 * (8 * 8 + 8))
    assert (a["macs"], b["macs"]) == (2 * 8 * 8, 2 * 2 * 8 * 8)
    assert all(b["ratios"][key] == b[key] / a[key] for key in b["ratios"])
    (verdict,) = document["verdicts"]
    sd = 0.01 * math.sqrt(12 / 11)
    assert verdict["detectable"] == pytest.approx(3.24 * sd / math.sqrt(12))
    assert verdict["pairs_for_margin"] == pytest.approx((3.24 * sd / 0.02) ** 2)
    rows = document["layers"]["b"]
    assert sum(row["change_s"] for row in rows) == pytest.approx(
        sum(row["other_s"] or 0 for row in rows) - sum(row["base_s"] or 0 for row in rows)
    )


@pytest.mark.parametrize("form", ["table", "json", "csv", "markdown", "latex"])
def test_every_format_holds_the_verdict(form: str) -> None:
    assert "slower" in render(compare_report(compared().to_dict()), form)


@pytest.mark.parametrize(
    ("other_s", "sd", "says"),
    [
        (0.01, 0.001, "b takes the same time as a within ±2 %: 1.000 × its time"),
        (0.009, 0.01, "b is faster than a: 0.900 × its time"),
        (0.0101, 0.1, "b against a is undecided: the ratio may be "),
    ],
)
def test_each_verdict_is_a_sentence(other_s: float, sd: float, says: str) -> None:
    (verdict,) = compared(other_s, sd).to_dict()["verdicts"]
    assert sentence(verdict).startswith(says)


def test_a_model_that_died_has_unknown_times() -> None:
    base = compared()
    dead = replace(timing("b", []), died="b: killed")
    document = with_times(base, Timed((timing("a", [0.01] * 12), dead), MACHINE)).to_dict()
    shown = render(compare_report(document), "markdown")
    assert "| undecided |" in squeezed(shown)
    assert "b against a is undecided: b died: killed" in shown


def test_the_threads_are_those_of_a_model_that_lived_and_one_number_of_pairs_is_no_range() -> None:
    few = replace(VERDICT, min_rounds=6, max_rounds=6)
    dead = replace(timing("a", []), rule=few, threads=0, died="a: killed")
    seen = Timed((dead, replace(timing("b", [0.01] * 6), rule=few)), MACHINE)
    shown = render(compare_report(with_times(compared(), seen).to_dict()), "table")
    assert "inputs as given, 2 threads\n" in shown
    assert "same within ±2 %, 6 pairs, 60 s at most\n" in shown


def test_a_cost_that_is_not_known_has_no_ratio() -> None:
    lost: Any = replace(contender("b", 1), profile=None)
    document = Compared("macs", (contender("a", 1), lost)).to_dict()
    assert set(document["models"][1]["ratios"].values()) == {None}
    assert "| b | none | ? | ? |" in squeezed(render(compare_report(document), "markdown"))


def test_two_machines_are_told_apart_by_the_models_that_ran_there() -> None:
    found = compared()
    other = replace(MACHINE, torch=TorchBuild("2.10.0"))
    written = render(
        compare_report(replace(found, models=(found.models[0], replace(found.models[1], environment=other))).to_dict()),
        "markdown",
    )
    assert "software  torch 2.9.0, Python 3.12, Linux (a)\n" in written
    assert "software  torch 2.10.0, Python 3.12, Linux (b)\n" in written
