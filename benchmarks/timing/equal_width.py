"""How long effbench and `torch.utils.benchmark` measure for intervals of equal width, like for like.

What differs between processes is most of what a time's interval is about, and `Timer` says nothing of it: the interval
of its blocks is that of one process. Here both tools measure in the same fresh processes, in random order, for the same
seconds, and each gives one median a process. An interval over processes is as wide as these medians spread, so the
seconds that a tool needs for a given width are as its variance times the seconds that it takes in a process: their
ratio is the cost of effbench's way to measure (calls in turns, cold ones not kept) at equal width.

`python benchmarks/timing/equal_width.py [--processes N] [--seconds S] [MODEL…]` writes results/timing/equal_width.md
and .json.
"""

from __future__ import annotations

import math
import multiprocessing
import random
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import study
import torch
from against_torch import INPUT, MODELS, TIMES_AS_LONG, built
from torch.utils.benchmark import Timer

from effbench.measure.timing.live import InProcess
from effbench.measure.timing.turns import turn_among_others
from effbench.records import TimingPlan

WARMING_CALLS = 10
DRAWS = 10_000


def effbench_median(name: str, plan: TimingPlan, seconds: float) -> tuple[float, float]:
    """Returns (the median of the calls that are kept, the seconds that it took), in turns as among other models."""
    session = InProcess(name, built(name), plan).start(0)
    try:
        call_s = statistics.median(session.call(WARMING_CALLS))
        turn = turn_among_others(call_s)
        kept: list[float] = []
        begin_s = time.perf_counter()
        while time.perf_counter() - begin_s < seconds:
            kept += session.call(turn.all_calls)[turn.cold_calls :]
        return statistics.median(kept), time.perf_counter() - begin_s
    finally:
        session.close()


def torch_median(name: str, plan: TimingPlan, seconds: float) -> tuple[float, float]:
    """Returns (the median of the blocks, the seconds that `blocked_autorange` took)."""
    loaded = built(name)
    model = loaded.build("cpu").eval()
    timer = Timer("model(x)", globals={"model": model, "x": loaded.inputs.args[0]}, num_threads=plan.threads or 1)
    with torch.inference_mode():
        timer.timeit(WARMING_CALLS)
        begin_s = time.perf_counter()
        found = timer.blocked_autorange(min_run_time=seconds)
        return float(found.median), time.perf_counter() - begin_s


TOOLS: dict[str, Callable[[str, TimingPlan, float], tuple[float, float]]] = {
    "effbench": effbench_median,
    "torch": torch_median,
}


def both(name: str, plan: TimingPlan, seconds: float, number: int) -> dict[str, tuple[float, float]]:
    """Returns what each tool says in this process, in random order."""
    return {tool: TOOLS[tool](name, plan, seconds) for tool in random.Random(f"{name} {number}").sample([*TOOLS], 2)}


def times_as_long(found: Sequence[dict[str, tuple[float, float]]], places: Sequence[int]) -> float:
    """Returns effbench's seconds ÷ torch's at equal width, by some of the processes."""
    cost = {}
    for tool in TOOLS:
        logs = [math.log(found[place][tool][0]) for place in places]
        cost[tool] = statistics.variance(logs) * statistics.fmean(found[place][tool][1] for place in places)
    return cost["effbench"] / cost["torch"] if cost["torch"] > 0 else math.nan


def all_together(found: Sequence[Sequence[dict[str, tuple[float, float]]]]) -> dict[str, float]:
    """Returns the geometric mean over models with its 95 % interval, processes drawn anew."""
    chance = np.random.default_rng(0)

    def mean(places: Sequence[Sequence[int]]) -> float:
        return statistics.fmean(math.log(times_as_long(*pair)) for pair in zip(found, places, strict=True))

    drawn = []
    for _ in range(DRAWS // len(found)):
        places = [chance.integers(len(each), size=len(each)).tolist() for each in found]
        if all(len(set(each)) > 1 for each in places):
            drawn.append(mean(places))
    low, high = np.quantile(drawn, (0.025, 0.975))
    whole = mean([range(len(each)) for each in found])
    return {"ratio": math.exp(whole), "low": math.exp(low), "high": math.exp(high)}


def table(rows: Sequence[dict[str, Any]], together: dict[str, float], said: Any) -> str:
    """Returns the study as Markdown."""
    lines = [
        "Made by `python benchmarks/timing/equal_width.py`, which says how: both tools in the same fresh processes.",
        "",
        f"torch {torch.__version__}, {said.threads} threads, {INPUT}, {said.processes} processes a model, "
        f"{said.seconds:g} s a tool in each",
        "",
        "| model | effbench, ms | its spread | torch, ms | its spread | times as long at equal width |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        mine, other = row["effbench"], row["torch"]
        lines.append(
            f"| {row['model']} | {mine['ms']:.3f} | {mine['spread']:.2%} | {other['ms']:.3f} | {other['spread']:.2%} "
            f"| {row['times_as_long']:.2f} |"
        )
    met = "met" if together["ratio"] <= TIMES_AS_LONG else "missed"
    lines += [
        "",
        "Spread: standard deviation of the logarithms of a tool's medians over processes.",
        f"All models: {together['ratio']:.2f} times as long (95 % interval {together['low']:.2f} to "
        f"{together['high']:.2f}, geometric mean, processes drawn anew); bar {TIMES_AS_LONG}: {met}.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = study.options("measuring time at equal width of the interval over processes")
    parser.add_argument("models", nargs="*", default=MODELS)
    parser.add_argument("--processes", type=int, default=8, help="fresh ones for each model")
    parser.add_argument("--seconds", type=float, default=0.6, help="of each tool in each process")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    said = parser.parse_args()
    plan = TimingPlan(threads=said.threads)
    every, rows = [], []
    spawning = multiprocessing.get_context("spawn")
    for name in said.models:
        with spawning.Pool(1, maxtasksperchild=1) as pool:
            found = [pool.apply(both, (name, plan, said.seconds, number)) for number in range(said.processes)]
        every.append(found)
        row: dict[str, Any] = {
            "model": name,
            "processes": found,
            "times_as_long": times_as_long(found, range(len(found))),
        }
        for tool in TOOLS:
            logs = [math.log(each[tool][0]) for each in found]
            row[tool] = {"ms": 1e3 * math.exp(statistics.median(logs)), "spread": statistics.stdev(logs)}
        rows.append(row)
        print(f"{name}: {row['times_as_long']:.2f} times as long", flush=True)
    together = all_together(every)
    study.keep(said.results, "equal_width", {"rows": rows, "together": together}, table(rows, together, said))


if __name__ == "__main__":
    main()
