"""Records and traces ↔ JSON text: every number read back exactly, every misfit told in one line."""

from __future__ import annotations

import gzip
import json
import math
import re
import stat
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from effbench.errors import InputError
from effbench.records import Record, Trace
from effbench.store.migrations import migrated

T = TypeVar("T")

_adapters: dict[type[Any], Any] = {}


def _adapter(kind: type[Any]) -> Any:
    """Returns pydantic's reader and writer of a record type, which is slow to make."""
    if kind not in _adapters:
        from pydantic import TypeAdapter

        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def validated(data: Any, kind: type[T], where: str) -> T:
    """Returns plain data as a record type.

    Raises:
        InputError: it does not fit; the first misfit is named.
    """
    from pydantic import ValidationError

    try:
        fitting: T = _adapter(kind).validate_python(data)
    except ValidationError as error:
        raise InputError(f"{where}: {_first_misfit(error)}") from None
    return fitting


def plain(item: T, kind: type[T]) -> Any:
    """Returns a record type as plain data: mappings, tuples, texts and numbers."""
    return _adapter(kind).dump_python(item)


def _first_misfit(error: Any) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else str(first["msg"])


# Reading


def read_data(path: Path) -> bytes:
    """Returns the content of a file, unpacked where its name ends in .gz.

    Raises:
        InputError: it is missing, is no file, or is damaged.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for
            raise InputError(f"{path}: cannot be read: it is no file")
        data = path.read_bytes()
        return gzip.decompress(data) if path.suffix == ".gz" else data
    except FileNotFoundError:
        raise InputError(f"{path}: missing") from None
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error


def parsed_record(data: bytes, where: str) -> dict[str, Any]:
    """Returns the plain data of a record, brought to this effbench's schema; nothing else of it is checked.

    Raises:
        InputError: it is no JSON object, or of a newer schema, which is looked at before anything else.
    """
    from pydantic_core import from_json

    try:
        found = from_json(data)
    except ValueError as error:
        raise InputError(f"{where}: not a record of effbench: {error}") from None
    if not isinstance(found, dict):
        raise InputError(f"{where}: not a record of effbench: it holds no mapping")
    return migrated(found, where)


def record_of(data: Mapping[str, Any], where: str) -> Record:
    """Returns plain data of this effbench's schema as a record.

    Raises:
        InputError: it does not fit, a time in it is none, or an evaluation has not one value for each sample.
    """
    what = f"{where}: not a record of effbench"
    found = validated(data, Record, what)
    for at, timing in enumerate(found.timings):
        for number, run in enumerate(timing.runs):
            if not all(map(math.isfinite, run.samples_s)) or min(run.samples_s, default=1) < 0:
                raise InputError(f"{what}: timings.{at}.runs.{number}.samples_s: a time is a number from 0 up")
    for at, one in enumerate(found.evaluations):
        for name, values in one.per_sample.items():
            if len(values) != one.n:
                raise InputError(f"{what}: evaluations.{at}: {len(values)} values of {name} for {one.n} samples")
    return found


def read_trace(path: Path) -> Trace:
    """Returns the trace in a file.

    Raises:
        InputError: it is missing, damaged, or holds no trace.
    """
    from pydantic import ValidationError

    try:
        found: Trace = _adapter(Trace).validate_json(read_data(path))
    except ValidationError as error:
        raise InputError(f"{path}: not a trace of effbench: {_first_misfit(error)}") from None
    return found


# Writing


_NUMBERS = re.compile(rb'\[\n\s+([^\[\]{}"]+)\n\s*\]')
"""A list without texts, lists and mappings; JSON has line ends between its parts only."""


def record_text(record: Record, values: Mapping[int, str]) -> bytes:
    """Returns a record as JSON that people can read: an entry a line, rows of numbers on one.

    Args:
        record: what is written.
        values: by the evaluation's place, the name of the file that holds its values.
    """
    light = replace(record, evaluations=tuple(replace(one, per_sample={}) for one in record.evaluations))
    data = plain(light, Record)
    for place, name in values.items():
        data["evaluations"][place]["per_sample"] = name
    return _NUMBERS.sub(_on_one_line, _indented(data)) + b"\n"


def _on_one_line(found: re.Match[bytes]) -> bytes:
    return b"[" + b", ".join(part.strip() for part in found[1].split(b",")) + b"]"


def _indented(data: Any) -> bytes:
    from pydantic_core import PydanticSerializationError, to_json

    try:
        return to_json(data, indent=2, inf_nan_mode="constants")
    except PydanticSerializationError:
        # A lone surrogate, from a file name that is no UTF-8, becomes its JSON escape.
        return json.dumps(data, indent=2, ensure_ascii=False).encode(errors="backslashreplace")


def packed(data: Any) -> bytes:
    """Returns plain data as compressed JSON, the same bytes for the same data."""
    # pydantic's own JSON would lose infinities: they are arguments that models pass (masked_fill).
    return gzip.compress(json.dumps(data, ensure_ascii=False).encode(errors="backslashreplace"), mtime=0)


def packed_trace(trace: Trace) -> bytes:
    """Returns a trace as compressed JSON."""
    return packed(plain(trace, Trace))
