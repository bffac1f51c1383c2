"""The document of `effbench compare`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from effbench.documents.common import Document
from effbench.documents.time import model_document
from effbench.judge.convention import conventions
from effbench.judge.liveness import memory
from effbench.judge.verdict import Comparison
from effbench.records import SCHEMA
from effbench.records.environment import Environment
from effbench.report.table import notes_data
from effbench.stats import Interval

if TYPE_CHECKING:
    from effbench.comparisons import Compared, Contender

COSTS = ("params", "macs", "flops", "peak_activation_bytes")


def compare_document(found: Compared) -> Document:
    """Returns the document: the models with their costs and times, then the verdicts and the layers."""
    base = found.models[0]
    timed = [one.timing for one in found.models if one.timing is not None]
    device = timed[0].plan.device if timed else "cpu"
    return {
        "schema": SCHEMA,
        "convention": found.convention,
        "unit": conventions.get(found.convention).unit.value,
        "base": base.name,
        "models": [_model(one, base, device) for one in found.models],
        "verdicts": [_verdict(item) for item in found.verdicts],
        "layers": {
            name: [{**asdict(row), "changed": row.changed} for row in rows] for name, rows in found.layers.items()
        },
        "rule": asdict(timed[0].rule) if timed else None,
        "environment": _environment(base.environment, device),
        "notes": notes_data(found.notes),
    }


def _environment(found: Environment | None, device: str) -> Document | None:
    return None if found is None else {"fingerprint": dict(found.fingerprint(device)), "facts": dict(found.facts())}


def _model(one: Contender, base: Contender, device: str) -> Document:
    costs, of_base = _costs(one), _costs(base)
    inputs = one.profile.trace.inputs if one.profile is not None else ()
    seen = one.environment
    return {
        "name": one.name,
        "spec": one.spec,
        "inputs": [{"name": item.name, "shape": list(item.shape), "dtype": item.dtype} for item in inputs],
        **costs,
        "ratios": {key: _ratio(costs[key], of_base[key]) for key in COSTS},
        "errors": {name: {"value": error.value, "unit": error.unit} for name, error in one.errors.items()},
        "python": seen.system.python if seen is not None else None,
        "torch": seen.torch.version if seen is not None and seen.torch is not None else None,
        "commit": seen.revision.commit if seen is not None and seen.revision is not None else None,
        "environment": _environment(seen, device),
        "timing": None if one.timing is None else model_document(one.timing, one.spec),
    }


def _costs(one: Contender) -> Mapping[str, int | None]:
    made = one.profile
    if made is None:
        return dict.fromkeys(COSTS)
    whole = made.trace.failed is None
    peak = memory(made.trace).peak.nbytes if whole else None
    return {"params": made.params, "macs": made.macs, "flops": made.flops, "peak_activation_bytes": peak}


def _ratio(amount: int | None, of_base: int | None) -> float | None:
    return None if amount is None or not of_base else amount / of_base


def _verdict(item: Comparison) -> Document:
    return {**asdict(item), "ratio": _interval(item.ratio)}


def _interval(found: Interval | None) -> Document | None:
    return None if found is None else {"estimate": found.estimate, "low": found.low, "high": found.high}
