"""`ARRAYS.npz`: inputs `x` and targets `y`, a sample a row; other names are given with --data-arg x=NAME."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from effbench.errors import InputError
from effbench.measure.data.images import in_mode, prepared
from effbench.measure.data.preprocess import Preprocess
from effbench.measure.data.source import (
    Data,
    Item,
    Request,
    Sample,
    content_key,
    data_sources,
    refuse_arguments,
    refuse_named_only,
)
from effbench.metrics.numpy_files import opened, text_of
from effbench.metrics.words import Numbered, numbered

if TYPE_CHECKING:
    from numpy.typing import NDArray


@data_sources.register("npz")
def open_npz(request: Request) -> Data:
    """Returns the rows of two arrays; uint8 inputs of (n, height, width[, 1 or 3]) are images, others stay.

    Raises:
        InputError: the file is damaged or holds objects, or the arrays are missing or of different length.
    """
    refuse_arguments(request, "x", "y")
    refuse_named_only(request)
    path = Path(request.target)
    arrays = _arrays(path)
    inputs, targets = (_named(arrays, str(request.args.get(key, key)), key, path) for key in ("x", "y"))
    if inputs.ndim == 0 or targets.ndim == 0 or len(inputs) != len(targets):
        sizes = " and ".join("none" if one.ndim == 0 else f"{len(one):,}" for one in (inputs, targets))
        raise InputError(f"{path}: inputs and targets have {sizes} rows: they need one for each sample")
    if not len(inputs):
        raise InputError(f"{path}: has no samples")
    targets, labels = _numbers(targets, request, path)
    preprocess = request.preprocess
    samples: _Images | _Arrays = _Arrays(inputs, targets)
    stored = "float64, as float32" if inputs.dtype == "float64" else f"{inputs.dtype}, as stored"
    text = f"none: inputs of {stored}"
    size = (inputs.shape[2], inputs.shape[3]) if inputs.ndim == 4 else None
    if _are_images(inputs):
        samples, text, size = _Images(inputs, targets, preprocess), preprocess.text, preprocess.size
    elif not preprocess.default:
        shape = "×".join(map(str, inputs.shape[1:])) or "a number"
        raise InputError(
            f"{path}: inputs of {inputs.dtype} and {shape} are no images to preprocess: uint8 of height × width "
            "(× 1 or 3 channels) are; leave the options for preprocessing out, or pass --preprocess none"
        )
    return Data(path.stem, samples, text, labels.classes, bool(request.index), size, notes=labels.notes)


def _numbers(targets: NDArray[Any], request: Request, path: Path) -> tuple[NDArray[Any], Numbered]:
    """Returns targets as numbers, words among them as class indices, and what is known of those."""
    import numpy as np

    targets = text_of(targets, f"{path}: {request.args.get('y', 'y')}")
    if targets.dtype.kind != "U":
        if request.index:
            raise InputError(f"{request.source}: --class-index is for names of classes, and its targets are numbers")
        return targets, Numbered(())
    cells = [cell.strip() for cell in targets.reshape(-1).tolist()]
    labels = numbered(cells, request.index, str(path), lambda number: f"{path}: row {number}")
    return np.array(labels.indices).reshape(targets.shape), labels


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    with opened(path) as file:
        return {name: file[name] for name in file.files}


def _named(arrays: dict[str, NDArray[Any]], name: str, key: str, path: Path) -> NDArray[Any]:
    if name not in arrays:
        raise InputError(
            f"{path}: has no array {name!r} but {', '.join(arrays) or 'none'}: --data-arg {key}=NAME names it"
        )
    return arrays[name]


def _are_images(inputs: NDArray[Any]) -> bool:
    return inputs.dtype == "uint8" and (inputs.ndim == 3 or (inputs.ndim == 4 and inputs.shape[3] in (1, 3)))


@dataclass(frozen=True, slots=True)
class _Arrays:
    inputs: NDArray[Any]
    targets: NDArray[Any]

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: int, /) -> Item:
        import torch

        row = self.inputs[index]
        tensor = torch.from_numpy(row.astype("float32" if row.dtype == "float64" else row.dtype))
        return Sample(tensor, self.targets[index], f"row {index}", content_key(row.tobytes()))


@dataclass(frozen=True, slots=True)
class _Images:
    inputs: NDArray[Any]
    targets: NDArray[Any]
    preprocess: Preprocess

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: int, /) -> Item:
        from PIL import Image

        row = self.inputs[index]
        image = Image.fromarray(row[:, :, 0] if row.ndim == 3 and row.shape[2] == 1 else row)
        found = in_mode(image, self.preprocess.mode)
        return prepared(found, self.targets[index], f"row {index}", content_key(row.tobytes()), self.preprocess)
