"""The document of `effbench evaluate`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from effbench.documents.common import Document
from effbench.errors import InputError
from effbench.metrics import metrics
from effbench.metrics.values import table_of, value_of, values_of
from effbench.records import SCHEMA, Evaluation, Note

if TYPE_CHECKING:
    from effbench.evaluations import Evaluated

LEVEL = 0.95


def evaluation_document(found: Evaluated, draws: int, seed: int, confusion: bool) -> Document:
    """Returns model, data and each metric with its value, interval and samples; what has no value is None.

    Raises:
        InputError: a confusion matrix is wanted, and no metric that was measured has one.
    """
    ran = dict(found.ran)
    if ran:
        ran["samples_per_s"] = found.asked / max(float(ran["seconds"]), 1e-9)
    return {
        "schema": SCHEMA,
        "name": found.name,
        "spec": found.spec,
        "weights": found.weights,
        "data": {
            "name": found.data,
            "digest": found.digest,
            "samples": found.asked,
            "classes": list(found.classes),
        },
        "preprocessing": found.preprocessing,
        "run": ran or None,
        "bootstrap": {"level": LEVEL, "draws": draws, "seed": seed},
        "metrics": [_metric(one, draws, seed) for one in found.evaluations],
        "unreadable": [{"sample": name, "reason": reason, "why": why} for name, reason, why in found.unreadable],
        **({"confusion": _confusion(found)} if confusion else {}),
        "notes": [asdict(note) for note in dict.fromkeys(_notes(found))],
    }


def _metric(one: Evaluation, draws: int, seed: int) -> Document:
    from effbench.evaluations import interval_of

    value: float | None
    try:
        value = value_of(one)
        interval = interval_of(one, draws, seed)
    except InputError:  # every sample was left out: the reasons stand beside
        value, interval = None, None
    return {
        "metric": one.metric,
        "settings": dict(one.settings),
        "value": value,
        "unit": one.unit,
        "direction": one.direction,
        "interval": None if interval is None else list(interval),
        "n": one.n,
        "left_out": dict(one.left_out),
        "per_sample": {name: list(values) for name, values in one.per_sample.items()},
    }


def _confusion(found: Evaluated) -> Document:
    for one in found.evaluations:
        table = table_of(one)
        if table is not None:
            matrix: list[list[int]] = table.tolist()
            names = [*found.classes, *map(str, range(len(found.classes), len(matrix)))]
            return {"metric": one.metric, "classes": names, "rows": matrix}
    measured = ", ".join(one.metric for one in found.evaluations)
    raise InputError(f"--confusion: {measured} have no confusion matrix: add --metric accuracy")


def _notes(found: Evaluated) -> Iterator[Note]:
    """Returns the notes of all metrics, and which have no spread."""
    for one in found.evaluations:
        yield from one.notes
    # A share has a spread all the same: that of the errors it did not happen to make.
    alike = [
        one.metric for one in found.evaluations if one.n > 1 and _alike(one) and not metrics.get(one.metric).binomial
    ]
    if alike:
        text = "all samples count the same, so resampling shows no spread: an interval without width is no certainty"
        yield Note("no-spread", ", ".join(dict.fromkeys(alike)), text)
    if any(one.n == 1 for one in found.evaluations):
        yield Note("no-spread", found.data, "one sample has no interval")


def _alike(one: Evaluation) -> bool:
    """Returns whether the samples' values do not differ: all right, all wrong, or one error."""
    import numpy as np

    if one.n > _FEW:
        return False
    alone = values_of(one, np.eye(one.n))
    return bool(np.all(alone == alone[0]))


_FEW = 1000
"""Samples up to which each one's own value is looked at; among more, two alike values for all are no news."""
