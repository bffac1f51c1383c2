"""Records as older versions of effbench wrote them → as this one does, on plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from effbench.errors import InputError
from effbench.records import RECORD_SCHEMA

Plain = dict[str, Any]


def _to_2(data: Plain) -> Plain:
    """Returns a record of schema 1 as one of schema 2, which may name a file for the values of an evaluation.

    Nothing is to be changed. The number is new because an effbench that knows no evaluations would drop them when it
    adds to the record.
    """
    return data


def _to_3(data: Plain) -> Plain:
    """Returns a record of schema 2 as one of schema 3: times may say their run and energy, figures their rounding.

    Nothing is to be changed: times without a run are of a run of their own, and published figures that do not say how
    far they were rounded are taken as they stand. The number is new for the same reason.
    """
    return data


MIGRATIONS: Mapping[int, Callable[[Plain], Plain]] = MappingProxyType({1: _to_2, 2: _to_3})
"""By schema: from it to the next."""


def migrated(data: Plain, where: str) -> Plain:
    """Returns a record's plain data in the schema of this effbench; without a number it is of the first one.

    Raises:
        InputError: it is of a newer one, or the number is none.
    """
    schema = data.get("schema", 1)
    if type(schema) is not int or schema < 1:
        raise InputError(f"{where}: not a record of effbench: schema: {schema!r} is no whole number from 1 up")
    if schema > RECORD_SCHEMA:
        raise InputError(f"{where}: its schema {schema} is newer than this effbench's {RECORD_SCHEMA}: update effbench")
    for step in range(schema, RECORD_SCHEMA):
        data = MIGRATIONS[step](data)
    return {**data, "schema": RECORD_SCHEMA}
