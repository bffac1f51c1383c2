"""Files of predictions or targets → arrays.

    file            holds
    .npy            one array
    .npz            arrays by name; one of them is read, `id` beside it
    .csv            columns, `id` among them or not
    .parquet        the same, or a column of lists (.pq too)
    .jsonl          one object a line (.ndjson too), as parquet

The first dimension runs over samples. In tables, without a chosen column: one column is a number a sample (a class
label); `x0,y0,x1,y1,…` with or without `v0,…` are keypoints, of shape (n, k, 2) or (n, k, 3); columns of one name,
numbered from 0 (`p0,p1,…`, `logit_0,…`, or `0,1,…`), are scores or other numbers of shape (n, numbers); a column of
lists is an array. A column chosen by name may be any of these: `logit` reads logit_0, logit_1, …. Labels may be words;
see `effbench.metrics.words.compared`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from effbench.errors import InputError, one_line
from effbench.metrics.arrays import as_array
from effbench.metrics.numpy_files import opened, text_of
from effbench.metrics.words import shown
from effbench.prediction_tables import labels, numbers, table_ids

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

_IDS = ("id", "ids")
CHOOSE = "--prediction-column NAME or --target-column NAME"


@dataclass(frozen=True, slots=True)
class Rows:
    """What a file holds of each sample.

    Attributes:
        values: shape (n, …); words of shape (n,) with "" where there is none.
        ids: what its samples are called, as text; None where it does not say.
    """

    values: NDArray[Any]
    ids: tuple[str, ...] | None = None


def read_array(path: Path, column: str | None = None) -> NDArray[Any]:
    """Returns the numbers of a file, or its words, the first dimension running over samples.

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
    ending = path.suffix.lower()
    readers = {".npy": _npy, ".npz": _npz}
    if ending not in (*readers, *_TABLES):
        known = ", ".join((*readers, *_TABLES))
        raise InputError(f"{path}: cannot be read by its ending: use {known}")
    if not path.is_file():
        raise InputError(f"{path}: is a folder, and no file" if path.is_dir() else f"{path}: no such file")
    if not path.stat().st_size:
        raise InputError(f"{path}: is empty")
    try:
        found = readers.get(ending, _table)(path, column)
    except ImportError as error:
        raise InputError(f"{path}: {one_line(error)}: pip install 'effbench[evaluate]'") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: cannot be read as {ending}: it is no text in UTF-8") from error
    except (OSError, ValueError) as error:
        told = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: cannot be read as {ending}: {told}") from error
    if found.ids is not None:
        _refuse_twins(path, found.ids)
        if len(found.ids) != len(found.values):
            raise InputError(f"{path}: {len(found.ids):,} ids for {len(found.values):,} samples")
    if not len(found.values):
        raise InputError(f"{path}: there are no samples in it")
    return found


def _npy(path: Path, column: str | None) -> Rows:
    if column is not None:
        raise InputError(f"{path}: holds one array without a name, not {column!r}")
    with opened(path) as array:
        return Rows(_values(array, str(path)))


def _npz(path: Path, column: str | None) -> Rows:
    with opened(path) as archive:
        ids = next((name for name in archive.files if _is_id(name) and name != column), None)
        arrays = [name for name in archive.files if name != ids]
        if column is None and len(arrays) == 1:
            column = arrays[0]
        if column not in arrays:
            asked = f"say which array to read, with {CHOOSE}" if column is None else f"has no array {column!r}"
            raise InputError(f"{path}: {asked}: {', '.join(arrays) or 'it is empty'}")
        known = None if ids is None else tuple(map(str, text_of(archive[ids], f"{path}: {ids}").reshape(-1).tolist()))
        return Rows(_values(archive[column], f"{path}: {column}"), known)


def _is_id(name: str) -> bool:
    return name.lower() in _IDS


def _values(array: NDArray[Any], where: str) -> NDArray[Any]:
    """Returns numbers as they are, and words of shape (n,) or (n, 1)."""
    import pandas as pd

    array = text_of(array, where)
    if array.dtype.kind != "U":
        return as_array(array, where)
    if array.shape[1:] not in ((), (1,)) or not array.ndim:
        raise InputError(f"{where}: words of shape {'×'.join(map(str, array.shape))}: a label is one word a sample")
    return labels(pd.Series(array.reshape(-1)), where)


