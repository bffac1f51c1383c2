"""The document of `effbench time`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from effbench.documents.common import Document
from effbench.judge.energy import CallEnergy, call_energy
from effbench.judge.timings import Estimate, disturbances, estimate
from effbench.records import SCHEMA, Energy, NoEnergy, Note, ProcessRun, Timing
from effbench.stats import Interval

if TYPE_CHECKING:
    from effbench.judge.training import TrainingMacs
    from effbench.measure.timing.candidates import Confirmed
    from effbench.timings import Timed


def timing_document(
    timed: Timed,
    specs: Sequence[str | None],
    seed: int,
    extras: Sequence[Mapping[str, Any]] = (),
    notes: Sequence[Note] = (),
    refused: Mapping[str, str] = MappingProxyType({}),
) -> Document:
    """Returns the document: where, under which plan and rule, and each model with its raw samples.

    Args:
        timed: what was measured.
        specs: of the models, in their order; None for a model object.
        seed: that it was measured with.
        extras: further entries of each model: its energy, the search for its batch, …
        notes: further ones.
        refused: by model, why its times are no measurement: its figures are left out.
    """
    rule = timed.timings[0].rule
    more = tuple(extras) or ({},) * len(specs)
    told = (note for timing in timed.timings for note in timing.notes)
    return {
        "schema": SCHEMA,
        "environment": environment_document(timed),
        "rule": asdict(rule),
        "seed": seed,
        "models": [
            {**model_document(timing, spec, refused.get(timing.model)), **extra}
            for timing, spec, extra in zip(timed.timings, specs, more, strict=True)
        ],
        "notes": [asdict(note) for note in dict.fromkeys((*notes, *told, *disturbances(timed.timings), *timed.notes))],
    }


def environment_document(timed: Timed) -> Document:
    """Returns the machine and the software: every fact, and those that times on the first model's device depend on."""
    found = timed.environment
    device = timed.timings[0].plan.device
    return {"fingerprint": dict(found.fingerprint(device)), "facts": dict(found.facts())}


def model_document(timing: Timing, spec: str | None, refused: str | None = None) -> Document:
    """Returns what was measured of one model; what is not known is None, as is every figure of a refused one."""
    found = estimate(timing if refused is None else replace(timing, runs=()))
    compiled = [run.compile_s for run in timing.runs if run.compile_s is not None]
    per_s = None if timing.samples is None or found.median_s is None else timing.samples / found.median_s
    return {
        "name": timing.model,
        "spec": spec,
        "plan": asdict(timing.plan),
        "threads": timing.threads or None,
        "samples": timing.samples,
        "converged": timing.converged,
        "interrupted": timing.interrupted,
        "died": timing.died,
        "refused": refused,
        "median_s": found.median_s,
        "interval_s": _interval(found.median),
        "half_width": None if found.median is None else _finite(found.median.half_width),
        **_quantiles(found),
        "samples_per_s": per_s,
        "between": found.between,
        "first_s": found.first_s,
        "compile_s": sorted(compiled)[len(compiled) // 2] if compiled else None,
        "processes": found.processes,
        "worth": found.worth,
        "calls": found.calls,
        "peak_bytes": peak_bytes(timing.runs),
        "runs": [_run(run) for run in timing.runs],
    }


def peak_bytes(runs: Sequence[ProcessRun]) -> dict[str, int]:
    """Returns the most memory that any process held, by kind."""
    peaks: dict[str, int] = {}
    for run in runs:
        for kind, size in run.peak_bytes:
            peaks[kind] = max(peaks.get(kind, 0), size)
    return peaks


def energy_part(found: Energy | NoEnergy) -> Document:
    """Returns the joules of a call with their source, or why they are not known."""
    if isinstance(found, NoEnergy):
        return {"energy": {"source": found.source, "unavailable": found.reason}}
    each = call_energy(found)
    covers = {"source": found.source, "covers": found.covers, "unavailable": None}
    return {"energy": {**covers, **_joules(each), "windows": [asdict(window) for window in found.windows]}}


def batch_part(found: Confirmed) -> Document:
    """Returns where the search for the batch of the highest throughput went, and what repeating the best of it says."""
    again = {
        one.batch: {
            "again_samples_per_s": one.typical.estimate,
            "interval_samples_per_s": _interval(one.typical),
            "within_noise": one.within_noise,
            "rounds_samples_per_s": list(one.samples_per_s),
        }
        for one in found.repeats
    }
    never = {"again_samples_per_s": None, "interval_samples_per_s": None, "within_noise": None}
    never["rounds_samples_per_s"] = None
    return {
        "search": {
            "batch": found.best.batch,
            "samples_per_s": found.best.typical.estimate,
            "interval_samples_per_s": _interval(found.best.typical),
            "within_noise": list(found.within_noise),
            "ended_by": found.search.limit,
            "tried": [
                {"batch": item.batch, "samples_per_s": item.samples_per_s, **again.get(item.batch, never)}
                for item in found.search.tried
            ],
        }
    }


def training_part(found: TrainingMacs | None, unknown: Mapping[str, int], median_s: float | None) -> Document:
    """Returns the MACs of a training step beside its rate; None where they are not known."""
    if found is None:
        return {"training": {"macs": None, "unknown": dict(unknown)}}
    total = found.total.count
    return {
        "training": {
            "macs": total,
            "forward_macs": found.forward.count,
            "backward_macs": found.backward.count,
            "optimiser_flops": found.optimiser_flops("adamw").count,
            "macs_per_s": total / median_s if median_s else None,
            "unknown": {},
        }
    }


def _joules(each: CallEnergy | None) -> Document:
    if each is None:
        return {"joules": None, "interval_joules": None, "above_idle_joules": None, "idle_watts": None}
    above = None if each.above_idle_joules is None else each.above_idle_joules.estimate
    return {
        "joules": each.joules.estimate,
        "interval_joules": _interval(each.joules),
        "above_idle_joules": above,
        "idle_watts": each.idle_watts,
    }


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _interval(found: Interval | None) -> list[float] | None:
    return None if found is None or not math.isfinite(found.high - found.low) else [found.low, found.high]


def _quantiles(found: Estimate) -> Document:
    seconds: dict[float, list[float | None]] = {
        item.share: [item.seconds, item.low_s, item.high_s] for item in found.quantiles
    }
    shares = (0.5, 0.9, 0.99)
    return {
        **{f"p{share * 100:.0f}_s": seconds.get(share, [None])[0] for share in shares},
        "quantile_intervals_s": {f"p{share * 100:.0f}": seconds[share][1:] for share in shares if share in seconds},
    }


def _run(run: ProcessRun) -> Document:
    return {**asdict(run), "peak_bytes": dict(run.peak_bytes)}
