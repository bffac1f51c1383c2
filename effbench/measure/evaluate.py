"""Model × data set → what it answered on each sample, batch by batch; the model is left as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from effbench.errors import InputError
from effbench.measure.answering import answer, built, lent
from effbench.measure.containers import mapped
from effbench.measure.data.batches import batches, collated, stacked_targets
from effbench.measure.data.source import Broken, Data, Digest, Item, Sample, Unreadable
from effbench.measure.source import Loaded
from effbench.measure.state import same_random_state
from effbench.metrics import Accumulator
from effbench.metrics.values import value_of
from effbench.metrics.words import ORDER, STATE, shown
from effbench.records import Evaluation, Note

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TELL_S = 0.5
_TELL_SHARE = 20
"""Seconds between two tellings of how far it is; and a telling, whose value is computed from all samples so far, waits
for so many times as long as the one before took."""


@dataclass(frozen=True, slots=True)
class Pass:
    """How a model is run over a data set; all but `limit` and `answer` leave its answers as they are.

    Attributes:
        batch: samples of a call.
        limit: only the first so many samples; None takes all.
        device: as `torch.device` reads it; None leaves a model where it is.
        workers: processes that read samples; 0 reads them in this one.
        answer: which of a model's several outputs: its key, or its place counted from 0.
    """

    batch: int = 32
    limit: int | None = None
    device: str | None = None
    workers: int = 0
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is: samples done, samples in all, and the value of each metric so far, None where it has none."""

    done: int
    total: int
    samples_per_s: float
    values: tuple[tuple[str, float | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Answers:
    """What was seen.

    Attributes:
        evaluations: one for each metric.
        asked: samples that the model should have answered.
        unreadable: those that could not be read.
        digest: of the data set as far as it was asked for.
        seconds: from the first sample to the last answer.
        notes: what a reader of the values must know of the data.
    """

    evaluations: tuple[Evaluation, ...]
    asked: int
    unreadable: tuple[Unreadable, ...]
    digest: str
    seconds: float
    notes: tuple[Note, ...] = ()


def evaluate(
    loaded: Loaded,
    data: Data,
    metrics: Sequence[Accumulator],
    how: Pass,
    notes: Sequence[Note] = (),
    on_batch: Callable[[Progress], None] = lambda seen: None,
    now: Callable[[], float] = perf_counter,
) -> Answers:
    """Returns what a model's answers on a data set are worth, sample by sample and by each metric.

    Args:
        loaded: the model; what it draws while it answers is drawn with a fixed seed.
        data: opened already.
        metrics: empty accumulators; each gets every batch.
        how: batch, device, …
        notes: what a reader of every evaluation must know besides what is found here.
        on_batch: told how far it is, at most twice a second.
        now: the clock for that, in seconds.

    Raises:
        InputError: a sample cannot be given to the model, or its answers are not what the metrics need.
        ModelError: building or running the model raised.
    """
    total = data.n if how.limit is None else min(how.limit, data.n)
    run = _Run(loaded.name, data, metrics, how)
    with same_random_state():
        torch.manual_seed(0)
        with lent(built(loaded), how.device) as (model, device):
            start = now()
            due = start + _TELL_S
            for items in batches(data.samples, total, how.batch, how.workers):
                run.take(model, device, items)
                if (moment := now()) >= due:
                    on_batch(Progress(run.seen, total, run.seen / (moment - start), run.values()))
                    due = now() + max(_TELL_S, _TELL_SHARE * (now() - moment))
    return run.answers(total, now() - start, notes)


class _Run:
    """One pass: what is known after each batch."""

    def __init__(self, name: str, data: Data, metrics: Sequence[Accumulator], how: Pass) -> None:
        self.seen = 0
        self._name = name
        self._data = data
        self._metrics = metrics
        self._how = how
        self._digest = Digest()
        self._unreadable: list[Unreadable] = []
        self._labels: set[int] = set()
        self._padded: list[str] = []

    def take(self, model: nn.Module, device: torch.device, items: Sequence[Item]) -> None:
        """Takes in the model's answers to a batch."""
        samples, places = self._sorted_out(items)
        self.seen += len(items)
        if not samples:
            return
        inputs = mapped(collated(samples, self._data.name), lambda tensor: tensor.to(device))
        where = samples[0].name if len(samples) == 1 else f"{samples[0].name} to {samples[-1].name}"
        output = answer(model, inputs, self._how.answer, self._name, where)
        if not output.dim() or len(output) != len(samples):
            shape = "×".join(map(str, output.shape)) or "a single number"
            raise InputError(
                f"{self._name}: answers a batch of {len(samples)} with {shape}: the first dimension must run over "
                "samples"
            )
        targets = stacked_targets(samples, self._data.name)
        _check_classes(self._name, self._data, output, targets)
        for metric in self._metrics:
            metric.add(output, _in_unit(targets, metric, self._data), places)

    def _sorted_out(self, items: Sequence[Item]) -> tuple[list[Sample], list[int]]:
        """Returns (samples that can be answered, their places), and counts the others."""
        samples, places = [], []
        for place, item in enumerate(items, self.seen):
            if isinstance(item, Broken):
                raise InputError(f"{self._data.name}: {item.name}: {item.why}")
            self._digest.add(item)
            if isinstance(item, Unreadable):
                self._unreadable.append(item)
                for metric in self._metrics:
                    metric.leave_out(item.reason)
                continue
            samples.append(item)
            places.append(place)
            self._padded += [item.name] if item.padded else []
            if self._data.classes and isinstance(item.target, int):
                self._labels.add(item.target)
        return samples, places

    def values(self) -> tuple[tuple[str, float | None], ...]:
        """Returns the value of each metric so far."""
        return tuple((metric.metric.name, _value(metric)) for metric in self._metrics)

    def answers(self, asked: int, seconds: float, notes: Sequence[Note]) -> Answers:
        """Returns all that was seen.

        Raises:
            InputError: no sample could be read.
        """
        if len(self._unreadable) == asked:
            first = self._unreadable[0]
            raise InputError(
                f"{self._data.name}: none of {asked:,} samples could be read: {first.name}: {first.reason}: {first.why}"
            )
        digest = self._digest.text()
        told = (*notes, *self._data.notes, *self._limited(asked), *self._told_padded(asked))
        found = tuple(metric.done(self._data.name, digest, told) for metric in self._metrics)
        return Answers(found, asked, tuple(self._unreadable), digest, seconds, told)

    def _limited(self, asked: int) -> Iterator[Note]:
        if asked == self._data.n:
            return
        text = f"the first {asked:,} of {self._data.n:,} samples in their order"
        if self._labels:
            text += f", which hold {len(self._labels):,} of {sum(map(bool, self._data.classes)):,} classes"
        yield Note("limited", self._data.name, text)

    def _told_padded(self, asked: int) -> Iterator[Note]:
        if self._padded and self._data.size is not None:
            height, width = self._data.size
            text = (
                f"{len(self._padded):,} of {asked:,} images were smaller than the crop and were padded with black to "
                f"{height}×{width}, {self._padded[0]} the first"
            )
            yield Note("padded", self._data.name, text)


def _value(metric: Accumulator) -> float | None:
    try:
        return value_of(metric.done())
    except InputError:  # nothing of it could be used so far
        return None


def _check_classes(name: str, data: Data, output: torch.Tensor, targets: NDArray[Any]) -> None:
    """Refuses class scores for another number of classes than the data set has.

    Raises:
        InputError: they differ, or the model does not show how many classes it has, and the order of words is a guess.
    """
    classes = len(data.classes)
    if not classes or targets.ndim != 1:
        return
    few = shown(data.classes)
    if output.dim() == 1 and any(note.code == ORDER for note in data.notes):
        told = f"{name} gives one label a sample, and the labels of {data.name} are words ({few})"
        raise InputError(f"{told}: state the model's number of each with {STATE}")
    scores = output.shape[-1]
    if output.dim() != 2 or scores in (1, classes) or (data.stated and scores > classes):
        return  # of a single score a metric says itself what it needs
    raise InputError(
        f"{name} gives {scores:,} scores a sample and {data.name} has {classes:,} classes ({few}): where its classes "
        f"have other indices in the model, say which with {STATE}"
    )


def _in_unit(targets: NDArray[Any], metric: Accumulator, data: Data) -> NDArray[Any]:
    """Returns keypoints as the metric reads them: in parts of the model's input where it is told so.

    Raises:
        InputError: inputs have no common size.
    """
    if not (data.pixels and metric.settings.get("normalized")):
        return targets
    if data.size is None:
        raise InputError(f"{metric.metric.name}: normalized=1 needs inputs of one size: give --resize HxW or --crop")
    scaled = targets.astype(float)
    scaled[..., 0] /= data.size[1]
    scaled[..., 1] /= data.size[0]
    return scaled
