"""Every architecture that torchvision and timm list, profiled: `python benchmarks/zoo.py [--jobs 2] [--only timm]`.

Results are appended to results/zoo/zoo.jsonl one model at a time, so that a run that stops goes on where it was;
results/zoo/zoo.md is written at the end: how many, which fail and why, and where a published figure differs.
torchvision's figures come with its weights; timm's are read from a table of its results (`--timm-table CSV`).
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import effbench as eb

RESULTS = Path(__file__).resolve().parent.parent / "results" / "zoo"
ROWS = RESULTS / "zoo.jsonl"
FVCORE = RESULTS / "timm_fvcore.jsonl"
Row = dict[str, Any]


def specs(only: str | None) -> list[str]:
    """Returns every architecture as a spec, torchvision's first."""
    import timm
    import torchvision

    found = {"torchvision": torchvision.models.list_models(), "timm": timm.list_models()}
    return [f"{zoo}:{name}" for zoo, names in found.items() if only in (None, zoo) for name in names]


def profile(spec: str) -> Row:
    """Returns one model's figures, or why there are none."""
    start = time.perf_counter()
    row: Row = {"spec": spec}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            made = eb.profile(spec)
            row |= {
                "params": made.params,
                "macs": made.macs,
                "unknown": dict(made.coverage.unknown),
                "notes": [note.code for note in made.notes],
                "input": [list(item.shape) for item in made.trace.inputs],
            }
        except Exception as error:
            row["failed"] = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        row["published"] = published(spec)
    row["seconds"] = round(time.perf_counter() - start, 2)
    return row


def published(spec: str) -> Row:
    """Returns what torchvision publishes of an architecture's default weights: parameters and GFLOPs (its MACs)."""
    zoo, _, name = spec.partition(":")
    if zoo != "torchvision":
        return {}
    import torchvision

    weights = torchvision.models.get_model_weights(name)
    if not len(weights):
        return {}
    meta = weights.DEFAULT.meta
    return {"params": meta.get("num_params"), "gmacs": meta.get("_ops")}


def done(rows: Path = ROWS) -> dict[str, Row]:
    """Returns the rows of earlier runs, by spec; of several for one spec the last."""
    if not rows.exists():
        return {}
    return {row["spec"]: row for row in map(json.loads, rows.read_text(encoding="utf-8").splitlines())}


def run(todo: list[str], jobs: int, work: Callable[[str], Row] = profile, rows: Path = ROWS) -> None:
    """Does the models that are left, each result written as it comes."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    with rows.open("a", encoding="utf-8") as file, context.Pool(jobs, maxtasksperchild=200) as pool:
        for number, row in enumerate(pool.imap_unordered(work, todo), start=1):
            file.write(json.dumps(row) + "\n")
            file.flush()
            print(f"\r{number} of {len(todo)}  {row['spec']:<60}", end="", flush=True)
    print()


class Published(NamedTuple):
    """What timm's tables state of an architecture at one image size: millions, to two digits."""

    size: int
    params_m: float
    gmacs: float


