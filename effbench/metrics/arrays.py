"""What metrics accept as predictions and targets: arrays, tensors and lists, of numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from effbench.errors import InputError, one_line

if TYPE_CHECKING:
    from numpy.typing import NDArray


def as_array(values: Any, what: str) -> NDArray[Any]:
    """Returns numbers as an array whose first axis runs over samples; tensors are copied to the CPU.

    Args:
        values: an array, a tensor on any device, or nested sequences.
        what: "predictions" or "targets", for the message.

    Raises:
        InputError: they are not real numbers, not of one shape, or a single number.
    """
    import numpy as np

    if hasattr(values, "detach"):
        values = values.detach().cpu()
        if str(values.dtype) == "torch.bfloat16":  # which numpy does not have; float32 holds every one of them
            values = values.float()
    try:
        array = np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"{what} cannot be read as an array: {one_line(error)}") from error
    if array.dtype.kind not in "biuf":
        raise InputError(f"{what} are no real numbers, but of type {array.dtype}")
    if array.ndim == 0:
        raise InputError(f"{what} are a single number: the first dimension must run over samples")
    return array


def any_in(mask: NDArray[Any]) -> NDArray[Any]:
    """Returns a mask of shape (n,): the samples in which anything of a mask (n, …) is true."""
    import numpy as np

    return np.asarray(mask.any(axis=tuple(range(1, mask.ndim))))


def digest_of(batches: Iterable[NDArray[Any]]) -> str:
    """Returns 16 hexadecimal digits that two data sets share where they have the same targets in the same order.

    Numbers are taken as float64, so that the digest depends neither on the type they are stored in nor on the batches.
    """
    digest = Digest()
    for batch in batches:
        digest.add(batch)
    return digest.text()


class Digest:
    """A digest of targets that come batch by batch."""

    def __init__(self) -> None:
        self._sum = hashlib.sha256()
        self._runs: list[tuple[tuple[int, ...], int]] = []

    def add(self, targets: NDArray[Any]) -> None:
        """Takes in a batch of shape (n, …)."""
        import numpy as np

        values = np.array(targets, dtype="<f8")
        values[np.isnan(values)] = np.nan  # there are many NaNs
        self._sum.update(values.tobytes())
        shape, count = targets.shape[1:], len(targets)
        if self._runs and self._runs[-1][0] == shape:
            count += self._runs.pop()[1]
        if count:
            self._runs.append((shape, count))

    def text(self) -> str:
        """Returns the digest of all that was taken in."""
        whole = self._sum.copy()
        whole.update(repr(self._runs).encode())
        return whole.hexdigest()[:16]
