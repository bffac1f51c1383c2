"""Metrics of one class label a sample: top-k, accuracy, precision, recall, F1, and the confusion matrix.

Predictions are labels of shape (n,), or scores (logits or probabilities) of shape (n, classes); targets are labels of
shape (n,) or (n, 1). Left out and counted: a NaN or infinite prediction, labels that are missing, negative or not below
the number of classes. Refused: another number of scores than `num_classes`, labels that are no whole numbers.

Ties are never settled in a model's favour (`answered`), so top1 and accuracy agree always.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from effbench.errors import InputError
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
from effbench.metrics.metric import NOT_FINITE, Checked, Metric, Setting, Settings, metrics, odd_samples
from effbench.metrics.sums import class_totals, quotient, samples, total

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from effbench.metrics.metric import Aggregate, Check, PerSample, Statistics
    from effbench.records.evaluation import Direction
    from effbench.stats import Floats

_NEEDS_SCORES = "predictions: a score per class (n × classes); targets: class labels (n)"
_NEEDS_LABELS = "predictions: class labels (n) or a score per class (n × classes); targets: class labels (n)"

_AVERAGE = Setting(
    "average",
    str,
    "macro: the mean over classes that occur among targets or answers; micro: over all samples alike",
    default="macro",
    choices=("macro", "micro"),
)


def _check(name: str, top: int) -> Check:
    """Returns the check of predictions and targets; `top` is k of a top-k metric."""

    def check(predictions: NDArray[Any], targets: NDArray[Any], settings: Settings) -> Checked:
        import numpy as np

        _refuse_shapes(name, predictions, targets, top)
        if predictions.ndim == 2:
            settings = counted_classes(name, predictions.shape[1], settings)
            if predictions.shape[1] <= top:
                raise InputError(f"{name}: of {predictions.shape[1]} classes, {top} always hold the right one")
        flat = targets.reshape(len(targets))
        obstacles = {NOT_FINITE: odd_samples(predictions)}
        if predictions.ndim == 1:
            obstacles[PREDICTED_OUT_OF_RANGE] = outside(whole(predictions, "predictions"), settings)
        obstacles[TARGET_MISSING] = np.isnan(flat)
        obstacles[TARGET_OUT_OF_RANGE] = outside(whole(flat, "targets"), settings)
        return Checked(settings, obstacles)

    return check


def _refuse_shapes(name: str, predictions: NDArray[Any], targets: NDArray[Any], top: int) -> None:
    if targets.ndim not in (1, 2) or targets.shape[1:] not in ((), (1,)):
        shape = "×".join(map(str, targets.shape))
        raise InputError(f"{name}: targets are one class label a sample, not {shape} numbers")
    if predictions.ndim not in (1, 2):
        shape = "×".join(map(str, predictions.shape))
        raise InputError(f"{name}: predictions are labels (n) or scores (n × classes), not {shape}")
    if predictions.ndim == 1 and top > 1:
        raise InputError(f"{name}: predictions are labels: a rank among {top} needs a score per class")


def _ranks(predictions: NDArray[Any], targets: NDArray[Any], settings: Settings) -> Statistics:
    """Returns the right label and its rank: how many classes score at least as well as it, itself among them.

    Of predictions that are labels, a right one has rank 1; a wrong one is given rank 2, which says no more than "not
    1".
    """
    import numpy as np

    right = whole(targets.reshape(len(targets)), "targets")
    if predictions.ndim == 1:
        rank = np.where(whole(predictions, "predictions") == right, 1, 2)
    else:
        rank = (predictions >= np.take_along_axis(predictions, right[:, None], axis=1)).sum(axis=1)
    return {"target": right.astype(np.float64), "rank": rank.astype(np.float64)}


def _answers(predictions: NDArray[Any], targets: NDArray[Any], settings: Settings) -> Statistics:
    """Returns the right label and the one answered."""
    import numpy as np

    right = whole(targets.reshape(len(targets)), "targets")
    given = whole(predictions, "predictions") if predictions.ndim == 1 else answered(predictions, right)
    return {"target": right.astype(np.float64), "predicted": given.astype(np.float64)}


def _top(k: int) -> Aggregate:
    """Returns the share of samples whose right label is among the k best."""

    def aggregate(statistics: Statistics, weights: Floats | None, settings: Settings) -> Floats:
        right = (statistics["rank"] <= k).astype(float)
        return quotient(total(right, weights), samples(right, weights))

    return aggregate


def _accuracy(statistics: Statistics, weights: Floats | None, settings: Settings) -> Floats:
    """Returns the share of samples whose answer is right."""
    right = (statistics["target"] == statistics["predicted"]).astype(float)
    return quotient(total(right, weights), samples(right, weights))


def _complement(of: Aggregate) -> Aggregate:
    """Returns 1 minus an aggregate."""

    def aggregate(statistics: Statistics, weights: Floats | None, settings: Settings) -> Floats:
        return 1.0 - of(statistics, weights, settings)

    return aggregate


def _by_class(of: Callable[[Floats, Floats, Floats], Floats]) -> Aggregate:
    """Returns the average of a function of true positives, answers and targets.

    macro: its mean over the classes that occur among the draw's targets or answers; a class never answered has
    precision 0, one never right 0 of all three. micro: the function of the sums over classes, which with one label and
    one answer a sample is the accuracy.
    """

    def aggregate(statistics: Statistics, weights: Floats | None, settings: Settings) -> Floats:
        import numpy as np

        target, predicted = statistics["target"], statistics["predicted"]
        if settings["average"] == "micro":
            size = samples(target, weights)
            return of(total((target == predicted).astype(float), weights), size, size)
        classes, places = np.unique(np.concatenate([target, predicted]), return_inverse=True)
        right, given = places[: len(target)], places[len(target) :]
        everywhere = np.ones(len(target), dtype=bool)
        hits = class_totals(right, len(classes), right == given, weights)
        answers = class_totals(given, len(classes), everywhere, weights)
        wanted = class_totals(right, len(classes), everywhere, weights)
        occurs = (answers + wanted) > 0
        values = np.where(hits > 0, of(hits, answers, wanted), 0.0)
        return quotient(np.where(occurs, values, 0.0).sum(axis=1), occurs.sum(axis=1).astype(float))

    return aggregate


def _precision(hits: Floats, answers: Floats, wanted: Floats) -> Floats:
    return quotient(hits, answers)


def _recall(hits: Floats, answers: Floats, wanted: Floats) -> Floats:
    return quotient(hits, wanted)


def _f1(hits: Floats, answers: Floats, wanted: Floats) -> Floats:
    """Returns 2·TP / (2·TP + FP + FN), the harmonic mean of precision and recall."""
    return quotient(2 * hits, answers + wanted)


def confusion(statistics: Statistics, settings: Settings) -> NDArray[Any]:
    """Returns how often class i (row: the target) was answered with j (column), as integers.

    Classes run to `num_classes` where that is known, else to the largest label that occurs.

    Raises:
        InputError: labels run beyond 10,000 classes: the table would not be read, or not fit.
    """
    import numpy as np

    target, predicted = (statistics[name].astype(np.int64) for name in ("target", "predicted"))
    classes = int(settings.get("num_classes", max(target.max(initial=-1), predicted.max(initial=-1)) + 1))
    if classes > 10_000:
        raise InputError(f"a confusion matrix of {classes:,} classes is too large: 10,000 at most")
    return np.bincount(target * classes + predicted, minlength=classes**2).reshape(classes, classes)


def _add(
    name: str,
    about: str,
    per_sample: PerSample,
    aggregate: Aggregate,
    *,
    direction: Direction = "higher",
    top: int = 1,
    more: tuple[Setting, ...] = (),
    error: str = "",
) -> None:
    """Registers a metric of this file."""
    needs = _NEEDS_LABELS if top == 1 else _NEEDS_SCORES
    table = confusion if per_sample is _answers else None
    keep, check = (NUM_CLASSES, *more), _check(name, top)
    whole_samples = not more  # what takes an average over classes is a ratio of counts
    metrics.add(
        name,
        Metric(
            name, "fraction", direction, about, needs, per_sample, aggregate, check, keep, table, error, whole_samples
        ),
    )


_ONE = "share of samples whose right label has the best score"
_FIVE = "share of samples whose right label is among the five best scores"
_add("top1", _ONE, _ranks, _top(1), error="top1_err")
_add("top5", _FIVE, _ranks, _top(5), top=5, error="top5_err")
_add("top1_err", "1 − top1", _ranks, _complement(_top(1)), direction="lower")
_add("top5_err", "1 − top5", _ranks, _complement(_top(5)), direction="lower", top=5)
_add("accuracy", "share of samples answered right", _answers, _accuracy, error="error_rate")
_add("error_rate", "share of samples answered wrong", _answers, _complement(_accuracy), direction="lower")
_add("confusion", "confusion matrix; its value is the accuracy", _answers, _accuracy, error="error_rate")
_add("precision", "share of a class's answers that are right", _answers, _by_class(_precision), more=(_AVERAGE,))
_add("recall", "share of a class's samples answered right", _answers, _by_class(_recall), more=(_AVERAGE,))
_add("f1", "harmonic mean of precision and recall of a class", _answers, _by_class(_f1), more=(_AVERAGE,))
