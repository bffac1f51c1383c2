"""What the studies of the timer share: a long interleaved series, where results go, and how they are kept."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

from effbench.measure.timing.deadline import Deadline
from effbench.measure.timing.run import Progress, timed
from effbench.measure.timing.worker import Worker
from effbench.records import StopRule, Timing, TimingPlan
from effbench.timings import watch_here

RESULTS = Path(__file__).resolve().parents[2] / "results" / "timing"


def options(description: str) -> argparse.ArgumentParser:
    """Returns a parser that knows where results are written to."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder that is written to")
    return parser


def keep(folder: Path, name: str, found: object, text: str) -> None:
    """Writes a study's facts and its table, and prints the table."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (folder / f"{name}.md").write_text(text, encoding="utf-8")
    print(text)


def series(workers: Sequence[Worker], plan: TimingPlan, minutes: float, least: int) -> tuple[tuple[Timing, ...], float]:
    """Returns the times of models that are timed in turns for so many minutes, and the seconds of measuring.

    Raises:
        SystemExit: fewer rounds than `least` came about.
    """
    begin_s = time.perf_counter()
    deadline = Deadline(workers, time.perf_counter, begin_s + 60 * minutes)
    steps: list[Progress] = []

    def on_round(found: Progress) -> None:
        steps.append(found)
        print(f"{found.round} rounds, {time.perf_counter() - begin_s:.0f} of {60 * minutes:.0f} s", flush=True)

    usual = StopRule()
    # A round of two models is as long as in a usual comparison, which has a minute.
    round_s = usual.budget_s / (2 * usual.min_rounds) * len(workers) / 2
    rule = StopRule(half_width=1e-9, budget_s=60 * minutes, max_rounds=2000, round_s=round_s)
    found = timed(deadline.entrants, rule, 0, time.perf_counter, on_round, watch_here([plan])[0])
    if len(found[0].runs) < least:
        raise SystemExit(f"{len(found[0].runs)} rounds: raise --minutes ({found[0].died})")
    return found, steps[-1].spent_s
