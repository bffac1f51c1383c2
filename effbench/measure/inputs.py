"""Inputs from text (`1x3x224x224`, `ids:1x128:int64`) and from what a model file offers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from effbench.errors import InputError
from effbench.measure.source import ModelInputs

_INPUT = re.compile(r"(?:(?P<name>[A-Za-z_]\w*):)?(?P<shape>\d+(?:x\d+)*)(?::(?P<dtype>\w+))?")
HINT = "pass the input's shape, for example --input 1x3x224x224"


def parse_inputs(texts: Sequence[str]) -> ModelInputs:
    """Returns tensors of the shapes that the texts give; a name makes one a keyword argument.

    Floating tensors hold numbers from 0 to 1 drawn with a fixed seed, others hold zeros (a valid id).

    Raises:
        InputError: a text is not [NAME:]SHAPE[:DTYPE].
    """
    positional: list[torch.Tensor] = []
    keywords: dict[str, torch.Tensor] = {}
    for text in texts:
        match = _INPUT.fullmatch(text)
        if match is None:
            raise InputError(f"--input {text!r}: write [NAME:]SHAPE[:DTYPE], such as 1x3x224x224 or ids:1x128:int64")
        tensor = _example(_shape(match["shape"]), _dtype(match["dtype"] or "float32", text))
        if match["name"] is None:
            positional.append(tensor)
        else:
            keywords[match["name"]] = tensor
    return ModelInputs(tuple(positional), keywords)


def as_inputs(example: Any) -> ModelInputs:
    """Returns what a model file's `example_inputs()` gave: a tensor, a tuple of arguments or a dict of keywords."""
    if isinstance(example, Mapping):
        return ModelInputs((), dict(example))
    return ModelInputs(tuple(example) if isinstance(example, tuple | list) else (example,))


def image_inputs(*shape: int) -> ModelInputs:
    """Returns one float32 tensor of that shape."""
    return ModelInputs((_example(shape, torch.float32),))


def _shape(text: str) -> tuple[int, ...]:
    return tuple(int(size) for size in text.split("x"))


def _dtype(name: str, text: str) -> torch.dtype:
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype):
        raise InputError(f"--input {text!r}: {name!r} is no dtype of torch: write float32, bfloat16, int64, …")
    return dtype


def _example(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    if not dtype.is_floating_point:
        return torch.zeros(shape, dtype=dtype)
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(dtype)
