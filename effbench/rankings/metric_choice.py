"""Which figure of a record is the error that is ranked by: measured on data, stated by the user, or published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from shlex import quote
from typing import NamedTuple

from effbench.errors import InputError
from effbench.judge.candidate import ERROR_WORDS, EVERY_QUALITY, Figure
from effbench.judge.comparable import Conditions
from effbench.judge.uncertainty import PerSample, stated_error
from effbench.metrics import Metric, metrics, value_of
from effbench.records import Direction, ErrorFigure, Note
from effbench.store import EvaluationView, RecordView


@dataclass(frozen=True, slots=True)
class MetricChoice:
    """A metric by its name, with what tells it from others of that name.

    Attributes:
        unit: that the ranking is to have; None takes the figures' own.
        settings: values that an evaluation's settings must have, as texts; "data" names the data set.
    """

    metric: str
    unit: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)

    def figure(self, view: RecordView) -> Figure | str:
        """Returns a record's figure of this metric, or why it has none: a measured one first, then a stated one.

        Raises:
            InputError: it was measured in several ways, and it is not said which one is meant.
        """
        if view.evaluations:
            fitting = [place for place, one in enumerate(view.evaluations) if self._fits(one)]
            exact = [place for place in fitting if _told(view.evaluations[place]) == self.settings]
            fitting = exact or fitting  # what was measured with fewer settings fits those of the others too
            if len(fitting) > 1:
                raise InputError(self._several(view, [view.evaluations[place] for place in fitting]))
            if fitting:
                return _measured(view, fitting[0])
        stated = None if self.settings else _stated(view, self.metric)
        return stated if stated is not None else f"no {self.metric}"

    def _fits(self, one: EvaluationView) -> bool:
        if one.metric != self.metric:
            return False
        known = _told(one)
        return all(known.get(name) == value for name, value in self.settings.items())

    def _several(self, view: RecordView, found: Sequence[EvaluationView]) -> str:
        told = [_told(one) for one in found]
        unit = [] if self.unit is None else [self.unit]
        ways = [",".join([*unit, *(f"{name}={value}" for name, value in _apart(one, told).items())]) for one in told]
        options = " or ".join(f"--error {quote(f'{self.metric}:{way}')}" for way in ways)
        return f"{view.name} has several {self.metric}: say which, with {options}"


def _apart(one: Mapping[str, str], of: Sequence[Mapping[str, str]]) -> Mapping[str, str]:
    """Returns what only one of several holds; all that it holds where others hold that and more."""
    own = {name: value for name, value in one.items() if any(other.get(name) != value for other in of)}
    return own if sum(own.items() <= other.items() for other in of) == 1 else one


def _told(one: EvaluationView) -> dict[str, str]:
    """Returns what tells an evaluation from others of its metric, as the texts that choose it."""
    return {"data": one.data, **{name: str(value) for name, value in one.settings.items()}}


def parse_metric(text: str) -> MetricChoice:
    """Returns the metric that a text such as "top1", "top1_err:fraction" or "pck:t=0.1,data=val" names.

    Raises:
        InputError: a part is empty, or two units are given.
    """
    name, colon, rest = text.partition(":")
    parts = [part.strip() for part in rest.split(",")] if colon else []
    settings = dict(part.split("=", 1) for part in parts if "=" in part)
    units = [part for part in parts if "=" not in part]
    if not name or not all(parts) or len(units) > 1:
        raise InputError(f"--error {text!r}: write METRIC, METRIC:UNIT or METRIC:SETTING=VALUE, such as pck:t=0.1")
    return MetricChoice(name, units[0] if units else None, settings)


class _Reading(NamedTuple):
    """What a stated figure's metric and unit say of it.

    Attributes:
        counts: whether it is a share of samples, each of which counts whole or not at all.
        doubt: what a reader is told.
    """

    direction: Direction
    counts: bool
    doubt: tuple[Note, ...]


@lru_cache(maxsize=64)
def _reading(metric: str, unit: str, known: Metric | None) -> _Reading:
    """Returns how figures of a metric in a unit are read; the same of 100,000 records, so it is kept."""
    counts = known.binomial if known is not None else not _says_quality(metric)
    return _Reading(_direction(metric, unit, known), counts, _doubt(metric, unit, known))


def _direction(metric: str, unit: str, known: Metric | None) -> Direction:
    """Returns which values of a stated figure are better: what its metric says, else what its name does."""
    if known is not None and (known.unit == unit or {known.unit, unit} <= {"fraction", "percent"}):
        return known.direction
    return "higher" if unit == "dB" or _says_quality(metric) else "lower"


def _says_quality(metric: str) -> bool:
    name = metric.lower()
    return name in EVERY_QUALITY or name.endswith(("_acc", "_accuracy"))


def _doubt(metric: str, unit: str, known: Metric | None) -> tuple[Note, ...]:
    """Returns what a reader is told of a stated figure whose name does not say which values are better."""
    name = metric.lower()
    if unit == "dB" or known is not None or _says_quality(metric) or any(word in name for word in ERROR_WORDS):
        return ()
    return (
        Note("direction", metric, f"{metric} is no metric that effbench knows: taken as an error, lower is better"),
    )


def names_of(view: RecordView) -> set[str]:
    """Returns the metrics that a record has a figure of."""
    published = view.published.errors if view.published is not None else {}
    return {*published, *view.errors, *(one.metric for one in view.evaluations)}


def _measured(view: RecordView, place: int) -> Figure:
    evaluation = view.evaluation(place)
    data = " ".join(part for part in (evaluation.data, evaluation.digest[:8]) if part)
    conditions = [("data", data)] if data else []
    conditions += [(f"{evaluation.metric} {name}", str(value)) for name, value in evaluation.settings.items()]
    lost = ", ".join(f"{count:,} × {reason}" for reason, count in evaluation.left_out.items() if count)
    conditions.append(("left out", lost or "none"))
    notes = (Note("left-out", evaluation.metric, f"{lost} are not in its error"),) if lost else ()
    return Figure(
        value_of(evaluation),
        tuple(conditions),
        evaluation.unit,
        evaluation.direction,
        "measured",
        PerSample(evaluation),
        notes,
    )


def _stated(view: RecordView, metric: str) -> Figure | None:
    figure, source = view.errors.get(metric), "stated"
    conditions: Conditions = ()
    if figure is None and view.published is not None:
        figure, source = view.published.errors.get(metric), "published"
        data = view.published.conditions.get("data")
        conditions = () if data is None else (("data", str(data)),)
    if figure is None:
        return None
    read = _reading(metric, figure.unit, metrics.find(metric))
    evidence = _evidence(figure) if read.counts else None
    return Figure(figure.value, conditions, figure.unit, read.direction, source, evidence, read.doubt)


def _evidence(figure: ErrorFigure) -> object:
    """Returns what a stated share is evidence of; None without its n, and for an impossible one, told elsewhere."""
    if figure.n is None:
        return None
    try:
        return stated_error(figure)
    except InputError:
        return None
