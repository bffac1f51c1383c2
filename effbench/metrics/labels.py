"""Class labels and class scores: what they look like, and the label that scores answer with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from effbench.errors import InputError
from effbench.metrics.metric import Setting, Settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

TARGET_OUT_OF_RANGE = "label out of range"
TARGET_MISSING = "label missing (NaN)"
PREDICTED_OUT_OF_RANGE = "predicted label out of range"

NUM_CLASSES = Setting(
    "num_classes", int, "number of classes; predictions with a score per class say it themselves", above=0
)


def whole(values: NDArray[Any], what: str) -> NDArray[Any]:
    """Returns labels as int64, with the least int64 where one is NaN, infinite or beyond int64.

    Raises:
        InputError: one is no whole number: scores or coordinates, perhaps, where labels belong.
    """
    import numpy as np

    if values.dtype.kind in "bi":
        return values.astype(np.int64)
    fine = np.isfinite(values) & (np.abs(values) < 2.0**63)
    broken = fine & (values != np.floor(values))
    if broken.any():
        raise InputError(f"{what}: {values[broken].flat[0]:g} is no class label: labels are 0, 1, 2, …")
    found = np.full(values.shape, np.iinfo(np.int64).min)
    found[fine] = values[fine].astype(np.int64)
    return found


def counted_classes(name: str, scores: int, settings: Settings) -> Settings:
    """Returns the settings with the number of classes that predictions have scores for.

    Raises:
        InputError: another number is stated, or was seen before.
    """
    stated = settings.get("num_classes", scores)
    if stated != scores:
        raise InputError(f"{name}: predictions have {scores} scores a sample, but num_classes is {stated}")
    if scores < 2:
        told = "give a class label, or a score per class (of a single logit z: 0 and z)"
        raise InputError(f"{name}: predictions have one score a sample: {told}")
    return {**settings, "num_classes": scores}


def outside(labels: NDArray[Any], settings: Settings) -> NDArray[Any]:
    """Returns a mask: labels below 0, or from `num_classes` on where that is known."""
    found: NDArray[Any] = labels < 0
    if "num_classes" in settings:
        found |= labels >= int(settings["num_classes"])
    return found


def answered(scores: NDArray[Any], targets: NDArray[Any]) -> NDArray[Any]:
    """Returns the label with the best score, of shape (n, …) for scores of (n, classes, …) and targets of (n, …).

    Where classes share the best score the answer is the first of them that is not the right one: a tie is never
    settled in a model's favour, so that equal scores for all classes are no knowledge of any.
    """
    import numpy as np

    best = scores == scores.max(axis=1, keepdims=True)
    right = np.expand_dims(targets, 1)
    classes = np.arange(scores.shape[1]).reshape(1, -1, *([1] * (scores.ndim - 2)))
    wrong = best & (classes != right)
    return np.asarray(np.where(wrong.any(axis=1), wrong.argmax(axis=1), best.argmax(axis=1)))
