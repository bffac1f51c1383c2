"""Each convention that reproduces a tool beside the tool itself, on whole models: `make test-peers`.

`python -m benchmarks.peers.equality [--jobs 2] [--again] [--limit 900] [SPEC…]` runs every torchvision classification,
segmentation and video model and forty families of timm. Each model has a process of its own, so that a crash or a run
out of memory loses only what was to come of it. Rows are appended to results/peers/equality.jsonl as they come: what
the tools gave, as facts of their versions, and what effbench makes of the model, as of its own sources. A row is used
again while both hold; where only effbench changed, only effbench's figures are made anew. The table is
results/peers/equality.md. Exits with 1 where a figure differs and EXPLAINED does not say why.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib import metadata
from multiprocessing.connection import Connection
from pathlib import Path
from types import MappingProxyType
from typing import Any

from benchmarks.peers.equality_table import Row, differing, table
from benchmarks.zoo import done

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "results" / "peers"
ROWS = RESULTS / "equality.jsonl"

TORCHVISION = ("", "segmentation", "video")
"""Submodules of torchvision.models whose architectures are compared, all of them; "" are the classifiers."""

TIMM: Mapping[str, str] = MappingProxyType(
    {
        "vision_transformer": "vit_tiny_patch16_224",
        "efficientnet": "mobilenetv2_035",
        "resnet": "resnet10t",
        "eva": "vit_tiny_patch16_dinov3_qkvb",
        "maxxvit": "maxvit_pico_rw_256",
        "byobnet": "mobileone_s1",
        "nfnet": "nf_regnet_b0",
        "regnet": "regnetx_002",
        "mobilenetv3": "mobilenetv3_small_050",
        "convnext": "convnext_zepto_rms",
        "xcit": "xcit_nano_12_p8_224",
        "cspnet": "cs3darknet_focus_s",
        "levit": "levit_128s",
        "resnetv2": "resnetv2_18",
        "metaformer": "poolformerv2_s12",
        "deit": "deit_tiny_patch16_224",
        "swin_transformer_v2_cr": "swinv2_cr_tiny_224",
        "byoanet": "halonet_h1",
        "mlp_mixer": "gmlp_ti16_224",
        "naflexvit": "naflexvit_base_patch16_parfac_gap",
        "vision_transformer_hybrid": "vit_tiny_r_s16_p8_224",
        "vision_transformer_relpos": "vit_srelpos_small_patch16_224",
        "vitamin": "vitamin_small_224",
        "dla": "dla46x_c",
        "fastvit": "fastvit_t8",
        "focalnet": "focalnet_tiny_srf",
        "swin_transformer_v2": "swinv2_tiny_window16_256",
        "crossvit": "crossvit_tiny_240",
        "hrnet": "hrnet_w18_small",
        "mambaout": "mambaout_femto",
        "volo": "volo_d1_224",
        "cait": "cait_xxs24_224",
        "ghostnet": "ghostnet_050",
        "hgnet": "hgnetv2_b0",
        "mobilevit": "mobilevit_xxs",
        "rexnet": "rexnet_100",
        "vovnet": "ese_vovnet19b_slim_dw",
        "cpubone": "cpubone_nano",
        "iformer": "iformer_t",
        "qwen3_vit": "qwen3_vit_88m",
    }
)
"""A model of each of the forty modules that hold the most architectures in timm 1.0.31, the one with the fewest
parameters whose name does not start with "test_": `timm.list_modules()`, `timm.list_models(module=…)`."""

EXPLAINED: Mapping[tuple[str, str], str] = MappingProxyType({})
"""Why a figure differs, by (spec, tool); one that no longer differs fails too."""

REAL_LIMIT_MACS = 60 * 10**9
"""Models beyond are run with data once per tool, under its documented condition alone."""

PRELOADED = (
    *("torch", "torchvision", "timm", "thop", "fvcore.nn", "torchinfo", "ptflops", "calflops"),
    *("deepspeed.profiling.flops_profiler", "effbench.api", "effbench.measure.peers", "effbench.measure.trace"),
)


def specs() -> list[str]:
    """Returns every model that is compared."""
    import torchvision

    models = torchvision.models
    homes = [getattr(models, home) if home else models for home in TORCHVISION]
    listed = [name for home in homes for name in models.list_models(module=home)]
    return [*(f"torchvision:{name}" for name in listed), *(f"timm:{name}" for name in TIMM.values())]


def revision(*places: str) -> str:
    """Returns a digest of effbench's sources in files and folders."""
    found = hashlib.sha256()
    for place in places:
        path = ROOT / "effbench" / place
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            found.update(file.read_bytes())
    return found.hexdigest()[:12]


