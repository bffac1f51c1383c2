"""How tensors without data lie in memory, and what an op's results will."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import torch
from torch import nn

from effbench.measure.plain import dtype_name

PLAIN_TENSORS = frozenset({torch.Tensor, nn.Parameter})
"""Classes whose tensors are nothing but tensors."""

_META = torch.device("meta")


class Layout(NamedTuple):
    """All that a shape rule reads of a tensor."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: torch.dtype


def layout_of(tensor: torch.Tensor) -> Layout | None:
    """Returns how a tensor without data lies; None of one that a rule's answer cannot be remembered by."""
    if type(tensor) not in PLAIN_TENSORS or not tensor.is_meta or tensor.layout is not torch.strided:
        return None
    if tensor.is_conj() or tensor.is_neg():
        return None
    return Layout(tuple(tensor.shape), tensor.stride(), tensor.dtype)


class Fresh(NamedTuple):
    """A result with memory of its own; `dtype` is the name that records hold."""

    layout: Layout
    dtype: str
    nbytes: int

    def tensor(self) -> torch.Tensor:
        """Returns a new tensor that lies so."""
        shape, strides, dtype = self.layout
        return torch.empty_strided(shape, strides, dtype=dtype, device=_META)


class Views(NamedTuple):
    """Results that all share the memory of the first argument: the op runs, so that it stays true."""

    layouts: tuple[Fresh, ...]


class Several(NamedTuple):
    """Several results in a tuple or a list, None where one was not asked for."""

    results: tuple[Fresh | None, ...]
    kind: type


Answer: TypeAlias = Fresh | Views | Several | Literal["itself", "runs"]
"""A result, several, views, the argument that an in-place op hands back, or that the op has to run: its results share
memory with what it is given in another way, or hang on data."""


def fresh(result: torch.Tensor) -> Fresh | None:
    """Returns how a result lies that has memory of its own; None of one that cannot be remembered."""
    layout = layout_of(result)
    return None if layout is None else Fresh(layout, dtype_name(result.dtype), result.untyped_storage().nbytes())


class Call(NamedTuple):
    """The arguments of one call; `named` has the same by the schema's names."""

    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    named: Sequence[tuple[str, Any]]
