"""Weighted sums over samples, for all draws of a resampling at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from effbench.stats import Floats


def total(statistic: Floats, weights: Floats | None) -> Floats:
    """Returns the weighted sum over samples.

    Args:
        statistic: (n,) or (n, …).
        weights: (draws, n), how often each sample counts in each draw; None counts each once.

    Returns:
        Shape (draws, …), one draw for weights of None.
    """
    import numpy as np

    with np.errstate(over="ignore"):  # `value_of` refuses what is beyond doubles
        if weights is None:
            return np.asarray(statistic.sum(axis=0, keepdims=True), dtype=np.float64)
        return np.asarray(np.tensordot(weights, statistic, axes=1), dtype=np.float64)


def samples(statistic: Floats, weights: Floats | None) -> Floats:
    """Returns how many samples each draw has, of shape (draws,)."""
    import numpy as np

    return np.array([float(len(statistic))]) if weights is None else np.asarray(weights.sum(axis=1))


def mean(statistics: Mapping[str, Floats], weights: Floats | None, settings: object = None) -> Floats:
    """Returns the mean of the statistic "value" over samples, of shape (draws,)."""
    return mean_of("value")(statistics, weights, settings)


def mean_of(name: str) -> Callable[[Mapping[str, Floats], Floats | None, object], Floats]:
    """Returns the aggregate that is the mean of one statistic over samples."""

    def aggregate(statistics: Mapping[str, Floats], weights: Floats | None, settings: object) -> Floats:
        return quotient(total(statistics[name], weights), samples(statistics[name], weights))

    return aggregate


def ratio_of(above: str, below: str) -> Callable[[Mapping[str, Floats], Floats | None, object], Floats]:
    """Returns the aggregate that is the sum of one statistic over the sum of another."""

    def aggregate(statistics: Mapping[str, Floats], weights: Floats | None, settings: object) -> Floats:
        return quotient(total(statistics[above], weights), total(statistics[below], weights))

    return aggregate


def quotient(above: Floats, below: Floats) -> Floats:
    """Returns above / below; NaN where both are 0: a draw in which there is nothing to average has no value."""
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(above / below)


def class_totals(labels: NDArray[Any], classes: int, kept: NDArray[Any], weights: Floats | None) -> Floats:
    """Returns how often each class occurs among the kept samples, weighted, of shape (draws, classes).

    Args:
        labels: (n,) integers from 0 to classes − 1.
        kept: (n,) mask.
        weights: (draws, n) or None.
    """
    import numpy as np

    if weights is None:
        return np.bincount(labels[kept], minlength=classes)[None, :].astype(np.float64)
    from scipy.sparse import csr_array

    places = np.flatnonzero(kept)
    chosen = csr_array((np.ones(len(places)), (places, labels[places])), shape=(len(labels), classes))
    return np.asarray(weights @ chosen)
