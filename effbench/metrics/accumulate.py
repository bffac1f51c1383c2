"""Predictions and targets → an evaluation, in one go or batch by batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from effbench.errors import EffbenchError, InputError, ModelError, one_line
from effbench.metrics.arrays import Digest, as_array
from effbench.metrics.metric import Metric, Settings, metrics, settled
from effbench.records.evaluation import Evaluation
from effbench.records.note import Note

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from effbench.stats import Floats

T = TypeVar("T")

SAMPLE = "sample"
"""Statistic that an evaluation has where samples were left out: each one's place in the data set, from 0."""

ODD_STATISTIC = "its statistics are not finite"


class Accumulator:
    """One metric of one model, taken in batch by batch; any split into batches gives the identical evaluation."""

    def __init__(self, metric: str | Metric, settings: Mapping[str, object] | None = None) -> None:
        """Takes a registered name, or a metric, and its settings.

        Raises:
            InputError: the metric is unknown, or a setting unknown, missing or not what it must be.
        """
        self.metric = metrics.get(metric) if isinstance(metric, str) else metric
        self.settings: Settings = settled(self.metric, settings or {})
        self._parts: list[tuple[NDArray[Any], Mapping[str, Floats]]] = []
        self._left_out: Counter[str] = Counter()
        self._seen = 0
        self._digest = Digest()

    def add(self, predictions: Any, targets: Any, positions: Sequence[int] | None = None) -> None:
        """Takes in a batch; one that is refused leaves everything as it was.

        Args:
            predictions: array, tensor or lists whose first dimension runs over samples.
            targets: as many.
            positions: the samples' places in the data set; None where they follow those before.

        Raises:
            InputError: what the metric's check refuses, such as shapes that differ.
            ModelError: the metric's own code raised.
        """
        import numpy as np

        given, wanted = as_array(predictions, "predictions"), as_array(targets, "targets")
        if len(given) != len(wanted):
            raise InputError(f"{self.metric.name}: {len(given):,} predictions but {len(wanted):,} targets")
        places = (
            np.arange(self._seen, self._seen + len(given)) if positions is None else np.asarray(positions, dtype=int)
        )
        if places.shape != (len(given),):
            raise InputError(f"{self.metric.name}: {len(places)} positions for {len(given)} samples")
        checked = guarded(self.metric, lambda: self.metric.check(given, wanted, self.settings))
        fine, left_out = _sorted_out(checked.obstacles, len(given))
        statistics: Mapping[str, Floats] = {}
        if fine.any():
            statistics = _statistics(self.metric, given[fine], wanted[fine], checked.settings)
            odd = np.any([~np.isfinite(values) for values in statistics.values()], axis=0)
            left_out.update({ODD_STATISTIC: int(odd.sum())} if odd.any() else {})
            statistics = {name: values[~odd] for name, values in statistics.items()}
            self._parts.append((places[fine][~odd], statistics))
        self.settings = checked.settings
        self._left_out.update(left_out)
        self._seen += len(given)
        self._digest.add(wanted)

    def leave_out(self, reason: str, samples: int = 1) -> None:
        """Counts samples of the data set that gave nothing to compare, such as an image that does not decode."""
        if samples > 0:
            self._left_out[reason] += samples
            self._seen += samples

    def done(self, data: str = "", digest: str = "", notes: Iterable[Note] = ()) -> Evaluation:
        """Returns the evaluation of all that was taken in.

        Args:
            data: what the data set is called.
            digest: of the data set; empty takes that of the targets as they came.
            notes: what else a reader must know; one on samples left out is added.

        Raises:
            InputError: no sample was taken in.
        """
        import numpy as np

        if not self._seen:
            raise InputError(f"{self.metric.name}{f' on {data}' if data else ''}: there are no samples")
        names = self._parts[0][1] if self._parts else {}
        statistics = {name: np.concatenate([part[name] for _, part in self._parts]) for name in names}
        places = np.concatenate([found for found, _ in self._parts]) if self._parts else np.arange(0)
        order = np.argsort(places, kind="stable")
        left_out = {reason: self._left_out[reason] for reason in sorted(self._left_out)}
        if left_out:
            statistics[SAMPLE] = places.astype(np.float64)
        lost = _left_out_note(self.metric.name, left_out, self._seen)
        return Evaluation(
            metric=self.metric.name,
            unit=self.metric.unit,
            direction=self.metric.direction,
            n=len(places),
            per_sample={name: tuple(values[order].tolist()) for name, values in statistics.items()},
            settings=dict(self.settings),
            data=data,
            digest=digest or self._digest.text(),
            left_out=left_out,
            notes=(*lost, *notes),
        )


def guarded(metric: Metric, work: Callable[[], T]) -> T:
    """Returns what a metric's own function gives.

    Raises:
        ModelError: it raised something that effbench did not; which metric, and what.
    """
    try:
        return work()
    except EffbenchError:
        raise
    except Exception as error:
        raise ModelError(f"metric {metric.name}: its own code raised {one_line(error)}") from error


def _sorted_out(obstacles: Mapping[str, NDArray[Any]], size: int) -> tuple[NDArray[Any], Counter[str]]:
    """Returns (mask of samples without an obstacle, samples by the first obstacle each has)."""
    import numpy as np

    fine, counts = np.ones(size, dtype=bool), Counter[str]()
    for reason, mask in obstacles.items():
        found = int((mask & fine).sum())
        if found:
            counts[reason] = found
        fine &= ~mask
    return fine, counts


def _statistics(
    metric: Metric, predictions: NDArray[Any], targets: NDArray[Any], settings: Settings
) -> Mapping[str, Floats]:
    """Returns what the metric keeps of each sample.

    Raises:
        ModelError: it keeps something else than one number a sample by name.
    """
    import numpy as np

    given = guarded(metric, lambda: metric.per_sample(predictions, targets, settings))
    try:
        found = {name: np.asarray(values, dtype=np.float64) for name, values in given.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise ModelError(f"metric {metric.name}: per_sample gave no numbers by name: {one_line(error)}") from error
    for name, values in found.items():
        if values.shape != (len(predictions),) or name == SAMPLE:
            told = f"{name!r} of shape {values.shape}"
            raise ModelError(
                f"metric {metric.name}: per_sample gave {told}, not one number for each of {len(predictions)}"
            )
    if not found:
        raise ModelError(f"metric {metric.name}: per_sample gave no statistic")
    return found


def _left_out_note(name: str, left_out: Mapping[str, int], seen: int) -> tuple[Note, ...]:
    lost = sum(left_out.values())
    told = "; ".join(f"{count:,} × {reason}" for reason, count in left_out.items())
    text = f"{lost:,} of {seen:,} samples are not in the value: {told}"
    return (Note("left-out", name, text),) if lost else ()


def evaluation(
    metric: str | Metric,
    settings: Mapping[str, object] | None,
    predictions: Any,
    targets: Any,
    data: str = "",
    digest: str = "",
) -> Evaluation:
    """Returns the evaluation of all predictions against all targets.

    Raises:
        InputError: as `Accumulator` and its methods raise it.
        ModelError: a user's metric raised.
    """
    accumulator = Accumulator(metric, settings)
    accumulator.add(predictions, targets)
    return accumulator.done(data, digest)
