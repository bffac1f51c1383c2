"""Work of known size for a device: matrix products and passes over arrays, ready to be timed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch

Call = Callable[[], object]
"""Does the work once and returns when it is finished or, on a device with a queue, when it is queued."""

PRECISIONS = {
    "float64": torch.float64,
    "float32": torch.float32,
    "tf32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


class Bench(Protocol):
    """A device that can be asked for work; a fake one stands beside it in the tests."""

    device: str

    def gemm(self, precision: str, size: int) -> Call:
        """Returns a product of two size × size matrices, ready to be called."""
        ...

    def streams(self, array_bytes: int) -> dict[str, tuple[Call, int]]:
        """Returns, by kernel, (a pass over arrays of that size, the bytes it reads and writes); they share arrays."""
        ...

    def finish(self) -> None:
        """Returns when all queued work is done."""
        ...

    def threads(self, count: int) -> Any:
        """Returns a context in which work runs on so many threads."""
        ...


class TorchBench:
    """A device through PyTorch. Its matrices and arrays are freed with the calls that hold them."""

    def __init__(self, device: str = "cpu") -> None:
        """`device` is a name that `torch.device` reads."""
        self.device = device
        self._on = torch.device(device)

    def gemm(self, precision: str, size: int) -> Call:
        """Returns a product of two size × size matrices into a third, ready to be called.

        Raises:
            RuntimeError: PyTorch cannot compute it on this device, or its memory is too small.
        """
        dtype, mode = PRECISIONS[precision], "high" if precision == "tf32" else "highest"
        # Neither zeros nor a constant: processors clock higher, and may skip work, on data without toggling bits.
        a, b = (torch.rand(size, size, device=self._on).to(dtype) for _ in range(2))
        out = torch.empty(size, size, device=self._on, dtype=dtype)
        with _float32_products(mode):
            torch.mm(a, b, out=out)

        def call() -> None:
            with _float32_products(mode):
                torch.mm(a, b, out=out)

        return call

    def streams(self, array_bytes: int) -> dict[str, tuple[Call, int]]:
        """Returns, by kernel, (a pass over float32 arrays, the bytes it reads and writes); they share three arrays."""
        numel = array_bytes // 4
        a, b, c = (torch.ones(numel, device=self._on) for _ in range(3))
        return {
            "copy": (lambda: a.copy_(b), 2 * 4 * numel),
            "triad": (lambda: torch.add(b, c, alpha=3.0, out=a), 3 * 4 * numel),
            "read": (lambda: torch.dot(a, b), 2 * 4 * numel),
        }

    def finish(self) -> None:
        """Returns when all queued work is done."""
        if self._on.type != "cpu":
            torch.accelerator.synchronize(self._on)

    @contextmanager
    def threads(self, count: int) -> Iterator[None]:
        """Yields with so many intra-op threads; there are as many as before afterwards."""
        before = torch.get_num_threads()
        torch.set_num_threads(count)
        try:
            yield
        finally:
            torch.set_num_threads(before)


@contextmanager
def _float32_products(mode: str) -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(mode)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def precisions_on(device: str) -> tuple[str, ...]:
    """Returns what is worth measuring on a device: CUDA also computes float32 data in its tensor cores."""
    common = ("float32", "bfloat16", "float16")
    return (*common, "tf32") if torch.device(device).type == "cuda" else common
