"""Mean intersection over union of label maps.

Predictions are label maps of shape (n, …) or scores (n, classes, …); targets are label maps (n, …), or (n, 1, …). Left
out and counted: a sample with a NaN or infinite score, with a label outside 0 … num_classes − 1 that is not
`ignore_index`, or without a pixel that counts. Refused: shapes that differ, another number of scores than
`num_classes`, label maps without a stated `num_classes`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from effbench.errors import InputError
from effbench.metrics.arrays import any_in
from effbench.metrics.labels import (
    NUM_CLASSES,
    PREDICTED_OUT_OF_RANGE,
    TARGET_MISSING,
    TARGET_OUT_OF_RANGE,
    answered,
    counted_classes,
    outside,
    whole,
)
from effbench.metrics.metric import NOT_FINITE, Checked, Setting, Settings, metric, odd_samples
from effbench.metrics.sums import quotient, total

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from effbench.metrics.metric import Statistics
    from effbench.stats import Floats

UNLABELLED = "no labelled pixel"

_NEEDS = "predictions: label maps (n × height × width) or scores (n × classes × height × width); targets: label maps"
_IGNORE = Setting("ignore_index", int, "label of pixels that are not looked at; a class of that number is not averaged")


def _maps(predictions: NDArray[Any], targets: NDArray[Any]) -> tuple[NDArray[Any], bool]:
    """Returns (targets of shape (n, …), whether predictions are scores).

    Raises:
        InputError: the shapes do not fit.
    """
    if predictions.ndim == targets.ndim > 3 and targets.shape[1] == 1 < predictions.shape[1]:
        targets = targets[:, 0]
    for scores in (False, True):
        pixels = (*predictions.shape[:1], *predictions.shape[2:]) if scores else predictions.shape
        if targets.ndim >= 2 and pixels == targets.shape:
            return targets, scores
    shapes = " and ".join("×".join(map(str, item.shape)) for item in (predictions, targets))
    raise InputError(f"miou: predictions and targets of {shapes} do not fit: {_NEEDS}")


def _ignored(labels: NDArray[Any], settings: Settings) -> NDArray[Any]:
    """Returns a mask of the pixels that are not looked at."""
    import numpy as np

    kept = settings.get("ignore_index")
    return np.zeros(labels.shape, dtype=bool) if kept is None else np.asarray(labels == int(kept))


def _check(predictions: NDArray[Any], targets: NDArray[Any], settings: Settings) -> Checked:
    import numpy as np

    maps, scores = _maps(predictions, targets)
    if scores:
        settings = counted_classes("miou", predictions.shape[1], settings)
    elif "num_classes" not in settings:
        raise InputError(
            "miou of label maps: a setting is missing: add --setting num_classes=N: batches may not show every class"
        )
    labels = whole(maps, "targets")
    ignored = _ignored(labels, settings)
    obstacles = {NOT_FINITE: odd_samples(predictions)}
    if not scores:
        answers = whole(predictions, "predictions")
        obstacles[PREDICTED_OUT_OF_RANGE] = any_in(outside(answers, settings) & ~ignored)
    obstacles[TARGET_MISSING] = any_in(np.isnan(maps))
    obstacles[TARGET_OUT_OF_RANGE] = any_in(outside(labels, settings) & ~ignored)
    obstacles[UNLABELLED] = ~any_in(~ignored)
    return Checked(settings, obstacles)


def _mean_iou(statistics: Statistics, weights: Floats | None, settings: Settings) -> Floats:
    """Returns the mean over classes of intersection / union, each summed over all samples first.

    A class in neither targets nor answers of a draw is not averaged, nor is `ignore_index` where it is a class.
    """
    import numpy as np

    classes = [c for c in range(int(settings["num_classes"])) if c != settings.get("ignore_index")]
    sums = [
        total(np.stack([statistics[f"{kind}_{c}"] for c in classes], axis=1), weights)
        for kind in ("intersection", "union")
    ]
    occurs = sums[1] > 0
    values = np.where(occurs, quotient(*sums), 0.0).sum(axis=1)
    return quotient(values, occurs.sum(axis=1).astype(float))


@metric(
    "miou",
    unit="fraction",
    direction="higher",
    about="intersection over union over all pixels, the mean of the classes' own",
    needs=_NEEDS,
    aggregate=_mean_iou,
    check=_check,
    settings=(NUM_CLASSES, _IGNORE),
)
def miou(predictions: NDArray[Any], targets: NDArray[Any], settings: Settings) -> Statistics:
    """Returns each sample's intersection and union of every class, in pixels."""
    import numpy as np

    maps, scores = _maps(predictions, targets)
    wanted, classes = whole(maps, "targets"), int(settings["num_classes"])
    counted = ~_ignored(wanted, settings)
    given = answered(predictions, wanted) if scores else whole(predictions, "predictions")
    size = len(wanted)
    rows = np.arange(size).reshape(size, *([1] * (wanted.ndim - 1))) * classes

    def histogram(labels: NDArray[Any], kept: NDArray[Any]) -> Floats:
        found = np.bincount((rows + labels)[kept], minlength=size * classes)
        return found.reshape(size, classes).astype(np.float64)

    both = histogram(wanted, counted & (wanted == given))
    union = histogram(wanted, counted) + histogram(given, counted) - both
    return {
        f"{kind}_{c}": values[:, c]
        for kind, values in (("intersection", both), ("union", union))
        for c in range(classes)
    }
