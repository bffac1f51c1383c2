"""Metrics of images and of plain numbers: PSNR, SSIM, mean squared and mean absolute error.

Predictions and targets have one shape, (n, …); images are (n, height, width) or (n, channels, height, width). Integers
are converted before they are subtracted: two uint8 never wrap round. Nothing is clipped, cropped or turned to
luminance: what a challenge asks for is done to both before. Left out and counted: NaN and infinities, squares beyond
doubles, and for PSNR an image that equals its target, whose PSNR is infinite. Refused: shapes that differ, images that
span more than `data_range`, images smaller than SSIM's window.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from effbench.errors import InputError
from effbench.metrics.metric import NOT_FINITE, TARGET_NOT_FINITE, Checked, Setting, Settings, metric, odd_samples
from effbench.metrics.sums import mean_of, quotient, ratio_of, samples, total

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from effbench.metrics.metric import Statistics
    from effbench.stats import Floats

PERFECT = "prediction equals target: PSNR is infinite"
WINDOW = 11
"""Pixels on each side of SSIM's Gaussian window of sd 1.5 (Wang et al., TIP 13(4), 2004), as torchmetrics has it."""

_NEEDS = "predictions and targets of one shape (n × …)"
_NEEDS_IMAGES = "images of one shape (n × height × width, or n × channels × height × width)"
_RANGE = Setting(
    "data_range",
    float,
    "largest difference two pixels can have: 1 for images in 0..1, 255 for bytes",
    required=True,
    above=0,
)


def _check(predictions: NDArray[Any], targets: NDArray[Any], settings: Settings) -> Checked:
    """Returns the settings; NaN and infinities are in the way."""
    if predictions.shape != targets.shape:
        shapes = " but targets ".join("×".join(map(str, item.shape)) for item in (predictions, targets))
        raise InputError(f"predictions have the shape {shapes}: they must be alike")
    if predictions.size == 0 and len(predictions):
        raise InputError("samples hold no numbers")
    return Checked(settings, {NOT_FINITE: odd_samples(predictions), TARGET_NOT_FINITE: odd_samples(targets)})


def _check_images(predictions: NDArray[Any], targets: NDArray[Any], settings: Settings) -> Checked:
    """Returns as `_check`; images that do not fit the stated range are refused."""
    import numpy as np

    checked = _check(predictions, targets, settings)
    if targets.ndim not in (3, 4):
        raise InputError(f"{'×'.join(map(str, targets.shape))} numbers are no images: {_NEEDS_IMAGES}")
    seen, limit = targets[np.isfinite(targets)], float(settings["data_range"])
    if seen.size and float(seen.max()) - float(seen.min()) > limit:
        raise InputError(
            f"targets run from {float(seen.min()):g} to {float(seen.max()):g}, which is more than data_range={limit:g}"
        )
    return checked


def _differences(predictions: NDArray[Any], targets: NDArray[Any]) -> Floats:
    """Returns prediction − target of every number, of shape (n, numbers), each sample in one piece of memory."""
    import numpy as np

    with np.errstate(over="ignore"):  # what is infinite is left out by name
        apart = predictions.astype(np.float64) - targets.astype(np.float64)
    return np.ascontiguousarray(apart.reshape(len(apart), int(np.prod(apart.shape[1:]))))


def _squares(predictions: NDArray[Any], targets: NDArray[Any]) -> tuple[Floats, Floats]:
    """Returns (sum of squared differences, how many), each of shape (n,)."""
    import numpy as np

    apart = _differences(predictions, targets)
    with np.errstate(over="ignore"):
        return (apart * apart).sum(axis=1), np.full(len(apart), float(apart.shape[1]))


@metric(
    "mse",
    unit="squared",
    direction="lower",
    about="mean squared difference over all numbers",
    needs=_NEEDS,
    aggregate=ratio_of("squares_sum", "numbers"),
    check=_check,
)
def mse(predictions: NDArray[Any], targets: NDArray[Any], settings: Settings) -> Statistics:
    """Returns each sample's sum of squared differences and how many there are."""
    squares, numbers = _squares(predictions, targets)
    return {"squares_sum": squares, "numbers": numbers}


