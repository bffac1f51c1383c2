"""Inputs from text (`1x3x224x224`, `ids:1x128:int64`) and from what a model file offers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from effbench.errors import InputError, one_line
from effbench.measure.asked import HINT, parse_asked
from effbench.measure.source import ModelInputs

_MOST_ELEMENTS = 2**28
"""One gibibyte of float32."""

__all__ = ["HINT", "as_inputs", "example", "image_inputs", "parse_inputs"]


def parse_inputs(texts: Sequence[str]) -> ModelInputs:
    """Returns tensors of the shapes that the texts give; a name makes one a keyword argument.

    Floating tensors hold numbers from 0 to 1 drawn with a fixed seed, others hold zeros (a valid id).

    Raises:
        InputError: a text is not [NAME:]SHAPE[:DTYPE].
    """
    positional: list[torch.Tensor] = []
    keywords: dict[str, torch.Tensor] = {}
    for item in parse_asked(texts):
        tensor = _example(item.shape, _dtype(item.dtype or "float32", item.text))
        if item.name is None:
            positional.append(tensor)
        else:
            keywords[item.name] = tensor
    return ModelInputs(tuple(positional), keywords)


def as_inputs(given: Any) -> ModelInputs:
    """Returns what a model file's `example_inputs()` gave: a tensor, a tuple of arguments or a dict of keywords."""
    if isinstance(given, Mapping):
        return ModelInputs((), dict(given))
    return ModelInputs(tuple(given) if isinstance(given, tuple | list) else (given,))


def image_inputs(*shape: int) -> ModelInputs:
    """Returns one float32 tensor of that shape."""
    return ModelInputs((_example(shape, torch.float32),))


def example(shape: Sequence[int], dtype: str) -> torch.Tensor:
    """Returns a tensor of a shape and of a dtype by torch's name, with values that any model takes."""
    return _example(tuple(shape), getattr(torch, dtype))


def _dtype(name: str, text: str) -> torch.dtype:
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype):
        raise InputError(f"--input {text!r}: {name!r} is no dtype of torch: write float32, bfloat16, int64, …")
    return dtype


def _example(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Returns a tensor with values; one that would fill memory has none, which counting can do without."""
    if math.prod(shape) > _MOST_ELEMENTS:
        return _hollow(shape, dtype)
    if not dtype.is_floating_point:
        return torch.zeros(shape, dtype=dtype)
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(dtype)


def _hollow(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    try:
        return torch.empty(shape, dtype=dtype, device="meta")
    except (RuntimeError, TypeError) as error:
        raise InputError(
            f"an input of {'×'.join(map(str, shape))[:100]} is beyond any tensor: {one_line(error)}"
        ) from None