def current() -> dict[str, Any]:
    """Returns what a row is made with: effbench's sources, and all that the tools' figures depend on."""
    import effbench.measure.peers  # noqa: F401  fills the table of peers
    from effbench.measure.peer import peers, version

    zoo = {name: metadata.version(name) for name in ("torch", "torchvision", "timm")}
    tools = {name: version(tool) for name, tool in peers.items()}
    conditions = revision("measure/peers", "measure/peer.py", "measure/functions.py")
    return {"effbench": revision("measure", "judge", "records"), "tools": {**zoo, **tools, "conditions": conditions}}


def work(spec: str, hear: bool, threads: int, answers: Connection) -> None:
    """Sends (kind, key, value) for all that is found of a model, until the end or until the process dies."""
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for answer in found(spec, hear):
                answers.send(answer)
        except Exception as error:
            from effbench.errors import one_line

            answers.send(("row", "failed", one_line(error)))
    answers.close()


def found(spec: str, hear: bool) -> Iterator[tuple[str, str, Any]]:
    """Gives a model's answers: effbench's under each convention, then each tool's."""
    from effbench.api import load, profile_loaded
    from effbench.measure.peer import peers
    from effbench.measure.source import Loaded, already_built

    names = sorted(peers.names())
    loaded = load(spec)
    assert isinstance(loaded, Loaded)
    made = profile_loaded(loaded, "macs", also=names)
    yield "row", "input", [list(item.shape) for item in made.trace.inputs]
    yield "row", "macs", made.macs
    for name in names:
        counts = made.count(name)
        yield "ours", name, [counts.total] if counts.beside is None else [counts.total, counts.beside]
        if counts.reasons:
            yield "why", name, dict(counts.reasons)
    if hear:
        model = loaded.build("cpu")
        real = Loaded(loaded.name, spec, already_built(model), loaded.inputs)
        for name in names:
            yield "row", "at", name
            yield from heard(name, real, made.macs is not None and made.macs <= REAL_LIMIT_MACS)
        yield "row", "at", ""


def heard(name: str, loaded: Any, real: bool) -> Iterator[tuple[str, str, Any]]:
    """Gives what a tool says under its documented condition and under others, or its error's line."""
    from benchmarks.peers.elsewhere import hear_elsewhere
    from effbench.errors import InputError
    from effbench.measure.peer import Figures, missing, peers, run_for_figures

    tool = peers.get(name)
    if missing(tool):
        yield "theirs", name, f"is not run: it {missing(tool)}"
        return
    try:
        given = run_for_figures(tool, loaded)
        yield "theirs", name, [given.flops, given.macs] if isinstance(given, Figures) else [given]
    except InputError as error:
        yield "theirs", name, str(error)
    yield "elsewhere", name, dict(hear_elsewhere(name, loaded.build("cpu"), loaded.inputs.args[0], real))


