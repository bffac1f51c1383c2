"""What is done to an image before a model sees it, in words and as a function; keypoints move with the image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from effbench.errors import InputError

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from PIL.Image import Image

Mode = Literal["RGB", "L"]
Interpolation = Literal["bilinear", "bicubic", "nearest"]


class Placing(NamedTuple):
    """Where a point of the stored image lies in the model's input: x · scale_x − left, y · scale_y − top."""

    scale_x: float
    scale_y: float
    left: float
    top: float

    def moved(self, points: NDArray[Any]) -> NDArray[Any]:
        """Returns keypoints (K, 2 or more; x, y first) in pixels of the model's input."""
        found = points.copy()
        found[:, 0] = points[:, 0] * self.scale_x - self.left
        found[:, 1] = points[:, 1] * self.scale_y - self.top
        return found


@dataclass(frozen=True, slots=True)
class Preprocess:
    """What is done to an image.

    Attributes:
        text: in words, as it is printed.
        apply: image → tensor of channels, height and width; a function of the user may give anything.
        placing: (width, height) of the stored image → where its points go; None where that is not known.
        size: (height, width) of what it gives; None where that is the image's own.
        mode: what an image is turned into first; None leaves grey and colour as they are.
        paired: whether `apply` moves keypoints itself: called with image and points, it gives both.
        default: whether nothing was asked for.
        pads: (width, height) of the stored image → whether the crop is larger and black is added; None where that is
            not known.
    """

    text: str
    apply: Callable[..., Any]
    placing: Callable[[int, int], Placing] | None = None
    size: tuple[int, int] | None = None
    mode: Mode | None = None
    paired: bool = False
    default: bool = False
    pads: Callable[[int, int], bool] | None = None


@dataclass(frozen=True, slots=True)
class Steps:
    """Resize, crop around the centre, divide by 255, normalise; each may be left out.

    Sizes and offsets are rounded as torchvision's transforms round them.

    Attributes:
        resize: (shorter side,) or (height, width), in pixels.
        crop: (height, width); where the image is smaller, black is added.
        mean, std: of each channel, in parts of full brightness.
        interpolation: how a resized image's pixels are found; always with antialiasing, save "nearest".
        mode: what an image is turned into first; None leaves grey and colour as they are.
    """

    resize: tuple[int, ...] = ()
    crop: tuple[int, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    interpolation: Interpolation = "bilinear"
    mode: Mode | None = None

    def __post_init__(self) -> None:
        """Refuses mean and std that do not go together.

        Raises:
            InputError: they do not.
        """
        channels = {"RGB": 3, "L": 1}.get(self.mode or "", len(self.mean))
        if not len(self.mean) == len(self.std) == channels and (self.mean or self.std):
            raise InputError(
                f"--mean has {len(self.mean)} and --std {len(self.std)} numbers: give one of each for every channel"
            )
        if 0 in self.std:
            raise InputError("--std: 0 cannot be divided by")

    def __call__(self, image: Image) -> torch.Tensor:
        """Returns a float32 tensor of channels, height and width."""
        import numpy as np
        import torch
        from PIL.Image import Resampling

        width, height = self._resized(*image.size)
        if (width, height) != image.size:
            image = image.resize((width, height), Resampling[self.interpolation.upper()])
        if self.crop:
            left, top = self._offset(width, height)
            image = image.crop((left, top, left + self.crop[1], top + self.crop[0]))
        pixels = np.array(image, dtype=np.float32) / 255
        tensor = torch.from_numpy(np.ascontiguousarray(np.atleast_3d(pixels).transpose(2, 0, 1)))
        if not self.mean:
            return tensor
        mean, std = (torch.tensor(each, dtype=torch.float32)[:, None, None] for each in (self.mean, self.std))
        if len(self.mean) != len(tensor):
            raise InputError(f"--mean has {len(self.mean)} numbers and an image {len(tensor)} channels: say --channels")
        return (tensor - mean) / std

    def placing(self, width: int, height: int) -> Placing:
        """Returns where points of a stored image of that size go."""
        new_width, new_height = self._resized(width, height)
        left, top = self._offset(new_width, new_height) if self.crop else (0, 0)
        return Placing(new_width / width, new_height / height, left, top)

    def pads(self, width: int, height: int) -> bool:
        """Returns whether black is added to a stored image of that size."""
        if not self.crop:
            return False
        new_width, new_height = self._resized(width, height)
        return new_height < self.crop[0] or new_width < self.crop[1]

    def _resized(self, width: int, height: int) -> tuple[int, int]:
        """Returns (width, height) after the resize."""
        if not self.resize:
            return width, height
        if len(self.resize) == 2:
            return self.resize[1], self.resize[0]
        (short,) = self.resize
        if width <= height:
            return short, int(short * height / width)
        return int(short * width / height), short

    def _offset(self, width: int, height: int) -> tuple[int, int]:
        """Returns (left, top) of the crop in an image of that size; negative where black is added."""
        return _begin(width, self.crop[1]), _begin(height, self.crop[0])

    def preprocess(self, default: bool = False) -> Preprocess:
        """Returns these steps with their words."""
        size = self.crop or (self.resize if len(self.resize) == 2 else ())
        fixed = (size[0], size[1]) if size else None
        return Preprocess(self.text(), self, self.placing, fixed, self.mode, default=default, pads=self.pads)

    def text(self) -> str:
        """Returns the steps in words."""
        words = []
        if self.resize:
            side = "shorter side to " if len(self.resize) == 1 else ""
            words.append(f"resize {side}{_by(self.resize)} ({self.interpolation})")
        words += [f"centre crop {_by(self.crop)}"] if self.crop else []
        words += [{"RGB": "3 channels", "L": "1 channel"}[self.mode]] if self.mode else []
        words.append("pixels / 255")
        words += [f"mean {_listed(self.mean)}, std {_listed(self.std)}"] if self.mean else []
        return ", ".join(words)


def _begin(length: int, wanted: int) -> int:
    """Returns where a crop begins; torchvision pads first, and what is added at the front is rounded down."""
    return -((wanted - length) // 2) if wanted > length else round((length - wanted) / 2)


def _by(size: tuple[int, ...]) -> str:
    return "×".join(map(str, size))


def _listed(numbers: tuple[float, ...]) -> str:
    return "/".join(f"{number:g}" for number in numbers)


def unchanged() -> Preprocess:
    """Returns what is done where nothing is asked for: pixels from 0 to 1, in the image's own size."""
    return Steps().preprocess(default=True)
