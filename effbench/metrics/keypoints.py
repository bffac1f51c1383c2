"""Metrics of keypoints: mean distance, mean difference of coordinates, and PCK.

Predictions are coordinates of shape (n, k, 2) or, flat, (n, 2k): x0, y0, x1, y1, …. Targets are the same or carry a
third number for each keypoint, (n, k, 3) or (n, 3k): v > 0 where it is visible (COCO's 1 and 2), else it is not looked
at; nor is one with a NaN coordinate. Distances are in pixels of an image of the stated size, in double precision.

Left out and counted: a sample without a visible keypoint, one with a NaN or infinite prediction or an infinite target
at a visible keypoint, one whose reference length is unknown or 0 (PCK). Refused: shapes that do not fit, targets beyond
twice the stated image: they are in another unit than was said.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from effbench.errors import InputError
from effbench.metrics.arrays import any_in
from effbench.metrics.metric import NOT_FINITE, TARGET_NOT_FINITE, Checked, Setting, Settings, metric
from effbench.metrics.sums import ratio_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from effbench.metrics.metric import Statistics
    from effbench.stats import Floats

NONE_VISIBLE = "no visible keypoint"
NO_REFERENCE = "no reference length"

_NEEDS = "predictions: coordinates (n × k × 2 or n × 2k); targets: coordinates, or x, y, visible (n × k × 3 or n × 3k)"
_IMAGE = (
    Setting("width", float, "of the image whose pixels distances are told in", required=True, above=0),
    Setting("height", float, "of the image whose pixels distances are told in", required=True, above=0),
    Setting(
        "normalized",
        int,
        "1 where coordinates run from 0 to 1 over the image, 0 where they are its pixels",
        required=True,
        choices=(0, 1),
    ),
)
_PCK = (
    Setting("t", float, "a keypoint is right within t × the reference length", required=True, above=0),
    Setting(
        "reference",
        str,
        "longer_side or diagonal of the image; box: longer side of the box around the visible keypoints; "
        "pair: distance of the keypoints first and second, as the head's ends for PCKh",
        required=True,
        choices=("longer_side", "diagonal", "box", "pair"),
    ),
    Setting(
        "first", int, "number of a keypoint, from 0, for reference=pair", above=-1, required_with=("reference", "pair")
    ),
    Setting(
        "second",
        int,
        "number of another keypoint, for reference=pair",
        above=-1,
        required_with=("reference", "pair"),
    ),
)


def _points(predictions: NDArray[Any], targets: NDArray[Any]) -> tuple[Floats, Floats, NDArray[Any]]:
    """Returns (predictions (n, k, 2), targets (n, k, 2), visible (n, k)).

    Raises:
        InputError: the shapes are not those of keypoints, or do not fit each other.
    """
    import numpy as np

    shapes = " and ".join("×".join(map(str, item.shape)) for item in (predictions, targets))
    said = f"predictions and targets of {shapes} numbers are not keypoints of one kind: {_NEEDS}"
    numbers = math.prod(predictions.shape[1:])
    points = numbers // 2
    if (
        predictions.shape[1:] not in ((2 * points,), (points, 2))
        or not points
        or targets.shape[1:] not in ((points, 2), (points, 3), (2 * points,), (3 * points,))
    ):
        raise InputError(said)
    flat = targets.ndim == 2
    wide = targets.shape[1] // points if flat else targets.shape[2]
    given = predictions.astype(np.float64).reshape(len(predictions), points, 2)
    wanted = targets.astype(np.float64).reshape(len(targets), points, wide)
    visible = np.asarray(~np.isnan(wanted).any(axis=2))
    if wide == 3:
        visible &= wanted[:, :, 2] > 0
    return given, wanted[:, :, :2], visible


def _check(predictions: NDArray[Any], targets: NDArray[Any], settings: Settings) -> Checked:
    import numpy as np

    given, wanted, visible = _points(predictions, targets)
    _refuse_other_units(wanted[visible], settings)
    return Checked(
        settings,
        {
            NONE_VISIBLE: ~any_in(visible),
            TARGET_NOT_FINITE: any_in(visible[:, :, None] & np.isinf(wanted)),
            NOT_FINITE: any_in(visible[:, :, None] & ~np.isfinite(given)),
        },
    )


def _refuse_other_units(seen: Floats, settings: Settings) -> None:
    """Raises InputError where a target lies farther outside the image than the image is large."""
    import numpy as np

    size = np.array([1.0, 1.0]) if settings["normalized"] else _size(settings)
    far = np.isfinite(seen) & ((seen > 2 * size) | (seen < -size))
    if far.any():
        image = "from 0 to 1" if settings["normalized"] else f"in {size[0]:g} × {size[1]:g} pixels"
        raise InputError(
            f"a target coordinate is {seen[far][0]:g}, which cannot be {image}: check width, height and normalized"
        )


def _size(settings: Settings) -> Floats:
    import numpy as np

    return np.array([float(settings["width"]), float(settings["height"])])


def _pixels(points: Floats, settings: Settings) -> Floats:
    """Returns coordinates in pixels."""
    return points * _size(settings) if settings["normalized"] else points


def _distances(predictions: NDArray[Any], targets: NDArray[Any], settings: Settings) -> tuple[Floats, NDArray[Any]]:
    """Returns (Euclidean distances in pixels (n, k), 0 where not visible; visible (n, k))."""
    import numpy as np

    given, wanted, visible = _points(predictions, targets)
    apart = np.where(visible[:, :, None], _pixels(given, settings) - _pixels(wanted, settings), 0.0)
    return np.hypot(apart[:, :, 0], apart[:, :, 1]), visible


@metric(
    "pixel_error",
    unit="pixels",
    direction="lower",
    about="mean Euclidean distance over visible keypoints",
    needs=_NEEDS,
    aggregate=ratio_of("distance_sum", "visible"),
    check=_check,
    settings=_IMAGE,
)
def pixel_error(predictions: NDArray[Any], targets: NDArray[Any], settings: Settings) -> Statistics:
    """Returns each sample's sum of distances and number of visible keypoints, so that all keypoints weigh the same."""
    distances, visible = _distances(predictions, targets, settings)
    return {"distance_sum": distances.sum(axis=1), "visible": visible.sum(axis=1).astype(float)}


