"""Samples → batches: read in their order, put together, or refused with the samples that do not fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader, Dataset, default_collate

from effbench.errors import InputError, one_line
from effbench.measure.containers import tensors_in
from effbench.measure.data.source import Item, Sample, Samples

if TYPE_CHECKING:
    from numpy.typing import NDArray


def batches(samples: Samples, total: int, size: int, workers: int) -> Iterator[list[Item]]:
    """Returns the first `total` samples in their order, batch by batch; 0 workers reads them in this process."""
    loader: Any = DataLoader(
        _First(samples, total),
        batch_size=size,
        shuffle=False,
        num_workers=workers,
        collate_fn=list,
        generator=torch.Generator(),
    )
    return iter(loader)


@dataclass(frozen=True, slots=True)
class _First(Dataset[Item]):
    samples: Samples
    total: int

    def __len__(self) -> int:
        return self.total

    def __getitem__(self, index: int) -> Item:
        return self.samples[index]


def collated(samples: Sequence[Sample], data: str) -> Any:
    """Returns the inputs of samples as one batch.

    Raises:
        InputError: their shapes differ, or they hold what is no number.
    """
    for sample in samples:
        if not tensors_in(sample.input):
            kind = type(sample.input).__name__
            raise InputError(f"{data}: {sample.name}: its input is a {kind}: give a tensor, or a tuple or dict of them")
    try:
        return default_collate([sample.input for sample in samples])
    except (RuntimeError, TypeError) as error:
        shapes: dict[str, str] = {}
        for sample in samples:
            shapes.setdefault(_shapes(sample.input), sample.name)
        if len(shapes) < 2:
            what = f"cannot be put into a batch: {one_line(error, 160)}"
            raise InputError(f"{data}: {samples[0].name}: {what}") from error
        (one, first), (other, second) = list(shapes.items())[:2]
        raise InputError(
            f"{data}: inputs differ in shape: {one} ({first}) and {other} ({second}): make them alike "
            "(--resize 256 --crop 224, or --resize 224x224), or pass --batch 1"
        ) from error


def stacked_targets(samples: Sequence[Sample], data: str) -> NDArray[Any]:
    """Returns the targets of samples as one array.

    Raises:
        InputError: their shapes differ.
    """
    import numpy as np

    try:
        return np.stack([np.asarray(sample.target) for sample in samples])
    except ValueError:
        shapes = {np.shape(sample.target): sample.name for sample in samples}
        told = " and ".join(f"{'×'.join(map(str, shape)) or 'one number'} ({name})" for shape, name in shapes.items())
        raise InputError(f"{data}: targets differ in shape: {told}") from None


def _shapes(given: Any) -> str:
    return ", ".join("×".join(map(str, item.shape)) or "a number" for item in tensors_in(given)) or type(given).__name__
