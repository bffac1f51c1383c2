"""Models of known length, timed by effbench in fresh processes and by `torch.utils.benchmark`, in turns, in one run.

`python benchmarks/timing/sleep.py [--rounds N] [SECONDS…]` writes results/timing/sleep.md and .json. The length of a
call is that of `sleeper.py`; what Python needs to make the call, some microseconds, is in the times and not in it.
"""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import study
import torch
from torch.utils.benchmark import Timer

from effbench.measure.load import load
from effbench.measure.source import runnable
from effbench.measure.timing.run import timed
from effbench.measure.timing.wire import Asked
from effbench.measure.timing.worker import Worker
from effbench.records import StopRule, TimingPlan

HERE = Path(__file__).resolve().parent
_SLEEPER = f"{HERE / 'sleeper.py'}:Sleeper"
LENGTHS_S = (0.002, 0.01, 0.05)
WITHIN = 0.005


def effbench_s(length_s: float, seconds: float) -> float:
    """Returns the median over fresh processes."""
    asked = Asked(_SLEEPER, {"seconds": length_s})
    rule = StopRule(budget_s=seconds)
    (timing,) = timed([Worker("sleeper", asked, TimingPlan(threads=1))], rule, 0, time.perf_counter)
    if timing.died is not None:
        raise SystemExit(timing.died)
    return statistics.median(statistics.median(run.samples_s) for run in timing.runs)


def torch_s(length_s: float, seconds: float) -> float:
    """Returns the median of torch's blocks."""
    loaded = runnable(load(_SLEEPER, {"seconds": length_s}))
    names = {"model": loaded.build("cpu").eval(), "x": loaded.inputs.args[0]}
    with torch.inference_mode():
        return float(Timer("model(x)", globals=names, num_threads=1).blocked_autorange(min_run_time=seconds).median)


def measured(lengths_s: Sequence[float], rounds: int, seconds: float) -> list[dict[str, Any]]:
    """Returns a row a length and tool: the relative error of every round and their median."""
    rows = []
    for length_s in lengths_s:
        errors: dict[str, list[float]] = {"effbench": [], "torch": []}
        for number in range(rounds):
            tools = (("effbench", effbench_s), ("torch", torch_s))
            for name, tool in tools if number % 2 == 0 else tools[::-1]:
                errors[name].append(tool(length_s, seconds) / length_s - 1)
        row = {"length_s": length_s, "errors": errors}
        rows.append({**row, "median": {name: statistics.median(found) for name, found in errors.items()}})
        print(f"{length_s * 1e3:g} ms: {rows[-1]['median']}", flush=True)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Returns the study as Markdown."""
    lines = [
        "Made by `python benchmarks/timing/sleep.py`: error of the median time of a call of known length, both tools "
        "in turns; the median over the rounds, and the worst of them.",
        "",
        f"Python {platform.python_version()}, torch {torch.__version__}",
        "",
        "| length, ms | rounds | effbench | its worst | torch | its worst | effbench within 0.5 % |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for row in rows:
        cells = [f"{row['length_s'] * 1e3:g}", str(len(row["errors"]["effbench"]))]
        for tool in ("effbench", "torch"):
            worst = max(row["errors"][tool], key=abs)
            cells += [f"{row['median'][tool]:+.3%}", f"{worst:+.3%}"]
        met = max(map(abs, row["errors"]["effbench"])) <= WITHIN
        lines.append(f"| {' | '.join(cells)} | {'yes' if met else 'no'} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = study.options("models of known length")
    parser.add_argument("lengths_s", nargs="*", type=float, default=LENGTHS_S, metavar="SECONDS")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="of measuring for each tool and round")
    asked = parser.parse_args()
    rows = measured(asked.lengths_s, asked.rounds, asked.seconds)
    study.keep(asked.results, "sleep", rows, table(rows))


if __name__ == "__main__":
    main()