@metric(
    "coordinate_error",
    unit="pixels",
    direction="lower",
    about="mean absolute difference over the coordinates of visible keypoints",
    needs=_NEEDS,
    aggregate=ratio_of("difference_sum", "coordinates"),
    check=_check,
    settings=_IMAGE,
)
def coordinate_error(predictions: NDArray[Any], targets: NDArray[Any], settings: Settings) -> Statistics:
    """Returns each sample's sum of |Δx| + |Δy| and number of coordinates, two for each visible keypoint."""
    import numpy as np

    given, wanted, visible = _points(predictions, targets)
    apart = np.where(visible[:, :, None], _pixels(given, settings) - _pixels(wanted, settings), 0.0)
    sums = np.abs(apart).reshape(len(apart), 2 * apart.shape[1]).sum(axis=1)
    return {"difference_sum": sums, "coordinates": 2.0 * visible.sum(axis=1)}


def _references(targets: Floats, visible: NDArray[Any], settings: Settings) -> Floats:
    """Returns each sample's reference length in pixels, of shape (n,); NaN where its keypoints are not visible.

    Args:
        targets: pixels, (n, k, 2).
        visible: (n, k).
        settings: as `pck` has them.
    """
    import numpy as np

    kind, (width, height) = settings["reference"], _size(settings)
    if kind == "longer_side":
        return np.full(len(targets), max(width, height))
    if kind == "diagonal":
        return np.full(len(targets), np.hypot(width, height))
    if kind == "box":
        highest = np.where(visible[:, :, None], targets, -np.inf).max(axis=1)
        lowest = np.where(visible[:, :, None], targets, np.inf).min(axis=1)
        return np.asarray(np.where(any_in(visible)[:, None], highest - lowest, np.nan).max(axis=1))
    first, second = (int(settings.get(name, -1)) for name in ("first", "second"))
    if not 0 <= min(first, second) <= max(first, second) < targets.shape[1] or first == second:
        raise InputError(
            f"pck with reference=pair needs first and second, two of keypoints 0 to {targets.shape[1] - 1}"
        )
    length = np.hypot(*(targets[:, first] - targets[:, second]).T)
    return np.where(visible[:, first] & visible[:, second], length, np.nan)


def _check_pck(predictions: NDArray[Any], targets: NDArray[Any], settings: Settings) -> Checked:
    import numpy as np

    checked = _check(predictions, targets, settings)
    _, wanted, visible = _points(predictions, targets)
    with np.errstate(invalid="ignore"):  # an infinite target is named by its own reason
        lengths = _references(_pixels(wanted, settings), visible, settings)
    return Checked(settings, {**checked.obstacles, NO_REFERENCE: ~(lengths > 0)})


@metric(
    "pck",
    unit="fraction",
    direction="higher",
    about="share of visible keypoints within t × the reference length of their place",
    needs=_NEEDS,
    aggregate=ratio_of("correct", "visible"),
    check=_check_pck,
    settings=(*_IMAGE, *_PCK),
)
def pck(predictions: NDArray[Any], targets: NDArray[Any], settings: Settings) -> Statistics:
    """Returns each sample's number of keypoints within the threshold, itself included, and of visible ones.

    Percentage of correct keypoints: Yang and Ramanan, TPAMI 35(12), 2013.
    """
    distances, visible = _distances(predictions, targets, settings)
    wanted = _points(predictions, targets)[1]
    lengths = _references(_pixels(wanted, settings), visible, settings)
    right = visible & (distances <= float(settings["t"]) * lengths[:, None])
    return {"correct": right.sum(axis=1).astype(float), "visible": visible.sum(axis=1).astype(float)}
