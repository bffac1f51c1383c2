"""What the timer's verdicts and intervals are worth on the six simulated machines: all error rates side by side.

Each row is many runs of `effbench.measure.timing.operating`: the estimators, boundaries and stop of the timer, on calls
whose truth is known. `python benchmarks/timing/simulated.py [RUNS]` writes results/timing/simulated.md and .json (1,000
runs: about 3 minutes on one core).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from effbench.measure.timing.operating import Coverage, Outcome, coverage, operating_point
from effbench.measure.timing.simulated import MACHINES
from effbench.records.timing import StopRule

RUNS = 1000
ROUNDS = (6, 12, 20, 40)
RESULTS = Path(__file__).resolve().parents[2] / "results" / "timing"


def main(runs: int = RUNS) -> None:
    began = time.perf_counter()
    outcomes: list[Outcome] = []
    coverages: list[Coverage] = []
    for machine in MACHINES:
        outcomes += operating_point(machine, StopRule(), runs)
        coverages += [coverage(machine, rounds, runs=runs) for rounds in ROUNDS]
        print(f"{machine.name}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    RESULTS.mkdir(parents=True, exist_ok=True)
    data = {
        "command": f"python benchmarks/timing/simulated.py {runs}",
        "machines": [asdict(machine) for machine in MACHINES],
        "rule": asdict(StopRule()),
        "outcomes": [asdict(each) for each in outcomes],
        "coverage": [asdict(each) for each in coverages],
    }
    (RESULTS / "simulated.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    text = page(outcomes, coverages, runs)
    (RESULTS / "simulated.md").write_text(text, encoding="utf-8")
    print(text)


def page(outcomes: Sequence[Outcome], coverages: Sequence[Coverage], runs: int) -> str:
    """Returns the tables in Markdown."""
    machines = [[machine.name, machine.says] for machine in MACHINES]
    verdicts = [
        [
            each.machine,
            percent(each.difference),
            percent(each.margin),
            str(each.pairs_allowed),
            percent(wrong(each)),
            percent(each.slower) if each.difference else "",
            percent(each.same),
            percent(each.undecided),
            f"{each.pairs_used:.1f}",
            f"{each.spread:.4f}",
        ]
        for each in outcomes
    ]
    heads = ["machine", "true slow-down", "margin", "pairs at most", "wrong", "found", "same", "undecided"]
    held = [
        [each.machine, str(each.rounds), percent(each.held), percent(each.half_width), f"{each.truth_s * 1e3:.3f}"]
        for each in coverages
    ]
    return "\n".join(
        [
            "# The timer on simulated machines",
            "",
            f"Written by `python benchmarks/timing/simulated.py {runs}`; every row is {runs:,} runs, so a share near",
            f"5 % is known to ±{1.96 * (0.05 * 0.95 / runs) ** 0.5:.1%} and one near 50 % to ±{0.98 / runs**0.5:.1%}.",
            "",
            *markdown(["machine", "what it does"], machines),
            "",
            "## Verdicts",
            "",
            "A look after each pair of processes from the sixth on; a run ends with its verdict. *Wrong* is a",
            "difference where there is none, one of the wrong sign, or *same* for models that are the margin or more",
            "apart; *found* is the right sign. Calls are steady ones: what a cold start leaves after warming up is",
            "tested with the whole timer, in tests/measure/test_timing.py.",
            "",
            *markdown([*heads, "pairs used", "sd of a pair"], verdicts),
            "",
            "## Intervals of one model's median",
            "",
            "How often the 95 % interval holds the truth: the median call of a typical process.",
            "",
            *markdown(["machine", "processes", "held", "half-width", "truth (ms)"], held),
            "",
        ]
    )


def wrong(each: Outcome) -> float:
    """Returns the share of runs whose verdict was an error."""
    if not each.difference:
        return each.slower + each.faster
    return each.faster + (each.same if each.difference >= each.margin else 0.0)


def percent(share: float) -> str:
    return f"{share:.1%}"


def markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Returns a table's lines; all columns but the first hold numbers, where they do."""
    return [line(heads), line(["---", *["---:"] * (len(heads) - 1)]), *map(line, rows)]


def line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
