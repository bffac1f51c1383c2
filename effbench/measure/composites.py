"""Calls whole: what a model asked PyTorch for, before PyTorch takes it apart.

The dispatcher sees `linear`, `matmul` or `einsum` first and the `addmm` or `bmm` they are made of later. Tools that
count the graph of `torch.jit.trace` see the former, so some conventions need them; they are recorded on request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Generic, TypeVar

import torch

TAKEN_APART = frozenset(
    f"aten::{name}"
    for name in (
        "convolution",
        "conv1d",
        "conv2d",
        "conv3d",
        "conv_transpose1d",
        "conv_transpose2d",
        "conv_transpose3d",
        "lstm_cell",
        "gru_cell",
        "rnn_tanh_cell",
        "rnn_relu_cell",
    )
)
"""Composites that the tracer opens too: those that PyTorch's tools/autograd/gen_trace_type.py does not record."""

T = TypeVar("T")


class Composites(Generic[T]):
    """Which of the ops recorded, by their place in the list, are parts of one call."""

    def __init__(self, ops: list[T]) -> None:
        self._ops = ops
        self._spans: list[tuple[int, int, T | None]] = []
        self._depth = 0

    @contextmanager
    def one_call(self, name: str) -> Iterator[bool]:
        """Says that the ops of this block are parts of one call; gives whether that call is part of no other."""
        if name in TAKEN_APART:
            yield False
            return
        start = len(self._ops)
        self._depth += 1
        try:
            yield self._depth == 1
        finally:
            self._depth -= 1
        if self._depth == 0:
            self._spans.append((start, len(self._ops), None))

    def name_last(self, call: T) -> None:
        """Puts a call in the place of the parts that the last block recorded."""
        start, end, _ = self._spans.pop()
        self._spans.append((start, end, call))

    def calls(self) -> Iterator[T]:
        """Gives the calls in order: composite ones whole, their parts left out."""
        place = 0
        for start, end, call in self._spans:
            yield from self._ops[place:start]
            if call is not None:
                yield call
            place = end
        yield from self._ops[place:]


@contextmanager
def arriving_whole(one_call: Callable[[str], AbstractContextManager[bool]]) -> Iterator[None]:
    """Lets composite ops reach the dispatch mode before they are taken apart, until the end of the block.

    With gradients out of the way the dispatcher opens a composite last, as it does under inference_mode. A
    `torch.autograd.Function` is one call too, whatever ops its forward runs, unless a name was given to its `apply`
    before the block began.
    """
    held = torch.autograd.Function.__dict__["apply"]

    def whole(cls: type[torch.autograd.Function], *args: Any, **kwargs: Any) -> Any:
        with one_call(f"prim::PythonOp.{cls.__name__}"):
            return held.__get__(None, cls)(*args, **kwargs)

    torch.autograd.Function.apply = classmethod(whole)
    try:
        with torch._C._AutoDispatchBelowAutograd():
            yield
    finally:
        torch.autograd.Function.apply = held
