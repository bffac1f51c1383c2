"""effbench's timer beside `torch.utils.benchmark`, both in one run, in turns: do they agree, and what does each cost?

Agreement. One model in one process at one thread count is timed by both, a short block of calls of each in random order
after two untimed ones (which `Timer.timeit` makes too), so that drift hits both alike. A block's value is the mean of
its calls, as it is torch's. Two differences are given: that of the two medians of all blocks, which the bar is about,
and the median of the ratios of the two blocks of a pair with its interval by order statistics. A machine of several
paces spoils the first: each median then falls into whichever pace held a little longer.

Wall time at equal width. effbench times the model in fresh processes until its own 95 % interval is narrow enough; of
one long `Timer.blocked_autorange` the first blocks count, until the interval of their median is as narrow. That
interval takes the blocks for independent, which on a noisy machine they are not: it flatters torch.

Own cost. The wall time of a clock around a call that does nothing, less that of the call.

`python benchmarks/timing/against_torch.py [--seconds S] [MODEL…]` writes results/timing/against_torch.md and .json.
"""

from __future__ import annotations

import math
import platform
import random
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import study
import torch
from torch.utils.benchmark import Timer

from effbench.measure.load import load
from effbench.measure.source import Loaded, runnable
from effbench.measure.timing.clocks import CpuClock
from effbench.measure.timing.deadline import TIME_IS_UP, Deadline
from effbench.measure.timing.run import Progress, timed
from effbench.measure.timing.step import prepare
from effbench.measure.timing.wire import Asked
from effbench.measure.timing.worker import Worker
from effbench.records import StopRule, TimingPlan

MODELS = (
    "resnet18",
    "resnet50",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "efficientnet_b0",
    "shufflenet_v2_x1_0",
    "squeezenet1_1",
    "densenet121",
    "convnext_tiny",
    "vit_b_16",
)
INPUT = "1x3x64x64"
"""Small, so that a call is short: what a timer adds shows most."""
ARGS: dict[str, dict[str, Any]] = {"vit_b_16": {"image_size": 64}}
WITHIN = 0.01
TIMES_AS_LONG = 1.5
BLOCK_S = 0.02
"""A block's length: `timeit` of a single call is some 1 % slow at 2 ms, by what Python does between it and the last."""
LEAST_PAIRS = 50
SECONDS = 40.0
"""Of turns for each model: after 6 s the interval of a ratio was up to ±3 % wide."""
WIDTH_S = 8.0
WALL_S = 30.0
"""Seconds of measuring, and for effbench's processes in all, at most on the way to the wanted width."""
LEAST_BLOCKS = 6
"""Below, even from the least to the greatest of them is no 95 % interval of a median: 2 × 0.5⁶ = 3 % lie outside."""


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    """Returns the 95 % interval of the median of independent values: two of them, by the binomial's normal limit."""
    ordered, n = sorted(values), len(values)
    reach = 1.96 * math.sqrt(n) / 2
    return ordered[max(math.floor(n / 2 - reach), 0)], ordered[min(math.ceil(n / 2 + reach), n - 1)]


def asked(name: str) -> Asked:
    """Returns a model as a worker is asked for it."""
    return Asked(f"torchvision:{name}", ARGS.get(name, {}), (INPUT,))


def built(name: str) -> Loaded:
    """Returns the same model in this process."""
    said = asked(name)
    return runnable(load(said.spec, said.args, said.inputs))


def agreement(name: str, plan: TimingPlan, seconds: float) -> dict[str, Any]:
    """Returns both medians of one model in one process, in turns, and the interval of their ratio."""
    loaded = built(name)
    model = loaded.build("cpu")
    step = prepare(type(loaded)(loaded.name, None, lambda device: model, loaded.inputs), plan)
    names = {"model": model, "x": loaded.inputs.args[0]}
    timer = Timer("model(x)", globals=names, num_threads=step.threads)

    calls = 1

    def ours() -> float:
        step.call()
        step.call()
        return statistics.fmean([step.clock.time(step.call) for _ in range(calls)])

    def theirs() -> float:
        return float(timer.timeit(calls).median)

    found: dict[Callable[[], float], list[float]] = {ours: [], theirs: []}
    order = random.Random(0)
    with step.around():
        first_s = min(tool() for _ in range(3) for tool in (ours, theirs))
        calls = max(1, math.ceil(BLOCK_S / first_s))
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or len(found[ours]) < LEAST_PAIRS:
            for tool in order.sample((ours, theirs), 2):
                found[tool].append(tool())
    mine, other = statistics.median(found[ours]), statistics.median(found[theirs])
    ratios = [math.log(a / b) for a, b in zip(found[ours], found[theirs], strict=True)]
    low, high = median_interval(ratios)
    return {
        "pairs": len(found[ours]),
        "calls_in_a_block": calls,
        "effbench_s": mine,
        "torch_s": other,
        "difference": mine / other - 1,
        "paired": math.expm1(statistics.median(ratios)),
        "paired_interval": [math.expm1(low), math.expm1(high)],
    }


def effbench_run(name: str, plan: TimingPlan, half_width: float, budget_s: float) -> dict[str, Any]:
    """Returns what the timer reached and took, start-up of processes apart and in all."""
    steps: list[Progress] = []
    rule = StopRule(half_width=half_width, budget_s=budget_s)
    begin_s = time.perf_counter()
    deadline = Deadline([Worker(name, asked(name), plan)], time.perf_counter, begin_s + WALL_S)
    (timing,) = timed(deadline.entrants, rule, 0, time.perf_counter, steps.append)
    if timing.died not in (None, TIME_IS_UP):
        raise SystemExit(timing.died)
    wall_s = time.perf_counter() - begin_s
    interval = steps[-1].intervals[0][1]
    if interval is None:
        raise SystemExit(f"{name}: {WALL_S:g} s are too few for an interval: raise WALL_S")
    spent = {"measuring_s": steps[-1].spent_s, "wall_s": wall_s}
    return {"half_width": interval.half_width, "rounds": len(timing.runs), **spent}


