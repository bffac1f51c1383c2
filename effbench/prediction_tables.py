"""Columns of a table → an array: labels as numbers or words, scores, keypoints, or lists."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from effbench.errors import InputError, one_line
from effbench.metrics.words import ALIKE

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


def table_ids(column: pd.Series[Any], where: str) -> tuple[str, ...]:
    """Returns what samples are called, as text.

    Raises:
        InputError: some have no id.
    """
    empty = int(column.isna().sum())
    if empty:
        raise InputError(f"{where}: {empty:,} of {len(column):,} samples have no {column.name}")
    return tuple(str(value).strip() for value in column.tolist())


def numbers(frame: pd.DataFrame, column: str | None, where: str) -> NDArray[Any]:
    """Returns a table's numbers, of shape (n,), (n, numbers), (n, k, 2) or (n, k, 3); a column of words as words.

    Args:
        frame: without its ids.
        column: a column, or what numbered columns begin with; None takes all, which must then be of one kind.
        where: the file, for messages.

    Raises:
        InputError: there is no such column, columns are of several kinds, or words and numbers are mixed.
    """
    names = [str(name) for name in frame.columns]
    if column is not None and column in names:
        return _one(frame[column], where)
    wanted = names if column is None else [name for name in names if _numbered(name)[0] == column]
    if not names:
        raise InputError(f"{where}: there are no columns in it besides ids")
    if not wanted:
        raise InputError(f"{where}: no column {column!r}: it has {_listed(names)}")
    if column is None and len(wanted) == 1 and _numbered(wanted[0])[0] not in ("x", "y"):
        return _one(frame[wanted[0]], where)
    groups: dict[str, dict[int, str]] = {}
    for name in wanted:
        stem, place = _numbered(name)
        if place in groups.setdefault(stem, {}):
            raise InputError(f"{where}: columns {groups[stem][place]} and {name} have one number")
        groups[stem][place] = name
    if {"x", "y"} <= set(groups) <= {"x", "y", "v"}:
        return _keypoints(frame, groups, where)
    if len(groups) > 1 or -1 in next(iter(groups.values())):
        advice = "say which column to read, with --prediction-column NAME or --target-column NAME"
        raise InputError(f"{where}: {advice}: it has {_listed(names)}")
    return _side_by_side(frame, groups[next(iter(groups))], where)


def _numbered(name: str) -> tuple[str, int]:
    """Returns (what a column is called, its number): ("logit", 3) for logit_3, ("", 3) for 3, ("label", −1)."""
    found = re.fullmatch(r"(.*?)[_.\- ]?(\d+)", name)
    return (found[1], int(found[2])) if found else (name, -1)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f", … ({len(names)} in all)" if len(names) > 8 else "")


def _one(column: pd.Series[Any], where: str) -> NDArray[Any]:
    """Returns one column: numbers or words of shape (n,), or lists of one shape as an array."""
    import numpy as np

    if column.dtype == object and len(column) and isinstance(column.iloc[0], (list, np.ndarray)):
        shapes = {np.shape(value) for value in column}
        if len(shapes) > 1:
            told = " and ".join("×".join(map(str, shape)) or "one number" for shape in sorted(shapes)[:2])
            raise InputError(f"{where}: lists in column {column.name} differ in shape: {told}")
        lists = [value.tolist() if hasattr(value, "tolist") else value for value in column]
        try:
            return np.array([np.asarray(value, float) for value in lists])
        except (TypeError, ValueError):
            raise InputError(f"{where}: lists in column {column.name} hold what is no number") from None
    return labels(column, where)


def labels(column: pd.Series[Any], where: str) -> NDArray[Any]:
    """Returns a column of numbers, or of words as text of shape (n,); an empty cell is NaN, or "" among words.

    Raises:
        InputError: words and numbers are mixed, or it holds neither.
    """
    import numpy as np

    numeric, broken = _read(column, where)
    if not broken.any():
        return numeric
    cells = column.tolist()
    wrong = [int(row) for row in np.flatnonzero(broken)]
    strange = next((row for row in wrong if not isinstance(cells[row], str)), None)
    of = "" if column.name is None else f" of column {column.name}"
    if strange is not None:
        told = f"sample {strange + 1}{of} is {cells[strange]!r}"
        raise InputError(f"{where}: {told}, which is neither a number nor a word")
    if not np.isnan(numeric).all():
        told = f"sample {wrong[0] + 1}{of} is {cells[wrong[0]]!r}"
        raise InputError(f"{where}: {told}, which is no number as others are: {ALIKE}")
    return np.array([cell.strip() if isinstance(cell, str) else "" for cell in cells])


def _numeric(column: pd.Series[Any], where: str) -> NDArray[Any]:
    """Returns a column of numbers; an empty cell is NaN.

    Raises:
        InputError: a cell holds something else; the first is named with its row.
    """
    import numpy as np

    numeric, broken = _read(column, where)
    if broken.any():
        row = int(np.flatnonzero(broken)[0])
        told = f"sample {row + 1} of column {column.name} is {column.iloc[row]!r}"
        raise InputError(f"{where}: {told}, which is no number")
    return numeric


def _read(column: pd.Series[Any], where: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Returns (the numbers of a column, a mask of cells that are neither a number nor empty)."""
    import numpy as np
    import pandas as pd

    if column.dtype.kind in "biuf" and isinstance(column.dtype, np.dtype):
        return column.to_numpy(), np.zeros(len(column), dtype=bool)
    if column.dtype.kind in "Mm":
        raise InputError(f"{where}: column {column.name} holds dates, and no numbers")
    plain = column.astype(object) if isinstance(column.dtype, pd.CategoricalDtype) else column
    try:
        read = pd.to_numeric(plain, errors="coerce")
    except TypeError as error:
        raise InputError(f"{where}: column {column.name} holds no numbers: {one_line(error)}") from error
    empty = plain.isna() | (plain == "")
    return read.to_numpy(dtype=np.float64, na_value=np.nan), (read.isna() & ~empty).to_numpy(dtype=bool)


def _side_by_side(frame: pd.DataFrame, group: dict[int, str], where: str) -> NDArray[Any]:
    """Returns numbered columns in order of their numbers, of shape (n, numbers)."""
    import numpy as np

    missing = set(range(len(group))) - set(group)
    if missing:
        raise InputError(f"{where}: {group[max(group)]} is there, but no column with number {min(missing)}")
    return np.stack([_numeric(frame[group[place]], where) for place in range(len(group))], axis=1)


def _keypoints(frame: pd.DataFrame, groups: dict[str, dict[int, str]], where: str) -> NDArray[Any]:
    """Returns keypoints of shape (n, k, 2), or (n, k, 3) where there are visibilities."""
    import numpy as np

    sizes = {stem: len(group) for stem, group in groups.items()}
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{count} columns {stem}" for stem, count in sorted(sizes.items()))
        raise InputError(f"{where}: keypoints need as many of each: {told}")
    return np.stack([_side_by_side(frame, groups[stem], where) for stem in ("x", "y", "v") if stem in groups], axis=2)
