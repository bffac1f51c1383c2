"""Tensors of an exported program: without data, or with the bytes that its archive holds."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path

import torch

from effbench.errors import InputError, one_line
from effbench.measure.graphs.program import Held


def held_tensor(held: Held, path: Path, device: str) -> torch.Tensor:
    """Returns a parameter, buffer or constant on a device.

    Raises:
        InputError: its bytes are not in the archive as the archive says.
    """
    dtype = getattr(torch, held.meta.dtype)
    try:
        if device == "meta":
            return torch.empty_strided(held.meta.shape, held.meta.strides, dtype=dtype, device="meta")
        return _read(held, path, dtype).to(device)
    except (RuntimeError, ValueError, OSError, zipfile.BadZipFile, KeyError) as error:
        raise InputError(f"{path}: its tensor {held.name[:80]!r} cannot be made: {one_line(error)}") from None


def _read(held: Held, path: Path, dtype: torch.dtype) -> torch.Tensor:
    with zipfile.ZipFile(path) as archive:
        name = next((item for item in archive.namelist() if item.partition("/")[2] == held.file), None)
        if name is None:
            raise ValueError("the archive lacks its bytes")
        data = bytearray(archive.read(name))
    if not math.prod(held.meta.shape):
        return torch.empty_strided(held.meta.shape, held.meta.strides, dtype=dtype)
    return torch.frombuffer(data, dtype=dtype).as_strided(held.meta.shape, held.meta.strides)