def _table(path: Path, column: str | None) -> Rows:
    import pandas as pd

    kind = _TABLES[path.suffix.lower()]
    if kind == "csv":
        frame = _csv(path, column)
    elif kind == "parquet":
        frame = pd.read_parquet(path)
    else:
        frame = pd.DataFrame.from_records(_objects(path))
    if _is_id(str(frame.index.name)):
        frame = frame.reset_index()
    frame.columns = pd.Index([str(name) for name in frame.columns])
    key = next((name for name in frame.columns if _is_id(name) and name != column), None)
    ids = None if key is None else table_ids(frame[key], str(path))
    values = numbers(frame if key is None else frame.drop(columns=key), column, str(path))
    return Rows(values, ids)


def _csv(path: Path, column: str | None) -> pd.DataFrame:
    """Returns a CSV without pandas' numbering of rows; ids and words are text as they stand.

    Raises:
        InputError: it is empty, has another separator, or a row has more or fewer cells than the header.
    """
    import pandas as pd

    try:
        head = pd.read_csv(path, nrows=0, encoding="utf-8", skipinitialspace=True)
    except pd.errors.EmptyDataError:
        raise InputError(f"{path}: is empty: it has no header") from None
    names = [str(name) for name in head.columns]
    if len(names) == 1 and (other := next((mark for mark in ";\t|" if mark in names[0]), None)):
        raise InputError(f"{path}: columns are separated by {other!r}: write commas")
    texts = {name: str for name in names if _is_id(name) and name != column}
    frame = pd.read_csv(path, dtype=texts, encoding="utf-8", skipinitialspace=True)
    _refuse_no_header(path, names, frame)
    if not isinstance(frame.index, pd.RangeIndex):
        raise InputError(f"{path}: rows have more cells than the header, which has {len(names)}")
    if frame[names[-1]].isna().any():
        _refuse_short_rows(path, len(names))
    # Among words, "NA" and "None" are words too, which pandas takes for empty cells.
    worded = [
        name for name in names if frame[name].dtype.kind == "O" and name not in texts and frame[name].isna().any()
    ]
    for name in worded:
        again = pd.read_csv(
            path, usecols=[names.index(name)], dtype=str, keep_default_na=False, encoding="utf-8", skipinitialspace=True
        )
        frame[name] = again.iloc[:, 0]
    numbering = (
        names[0].startswith("Unnamed:") and len(names) > 1 and frame[names[0]].tolist() == list(range(len(frame)))
    )
    return frame.drop(columns=names[0]) if numbering else frame


def _refuse_no_header(path: Path, names: Sequence[str], frame: pd.DataFrame) -> None:
    """Refuses a CSV whose first line is a sample, which would be lost without a word.

    Raises:
        InputError: all names are numbers that do not number columns, or the only one stands among its values.
    """
    numeric = all(re.fullmatch(r"[+-]?\d+(\.\d*)?(e[+-]?\d+)?", name, re.IGNORECASE) for name in names)
    numbering = {str(place) for place in range(len(names))}
    among = len(names) == 1 and bool((frame[names[0]].astype(str) == names[0]).any())
    if among or (numeric and set(names) != numbering):
        raise InputError(f"{path}: its first line, {shown(names)}, is no header: write one, such as label, or p0,p1,…")


def _refuse_short_rows(path: Path, cells: int) -> None:
    """Refuses a CSV with a row that ends too soon; a blank line is none.

    Raises:
        InputError: the first such row is named.
    """
    reader = csv.reader(path.read_text(encoding="utf-8").splitlines(), skipinitialspace=True)
    for row in reader:
        if row and len(row) < cells:
            told = f"has {len(row)} of the header's {cells} cells: is the file cut off?"
            raise InputError(f"{path}:{reader.line_num}: {told}")


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
        raise InputError(f"{path}: {len(twins):,} ids occur more than once: {shown(twins)}")
