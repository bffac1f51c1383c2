"""`file.safetensors`: named tensors; only its header is read, so that neither memory nor torch is needed.

Source: the format's description (github.com/huggingface/safetensors, README, "Format"): 8 bytes with the size of the
header, little endian; the header in JSON; then the tensors' bytes, without gaps.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, NoReturn, TypeGuard

from effbench.errors import InputError, one_line
from effbench.measure.load import Request, existing_file, loaders, without_arguments, without_inputs
from effbench.measure.source import Traced
from effbench.measure.weights import Weight, weights_only

_MOST_HEADER_BYTES = 16 * 2**20
"""A header takes about 120 bytes a tensor, so that this is over 100,000 tensors; reading takes some 20 times it."""

_DTYPES: Mapping[str, tuple[str, int]] = MappingProxyType(
    {
        "BOOL": ("bool", 8),
        "U8": ("uint8", 8),
        "I8": ("int8", 8),
        "U16": ("uint16", 16),
        "I16": ("int16", 16),
        "U32": ("uint32", 32),
        "I32": ("int32", 32),
        "U64": ("uint64", 64),
        "I64": ("int64", 64),
        "F4": ("float4_e2m1fn_x2", 4),
        "F6_E2M3": ("float6_e2m3", 6),
        "F6_E3M2": ("float6_e3m2", 6),
        "F8_E4M3": ("float8_e4m3fn", 8),
        "F8_E4M3FNUZ": ("float8_e4m3fnuz", 8),
        "F8_E5M2": ("float8_e5m2", 8),
        "F8_E5M2FNUZ": ("float8_e5m2fnuz", 8),
        "F8_E8M0": ("float8_e8m0fnu", 8),
        "F16": ("float16", 16),
        "BF16": ("bfloat16", 16),
        "F32": ("float32", 32),
        "F64": ("float64", 64),
        "C64": ("complex64", 64),
    }
)


@loaders.register("safetensors")
def load_safetensors(request: Request) -> Traced:
    """Returns the parameters of a safetensors file; its MACs need the architecture.

    Raises:
        InputError: the file is missing, truncated or malformed.
    """
    path = existing_file(request)
    without_arguments(request)
    without_inputs(request)
    return weights_only(path.stem, request.spec, read_weights(path))


def read_weights(path: Path) -> list[Weight]:
    """Returns the tensors that a file's header describes.

    Raises:
        InputError: the header does not describe exactly the bytes that follow it.
    """
    try:
        with path.open("rb") as file:
            header, size = _header(file, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    header.pop("__metadata__", None)
    spans = sorted((_span(name, entry, path), name) for name, entry in header.items())
    end = 0
    for (begin, stop), name in spans:
        if begin != end:
            _refuse(path, f"the bytes of {name[:80]!r} do not follow those before")
        end = stop
    if end != size:
        _refuse(path, f"its tensors take {end:,} bytes, and {size:,} are there; is it truncated?")
    return [_weight(name, entry) for name, entry in header.items()]


def _header(file: BinaryIO, path: Path) -> tuple[dict[str, Any], int]:
    """Returns the header and the number of bytes that follow it."""
    start = file.read(8)
    total = file.seek(0, 2)
    length = int.from_bytes(start, "little")
    if len(start) < 8 or length > total - 8:
        _refuse(path, f"its header would take {length:,} bytes of a file of {total:,}")
    if length > _MOST_HEADER_BYTES:
        _refuse(path, f"its header of {length:,} bytes is over the {_MOST_HEADER_BYTES:,} that effbench reads")
    file.seek(8)
    try:
        header = json.loads(file.read(length), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        _refuse(path, f"its header is no JSON: {one_line(error)}")
    if not isinstance(header, dict):
        _refuse(path, "its header is no JSON object")
    return header, total - 8 - length


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice")
    return found


def _span(name: str, entry: Any, path: Path) -> tuple[int, int]:
    """Returns where a tensor's bytes begin and end, after checking that its shape takes as many."""
    fields = entry if isinstance(entry, dict) else {}
    kind, shape, span = _DTYPES.get(str(fields.get("dtype"))), fields.get("shape"), fields.get("data_offsets")
    if kind is None or not _are_sizes(shape) or not _are_sizes(span) or len(span) != 2:
        _refuse(path, f"the entry of {name[:80]!r} is no dtype, shape and data_offsets")
    begin, end = span
    if end - begin != -(-math.prod(shape) * kind[1] // 8):
        _refuse(path, f"{name[:80]!r} of shape {str(shape)[:80]} does not take the {end - begin:,} bytes it is given")
    return begin, end


def _are_sizes(given: Any) -> TypeGuard[list[int]]:
    return isinstance(given, list) and all(type(item) is int and 0 <= item < 2**63 for item in given)


def _weight(name: str, entry: Mapping[str, Any]) -> Weight:
    dtype = _DTYPES[entry["dtype"]][0]
    begin, end = entry["data_offsets"]
    return Weight(name, tuple(entry["shape"]), dtype, end - begin)


def _refuse(path: Path, why: str) -> NoReturn:
    raise InputError(f"{path}: no safetensors file: {why}")
