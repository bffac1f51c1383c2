"""Images out of files: decoded, or named as what does not decode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from effbench.errors import InputError, one_line
from effbench.measure.data.preprocess import Mode, Preprocess
from effbench.measure.data.source import MISSING, NOT_DECODED, NOT_READ, Broken, Item, Sample, Unreadable, content_key

if TYPE_CHECKING:
    from PIL.Image import Image

_WIDE = ("I", "F")
"""Modes of more than 8 bits, which conversion to RGB would clip."""


def require_pillow() -> None:
    """Raises InputError where images cannot be read here."""
    try:
        import PIL.Image  # noqa: F401
    except ImportError:
        raise InputError("Pillow is not installed: pip install 'effbench[zoo]'") from None


def endings() -> frozenset[str]:
    """Returns the endings of files that Pillow reads, in lower case with their dot."""
    from PIL import Image

    return frozenset(ending for ending, form in Image.registered_extensions().items() if form in Image.OPEN)


def read_image(path: Path, name: str, mode: Mode) -> tuple[Image, bytes] | Unreadable:
    """Returns (the image in that mode, a digest of the file), or why there is none."""
    from PIL import Image

    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Unreadable(name, MISSING, f"{path} is missing")
    except OSError as error:
        return Unreadable(name, NOT_READ, one_line(error, 160))
    key = content_key(content)
    try:
        with Image.open(BytesIO(content)) as image:
            return in_mode(image, mode), key
    except Exception as error:  # Pillow's readers raise OSError, SyntaxError, ValueError, struct.error, …
        why = "Pillow knows no format that begins like it" if "cannot identify" in str(error) else one_line(error, 160)
        return Unreadable(name, NOT_DECODED, why, key=key)


def in_mode(image: Image, mode: Mode | None) -> Image:
    """Returns an image in a mode; None leaves grey and colour as they are and turns others into colour.

    Raises:
        ValueError: it has more than 8 bits a channel.
    """
    if image.mode.startswith(_WIDE):
        raise ValueError(f"it has more than 8 bits a channel (mode {image.mode}), which would be clipped")
    wanted = mode or ("L" if image.mode in ("L", "1", "LA") else "RGB")
    image.load()
    return image if image.mode == wanted else image.convert(wanted)


def prepared(image: Image, target: Any, name: str, key: bytes, preprocess: Preprocess) -> Item:
    """Returns the sample of an image after preprocessing; keypoints (K, 3) move with it."""
    points = getattr(target, "ndim", 0) == 2
    moved = target
    try:
        if points and preprocess.paired:
            tensor, moved = preprocess.apply(image, target.copy())
        else:
            tensor = preprocess.apply(image)
    except InputError as error:
        return Broken(name, str(error))
    except Exception as error:
        return Broken(name, f"preprocessing it raised {one_line(error, 200)}")
    if points and not preprocess.paired:
        if preprocess.placing is None:
            return Broken(name, _UNPLACED)
        moved = preprocess.placing(*image.size).moved(target)
    return Sample(tensor, moved, name, key, target, preprocess.pads is not None and preprocess.pads(*image.size))


_UNPLACED = (
    "it has keypoints, and the weights' own preprocessing does not say where it puts a point: say what is done with "
    "--resize and --crop, or with --preprocess file.py:function, which is given image and points and returns both"
)


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """Images in files, each with a target; read when asked for."""

    paths: tuple[Path, ...]
    names: tuple[str, ...]
    target: Callable[[int], Any]
    preprocess: Preprocess

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int, /) -> Item:
        name = self.names[index]
        found = read_image(self.paths[index], name, self.preprocess.mode or "RGB")
        if isinstance(found, Unreadable):
            return found._replace(target=self.target(index))
        image, key = found
        return prepared(image, self.target(index), name, key, self.preprocess)


@dataclass(frozen=True, slots=True)
class Listed:
    """Targets by place."""

    targets: tuple[Any, ...]

    def __call__(self, index: int) -> Any:
        """Returns the target of that place."""
        return self.targets[index]
