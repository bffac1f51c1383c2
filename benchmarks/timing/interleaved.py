"""Twenty models in one interleaved run against one after another: how far does what they say of each other drift?

Both ways are done twice, in turns, with as many fresh processes a model. What drifts is the ratio of two models between
the two repeats, over all pairs of models; and the order of the models.

`python benchmarks/timing/interleaved.py [--rounds N] [MODEL…]` writes results/timing/interleaved.md and .json.
"""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import study
import torch

from effbench.measure.timing.entrant import Entrant
from effbench.measure.timing.run import timed
from effbench.measure.timing.wire import Asked
from effbench.measure.timing.worker import Worker
from effbench.records import StopRule, Timing, TimingPlan
from effbench.stats import Floats, log_median

MODELS = (
    "alexnet",
    "squeezenet1_0",
    "squeezenet1_1",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "shufflenet_v2_x1_5",
    "shufflenet_v2_x2_0",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "mnasnet0_5",
    "mnasnet0_75",
    "mnasnet1_0",
    "mnasnet1_3",
    "resnet18",
    "resnet34",
    "efficientnet_b0",
    "regnet_x_400mf",
    "regnet_y_400mf",
    "regnet_x_800mf",
)
INPUT = "1x3x64x64"
ROUNDS = 3
CALLS = 30
REPEATS = 2

Way = Callable[[Sequence[Entrant], StopRule, int], list[Timing]]


def interleaved(entrants: Sequence[Entrant], rule: StopRule, seed: int) -> list[Timing]:
    """Returns all models' times from one run."""
    return list(timed(entrants, rule, seed, time.perf_counter))


def separate(entrants: Sequence[Entrant], rule: StopRule, seed: int) -> list[Timing]:
    """Returns all models' times, each from a run of its own."""
    return [timed([entrant], rule, seed, time.perf_counter)[0] for entrant in entrants]


WAYS: dict[str, Way] = {"interleaved": interleaved, "separate": separate}


def log_times(timings: Sequence[Timing]) -> list[float]:
    """Returns the log of each model's median call, averaged over its processes."""
    for timing in timings:
        if not timing.runs:
            raise SystemExit(f"{timing.model}: {timing.died or 'nothing was measured'}")
    return [float(np.mean([log_median(run.samples_s) for run in timing.runs])) for timing in timings]


def drift(first: Floats, second: Floats) -> dict[str, Any]:
    """Returns how far ratios and order of the models moved from one repeat to the other."""
    moved = second - first
    pairs = list(combinations(range(len(first)), 2))
    ratios = np.array([abs(moved[a] - moved[b]) for a, b in pairs])
    turned = sum((first[a] - first[b]) * (second[a] - second[b]) < 0 for a, b in pairs)
    places = np.abs(first.argsort().argsort() - second.argsort().argsort())
    return {
        "pairs": len(pairs),
        "median": float(np.expm1(np.median(ratios))),
        "p90": float(np.expm1(np.quantile(ratios, 0.9))),
        "worst": float(np.expm1(ratios.max())),
        "turned": int(turned),
        "places": int(places.max()),
        "common": float(np.expm1(moved.mean())),
    }


def measured(names: Sequence[str], rounds: int, threads: int) -> dict[str, Any]:
    """Returns both ways' times and drifts."""
    plan = TimingPlan(threads=threads)
    entrants = [Worker(name, Asked(f"torchvision:{name}", {}, (INPUT,)), plan) for name in names]
    rule = StopRule(half_width=1e-9, budget_s=600.0, min_rounds=2, max_rounds=rounds, calls=CALLS)
    logs: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    took: dict[str, list[float]] = {way: [] for way in WAYS}
    for repeat in range(REPEATS):
        for way, run in WAYS.items():
            begin_s = time.perf_counter()
            logs[way].append(log_times(run(entrants, rule, repeat)))
            took[way].append(time.perf_counter() - begin_s)
            print(f"{way}, repeat {repeat + 1} of {REPEATS}: {took[way][-1]:.0f} s", flush=True)
    return {
        "command": f"python benchmarks/timing/interleaved.py --rounds {rounds}",
        "threads": threads,
        "models": list(names),
        "rounds": rounds,
        "log_s": logs,
        "wall_s": took,
        "drift": {way: drift(*map(np.asarray, found)) for way, found in logs.items()},
    }


def table(found: dict[str, Any]) -> str:
    """Returns the study as Markdown."""
    lines = [
        f"Made by `{found['command']}`, which says how: {len(found['models'])} models of torchvision at {INPUT}, "
        f"{found['rounds']} fresh processes each, both ways twice, in turns.",
        "",
        f"Python {platform.python_version()}, torch {torch.__version__}, {found['threads']} threads",
        "",
        "Change from the first repeat to the second, of the ratio of two models over all pairs, and of their order:",
        "",
        "| way | median change | 90 % below | worst | pairs turned round | places at most | all together | wall time |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for way, seen in found["drift"].items():
        lines.append(
            f"| {way} | {seen['median']:.1%} | {seen['p90']:.1%} | {seen['worst']:.1%} "
            f"| {seen['turned']} of {seen['pairs']} | {seen['places']} | {seen['common']:+.1%} "
            f"| {' + '.join(f'{each:.0f}' for each in found['wall_s'][way])} s |"
        )
    lines += ["", "| model | interleaved, ms | separate, ms |", "| --- | ---: | ---: |"]
    for place, name in enumerate(found["models"]):
        cells = [", ".join(f"{math.exp(logs[place]) * 1e3:.2f}" for logs in found["log_s"][way]) for way in WAYS]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = study.options("interleaved against separate runs")
    parser.add_argument("models", nargs="*", default=MODELS)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="fresh processes of each model and repeat")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    asked = parser.parse_args()
    found = measured(asked.models, asked.rounds, asked.threads)
    study.keep(asked.results, "interleaved", found, table(found))


if __name__ == "__main__":
    main()
