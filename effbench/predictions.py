"""Files of predictions and targets → evaluations, with no model.

    file            holds
    .npy            one array
    .npz            arrays by name; one of them is read, `id` beside it
    .csv            columns, `id` among them or not
    .parquet        the same, or a column of lists (.pq too)
    .jsonl          one object a line (.ndjson too), as parquet

The first dimension runs over samples. In tables, without a chosen column: one column is a number a sample (a class
label); `x0,y0,x1,y1,…` with or without `v0,…` are keypoints, of shape (n, k, 2) or (n, k, 3); columns of one name,
numbered from 0 (`p0,p1,…`, `logit_0,…`, or `0,1,…`), are scores or other numbers of shape (n, numbers); a column of
lists is an array. A column chosen by name may be any of these: `logit` reads logit_0, logit_1, ….
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from effbench.errors import InputError, one_line
from effbench.metrics import Accumulator, digest_of, metrics, shared_settings
from effbench.metrics.arrays import as_array
from effbench.prediction_tables import numbers, table_ids
from effbench.records import Evaluation, Note

if TYPE_CHECKING:
    from numpy.typing import NDArray

IDS = ("id", "ids")
NO_PREDICTION = "no prediction with its id"


@dataclass(frozen=True, slots=True)
class Rows:
    """What a file holds of each sample.

    Attributes:
        values: shape (n, …).
        ids: what its samples are called, as text; None where it does not say.
    """

    values: NDArray[Any]
    ids: tuple[str, ...] | None = None


def read_array(path: Path, column: str | None = None) -> NDArray[Any]:
    """Returns the numbers of a file, its first dimension running over samples.

    Args:
        path: a .npy, .npz, .csv, .parquet or .jsonl file.
        column: the array of an npz, or the column or numbered columns of a table; None where there is no choice.

    Raises:
        InputError: the file is missing, of another kind, not readable, or holds no numbers there.
    """
    return read_rows(path, column).values


def read_rows(path: Path, column: str | None = None) -> Rows:
    """Returns the numbers of a file with their ids.

    Raises:
        InputError: as `read_array`, and ids that are missing or occur twice.
    """
    path = Path(path)
    readers = {".npy": _npy, ".npz": _npz}
    if path.suffix.lower() not in (*readers, *_TABLES):
        known = ", ".join((*readers, *_TABLES))
        raise InputError(f"{path}: cannot be read by its ending: use {known}")
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        found = readers.get(path.suffix.lower(), _table)(path, column)
    except ImportError as error:
        raise InputError(f"{path}: {one_line(error)}: pip install 'effbench[evaluate]'") from error
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise InputError(f"{path}: cannot be read: {one_line(error)}") from error
    if found.ids is not None:
        _refuse_twins(path, found.ids)
        if len(found.ids) != len(found.values):
            raise InputError(f"{path}: {len(found.ids):,} ids for {len(found.values):,} samples")
    if not len(found.values):
        raise InputError(f"{path}: there are no samples in it")
    return found


def _npy(path: Path, column: str | None) -> Rows:
    import numpy as np

    if column is not None:
        raise InputError(f"{path}: holds one array without a name, not {column!r}")
    return Rows(as_array(np.load(path, allow_pickle=False), f"{path}: its numbers"))


def _npz(path: Path, column: str | None) -> Rows:
    import zipfile

    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as archive:
            ids = next((name for name in IDS if name in archive.files and name != column), None)
            arrays = [name for name in archive.files if name != ids]
            if column is None and len(arrays) == 1:
                column = arrays[0]
            if column not in arrays:
                asked = "say which array to read" if column is None else f"has no array {column!r}"
                raise InputError(f"{path}: {asked}: {', '.join(arrays) or 'it is empty'}")
            known = None if ids is None else tuple(map(str, archive[ids].reshape(-1).tolist()))
            return Rows(as_array(archive[column], f"{path}: {column}"), known)
    except zipfile.BadZipFile as error:
        raise InputError(f"{path}: no npz file: {one_line(error)}") from error


def _table(path: Path, column: str | None) -> Rows:
    import pandas as pd

    kind = _TABLES[path.suffix.lower()]
    if kind == "csv":
        head = pd.read_csv(path, nrows=0, encoding="utf-8")
        texts = {name: str for name in head.columns if name in IDS and name != column}
        frame = pd.read_csv(path, dtype=texts, encoding="utf-8", skipinitialspace=True)
    elif kind == "parquet":
        frame = pd.read_parquet(path)
    else:
        frame = pd.DataFrame.from_records(_objects(path))
    if frame.index.name in IDS:
        frame = frame.reset_index()
    frame.columns = pd.Index([str(name) for name in frame.columns])
    key = next((name for name in IDS if name in frame.columns and name != column), None)
    ids = None if key is None else table_ids(frame[key], str(path))
    values = numbers(frame if key is None else frame.drop(columns=key), column, str(path))
    return Rows(values, ids)


def _objects(path: Path) -> list[dict[str, Any]]:
    """Returns the objects of a file with one on each line; empty lines are passed over."""
    import json

    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            read = json.loads(line) if line.strip() else None
        except json.JSONDecodeError as error:
            raise InputError(f"{path}: line {number} is no JSON: {error}") from error
        if read is not None and not isinstance(read, dict):
            raise InputError(f'{path}: line {number} is no object, such as {{"label": 3}}')
        found += [read] if read is not None else []
    return found


_TABLES = {".csv": "csv", ".parquet": "parquet", ".pq": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl"}


def _refuse_twins(path: Path, ids: Sequence[str]) -> None:
    from collections import Counter

    twins = [name for name, times in Counter(ids).items() if times > 1]
    if twins:
        raise InputError(f"{path}: {len(twins):,} ids occur more than once: {_some(twins)}")


def _some(names: Sequence[str], most: int = 3) -> str:
    """Returns the first few names."""
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")


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
    return accumulate_files(predictions, targets, empty, columns, data)


def accumulate_files(
    predictions: Path,
    targets: Path,
    accumulators: Sequence[Accumulator],
    columns: tuple[str | None, str | None] = (None, None),
    data: str = "",
) -> tuple[Evaluation, ...]:
    """Returns the same of empty accumulators, so that each metric may have settings of its own.

    Raises:
        InputError, ModelError: as `evaluate_files`.
    """
    given, wanted = read_rows(predictions, columns[0]), read_rows(targets, columns[1])
    pairs, notes = _matched(given, wanted, Path(predictions), Path(targets))
    digest = digest_of([wanted.values])
    here, there = [place for place, _ in pairs], [place for _, place in pairs]
    found = []
    for accumulator in accumulators:
        accumulator.add(given.values[here], wanted.values[there], there)
        accumulator.leave_out(NO_PREDICTION, len(wanted.values) - len(pairs))
        found.append(accumulator.done(data or Path(targets).name, digest, notes))
    return tuple(found)


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
        raise InputError(f"no id of {predictions} ({_some(given.ids)}) is one of {targets} ({_some(wanted.ids)})")
    known = set(wanted.ids)
    extra = [name for name in given.ids if name not in known]
    missing = [name for name in wanted.ids if name not in places]
    notes = []
    if missing:
        notes.append(Note("missing-predictions", predictions.name, f"{len(missing):,} ids: {_some(missing)}"))
    if extra:
        text = f"{len(extra):,} predictions have no target: {_some(extra)}"
        notes.append(Note("unmatched-predictions", predictions.name, text))
    return pairs, tuple(notes)
