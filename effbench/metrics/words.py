"""Class labels that are words → class indices: as the user states them, or in sorted order where that is no guess."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from effbench.errors import InputError
from effbench.records.note import Note

if TYPE_CHECKING:
    from numpy.typing import NDArray

STATE = "--class-index FILE, a CSV of name,index"
ALIKE = "write all as whole numbers from 0, or all as words"
ORDER = "label-order"
"""Code of the Note that says which index was taken for which word."""

MOST_CLASSES = 10_000_000
"""A name is kept for every index below the highest; one beyond this is a slip of the hand that would fill memory."""


def class_indices(names: Sequence[str], given: Mapping[str, int], where: str) -> tuple[int, ...]:
    """Returns the class index of each name: as given or, where nothing is, the place among the names.

    Raises:
        InputError: an index is stated for some of the names and not for others.
    """
    if not given:
        return tuple(range(len(names)))
    missing = [name for name in names if name not in given]
    if missing:
        raise InputError(f"{where}: --class-index has no index of {shown(missing)}: it must name every class")
    return tuple(given[name] for name in names)


def by_index(names: Sequence[str], indices: Sequence[int]) -> tuple[str, ...]:
    """Returns the names of classes by index; an index without a name is "".

    Raises:
        InputError: an index is negative, stands twice or is no class's.
    """
    if len(set(indices)) < len(indices) or min(indices) < 0:
        raise InputError("--class-index: every class needs an index of its own, 0 or more")
    if max(indices) >= MOST_CLASSES:
        raise InputError(f"--class-index: {max(indices)} is no index of a class: it must be below {MOST_CLASSES:,}")
    found = [""] * (max(indices) + 1)
    for name, index in zip(names, indices, strict=True):
        found[index] = name
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Numbered:
    """Labels as class indices.

    Attributes:
        indices: of each label.
        classes: names by index; none where the labels are indices themselves.
        notes: which index was taken for which word, where the user did not say.
    """

    indices: tuple[int, ...]
    classes: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()


def numbered(cells: Sequence[str], given: Mapping[str, int], source: str, place: Callable[[int], str]) -> Numbered:
    """Returns the labels of a data set: whole numbers, or words, whose sorted order is 0, 1, 2, … unless it is given.

    Args:
        cells: a label each, as text.
        given: class index of each word; empty where the user states none.
        source: the file, for messages.
        place: where the label of that number stands, for messages.

    Raises:
        InputError: a label is empty, words and numbers are mixed, or a word has no index among those given.
    """
    for number, cell in enumerate(cells):
        if not cell:
            raise InputError(f"{place(number)}: the label is empty")
    numeric = [re.fullmatch(r"[+-]?\d+", cell) is not None for cell in cells]
    if not given:
        if all(numeric):
            return Numbered(tuple(map(int, cells)))
        if any(numeric):
            odd = numeric.index(not numeric[0])
            first = "numbers" if numeric[0] else "words"
            told = f"label {cells[odd]!r} stands among {first}: {ALIKE}"
            raise InputError(f"{place(odd)}: {told}, or state an index for every one of them with {STATE}")
    names = sorted(set(cells))
    indices = class_indices(names, given, source)
    index = dict(zip(names, indices, strict=True))
    classes = by_index(names, indices)
    return Numbered(tuple(index[cell] for cell in cells), classes, () if given else (_order(source, classes),))


def _order(source: str, classes: Sequence[str]) -> Note:
    listed = shown([f"{place} {name}" for place, name in enumerate(classes)], 10)
    text = f"labels are words, taken for the model's outputs in sorted order: {listed}; --class-index states another"
    return Note(ORDER, source, text)


def shown(names: Sequence[str], most: int = 3) -> str:
    """Returns the first few names."""
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")


# Predictions beside targets


@dataclass(frozen=True, slots=True)
class Compared:
    """Predictions and targets as numbers, names of classes by index, and what a reader must know of them."""

    predictions: NDArray[Any]
    targets: NDArray[Any]
    classes: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()


def compared(
    predictions: NDArray[Any], targets: NDArray[Any], given: Mapping[str, int], names: tuple[str, str]
) -> Compared:
    """Returns predictions and targets with every word as its class index, and a missing word as NaN.

    Words on both sides are compared as words: the targets' get the indices 0, 1, 2, … in sorted order, and those that
    are only predicted the ones behind, so that what a model answers does not change the targets. Scores are taken to
    be of the targets' words in sorted order where there are as many of both.

    Args:
        predictions, targets: numbers, or words of shape (n,) with "" where there is none.
        given: class index of each word; empty where the user states none.
        names: of predictions and of targets, for messages.

    Raises:
        InputError: nothing says which word is which number, or no word is on both sides.
    """
    worded = [values for values in (predictions, targets) if is_words(values)]
    if given:
        if not worded:
            raise InputError(f"--class-index has nowhere to go: {names[0]} and {names[1]} hold no words")
        indices = class_indices(sorted(_words(*worded)), given, " and ".join(names))
        table = dict(zip(sorted(_words(*worded)), indices, strict=True))
        classes = by_index(tuple(given), tuple(given.values()))
        return Compared(_in_numbers(predictions, table), _in_numbers(targets, table), classes)
    if not worded:
        return Compared(predictions, targets)
    wanted = sorted(_words(targets)) if is_words(targets) else []
    if len(worded) == 2:
        return _as_words(predictions, targets, wanted, names)
    scores = predictions.shape[1] if predictions.ndim == 2 and predictions.dtype.kind != "U" else 0
    if not wanted or not scores:
        one, other = names if not wanted else names[::-1]
        few = shown(sorted(_words(*worded)))
        told = f"{one} has words for labels ({few}) and {other} numbers"
        raise InputError(f"{told}: write both alike, or state each word's number with {STATE}")
    if len(wanted) != scores:
        told = (
            f"{names[1]} has {len(wanted)} words for labels ({shown(wanted)}) and {names[0]} {scores} scores a sample"
        )
        raise InputError(f"{told}: state which score is whose with {STATE}")
    table = {word: place for place, word in enumerate(wanted)}
    return Compared(predictions, _in_numbers(targets, table), tuple(wanted), (_order(names[1], wanted),))


def is_words(values: NDArray[Any]) -> bool:
    """Returns whether an array holds words."""
    return values.dtype.kind == "U"


def _as_words(
    predictions: NDArray[Any], targets: NDArray[Any], wanted: Sequence[str], names: tuple[str, str]
) -> Compared:
    only = sorted(_words(predictions) - set(wanted))
    if len(only) == len(_words(predictions)):
        raise InputError(f"no label of {names[0]} ({shown(only)}) is one of {names[1]} ({shown(wanted)})")
    classes = (*wanted, *only)
    table = {word: place for place, word in enumerate(classes)}
    text = f"no target has the labels {shown(only, 10)}, which are predicted"
    notes = (Note("unknown-labels", names[0], text),) if only else ()
    return Compared(_in_numbers(predictions, table), _in_numbers(targets, table), classes, notes)


def _words(*of: NDArray[Any]) -> set[str]:
    return {word for values in of for word in values.tolist() if word}


def _in_numbers(values: NDArray[Any], table: Mapping[str, int]) -> NDArray[Any]:
    import numpy as np

    if not is_words(values):
        return values
    return np.array([table.get(word, np.nan) for word in values.tolist()])
