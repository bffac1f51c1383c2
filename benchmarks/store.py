"""What many records cost: a folder of 100,000, ranked by `effbench rank` in a fresh process, against two bars.

The folder holds 1,000 distinct traces and, for each record, 100 timing samples in ten processes, a stated error and
the environment. `python benchmarks/store.py` makes it in a temporary place through `Store.save_many` and ranks it:
first with nothing kept beside the records (cold), then with what the first time kept (warm). It writes
results/store/store.{json,md}.

The traces are of small convolutional networks, recorded by `effbench.profile`; what a trace costs that is not kept
grows with its ops. The records were just written or read: they come from the system's file cache.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from effbench.records import ErrorFigure, ProcessRun, Record, StopRule, Timing, TimingPlan, Trace
from effbench.records.environment import Cpu, Environment, Memory, System, TorchBuild
from effbench.store import Store

RESULTS = Path(__file__).resolve().parents[1] / "results" / "store"
RECORDS, TRACES, PROCESSES, CALLS = 100_000, 1_000, 10, 10
BAR_S, BAR_GB = 10.0, 2.0
WARM_RUNS = 5

MACHINE = Environment(
    Cpu("Example CPU", "6-85-7", "x86_64", 8, 4, 2, 1, 2.0, governor="performance", boost=True, virtual=False),
    Memory(16_000_000_000, 12_000_000_000, "unlimited"),
    System("Example Linux 1", "Linux 6.1.0", "3.11.7", False),
    (),
    TorchBuild("2.14.1+cpu", "0" * 40, None, None, None, "AVX2", "OpenMP 201511", "mkl", "v3", 2, 1, (("TF32", "no"),)),
)


def traces(number: int) -> dict[str, Trace]:
    """Returns traces by digest, of networks that differ in width, depth and kernel."""
    import torch
    from torch import nn

    import effbench

    made: dict[str, Trace] = {}
    rng = random.Random(0)
    while len(made) < number:
        width, depth, kernel = rng.randint(4, 256), rng.randint(4, 12), rng.choice((1, 3, 5))
        layers: list[nn.Module] = []
        with torch.device("meta"):
            for place in range(depth):
                channels = 3 if place == 0 else width
                layers += [nn.Conv2d(channels, width, kernel, padding=kernel // 2), nn.BatchNorm2d(width), nn.ReLU()]
            model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10)).eval()
            trace = effbench.profile(model, (torch.empty(1, 3, 32, 32),)).trace
        made[trace.digest()] = trace
    return made


def records(number: int, digests: list[str]) -> Iterator[Record]:
    """Gives records of models that share traces, each with its own error and times."""
    rng = random.Random(1)
    plan, rule = TimingPlan(batch=1, threads=2), StopRule()
    for place in range(number):
        name = f"net-{place:06d}"
        typical = rng.uniform(1e-3, 5e-2)
        runs = tuple(_run(rng, round_, typical * rng.lognormvariate(0, 0.01)) for round_ in range(PROCESSES))
        yield Record(
            name,
            f"models/{name}.py:Net",
            digests[place % len(digests)],
            errors={"error": ErrorFigure(round(rng.uniform(2, 12), 6), "pixels", n=1000)},
            timings=(Timing(name, plan, rule, runs, 2, True, samples=1),),
            environment=MACHINE,
        )


def _run(rng: random.Random, number: int, typical: float) -> ProcessRun:
    samples = tuple(round(typical * rng.lognormvariate(0, 0.05), 9) for _ in range(CALLS))
    return ProcessRun(number, 5 * typical, (2 * typical,), samples, tuple(range(CALLS)), 1.01 * sum(samples))


def made(folder: Path, number: int, distinct: int) -> dict[str, float]:
    """Returns the seconds that making traces, and writing all records, took."""
    start = time.perf_counter()
    found = traces(distinct)
    traced = time.perf_counter()
    Store(folder).save_many(records(number, list(found)), found)
    return {
        "trace_s": traced - start,
        "write_s": time.perf_counter() - traced,
        "ops_per_trace": sum(len(one.ops) for one in found.values()) / len(found),
    }


def ranked(folder: Path, output: Path) -> dict[str, float]:
    """Returns the seconds and the most resident memory of one `effbench rank`, told by a process of its own."""
    command = [sys.executable, __file__, "--rank", str(folder), str(output)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def rank_once(folder: str, output: str) -> dict[str, float]:
    """Returns the same of a child of this process, which has no other."""
    command = [sys.executable, "-m", "effbench", "rank", folder, "--error", "error", "--quiet", "-o", output]
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "peak_gb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6}


def study(folder: Path, making: dict[str, float], output: Path, times: int = WARM_RUNS) -> dict[str, Any]:
    """Returns what a cold and several warm rankings of a folder cost, what lies in it, and what making it cost."""
    for kept in folder.glob(".effbench-*"):
        kept.unlink()
    cold = ranked(folder, output)
    warm = [ranked(folder, output) for _ in range(times)]
    rows = json.loads(output.read_text(encoding="utf-8"))["rows"]
    return {
        "records": len(list(folder.glob("*.json"))),
        "traces": len(list((folder / "traces").iterdir())),
        "samples": PROCESSES * CALLS,
        "ranked": len(rows),
        **making,
        "cold": cold,
        "warm": warm,
        "bytes": {
            "records": sum(path.stat().st_size for path in folder.glob("*.json")),
            "traces": sum(path.stat().st_size for path in (folder / "traces").iterdir()),
            "kept": sum(path.stat().st_size for path in folder.glob(".effbench-*")),
        },
    }


def table(found: dict[str, Any]) -> str:
    """Returns the study as Markdown."""
    seconds = sorted(run["seconds"] for run in found["warm"])
    peak = max(run["peak_gb"] for run in found["warm"])
    cold = found["cold"]
    size = {name: amount / 1e6 for name, amount in found["bytes"].items()}
    median, worst = seconds[len(seconds) // 2], seconds[-1]
    lines = [
        f"Made by `python benchmarks/store.py`. {found['machine']}",
        "",
        f"{found['records']:,} records with {found['samples']} timing samples each, {found['traces']:,} distinct "
        f"traces of {found['ops_per_trace']:.0f} ops on average; `effbench rank FOLDER -o ranking.json` put "
        f"{found['ranked']:,} into order. Records {size['records']:,.0f} MB, traces {size['traces']:,.1f} MB, kept "
        f"beside them {size['kept']:,.0f} MB.",
        "",
        "| `effbench rank`, whole process | measured | bar | |",
        "| --- | ---: | ---: | --- |",
        f"| warm: median of {len(seconds)} | {median:.1f} s | {BAR_S:g} s | {_met(median <= BAR_S)} |",
        f"| warm: slowest | {worst:.1f} s | {BAR_S:g} s | {_met(worst <= BAR_S)} |",
        f"| warm: most memory | {peak:.2f} GB | {BAR_GB:g} GB | {_met(peak <= BAR_GB)} |",
        f"| cold: nothing kept, every file opened | {cold['seconds']:.1f} s | none | |",
        f"| cold: most memory | {cold['peak_gb']:.2f} GB | {BAR_GB:g} GB | {_met(cold['peak_gb'] <= BAR_GB)} |",
        f"| writing all records with `Store.save_many` | {found['write_s']:.1f} s | none | |",
    ]
    return "\n".join(lines) + "\n"


def _met(is_met: bool) -> str:
    return "met" if is_met else "missed"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rank", nargs=2, metavar=("FOLDER", "OUTPUT"), help="only rank a folder and tell the cost")
    parser.add_argument("--folder", type=Path, help="make it there and keep it; one that is there is used as it is")
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--traces", type=int, default=TRACES)
    parser.add_argument("--warm", type=int, default=WARM_RUNS, help="warm rankings")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the study is kept")
    asked = parser.parse_args()
    if asked.rank:
        print(json.dumps(rank_once(*asked.rank)))
        return
    place = Path(tempfile.mkdtemp())
    folder = asked.folder or place / "records"
    cost = folder.with_suffix(".json")
    try:
        if not cost.exists():
            cost.write_text(json.dumps(made(folder, asked.records, asked.traces)), encoding="utf-8")
            time.sleep(3)  # a file that was written in the last two seconds is not entered in an index
        found = study(folder, json.loads(cost.read_text(encoding="utf-8")), place / "ranking.json", asked.warm)
    finally:
        shutil.rmtree(place)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found["machine"] = f"Python {platform.python_version()}, {platform.machine()}, {cores} cores"
    asked.results.mkdir(parents=True, exist_ok=True)
    (asked.results / "store.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (asked.results / "store.md").write_text(table(found), encoding="utf-8")
    print(table(found))


if __name__ == "__main__":
    main()
