"""`TABLE.csv`: images with `path,label` or keypoints `path,x0,y0,v0,x1,y1,v1,…`; paths are relative to the CSV."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from effbench.errors import InputError
from effbench.measure.data.images import ImageFiles, Listed, require_pillow
from effbench.measure.data.source import Data, Request, data_sources, refuse_arguments, refuse_named_only
from effbench.metrics.words import Numbered, numbered
from effbench.store import read_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

Row = Mapping[str, str]


@data_sources.register("csv")
def open_csv(request: Request) -> Data:
    """Returns the images that a table names, with a label each or with keypoints in pixels of the stored image.

    Labels are whole numbers, or names whose sorted order is 0, 1, 2, …; a keypoint without v, or with v other than 0,
    is visible; one whose x and y are empty is not.

    Raises:
        InputError: a column is missing, or a cell is not what it must be.
    """
    require_pillow()
    refuse_arguments(request, "path", "label")
    refuse_named_only(request)
    file = Path(request.target)
    path_column = str(request.args.get("path", "path"))
    label_column = str(request.args.get("label", "label"))
    header, rows = _read(file)
    if path_column not in header:
        raise InputError(
            f"{file}: has no column {path_column!r} but {', '.join(header)}: --data-arg path=NAME names it"
        )
    points = _point_columns(header, file)
    if (label_column in header) == bool(points):
        raise InputError(
            f"{file}: needs a column {label_column!r} (or --data-arg label=NAME) or the columns x0,y0,x1,y1,… of "
            f"keypoints, one of the two; it has {', '.join(header)}"
        )
    labels = Numbered(())
    targets: Sequence[Any]
    if points:
        targets = [_keypoints(row, points, f"{file}:{line}") for line, row in rows]
    else:
        cells = [row[label_column] for _, row in rows]
        labels = numbered(cells, request.index, str(file), lambda number: f"{file}:{rows[number][0]}")
        targets = labels.indices
    return Data(
        file.stem,
        ImageFiles(
            tuple(file.parent / row[path_column] for _, row in rows),
            tuple(row[path_column] for _, row in rows),
            Listed(tuple(targets)),
            request.preprocess,
        ),
        request.preprocess.text,
        labels.classes,
        bool(request.index),
        request.preprocess.size,
        pixels=bool(points),
        notes=labels.notes,
    )


def _read(file: Path) -> tuple[list[str], list[tuple[int, Row]]]:
    """Returns (the header, each row with its line)."""
    text = read_text(file, "CSV of images").removeprefix("\ufeff")
    reader = csv.DictReader(text.splitlines(), restkey="", restval=None, strict=True)
    try:
        header = [name.strip() for name in reader.fieldnames or ()]
        reader.fieldnames = header
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise InputError(f"{file}:{reader.line_num}: is no CSV: {error}") from None
    if not header:
        raise InputError(f"{file}: is empty: it needs a header, such as path,label")
    for line, row in rows:
        if "" in row or None in row.values():
            raise InputError(f"{file}:{line}: has not as many cells as the header, which has {len(header)}")
    if not rows:
        raise InputError(f"{file}: has no rows of images")
    return header, [(line, {name: cell.strip() for name, cell in row.items()}) for line, row in rows]


def _point_columns(header: Sequence[str], file: Path) -> tuple[tuple[str, str, str | None], ...]:
    """Returns the columns (x, y, v) of each keypoint in order; v is None where a keypoint has no such column.

    Raises:
        InputError: a keypoint has one coordinate only, or their numbers have a gap.
    """
    found = {name for name in header if re.fullmatch(r"[xyv]\d+", name)}
    numbers = sorted({int(name[1:]) for name in found})
    if numbers != list(range(len(numbers))) or any(f"{c}{n}" not in found for n in numbers for c in "xy"):
        names = ", ".join(sorted(found))
        raise InputError(f"{file}: columns of keypoints are x0,y0,x1,y1,… without a gap, and not {names}")
    return tuple((f"x{n}", f"y{n}", f"v{n}" if f"v{n}" in found else None) for n in numbers)


def _keypoints(row: Row, columns: Sequence[tuple[str, str, str | None]], where: str) -> NDArray[Any]:
    """Returns a row's keypoints: float64 (K, 3), of x, y and 1 where visible, else 0."""
    import numpy as np

    points = []
    for x, y, v in columns:
        blank = not row[x] and not row[y]
        seen = not blank if v is None else _number(row[v], where, v) != 0
        if blank and seen:
            raise InputError(f"{where}: {x} and {y} are empty, and {v} says that the keypoint is visible")
        points.append([0.0, 0.0, 0.0] if blank else [_number(row[x], where, x), _number(row[y], where, y), float(seen)])
    return np.array(points)


def _number(cell: str, where: str, column: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{where}: {column} is {cell!r}, which is no number")
    return value
