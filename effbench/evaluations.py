"""What was evaluated: a model on data, or predictions against targets; its values, their intervals and its record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from effbench.errors import InputError, UnknownName
from effbench.metrics import Accumulator, metrics, refuse_missing
from effbench.records import Evaluation, Record
from effbench.store import Store

if TYPE_CHECKING:
    from torch import nn

    from effbench.evaluation_runs import Opening
    from effbench.measure.data.chosen import Wanted
    from effbench.measure.data.preprocess import Preprocess
    from effbench.measure.evaluate import Progress
    from effbench.measure.source import Source

DRAWS = 1000
Choice = tuple[str, Mapping[str, object]]
"""A metric's name and its settings."""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What a model's answers are worth.

    Attributes:
        name, spec: of the model; a spec of None is a Python object, or answers out of a file.
        data: what the data set is called, `asked` how many of its samples should have been answered.
        preprocessing: what was done to them; None where answers came out of a file.
        weights: which were loaded; None where the model brought its own.
        classes: names by index.
        unreadable: (sample, reason, why) of those that could not be read.
        ran: batch, device and seconds of the pass; empty where no model ran.
    """

    name: str
    spec: str | None
    data: str
    digest: str
    asked: int
    evaluations: tuple[Evaluation, ...]
    preprocessing: str | None = None
    weights: str | None = None
    classes: tuple[str, ...] = ()
    unreadable: tuple[tuple[str, str, str], ...] = ()
    ran: Mapping[str, str | int | float] = field(default_factory=dict)

    def value(self, metric: str | None = None) -> float:
        """Returns a metric's value in its unit; of the only one, or of the first of that name.

        Raises:
            InputError: it was not measured, or every sample was left out.
        """
        from effbench.metrics.values import value_of

        return value_of(self._find(metric))

    def interval(self, metric: str | None = None, draws: int = DRAWS, seed: int = 0) -> tuple[float, float] | None:
        """Returns the 95 % bootstrap interval of a metric's value; see `interval_of`.

        Raises:
            InputError: it was not measured.
        """
        return interval_of(self._find(metric), draws, seed)

    def _find(self, metric: str | None) -> Evaluation:
        found = [one for one in self.evaluations if metric in (None, one.metric)]
        if not found or (metric is None and len(found) > 1):
            names = ", ".join(one.metric for one in self.evaluations)
            raise InputError(f"{self.name}: {metric or 'one metric'} is not what was measured: {names}")
        return found[0]

    def left_out(self) -> str:
        """Returns what is missing in which metric, in one line; "" where every sample counts."""
        told: dict[str, list[str]] = {}
        for one in self.evaluations:
            if one.left_out:
                reasons = ", ".join(f"{count:,} × {reason}" for reason, count in one.left_out.items())
                told.setdefault(reasons, []).append(one.metric)
        return "; ".join(f"{', '.join(names)}: {reasons}" for reasons, names in told.items())

    def document(self, draws: int = DRAWS, seed: int = 0, confusion: bool = False) -> dict[str, Any]:
        """Returns the document of `effbench evaluate`."""
        from effbench.documents.evaluate import evaluation_document

        return evaluation_document(self, draws, seed, confusion)

    def record(self, folder: Path) -> Path:
        """Returns the path of the model's record, after adding the evaluations to it.

        Raises:
            InputError: the folder cannot be written to.
        """
        return Store(folder).save(Record(self.name, self.spec, evaluations=self.evaluations))


def interval_of(evaluation: Evaluation, draws: int = DRAWS, seed: int = 0) -> tuple[float, float] | None:
    """Returns the ends of the 95 % percentile bootstrap interval over samples; None of fewer than two.

    Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13. Samples are drawn as in a ranking: shares
    of samples with Jeffreys' prior, whose interval ends at 0 or 1 where the share itself is that (Brown, Cai and
    DasGupta, Statistical Science 16, 2001).

    Raises:
        InputError: it has no value in any draw.
    """
    import numpy as np

    from effbench.judge.draws import draw_errors
    from effbench.judge.evidence import PerSample
    from effbench.metrics.values import value_of

    if evaluation.n < 2:
        return None
    found = draw_errors([PerSample(evaluation)], draws, seed)[:, 0]
    low, high = map(float, np.quantile(found, [0.025, 0.975]))
    value = value_of(evaluation) if metrics.get(evaluation.metric).binomial else None
    return (value if value == 0 else low), (value if value == 1 else high)


# What is asked for


def choices(texts: Sequence[str | Choice], shared: Mapping[str, object] | None = None) -> tuple[Choice, ...]:
    """Returns each metric with its settings: its own, as in "pck:t=0.05,reference=box", before those for all.

    Raises:
        InputError: a text is not NAME[:KEY=VALUE,…], a metric is unknown, or none knows a setting for all.
    """
    if not texts:
        raise InputError("no metric: name one with --metric, such as top1; effbench list metrics has them all")
    own = [_parsed(text) if isinstance(text, str) else text for text in texts]
    known = {name: {item.name for item in metrics.get(name).settings} for name, _ in own}
    for key in shared or {}:
        if not any(key in names for names in known.values()):
            raise UnknownName(f"setting of {', '.join(known)}", key, set().union(*known.values()))
    return tuple(
        (name, {**{key: value for key, value in (shared or {}).items() if key in known[name]}, **settings})
        for name, settings in own
    )


def _parsed(text: str) -> Choice:
    name, colon, rest = text.partition(":")
    settings: dict[str, object] = {}
    for part in rest.split(",") if colon else ():
        key, equals, value = part.partition("=")
        if not (key and equals and value) or key in settings:
            raise InputError(f"--metric {text}: write NAME:KEY=VALUE,KEY=VALUE, such as pck:t=0.05,reference=box")
        settings[key] = value
    return name, settings


def evaluate(
    model: nn.Module | Source | str,
    data: Any,
    metrics: str | Sequence[str | Choice],
    *,
    settings: Mapping[str, object] | None = None,
    weights: str | None = None,
    preprocess: str | Callable[..., Any] | Wanted | None = None,
    opening: Opening | None = None,
    batch: int = 32,
    limit: int | None = None,
    device: str | None = None,
    workers: int = 0,
    answer: str | None = None,
    on_batch: Callable[[Progress], None] = lambda seen: None,
) -> Evaluated:
    """Returns what a model's answers on a data set are worth; the model is left as it was.

    Args:
        model: a module, a spec, or what `load` returned.
        data: a text as `--data` takes it, or a map-style `torch.utils.data.Dataset` of (input, target).
        metrics: names of metrics, with settings as "pck:t=0.05" or as pairs of name and settings.
        settings: for all metrics that know them.
        weights: of a spec: a file of trained weights, or a name that its zoo has for them.
        preprocess: "weights", "none", "file.py:function", a function of an image, or single steps.
        opening: where a named data set lies, its split, arguments of its factory, …
        batch, limit, device, workers, answer: see `effbench.measure.evaluate.Pass`.
        on_batch: told how far it is.

    Raises:
        InputError: model, data and metric do not fit together. ModelError: the model raised.
    """
    from effbench.evaluation_runs import Asked, Opening, run
    from effbench.measure.evaluate import Pass

    chosen = choices([metrics] if isinstance(metrics, str) else metrics, settings)
    how = Pass(batch, limit, device, workers, answer)
    if weights is not None and not isinstance(model, str):
        raise InputError("weights are loaded into a model that a spec names: load them into the object first")
    asked = Asked(model, weights=weights) if isinstance(model, str) else model
    return run(asked, data, chosen, _wanted(preprocess), opening or Opening(), how, on_batch)


def _wanted(given: str | Callable[..., Any] | Wanted | None) -> Wanted | Preprocess:
    """Returns the preprocessing that is asked for in any of its ways."""
    from effbench.measure.data.chosen import Wanted
    from effbench.measure.data.preprocess import Preprocess

    if given is None or isinstance(given, str):
        return Wanted(given)
    if isinstance(given, Wanted):
        return given
    return Preprocess(getattr(given, "__name__", type(given).__name__), given)


def evaluate_files(
    predictions: Path,
    targets: Path,
    chosen: Sequence[Choice],
    columns: tuple[str | None, str | None] = (None, None),
    name: str | None = None,
    spec: str | None = None,
    index: Mapping[str, int] | None = None,
) -> Evaluated:
    """Returns what answers in a file are worth against the right ones in another; torch is not needed.

    Args:
        predictions, targets: see `effbench.predictions`.
        chosen: metrics with their settings, as `choices` gives them.
        columns: which column or array of each to read.
        name: of the model that gave the answers; None takes the name of their file.
        spec: of that model, where its record has one.
        index: class index of each label that is a word, where the order of words is not the model's.

    Raises:
        InputError: a file, a metric or a setting is wrong, or predictions and targets do not fit together.
    """
    from effbench.predictions import accumulate_files

    refuse_missing([(metrics.get(metric), settings) for metric, settings in chosen])
    empty = [Accumulator(metric, settings) for metric, settings in chosen]
    found = accumulate_files(predictions, targets, empty, columns, index=index)
    first = found.evaluations[0]
    asked = first.n + sum(first.left_out.values())
    return Evaluated(
        name or predictions.stem, spec, first.data, first.digest, asked, found.evaluations, classes=found.classes
    )
