"""Files of predictions and targets → evaluations, with no model; what a file may hold: `effbench.prediction_files`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from effbench.errors import InputError
from effbench.metrics import Accumulator, digest_of, metrics, shared_settings
from effbench.metrics.labels import NUM_CLASSES
from effbench.metrics.words import compared, is_words, shown
from effbench.prediction_files import Rows, read_rows
from effbench.records import Evaluation, Note

NO_PREDICTION = "no prediction with its id"


@dataclass(frozen=True, slots=True)
class Answered:
    """What files gave: an evaluation for each metric, and names of classes by index where labels are words."""

    evaluations: tuple[Evaluation, ...]
    classes: tuple[str, ...] = ()


def evaluate_files(
    predictions: Path,
    targets: Path,
    chosen: Sequence[str],
    settings: Mapping[str, object] | None = None,
    columns: tuple[str | None, str | None] = (None, None),
    data: str = "",
) -> tuple[Evaluation, ...]:
    """Returns an evaluation for each metric of predictions against targets, both from files.

    Samples are matched by id where both files have one: a target without a prediction is left out and counted, a
    prediction without a target is told in a Note. Else they are matched by their order, and must be equally many.

    Args:
        predictions: what a model answered.
        targets: what is right.
        chosen: names of metrics.
        settings: one table for all; each metric takes those that it knows.
        columns: which column or array of predictions and of targets to read.
        data: what the data set is called; empty takes the targets' file name.

    Raises:
        InputError: a file, a metric or a setting is wrong, ids occur twice, or none of them match.
        ModelError: a user's metric raised.
    """
    entries = [metrics.get(name) for name in chosen]
    each = shared_settings(entries, settings or {})
    empty = [Accumulator(entry, kept) for entry, kept in zip(entries, each, strict=True)]
    return accumulate_files(predictions, targets, empty, columns, data).evaluations


def accumulate_files(
    predictions: Path,
    targets: Path,
    accumulators: Sequence[Accumulator],
    columns: tuple[str | None, str | None] = (None, None),
    data: str = "",
    index: Mapping[str, int] | None = None,
) -> Answered:
    """Returns the same of empty accumulators, so that each metric may have settings of its own.

    Args:
        predictions, targets, columns, data: as `evaluate_files` has them.
        accumulators: one for each metric.
        index: class index of each word, where labels are words and the order of words is not the model's.

    Raises:
        InputError, ModelError: as `evaluate_files`.
    """
    given, wanted = read_rows(predictions, columns[0]), read_rows(targets, columns[1])
    pairs, notes = _matched(given, wanted, Path(predictions), Path(targets))
    for accumulator in accumulators:
        _refuse_words(accumulator, given, wanted)
    seen = compared(given.values, wanted.values, index or {}, (str(predictions), str(targets)))
    digest = digest_of([seen.targets])
    here, there = [place for place, _ in pairs], [place for _, place in pairs]
    found = []
    for accumulator in accumulators:
        accumulator.add(seen.predictions[here], seen.targets[there], there)
        accumulator.leave_out(NO_PREDICTION, len(seen.targets) - len(pairs))
        found.append(accumulator.done(data or Path(targets).name, digest, (*notes, *seen.notes)))
    return Answered(tuple(found), seen.classes)


def _refuse_words(accumulator: Accumulator, *of: Rows) -> None:
    """Refuses words for a metric that does not compare class labels.

    Raises:
        InputError: there are some.
    """
    if NUM_CLASSES not in accumulator.metric.settings and any(is_words(rows.values) for rows in of):
        few = shown(sorted({word for rows in of if is_words(rows.values) for word in rows.values.tolist() if word}))
        raise InputError(f"{accumulator.metric.name} compares numbers, and words are given: {few}")


def _matched(
    given: Rows, wanted: Rows, predictions: Path, targets: Path
) -> tuple[list[tuple[int, int]], tuple[Note, ...]]:
    """Returns (places of each prediction and its target, in the targets' order; what a reader must know)."""
    if given.ids is None or wanted.ids is None:
        if len(given.values) != len(wanted.values):
            told = f"{predictions} has {len(given.values):,} samples and {targets} {len(wanted.values):,}"
            raise InputError(f"{told}: they must be equally many, or both have a column id")
        pairs = [(place, place) for place in range(len(wanted.values))]
        named = next((path for rows, path in ((given, predictions), (wanted, targets)) if rows.ids is not None), None)
        text = f"samples were matched by their order: only {named} has ids"
        return pairs, () if named is None else (Note("matched-by-order", predictions.name, text),)
    places = {name: place for place, name in enumerate(given.ids)}
    pairs = [(places[name], place) for place, name in enumerate(wanted.ids) if name in places]
    if not pairs:
        raise InputError(f"no id of {predictions} ({shown(given.ids)}) is one of {targets} ({shown(wanted.ids)})")
    known = set(wanted.ids)
    extra = [name for name in given.ids if name not in known]
    missing = [name for name in wanted.ids if name not in places]
    notes = []
    if missing:
        notes.append(Note("missing-predictions", predictions.name, f"{len(missing):,} ids: {shown(missing)}"))
    if extra:
        text = f"{len(extra):,} predictions have no target: {shown(extra)}"
        notes.append(Note("unmatched-predictions", predictions.name, text))
    return pairs, tuple(notes)