@metric(
    "mae",
    unit="absolute",
    direction="lower",
    about="mean absolute difference over all numbers",
    needs=_NEEDS,
    aggregate=ratio_of("difference_sum", "numbers"),
    check=_check,
)
def mae(predictions: NDArray[Any], targets: NDArray[Any], settings: Settings) -> Statistics:
    """Returns each sample's sum of absolute differences and how many there are."""
    import numpy as np

    apart = np.abs(_differences(predictions, targets))
    with np.errstate(over="ignore"):
        sums = apart.sum(axis=1)
    return {"difference_sum": sums, "numbers": np.full(len(apart), float(apart.shape[1]))}


def _check_psnr(predictions: NDArray[Any], targets: NDArray[Any], settings: Settings) -> Checked:
    checked = _check_images(predictions, targets, settings)
    same = _squares(predictions, targets)[0] == 0
    return Checked(checked.settings, {**checked.obstacles, PERFECT: same})


def _mean_psnr(statistics: Statistics, weights: Floats | None, settings: Settings) -> Floats:
    """Returns the mean over images of each image's own PSNR, 10·log10(data_range² / MSE), in dB.

    So super-resolution papers and challenges report it. The PSNR of the MSE of all images together is another number,
    never higher (the logarithm is concave), and one bad image decides it.
    """
    import numpy as np

    decibels = 20 * np.log10(float(settings["data_range"])) - 10 * np.log10(statistics["mse"])
    return quotient(total(decibels, weights), samples(decibels, weights))


@metric(
    "psnr",
    unit="dB",
    direction="higher",
    about="peak signal-to-noise ratio, the mean of the images' own",
    needs=_NEEDS_IMAGES,
    aggregate=_mean_psnr,
    check=_check_psnr,
    settings=(_RANGE,),
)
def psnr(predictions: NDArray[Any], targets: NDArray[Any], settings: Settings) -> Statistics:
    """Returns each image's mean squared error."""
    squares, numbers = _squares(predictions, targets)
    return {"mse": squares / numbers}


def _check_ssim(predictions: NDArray[Any], targets: NDArray[Any], settings: Settings) -> Checked:
    checked = _check_images(predictions, targets, settings)
    if min(targets.shape[-2:]) < WINDOW:
        size = "×".join(map(str, targets.shape[-2:]))
        raise InputError(f"ssim: images of {size} pixels are smaller than its window of {WINDOW}×{WINDOW}")
    return checked


@metric(
    "ssim",
    unit="index",
    direction="higher",
    about="structural similarity, the mean of the images' own",
    needs=_NEEDS_IMAGES,
    aggregate=mean_of("ssim"),
    check=_check_ssim,
    settings=(_RANGE,),
)
def ssim(predictions: NDArray[Any], targets: NDArray[Any], settings: Settings) -> Statistics:
    """Returns each image's structural similarity, by torchmetrics in double precision.

    One image at a time: a convolution's last digits may depend on the size of its batch.

    Raises:
        InputError: torchmetrics is not installed.
    """
    import numpy as np

    try:
        import torch
        from torchmetrics.functional.image import structural_similarity_index_measure as similarity
    except ImportError:
        raise InputError("ssim is computed by torchmetrics: pip install 'effbench[evaluate]'") from None
    limit, found = float(settings["data_range"]), []
    for pair in zip(predictions, targets, strict=True):
        images = (np.ascontiguousarray(item, dtype=np.float64) for item in pair)
        given, wanted = (torch.from_numpy(item).reshape(1, -1, *item.shape[-2:]) for item in images)
        found.append(float(similarity(given, wanted, data_range=limit)))
    return {"ssim": np.array(found)}
