"""Samples of a map-style data set of torch: pairs of input and target, images among them preprocessed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from effbench.errors import InputError, one_line
from effbench.measure.data.images import in_mode, prepared
from effbench.measure.data.preprocess import Preprocess
from effbench.measure.data.source import NOT_DECODED, Broken, Item, Sample, Unreadable, content_key

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Pairs:
    """The pairs of a data set; images are preprocessed, anything else stays as the data set gives it."""

    dataset: Any
    preprocess: Preprocess
    keyed: bool

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int, /) -> Item:
        name = _name(self.dataset, index)
        try:
            pair = self.dataset[index]
        except Exception as error:
            if _is_of_an_image(error):
                return Unreadable(name, NOT_DECODED, one_line(error, 160))
            return Broken(name, f"the data set raised {one_line(error, 200)}")
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            what = f"a {type(pair).__name__}" + (f" of {len(pair)}" if isinstance(pair, tuple | list) else "")
            return Broken(name, f"is {what}: a sample must be a pair of input and target")
        given, target = pair
        if isinstance(target, str | bytes):
            return Broken(name, f"its target is the text {target!r}: let the data set give the model's index of it")
        if not _is_image(given):
            return Sample(_tensors(given), _target(target), name)
        try:
            image = in_mode(given, self.preprocess.mode)
        except Exception as error:  # an image that is decoded only when its pixels are asked for
            return Unreadable(name, NOT_DECODED, one_line(error, 160))
        key = content_key(repr((image.mode, image.size)).encode() + image.tobytes()) if self.keyed else b""
        return prepared(image, _target(target), name, key, self.preprocess)


def check_pairs(dataset: object, where: str) -> None:
    """Refuses what is no map-style data set.

    Raises:
        InputError: it has no length, or nothing can be asked for by place.
    """
    kind = type(dataset).__name__
    if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        raise InputError(
            f"{where}: a {kind} has no length or no samples by place: give a map-style torch.utils.data.Dataset, whose "
            "order is always the same"
        )
    try:
        length = len(dataset)
    except Exception as error:
        raise InputError(f"{where}: asked for its length, the {kind} raised {one_line(error)}") from None
    if not length:
        raise InputError(f"{where}: the {kind} has no samples")


def _name(dataset: Any, index: int) -> str:
    """Returns a sample's file where the data set lists them as torchvision's folders do, else its place."""
    listed = getattr(dataset, "samples", None)
    if isinstance(listed, list) and index < len(listed) and isinstance(listed[index], tuple):
        return str(listed[index][0])
    return f"sample {index}"


def _is_of_an_image(error: Exception) -> bool:
    """Returns whether an image file was damaged: told by where it was raised, since Pillow's errors are of any type."""
    frames = []
    trace = error.__traceback__
    while trace is not None:
        frames.append(trace.tb_frame.f_globals.get("__name__", ""))
        trace = trace.tb_next
    return bool(frames) and frames[-1].partition(".")[0] == "PIL"


def _is_image(given: object) -> bool:
    return type(given).__module__.partition(".")[0] == "PIL"


def _tensors(given: Any) -> Any:
    """Returns an input with arrays and numbers as tensors; what is neither stays for the model to refuse."""
    import numpy as np
    import torch

    if isinstance(given, np.ndarray | np.generic | bool | int | float):
        return torch.as_tensor(given)
    if isinstance(given, dict):
        return {name: _tensors(item) for name, item in given.items()}
    if isinstance(given, tuple | list):
        return tuple(_tensors(item) for item in given)
    return given


def _target(target: Any) -> Any:
    import torch

    if isinstance(target, torch.Tensor):
        found: Tensor = target.detach().cpu()
        return (found.float() if found.dtype == torch.bfloat16 else found).numpy()
    return target
