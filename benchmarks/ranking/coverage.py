"""How often intervals of ranks hold the true rank, and how long they are: three constructions on tables of known truth.

Every table is drawn anew: true figures, what was measured of them, and draws from that by `effbench.judge.uncertainty`.
Beside it: how often draws of times and of shares hold the truth, against drawing values with replacement.

`python -m benchmarks.ranking.coverage [--tables N]` writes results/ranking/coverage.md and .json (200 tables: about two
minutes on one core).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.ranking import study
from benchmarks.ranking.tables import DRAWS, KINDS, Kind, Table
from effbench.judge.uncertainty import ProcessTimes, Share, draw_errors, draw_times, rank_intervals, ranks, tie_groups
from effbench.stats import Floats

TABLES = 200
LEVEL = 0.95
BAR = 0.93
REPEATS = 2000


# Constructions


def quantiles(table: Table) -> tuple[Floats, Floats]:
    """The 2.5 % and 97.5 % points of the draws' ranks."""
    low, high = np.quantile(ranks(table.order), [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return np.floor(low), np.ceil(high)


def pairwise(table: Table) -> tuple[Floats, Floats]:
    """Models better and worse by a difference of 1.96 standard errors, however many are compared."""
    shared = np.cov(table.order.T)
    own = np.diag(shared)
    error = np.sqrt(np.maximum(own[:, None] + own - 2 * shared, 0.0))
    size = np.divide(table.nominal[:, None] - table.nominal, error, out=np.zeros_like(error), where=error > 0)
    return 1.0 + (size > 1.96).sum(axis=1), len(size) - 1.0 * (size < -1.96).sum(axis=1)


def simultaneous(table: Table) -> tuple[Floats, Floats]:
    """What effbench does: better and worse than chance makes any of the differences."""
    found = rank_intervals(table.order, LEVEL, table.nominal)
    return found.low.astype(float), found.high.astype(float)


WAYS: dict[str, Callable[[Table], tuple[Floats, Floats]]] = {
    "quantiles of ranks": quantiles,
    "pairs at 95 %": pairwise,
    "effbench": simultaneous,
}


def covered(kind: Kind, tables: int) -> dict[str, dict[str, float]]:
    """Returns for each construction the share of intervals that hold the true rank, and their mean length in ranks."""
    held: dict[str, list[Any]] = {way: [] for way in WAYS}
    length: dict[str, list[float]] = {way: [] for way in WAYS}
    leading: dict[str, list[bool]] = {way: [] for way in WAYS}
    for seed in range(tables):
        table = kind.made(np.random.default_rng(seed), seed)
        places = ranks(table.truth)
        for way, found in WAYS.items():
            low, high = found(table)
            inside = (low <= places) & (places <= high)
            held[way].append(inside[np.argsort(table.truth)])
            leading[way].append(bool(inside[np.argmin(table.nominal)]))
            length[way].append(float((high - low + 1).mean()))
    return {
        way: {
            "all": float(np.mean(held[way])),
            "best": float(np.mean(held[way], axis=0)[0]),
            "worst": float(np.mean(held[way], axis=0)[-1]),
            "first": float(np.mean(leading[way])),
            "length": float(np.mean(length[way])),
        }
        for way in WAYS
    }


def split(tables: int) -> float:
    """Returns the share of 20 models that are all but equal which are not in the first group."""
    made = KINDS["20 shares, near ties"].made
    found = []
    for seed in range(tables):
        table = made(np.random.default_rng(seed), seed)
        found.append(float((tie_groups(table.order, table.nominal) > 1).mean()))
    return float(np.mean(found))


# What draws of one figure cover


def time_coverage(processes: int, repeats: int) -> dict[str, float]:
    """Returns how often 95 % of the draws of one model's time hold it, and of values drawn with replacement."""
    random = np.random.default_rng(processes)
    held = np.zeros(2)
    for seed in range(repeats):
        logs = 0.05 * random.standard_normal(processes)
        drawn = np.log(draw_times([ProcessTimes(tuple(logs), tuple(range(processes)))], DRAWS, seed)[:, 0])
        again = random.choice(logs, (DRAWS, processes)).mean(axis=1)
        held += [_holds(values, 0.0) for values in (drawn, again)]
    return {"processes": processes, "effbench": held[0] / repeats, "with replacement": held[1] / repeats}


def share_coverage(truth: float, samples: int, repeats: int) -> dict[str, float]:
    """Returns how often 95 % of the draws of a share hold it, and of binomial counts drawn at the share seen."""
    random = np.random.default_rng(samples)
    held = np.zeros(2)
    for seed in range(repeats):
        seen = random.binomial(samples, truth) / samples
        drawn = draw_errors([Share(seen, samples)], DRAWS, seed)[:, 0]
        again = random.binomial(samples, seen, DRAWS) / samples
        held += [_holds(values, truth) for values in (drawn, again)]
    return {"share": truth, "samples": samples, "effbench": held[0] / repeats, "counts": held[1] / repeats}


def _holds(drawn: Floats, truth: float) -> bool:
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return bool(low <= truth <= high)


# The page


def page(found: dict[str, Any]) -> str:
    """Returns the study as Markdown."""
    tables = found["tables"]
    rows = [
        [
            name,
            way,
            *(f"{seen[column]:.1%}" for column in ("all", "best", "worst", "first")),
            f"{seen['length']:.1f}",
        ]
        for name, ways in found["coverage"].items()
        for way, seen in ways.items()
    ]
    times_rows = [
        [str(row["processes"]), f"{row['effbench']:.1%}", f"{row['with replacement']:.1%}"] for row in found["times"]
    ]
    shares_rows = [
        [f"{row['share']:.1%}", f"{row['samples']:,}", f"{row['effbench']:.1%}", f"{row['counts']:.1%}"]
        for row in found["shares"]
    ]
    own = {name: ways["effbench"] for name, ways in found["coverage"].items()}
    least = min(seen["all"] for seen in own.values())
    ends = min((min(seen["best"], seen["worst"]), name) for name, seen in own.items())
    lines = [
        "# Intervals of ranks on tables of known truth",
        "",
        f"Written by `{found['command']}` in {found['seconds']:.0f} s; {study.machine_line(found['machine'])}.",
        f"{tables} tables of each kind, {DRAWS:,} draws each, intervals of {LEVEL:.0%}; a share near 95 % of one place",
        f"in the table is known to ±{1.96 * (0.95 * 0.05 / tables) ** 0.5:.1%}.",
        "",
        "*All*: the share of intervals that hold the true rank; *best*, *worst*: those of the models that are;",
        "*first*: that of the model that looks best, the row that is read. *Length*: ranks in an interval, on average.",
        "Near ties are those that noise exceeds many times: their true order is there, and cannot be seen.",
        "",
        *study.markdown(["tables", "what they hold"], [[name, kind.says] for name, kind in KINDS.items()]),
        "",
        *study.markdown(["tables", "intervals", "all", "best", "worst", "first", "length"], rows),
        "",
        "Quantiles of the draws' ranks are shortest and fail among near ties. Pairs at 95 % hold on average and fail",
        "at the ends of a table, which a leaderboard is read for. effbench's intervals hold the true rank in",
        f"{least:.1%} of any kind of table or more; the bar is {BAR:.0%}. At the ends it is {ends[0]:.1%} or more,",
        f"least in *{ends[1]}*: with few rounds the noise of some of the many pairs looks smaller than it is.",
        "The price is length where figures are dense.",
        "",
        f"Of 20 models that are all but equal, {found['split']:.1%} are put outside the first tie group.",
        "",
        f"## Draws of one figure, {found['repeats']:,} repeats",
        "",
        *study.markdown(["processes timed", "effbench", "drawn with replacement"], times_rows),
        "",
        *study.markdown(["true share", "samples", "effbench", "binomial counts at the share seen"], shares_rows),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = study.options("coverage of rank intervals")
    parser.add_argument("--tables", type=int, default=TABLES, help="tables of each kind")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="repeats for draws of one figure")
    asked = parser.parse_args()
    began_s = time.perf_counter()
    coverage = {}
    for name, kind in KINDS.items():
        coverage[name] = covered(kind, asked.tables)
        print(f"{name}: {time.perf_counter() - began_s:.0f} s", file=sys.stderr, flush=True)
    found = {
        "command": f"python -m benchmarks.ranking.coverage --tables {asked.tables}",
        "machine": study.machine(),
        "tables": asked.tables,
        "draws": DRAWS,
        "level": LEVEL,
        "bar": BAR,
        "coverage": coverage,
        "split": split(asked.tables),
        "repeats": asked.repeats,
        "times": [time_coverage(processes, asked.repeats) for processes in (6, 12, 20, 40)],
        "shares": [
            share_coverage(truth, samples, asked.repeats)
            for truth, samples in ((0.25, 1000), (0.25, 100), (0.02, 100), (0.002, 1000))
        ],
        "seconds": time.perf_counter() - began_s,
    }
    study.keep(asked.results, "coverage", found, page(found))


if __name__ == "__main__":
    main()
