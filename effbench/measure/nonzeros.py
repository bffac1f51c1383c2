"""How many elements of a weight are not zero: facts for a count that leaves zeros out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch.utils._python_dispatch import _disable_current_modes

from effbench.records import Ids


class Nonzeros:
    """Counts by value id, of tensors that no input decides and of sparse ones, which say themselves what they store.

    A weight that is computed from weights, such as one times a pruning mask, is no input's doing either.
    """

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}

    def given(self, number: int, tensor: torch.Tensor) -> None:
        """Counts the elements of a weight or of a sparse tensor."""
        with _disable_current_modes():
            self.counts[number] = _nonzeros(tensor.detach())

    def made(self, inputs: Mapping[str, Ids], outputs: Sequence[int], tensors: Iterable[torch.Tensor]) -> None:
        """Counts the elements of an op's results where all it was given are weights."""
        read = [number for ids in inputs.values() for number in ((ids,) if isinstance(ids, int) else ids)]
        if read and all(number in self.counts for number in read):
            for number, tensor in zip(outputs, tensors, strict=True):
                self.given(number, tensor)


def is_sparse(tensor: torch.Tensor) -> bool:
    """Returns whether a tensor stores some of its elements only."""
    return tensor.layout is not torch.strided and not tensor.is_nested


def _nonzeros(tensor: torch.Tensor) -> int:
    if tensor.layout is torch.sparse_coo:
        tensor = tensor.coalesce().values()
    elif is_sparse(tensor):
        tensor = tensor.values() if tensor.layout is not torch._mkldnn else tensor.to_dense()  # type: ignore[attr-defined]
    elif tensor.is_quantized:
        tensor = tensor.dequantize()
    return int(torch.count_nonzero(tensor))
