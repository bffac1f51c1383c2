"""How long intervals for a table of timm's size take: 1,556 models, 1,000 draws, from evidence to leaderboard.

The table is made up: sizes, speeds and errors spread as published tables of image classifiers have them, each error a
share of 50,000 samples, each time with an interval of ±1 %. `python -m benchmarks.ranking.speed [--models N --draws N]`
writes results/ranking/speed.md and .json, with one run each of larger tables beside (about a minute and a half in all).
Needs no torch.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks.ranking import study
from effbench.judge.break_points import break_points
from effbench.judge.certainty import MOST_WITH_INTERVALS
from effbench.judge.pareto import front_probability, hypervolume
from effbench.judge.uncertainty import Exact, Share, draw_errors, draw_times, rank_intervals, tie_groups
from effbench.stats import Floats

MODELS = 1556
DRAWS = 1000
SAMPLES = 50_000
BAR_S = 5.0
REPEATS = 5
LARGER = (5_000, MOST_WITH_INTERVALS)

Steps = dict[str, float]


class Models(NamedTuple):
    """Parameters (M), GMACs, seconds a sample, and top-1 error in percent, each of shape (models,)."""

    params: Floats
    gmacs: Floats
    seconds: Floats
    error: Floats


def made_up(models: int, seed: int = 0) -> Models:
    """Returns a table: cost over four orders of magnitude, error that falls with it and spreads around it."""
    random = np.random.default_rng(seed)
    size = random.normal(0, 1, models)
    params = np.exp(3.3 + 1.2 * size + 0.3 * random.normal(size=models))
    gmacs = np.round(np.exp(1.5 + 1.4 * size + 0.5 * random.normal(size=models)), 2) + 0.01
    seconds = 1e-4 * gmacs**0.8 * np.exp(0.5 * random.normal(size=models))
    error = np.clip(19 - 2.5 * size + 3 * random.gamma(1.5, 1, models) - 4, 9, 90)
    return Models(params, np.asarray(gmacs, np.float64), np.asarray(seconds, np.float64), np.round(error, 3))


def leaderboard(table: Models, draws: int, seed: int) -> Steps:
    """Returns the seconds of each step, from evidence to all that a leaderboard shows."""
    took: Steps = {}

    def step(name: str, work: Callable[[], Any]) -> Any:
        began_s = time.perf_counter()
        found = work()
        took[name] = time.perf_counter() - began_s
        return found

    shares = [Share(float(value), SAMPLES, "percent") for value in table.error]
    stated = [Exact(float(value), 0.01) for value in table.seconds]
    errors = step("draws of errors", lambda: draw_errors(shares, draws, seed))
    seconds = step("draws of times", lambda: draw_times(stated, draws, seed))
    nominal = np.log(table.params) + np.log(table.seconds) + table.error
    order = np.log(table.params) + np.log(seconds) + errors
    intervals = step("intervals of ranks", lambda: rank_intervals(order, nominal=nominal))
    step("tie groups", lambda: tie_groups(order, nominal, intervals=intervals))
    step("front of time and error", lambda: front_probability(np.stack([seconds, errors], axis=-1)))
    size = np.broadcast_to(table.params, seconds.shape)
    step("front of time, error and parameters", lambda: front_probability(np.stack([seconds, errors, size], axis=-1)))
    step("hypervolume", lambda: hypervolume(np.stack([table.seconds, table.error, table.params], axis=-1)))
    step("break-points", lambda: break_points(np.log(table.params) + np.log(table.seconds), table.error))
    took["all"] = sum(took.values())
    return took


def page(found: dict[str, Any]) -> str:
    """Returns the study as Markdown."""
    runs: list[Steps] = found["runs"]
    rows = [
        [name, f"{statistics.median(run[name] for run in runs):.2f}", f"{max(run[name] for run in runs):.2f}"]
        for name in runs[0]
    ]
    worst = max(run["all"] for run in runs)
    larger = [
        [f"{one['models']:,}", f"{one['intervals of ranks']:.0f}", f"{one['all']:.0f}"] for one in found["larger"]
    ]
    lines = [
        "# Intervals for a table of timm's size",
        "",
        f"Written by `{found['command']}`; {study.machine_line(found['machine'])}; threads of numpy's own choice.",
        f"{found['models']:,} models × {found['draws']:,} draws, {len(runs)} times; peak memory "
        f"{found['peak_bytes'] / 2**20:,.0f} MiB.",
        "",
        *study.markdown(["step", "median, s", "slowest, s"], rows),
        "",
        f"The bar is {BAR_S:g} s for all: {'met' if worst <= BAR_S else 'missed'}.",
        "",
        f"Larger tables, one run each, {found['draws']:,} draws; models whose order noise might turn round are "
        "compared,",
        "and in this table these are many. Beyond the largest one, intervals wait to be asked for.",
        "",
        *study.markdown(["models", "intervals of ranks, s", "all, s"], larger),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = study.options("speed of intervals")
    parser.add_argument("--models", type=int, default=MODELS)
    parser.add_argument("--draws", type=int, default=DRAWS)
    asked = parser.parse_args()
    table = made_up(asked.models)
    runs = [leaderboard(table, asked.draws, seed) for seed in range(REPEATS)]
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    larger = [{"models": models, **leaderboard(made_up(models), asked.draws, 0)} for models in LARGER]
    found = {
        "command": f"python -m benchmarks.ranking.speed --models {asked.models} --draws {asked.draws}",
        "machine": study.machine(),
        "models": asked.models,
        "draws": asked.draws,
        "bar_s": BAR_S,
        "runs": runs,
        "peak_bytes": peak_bytes,
        "larger": larger,
    }
    study.keep(asked.results, "speed", found, page(found))


if __name__ == "__main__":
    main()
