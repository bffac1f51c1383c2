"""Sheets and constants → which columns give each field, refused where two would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from effbench.errors import InputError
from effbench.tables.cells import number_of
from effbench.tables.mapping import COSTS, FIELDS, OF_TIMES, TIMES, UNITS, WHOLE
from effbench.tables.sheets import Column, Sheet

Value = Decimal | str


@dataclass(frozen=True, slots=True)
class Fields:
    """Where figures come from.

    Attributes:
        columns: for each field, (number of the sheet, column) in the order of the sheets: the first that has a figure
            gives it.
        constants: the same for every row.
    """

    columns: Mapping[str, tuple[tuple[int, Column], ...]]
    constants: Mapping[str, Value]


def fields_of(sheets: Sequence[Sheet], constants: Mapping[str, str]) -> Fields:
    """Returns what gives each field.

    Raises:
        InputError: two columns or a column and a constant give one field, several tables give one error or time, a
            field is no constant's, or a time lacks what it needs.
    """
    found: dict[str, list[tuple[int, Column]]] = {}
    for number, sheet in enumerate(sheets):
        for column in sheet.columns:
            found.setdefault(column.target.field, []).append((number, column))
    for field, givers in found.items():
        _refuse_twice(field, givers)
    fields = Fields(
        {field: tuple(givers) for field, givers in found.items()},
        {field: _constant(field, text, found) for field, text in constants.items()},
    )
    _refuse_incomplete(fields)
    return fields


def parse_constants(texts: Sequence[str]) -> dict[str, str]:
    """Returns constants by field of texts such as "device=RTX 4090".

    Raises:
        InputError: a text is not FIELD=VALUE, or a field stands twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        field, equals, value = (part.strip() for part in text.partition("="))
        if not (field and equals and value):
            raise InputError(f'--set {text!r}: write FIELD=VALUE, such as device="RTX 4090" or batch=1')
        if field in found:
            raise InputError(f"--set {field} stands twice: give it once")
        found[field] = value
    return found


def _refuse_twice(field: str, givers: Sequence[tuple[int, Column]]) -> None:
    """Raises InputError where the columns of a field cannot stand beside each other."""
    if len(givers) < 2:
        return
    numbers = [number for number, _ in givers]
    places = " and ".join(f"{column.target.column} of {column.table.name}" for _, column in givers)
    if field in TIMES or field in OF_TIMES:
        raise InputError(
            f"{field} would come from {places}, and a record has one published time: import once for each, "
            "with a --set device=… and a --record DIR of its own, then rank both folders --by device"
        )
    if len(set(numbers)) < len(numbers):
        raise InputError(f"{field} would come from {places}: map one of them")
    first = givers[0][1].target
    if first.is_metric:
        raise InputError(f"{field} would come from {places}: map one of them, or give them two names")
    if field in COSTS and any(column.target.convention != first.convention for _, column in givers):
        raise InputError(f"{field} would come from {places}, counted by two conventions: map one of them")


def _constant(field: str, text: str, mapped: Mapping[str, object]) -> Value:
    if field in mapped:
        raise InputError(f"--set {field}={text}: a column is mapped to {field} already")
    if field in UNITS or field == "name":
        raise InputError(f"--set {field}={text}: {field} is each model's own: map a column to it")
    number = number_of(text)
    if field not in WHOLE:
        return text if number is None or field in FIELDS else number.value
    if number is None or number.value <= 0 or number.value != number.value.to_integral_value():
        raise InputError(f"--set {field}={text}: give a whole number from 1 up")
    return number.value


def _refuse_incomplete(fields: Fields) -> None:
    given = {*fields.columns, *fields.constants}
    if set(COSTS) <= given:
        raise InputError("both macs and flops are mapped: map the one that was counted")
    if not given & set(TIMES):
        stray = sorted(given & set(OF_TIMES))
        if stray:
            raise InputError(f"{stray[0]} belongs to a time, and neither latency nor throughput is mapped")
    elif "throughput" not in given and "batch" not in given:
        raise InputError("latency is of a whole batch: say its size, with a column:batch or --set batch=1")
    if not given - set(OF_TIMES):
        raise InputError("nothing is mapped but names: say what else the columns hold")