def timm_figures(path: Path) -> dict[str, list[Published]]:
    """Returns the figures of a table of timm's results by architecture, each image size once."""
    found: dict[str, list[Published]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            stated = Published(int(row["infer_img_size"]), _number(row["param_count"]), _number(row["infer_gmacs"]))
            sizes = found.setdefault(f"timm:{row['model'].partition('.')[0]}", [])
            if stated.size not in [other.size for other in sizes]:
                sizes.append(stated)
    return found


def _number(text: str) -> float:
    return float(text.replace(",", ""))


def disagreements(rows: Iterable[Row]) -> list[str]:
    """Returns a line for each figure of torchvision that is not ours at the digits it was published with."""
    found = []
    for row in rows:
        stated = row.get("published") or {}
        if "failed" in row:
            continue
        if stated.get("params") not in (None, row["params"]):
            found.append(f"| {row['spec']} | params | {stated['params']:,} | {row['params']:,} |")
        gmacs = stated.get("gmacs")
        if gmacs and row["macs"] is not None and round(row["macs"] / 1e9, 3) != gmacs:
            found.append(f"| {row['spec']} | GMACs | {gmacs} | {row['macs'] / 1e9:.3f} |")
    return found


def as_fvcore(spec: str) -> Row:
    """Returns fvcore's figure of a model of timm whose attention is written out in matrix products."""
    import timm

    timm.layers.set_fused_attn(False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {"spec": spec, "fvcore": eb.profile(spec, convention="fvcore").macs}


def is_close(stated: float, amount: float | None) -> bool:
    """Returns whether a figure of two digits is this amount."""
    return amount is not None and abs(amount - stated) <= 0.0051


def compared(rows: Iterable[Row], figures: dict[str, list[Published]]) -> list[tuple[Row, Published]]:
    """Returns the models that timm's table has at the image size profiled here, each with its figures."""
    found = []
    for row in rows:
        size = row["input"][0][-1] if row.get("input") else None
        stated = next((item for item in figures.get(row["spec"], []) if item.size == size), None)
        if stated is not None and row["macs"] is not None:
            found.append((row, stated))
    return found


def timm_section(rows: list[Row], path: Path) -> list[str]:
    """Returns the lines on timm's own figures: which differ, and whether they are fvcore's."""
    pairs = compared(rows, timm_figures(path))
    fvcore = {spec: row["fvcore"] for spec, row in done(FVCORE).items()}
    params = [(row, stated) for row, stated in pairs if not is_close(stated.params_m, row["params"] / 1e6)]
    gmacs = [(row, stated) for row, stated in pairs if not is_close(stated.gmacs, row["macs"] / 1e9)]
    amounts = {spec: None if amount is None else amount / 1e9 for spec, amount in fvcore.items()}
    alike = [row["spec"] for row, stated in gmacs if is_close(stated.gmacs, amounts.get(row["spec"]))]
    return [
        "",
        "## Figures in timm's tables that differ",
        "",
        f"{len(pairs)} architectures of `{path.name}` at the image size profiled here: parameters differ in "
        f"{len(params)}, GMACs in {len(gmacs)}. Of the latter {len(alike)} are what fvcore counts, by effbench's "
        "convention of that name, where attention is written out in matrix products (`timm.layers.set_fused_attn("
        "False)`): norms, pooling and interpolation are in it.",
        "",
        "| model | figure | timm | effbench | fvcore, unfused |",
        "| --- | --- | ---: | ---: | ---: |",
        *(f"| {row['spec']} | M params | {stated.params_m} | {row['params'] / 1e6:.2f} | |" for row, stated in params),
        *(
            f"| {row['spec']} | GMACs | {stated.gmacs:.2f} | {row['macs'] / 1e9:.2f} | {_shown(amounts, row)} |"
            for row, stated in sorted(gmacs, key=lambda pair: pair[0]["spec"] in alike)
        ),
    ]


def _shown(amounts: dict[str, float | None], row: Row) -> str:
    amount = amounts.get(row["spec"])
    return "" if amount is None else f"{amount:.2f}"


def table(rows: list[Row], timm_table: Path | None = None) -> str:
    """Returns the study as Markdown."""
    failed = [row for row in rows if "failed" in row]
    unknown = [row for row in rows if row.get("unknown")]
    whole = len(rows) - len(failed) - len(unknown)
    real = sum("real-run" in row.get("notes", ()) for row in rows)
    lines = [
        f"Made by `python benchmarks/zoo.py{'' if timm_table is None else ' --timm-table ' + timm_table.name}`.",
        "",
        f"{len(rows)} architectures: {whole} counted in full, {len(unknown)} with an unknown op, {len(failed)} failed; "
        f"{real} needed data and were run for real. {sum(row['seconds'] for row in rows):,.0f} s of work.",
        "",
        "## Failed",
        "",
        "| model | reason |",
        "| --- | --- |",
        *(f"| {row['spec']} | {row['failed'].replace('|', '/')} |" for row in failed),
        "",
        "## Unknown ops",
        "",
        "| model | ops |",
        "| --- | --- |",
        *(f"| {row['spec']} | {', '.join(row['unknown'])} |" for row in unknown),
        "",
        "## Figures published with torchvision's weights that differ",
        "",
        "| model | figure | published | effbench |",
        "| --- | --- | ---: | ---: |",
        *disagreements(rows),
        *([] if timm_table is None else timm_section(rows, timm_table)),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", choices=["torchvision", "timm"])
    parser.add_argument("--timm-table", type=Path, metavar="CSV")
    options = parser.parse_args()
    earlier = done()
    run([spec for spec in specs(options.only) if spec not in earlier], options.jobs)
    rows = sorted(done().values(), key=lambda row: str(row["spec"]))
    if options.timm_table is not None:
        pairs = compared(rows, timm_figures(options.timm_table))
        differ = [row["spec"] for row, stated in pairs if not is_close(stated.gmacs, row["macs"] / 1e9)]
        run([spec for spec in differ if spec not in done(FVCORE)], options.jobs, as_fvcore, FVCORE)
    (RESULTS / "zoo.md").write_text(table(rows, options.timm_table), encoding="utf-8")
    print(f"{len(rows)} rows in {RESULTS.name}/zoo.jsonl, the table in {RESULTS.name}/zoo.md")


if __name__ == "__main__":
    main()