def measured(spec: str, earlier: Row | None, made_with: Mapping[str, Any], limit_s: float, threads: int) -> Row:
    """Returns a model's row, made by a process of its own that may last so long and may die."""
    start = time.perf_counter()
    known = earlier is not None and earlier["made_with"]["tools"] == made_with["tools"] and not earlier.get("ended")
    row: Row = {"spec": spec, "made_with": dict(made_with), "ours": {}, "why": {}, "theirs": {}, "elsewhere": {}}
    if known and earlier is not None:
        row |= {key: earlier[key] for key in ("theirs", "elsewhere")}
    context = multiprocessing.get_context("forkserver")
    inbox, outbox = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(spec, not known, threads, outbox))
    process.start()
    outbox.close()
    try:
        while inbox.poll(max(0.0, limit_s - (time.perf_counter() - start))):
            kind, key, value = inbox.recv()
            (row if kind == "row" else row[kind])[key] = value
        row["ended"] = f"killed after {limit_s:.0f} s"
        process.kill()
    except EOFError:  # the process has closed its end, or died
        process.join()
        row["ended"] = f"the process ended by itself with {process.exitcode}" if process.exitcode else ""
    process.join()
    return row | {"seconds": round(time.perf_counter() - start, 1)}


def run(todo: list[str], options: argparse.Namespace, made_with: Mapping[str, Any]) -> None:
    """Compares the models that are left, each row appended as it comes."""
    earlier = {} if options.again else done(ROWS)
    threads = max(1, (os.cpu_count() or 1) // options.jobs)
    RESULTS.mkdir(parents=True, exist_ok=True)
    multiprocessing.get_context("forkserver").set_forkserver_preload(list(PRELOADED))
    with ROWS.open("a", encoding="utf-8") as file, ThreadPoolExecutor(options.jobs) as pool:
        waiting = [pool.submit(measured, spec, earlier.get(spec), made_with, options.limit, threads) for spec in todo]
        for number, future in enumerate(as_completed(waiting), start=1):
            row = future.result()
            file.write(json.dumps(row) + "\n")
            file.flush()
            wrong = [tool for _, tool in differing([row])]
            said = row.get("failed") or row["ended"] or (f"differs: {', '.join(wrong)}" if wrong else "equal")
            print(f"{number} of {len(todo)}  {row['spec']:<50} {row['seconds']:>6} s  {said}", flush=True)


def rewritten() -> list[Row]:
    """Returns each model's last row, after writing these alone and their table."""
    kept = done(ROWS)
    rows = [kept[spec] for spec in sorted(kept)]
    ROWS.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (RESULTS / "equality.md").write_text(table(rows, EXPLAINED, marks()), encoding="utf-8")
    return rows


def marks() -> dict[str, str]:
    """Returns what each other condition changes by its label: "d" for the device, "g" for the grad mode."""
    from benchmarks.peers.elsewhere import TOOLS

    return {item.label: item.about[0] for _, conditions in TOOLS.values() for item in conditions}


def judged(rows: list[Row]) -> int:
    """Returns 1 where a figure differs without an explanation or an explanation has nothing to explain, else 0."""
    found = set(differing(rows))
    for spec, tool in sorted(found - set(EXPLAINED)):
        print(f"{spec}: {tool} gives another number and nothing explains it")
    seen = {(row["spec"], tool) for row in rows for tool in row["theirs"]}
    stale = {key for key in EXPLAINED if key in seen and key not in found}
    for spec, tool in sorted(stale):
        print(f"{spec}: {tool} gives our number: take its explanation off the list")
    return int(bool(found - set(EXPLAINED) or stale))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("specs", nargs="*", metavar="SPEC", help="only these of the compared models")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--again", action="store_true", help="also models that have a row")
    parser.add_argument("--limit", type=float, default=900, help="seconds that one model may take")
    options = parser.parse_args()
    listed, made_with = specs(), current()
    unknown = sorted(set(options.specs) - set(listed))
    if unknown:
        parser.error(f"not among the models that are compared: {', '.join(unknown)}")
    held = {spec for spec, row in done(ROWS).items() if row["made_with"] == made_with}
    todo = [spec for spec in options.specs or listed if options.again or spec not in held]
    try:
        run(todo, options, made_with)
    finally:  # also of a run that is stopped
        rows = rewritten()
    return judged(rows)


if __name__ == "__main__":
    sys.exit(main())