def torch_run(name: str, plan: TimingPlan, half_width: float, seconds: float) -> dict[str, Any]:
    """Returns how long `blocked_autorange` measured until its blocks' median was known as closely, or all of it."""
    loaded = built(name)
    model = loaded.build("cpu").eval()
    timer = Timer("model(x)", globals={"model": model, "x": loaded.inputs.args[0]}, num_threads=plan.threads or 1)
    with torch.inference_mode():
        begin_s = time.perf_counter()
        seen = timer.blocked_autorange(min_run_time=seconds)
        wall_s = time.perf_counter() - begin_s
    times, around_s = [float(block) for block in seen.times], wall_s - sum(seen.raw_times)
    for count in range(min(LEAST_BLOCKS, len(times)), len(times) + 1):
        low, high = median_interval(times[:count])
        reached = (high - low) / 2 / statistics.median(times[:count])
        if reached <= half_width and count >= LEAST_BLOCKS:
            break
    return {"half_width": reached, "blocks": count, "wall_s": around_s + sum(seen.raw_times[:count])}


def own_cost_s(repeats: int = 7, calls: int = 100_000) -> dict[str, float]:
    """Returns the least seconds that a clock adds around a call, and those that fall into the time it gives."""

    def nothing() -> None:
        pass

    clock = CpuClock()
    around, bare, seen = [], [], []
    for _ in range(repeats):
        begin_s = time.perf_counter()
        readings = [clock.time(nothing) for _ in range(calls)]
        around.append((time.perf_counter() - begin_s) / calls)
        begin_s = time.perf_counter()
        for _ in range(calls):
            nothing()
        bare.append((time.perf_counter() - begin_s) / calls)
        seen.append(statistics.median(readings))
    return {"added_s": min(around) - min(bare), "in_the_time_s": min(seen)}


def measured(names: Sequence[str], plan: TimingPlan, seconds: float, half_width: float) -> dict[str, Any]:
    """Returns a row a model, and the own cost."""
    rows = []
    for name in names:
        both = agreement(name, plan, seconds)
        mine = effbench_run(name, plan, half_width, WIDTH_S)
        other = torch_run(name, plan, mine["half_width"], WIDTH_S)
        ratio = mine["measuring_s"] / other["wall_s"]
        rows.append({"model": name, "agreement": both, "effbench": mine, "torch": other, "times_as_long": ratio})
        print(f"{name}: {both['difference']:+.2%}, {ratio:.2f} × the time", flush=True)
    return {"threads": plan.threads, "seconds": seconds, "own_cost": own_cost_s(), "rows": rows}


def _within(difference: float) -> str:
    return "yes" if abs(difference) <= WITHIN else "no"


def table(found: dict[str, Any]) -> str:
    """Returns the study as Markdown."""
    cost = found["own_cost"]
    lines = [
        "Made by `python benchmarks/timing/against_torch.py`, which says how: both tools in one run, in turns.",
        "",
        f"Python {platform.python_version()}, torch {torch.__version__}, {found['threads']} threads, {INPUT}; "
        f"own cost of a call {cost['added_s'] * 1e9:.0f} ns, {cost['in_the_time_s'] * 1e9:.0f} ns of it in its time",
        "",
        "| model | effbench, ms | torch, ms | medians | within 1 % | pairs | 95 % interval | number | within 1 % |",
        "| --- | ---: | ---: | ---: | --- | ---: | ---: | ---: | --- |",
    ]
    for row in found["rows"]:
        seen = row["agreement"]
        low, high = seen["paired_interval"]
        lines.append(
            f"| {row['model']} | {seen['effbench_s'] * 1e3:.3f} | {seen['torch_s'] * 1e3:.3f} "
            f"| {seen['difference']:+.2%} | {_within(seen['difference'])} "
            f"| {seen['paired']:+.2%} | {low:+.2%} to {high:+.2%} | {seen['pairs']} | {_within(seen['paired'])} |"
        )
    lines += [
        "",
        "Wall time at equal width of the interval, start-up of effbench's processes apart (in all: in brackets):",
        "",
        "| model | half-width | effbench, s | processes | torch, s | its half-width | times as long | at most 1.5 |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for row in found["rows"]:
        mine, other = row["effbench"], row["torch"]
        lines.append(
            f"| {row['model']} | {mine['half_width']:.2%} | {mine['measuring_s']:.1f} ({mine['wall_s']:.1f}) "
            f"| {mine['rounds']} | {other['wall_s']:.1f} | {other['half_width']:.2%} | {row['times_as_long']:.2f} "
            f"| {'yes' if row['times_as_long'] <= TIMES_AS_LONG else 'no'} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = study.options("effbench's timer beside torch.utils.benchmark")
    parser.add_argument("models", nargs="*", default=MODELS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of turns for each model")
    parser.add_argument("--half-width", type=float, default=0.01, help="relative, at which effbench stops")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    said = parser.parse_args()
    found = measured(said.models, TimingPlan(threads=said.threads), said.seconds, said.half_width)
    study.keep(said.results, "against_torch", found, table(found))


if __name__ == "__main__":
    main()
