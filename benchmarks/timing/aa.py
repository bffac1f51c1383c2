"""A model against itself on this machine: how often would the timer call it different?

One long series of pairs of fresh processes is measured, all the minutes long. Two hundred whole runs would take days,
so the runs are cut out of the series: each is 40 consecutive pairs from a random place, the labels A and B of each pair
drawn anew, looked at after every pair from the sixth on as `effbench compare` does. Consecutive pairs keep what the
machine remembers in their spread. Beside them stand the runs of six pairs that the series really holds, end to end,
with the labels that they had.

`python benchmarks/timing/aa.py [--minutes M]` writes results/timing/aa.md and .json.
"""

from __future__ import annotations

import math
import platform
import time
from typing import Any

import numpy as np
import study
import torch

from effbench.judge.verdict import pair_log_ratios
from effbench.measure.timing.probe import probe, repeats_for
from effbench.measure.timing.worker import Worker
from effbench.records import StopRule, TimingPlan
from effbench.stats import Floats, Looks, settled, share_interval, spread

MINUTES = 12.0
CALL_S = 0.002
"""Length of a call: short, so that most of the time is not the model's."""
RUNS = 200
RULE = StopRule()
ALLOWED = 16
"""Of 200 runs: the 98 % point of a true 5 %."""


def series(minutes: float, plan: TimingPlan) -> dict[str, Any]:
    """Returns the log ratio of every pair of processes, and what measuring them took."""
    asked = probe(repeats_for(CALL_S, plan))
    begin_s = time.perf_counter()
    workers = [Worker(name, asked, plan) for name in ("A", "A again")]
    (base, again), spent_s = study.series(workers, plan, minutes, RULE.min_rounds)
    ratios = pair_log_ratios(base, again)
    return {
        "call_s": float(np.median([np.median(run.samples_s) for run in base.runs])),
        "measuring_s": spent_s,
        "wall_s": time.perf_counter() - begin_s,
        "disturbed_rounds": sum(bool(run.notes) for run in base.runs),
        "log_ratios": ratios,
    }


def runs_of(ratios: Floats, runs: int, pairs: int, seed: int = 0) -> Floats:
    """Returns stretches of consecutive pairs with labels drawn anew, shaped (runs, pairs)."""
    chance = np.random.default_rng(seed)
    starts = chance.integers(0, len(ratios) - pairs + 1, runs)
    found = ratios[starts[:, None] + np.arange(pairs)]
    return np.asarray(found * chance.choice((-1.0, 1.0), found.shape))


def verdicts(values: Floats, looks: Looks) -> dict[str, Any]:
    """Returns how many of the runs got each verdict."""
    found = settled(values, looks, math.log1p(RULE.margin))
    alarms = int(np.isin(found.verdicts, (1, -1)).sum())
    return {
        "runs": len(values),
        "pairs": values.shape[1],
        "alarms": alarms,
        "interval": share_interval(alarms, len(values)),
        "same": int((found.verdicts == 2).sum()),
        "undecided": int((found.verdicts == 0).sum()),
        "pairs_used": float(found.values.mean()),
    }


def measured(minutes: float, threads: int) -> dict[str, Any]:
    """Returns the series and what became of both kinds of runs."""
    found = series(minutes, TimingPlan(threads=threads))
    ratios = np.asarray(found["log_ratios"])
    pairs = min(RULE.max_rounds, len(ratios))
    fewest = RULE.min_rounds
    real = ratios[: len(ratios) // fewest * fewest].reshape(-1, fewest)
    return {
        "command": f"python benchmarks/timing/aa.py --minutes {minutes:g}",
        "threads": threads,
        **found,
        "spread": spread(ratios),
        "drawn": verdicts(runs_of(ratios, RUNS, pairs), Looks(fewest, RULE.max_rounds)),
        "as_measured": verdicts(real, Looks(fewest, fewest)),
    }


def table(found: dict[str, Any]) -> str:
    """Returns the study as Markdown."""
    lines = [
        f"Made by `{found['command']}`, which says how: runs cut out of one series of {len(found['log_ratios'])} pairs "
        f"of fresh processes of one model against itself ({found['call_s'] * 1e3:.1f} ms a call, "
        f"{found['wall_s'] / 60:.1f} min, {found['disturbed_rounds']} rounds disturbed).",
        "",
        f"Python {platform.python_version()}, torch {torch.__version__}, {found['threads']} threads; "
        f"sd of a pair's log ratio {found['spread']:.2%}",
        "",
        "| runs | how many | pairs at most | called different | 95 % interval | same | undecided | pairs used |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for key, name in (("drawn", "stretches, labels drawn"), ("as_measured", "end to end, as measured")):
        row = found[key]
        low, high = row["interval"]
        lines.append(
            f"| {name} | {row['runs']} | {row['pairs']} | {row['alarms']} ({row['alarms'] / row['runs']:.1%}) "
            f"| {low:.1%} to {high:.1%} | {row['same']} | {row['undecided']} | {row['pairs_used']:.1f} |"
        )
    met = "yes" if found["drawn"]["alarms"] <= ALLOWED else "no"
    return "\n".join([*lines, "", f"At most {ALLOWED} of {RUNS}, the 98 % point of a true 5 %: {met}."]) + "\n"


def main() -> None:
    parser = study.options("a model against itself")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="for the whole series")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    asked = parser.parse_args()
    found = measured(asked.minutes, asked.threads)
    study.keep(asked.results, "aa", found, table(found))


if __name__ == "__main__":
    main()
