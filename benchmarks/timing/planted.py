"""Slow-downs of known size on this machine: how often are they found, and within how many seconds of measuring?

The slower models do k % more of the very same work, and one does none more: the same model again. All are timed in one
interleaved run. What the timer would say is drawn from its rounds: pairs of base and slower model, picked with
replacement, as many as 60 s of measuring hold (40 at most), looked at after every pair from the sixth on. The draws
centre on the ratio that the series shows, which stands beside the one that was planted.

`python benchmarks/timing/planted.py [--minutes M]` writes results/timing/planted.md and .json.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from typing import Any

import numpy as np
import study
import torch

from effbench.judge.verdict import pair_log_ratios
from effbench.measure.timing.probe import probe, repeats_for
from effbench.measure.timing.worker import Worker
from effbench.records import StopRule, Timing, TimingPlan
from effbench.stats import Interval, Looks, look, settled, spread

MINUTES = 12.0
PLANTED = (0.0, 0.01, 0.03, 0.10)
CALL_S = 0.01
DRAWS = 1000
RULE = StopRule()
WANTED = 0.9
"""Share of the draws in which 3 % has to be found within the rule's 60 s."""


def series(minutes: float, planted: Sequence[float], plan: TimingPlan) -> tuple[tuple[Timing, ...], float]:
    """Returns the times of the model and of each slower one, and the seconds of measuring."""
    repeats = 100 * max(1, round(repeats_for(CALL_S, plan) / 100))  # a hundredth of them is a whole number
    workers = [Worker("base", probe(repeats), plan)]
    workers += [Worker(f"+{extra:.0%}", probe(round(repeats * (1 + extra))), plan) for extra in planted]
    return study.series(workers, plan, minutes, RULE.min_rounds)


def row(planted: float, ratios: Sequence[float], pair_s: float) -> dict[str, Any]:
    """Returns what the timer would say of one slow-down."""
    values = np.asarray(ratios)
    allowed = max(RULE.min_rounds, min(RULE.max_rounds, int(RULE.budget_s / pair_s)))
    picked = values[np.random.default_rng(0).integers(0, len(values), (DRAWS, allowed))]
    found = settled(picked, Looks(RULE.min_rounds, RULE.max_rounds), math.log1p(RULE.margin))
    whole = look(values, Looks(2, len(values)), final=True)
    ratio = Interval(*(math.exp(float(end)) for end in (whole.mean, whole.low, whole.high)))
    shares = {name: float(np.mean(found.verdicts == kind)) for name, kind in _KINDS.items()}
    return {
        "planted": planted,
        "ratio": [ratio.estimate, ratio.low, ratio.high],
        "spread": spread(values),
        "pairs_allowed": allowed,
        **shares,
        "pairs": float(found.values.mean()),
        "seconds": float(found.values.mean()) * pair_s,
        "log_ratios": list(ratios),
    }


_KINDS = {"slower": 1, "faster": -1, "same": 2, "undecided": 0}


def measured(minutes: float, threads: int) -> dict[str, Any]:
    """Returns a row a slow-down."""
    timings, spent_s = series(minutes, PLANTED, TimingPlan(threads=threads))
    base, *others = timings
    pair_s = spent_s / len(base.runs) * 2 / len(timings)
    rows = [row(extra, pair_log_ratios(base, other), pair_s) for extra, other in zip(PLANTED, others, strict=True)]
    return {
        "command": f"python benchmarks/timing/planted.py --minutes {minutes:g}",
        "threads": threads,
        "call_s": float(np.median([np.median(run.samples_s) for run in base.runs])),
        "rounds": len(base.runs),
        "disturbed_rounds": sum(bool(run.notes) for run in base.runs),
        "pair_s": pair_s,
        "rows": rows,
    }


def table(found: dict[str, Any]) -> str:
    """Returns the study as Markdown."""
    lines = [
        f"Made by `{found['command']}`, which says how: {DRAWS:,} comparisons for each row, drawn from "
        f"{found['rounds']} rounds ({found['disturbed_rounds']} disturbed) of a model of {found['call_s'] * 1e3:.1f} "
        f"ms; margin {RULE.margin:.0%}, {found['rows'][0]['pairs_allowed']} pairs at most.",
        "",
        f"Python {platform.python_version()}, torch {torch.__version__}, {found['threads']} threads",
        "",
        "| planted | ratio | 95 % interval | sd of a pair | slower | faster | same | undecided | pairs | measuring |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for each in found["rows"]:
        ratio, low, high = each["ratio"]
        shares = " | ".join(f"{each[kind]:.1%}" for kind in _KINDS)
        lines.append(
            f"| {each['planted']:.0%} | {ratio:.4f} | {low:.4f} to {high:.4f} | {each['spread']:.2%} | {shares} "
            f"| {each['pairs']:.1f} | {each['seconds']:.0f} s |"
        )
    (three,) = (each["slower"] for each in found["rows"] if each["planted"] == 0.03)
    met = "yes" if three >= WANTED else "no"
    return "\n".join([*lines, "", f"3 % found in {WANTED:.0%} of comparisons within 60 s of measuring: {met}."]) + "\n"


def main() -> None:
    parser = study.options("slow-downs of known size")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="for the whole run")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    asked = parser.parse_args()
    found = measured(asked.minutes, asked.threads)
    study.keep(asked.results, "planted", found, table(found))


if __name__ == "__main__":
    main()
