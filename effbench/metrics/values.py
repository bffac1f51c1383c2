"""An evaluation → its value, that of any resample of its samples, and what else its statistics say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from effbench.errors import InputError, ModelError
from effbench.metrics.accumulate import SAMPLE, guarded
from effbench.metrics.metric import metrics
from effbench.records.evaluation import Evaluation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from effbench.stats import Floats


def value_of(evaluation: Evaluation) -> float:
    """Returns the metric's value, in its unit; what was left out is in the evaluation's notes.

    Raises:
        InputError: every sample was left out, its metric is not registered, or the value is not finite.
    """
    import math

    value = float(values_of(evaluation)[0])
    if not math.isfinite(value):
        raise InputError(f"{evaluation.metric}{_on(evaluation)}: its value is {value}, beyond what a number can hold")
    return value


def values_of(evaluation: Evaluation, weights: Any = None) -> Floats:
    """Returns the metric's value in each draw of a resampling, of shape (draws,); NaN where a draw holds no sample.

    Args:
        evaluation: what is resampled.
        weights: (draws, n): how often each of its samples is drawn; None draws each once, and gives shape (1,).

    Raises:
        InputError: every sample was left out, weights of another shape, a metric or statistic that is not there.
    """
    import numpy as np

    chosen = metrics.get(evaluation.metric)
    if not evaluation.n:
        told = "; ".join(f"{count:,} × {reason}" for reason, count in evaluation.left_out.items())
        raise InputError(f"{evaluation.metric}{_on(evaluation)} has no value, all samples were left out: {told}")
    counts = None if weights is None else np.asarray(weights, dtype=np.float64)
    if counts is not None and (counts.ndim != 2 or counts.shape[1] != evaluation.n):
        raise InputError(f"weights of shape {counts.shape} for {evaluation.n} samples: they must be draws × samples")
    statistics = _kept(evaluation)
    try:
        return np.asarray(guarded(chosen, lambda: chosen.aggregate(statistics, counts, evaluation.settings)))
    except ModelError as error:
        if isinstance(error.__cause__, KeyError):
            raise InputError(f"{evaluation.metric}{_on(evaluation)} lacks its {error.__cause__}") from error
        raise


def _kept(evaluation: Evaluation) -> Mapping[str, Floats]:
    """Returns the evaluation's statistics as arrays.

    Raises:
        InputError: one has another length than there are samples.
    """
    import numpy as np

    found = {name: np.asarray(values, dtype=np.float64) for name, values in evaluation.per_sample.items()}
    for name, values in found.items():
        if len(values) != evaluation.n:
            raise InputError(f"{evaluation.metric}: {len(values)} values of {name!r} for {evaluation.n} samples")
    return found


def _on(evaluation: Evaluation) -> str:
    return f" on {evaluation.data}" if evaluation.data else ""


def table_of(evaluation: Evaluation) -> NDArray[Any] | None:
    """Returns the metric's table, such as the confusion matrix; None where it has none.

    Raises:
        InputError: as `values_of`.
    """
    table = metrics.get(evaluation.metric).table
    return None if table is None or not evaluation.n else table(_kept(evaluation), evaluation.settings)


def positions_of(evaluation: Evaluation) -> NDArray[Any]:
    """Returns each sample's place in the data set, of shape (n,), by which models are paired.

    Evaluations of one digest are of the same data set, but where samples were left out they hold different ones of it.
    """
    import numpy as np

    return np.asarray(evaluation.per_sample.get(SAMPLE, range(evaluation.n)), dtype=np.int64)


def as_error(evaluation: Evaluation) -> Evaluation:
    """Returns the same outcomes as an error, lower is better: top1 becomes top1_err.

    Raises:
        InputError: it has no error that is 1 minus it.
    """
    if evaluation.direction == "lower":
        return evaluation
    name = metrics.get(evaluation.metric).error
    if not name:
        raise InputError(f"{evaluation.metric} is better where it is higher, and no error is registered as 1 minus it")
    error = metrics.get(name)
    return replace(evaluation, metric=name, unit=error.unit, direction=error.direction)
