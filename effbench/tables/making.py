"""One row of each joined table → one record, with what must be said of its figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from effbench.errors import InputError
from effbench.records import CostFigure, ErrorFigure, Note, Published, Record, Rounding, SpeedFigure
from effbench.tables.cells import key_of, plain, simplest
from effbench.tables.fields import Fields, Value
from effbench.tables.mapping import COSTS, FIELDS
from effbench.tables.sheets import Column

COARSE = Decimal("0.01")
"""A figure that rounding leaves uncertain by more than this share of it is told of."""

TIMES_AGREE = Decimal("0.01")
"""Two published times of one model may differ by so much, rounding apart."""


class Picked(NamedTuple):
    """A figure, the column that gives it and its row there; a constant has neither."""

    value: Value
    column: Column | None = None
    row: int = 0


@dataclass(frozen=True, slots=True)
class Remark:
    """What must be said of one figure of one model; `size` orders remarks of a kind, the worst is the greatest."""

    code: str
    field: str
    model: str
    size: Decimal
    text: str


def pick(fields: Fields, rows: Sequence[int | None]) -> dict[str, Picked]:
    """Returns each field's figure for a row of every sheet (None: that sheet has none); missing ones are left out."""
    found: dict[str, Picked] = {field: Picked(value) for field, value in fields.constants.items()}
    for field, givers in fields.columns.items():
        for picked in _given(givers, rows):
            found.setdefault(field, picked)
    return found


def _given(givers: Iterable[tuple[int, Column]], rows: Sequence[int | None]) -> Iterator[Picked]:
    for sheet, column in givers:
        row = rows[sheet]
        value = None if row is None else column.cells[row]
        if row is not None and value is not None:
            yield Picked(value, column, row)


def record_of(name: str, picked: Mapping[str, Picked], source: str, remarks: Iterable[Remark]) -> Record:
    """Returns the record of a model.

    Args:
        name: what it is called.
        picked: its figures by field.
        source: the document, down to the line.
        remarks: on it; they stand beside the figures where those have a note, else in the record's notes.
    """
    told = {field: "; ".join(one.text for one in remarks if one.field == field) for field in (*picked, "speed")}
    metrics = {field: one for field, one in picked.items() if one.column is not None and one.column.target.is_metric}
    published = Published(
        params=_count(picked["params"]) if "params" in picked else None,
        cost=_cost(picked, told),
        errors={field: _error(one) for field, one in metrics.items()},
        speed=_speed(picked, told["speed"]),
        source=source,
        conditions={
            field: _condition(one) for field, one in picked.items() if field not in metrics and field not in FIELDS
        },
        rounded=_steps(picked, metrics),
    )
    notes = [Note(one.code, one.field, one.text) for one in remarks if one.field not in (*COSTS, "speed")]
    return Record(name, published=published, notes=tuple(notes))


def _number(picked: Picked) -> Decimal:
    """Returns a figure in its base unit."""
    assert isinstance(picked.value, Decimal)
    return picked.value * (picked.column.target.factor if picked.column is not None else 1)


def _count(picked: Picked) -> int:
    return int(_number(picked))


def _cost(picked: Mapping[str, Picked], told: Mapping[str, str]) -> CostFigure | None:
    for field in COSTS:
        if field in picked:
            value, column, _ = picked[field]
            assert isinstance(value, Decimal)
            assert column is not None
            remark = "; ".join(part for part in (_rounded(column), told[field], column.remark) if part)
            return CostFigure(float(value), _unit(column), column.target.convention, remark)
    return None


def _error(picked: Picked) -> ErrorFigure:
    assert isinstance(picked.value, Decimal)
    assert picked.column is not None
    return ErrorFigure(float(picked.value), picked.column.target.unit, n=picked.column.target.n)


def _condition(picked: Picked) -> str | int | float:
    return picked.value if isinstance(picked.value, str) else simplest(picked.value)


def _speed(picked: Mapping[str, Picked], told: str) -> SpeedFigure | None:
    """Returns the time of one sample: throughput's where it is published, for it is the less rounded one."""
    batch = _count(picked["batch"]) if "batch" in picked else None
    if "throughput" in picked:
        seconds = 1 / _number(picked["throughput"])
    elif "latency" in picked:
        if batch is None:
            _, column, row = picked["latency"]
            assert column is not None
            raise InputError(f"{column.where(row)}: is of a whole batch, whose size is missing in its row")
        seconds = _number(picked["latency"]) / batch
    else:
        return None
    device, precision, torch = (_text(picked, field) for field in ("device", "precision", "torch"))
    threads = _count(picked["threads"]) if "threads" in picked else None
    return SpeedFigure(float(seconds), batch, device, precision, threads, torch, note=told)


def _steps(picked: Mapping[str, Picked], metrics: Iterable[str]) -> dict[str, Rounding]:
    """Returns how far figures were rounded that were; what was rounded away says so in its note."""
    found = {}
    for field in (*(name for name in ("params", *COSTS, *_time(picked)) if name in picked), *metrics):
        value, column, row = picked[field]
        assert isinstance(value, Decimal)
        assert column is not None
        if _is_exact(column) or not (value or field in metrics):
            continue
        _, half = _interval(picked[field])
        step = column.step if field in COSTS else 2 * half / (_count(picked["batch"]) if field == "latency" else 1)
        assert step is not None
        table = column.table
        cell = f"{table.name} {table.sha256[:12]}, line {table.rows[row].line}, column {column.target.column}"
        found[field] = Rounding(float(step), cell)
    return found


def _time(picked: Mapping[str, Picked]) -> list[str]:
    """Returns the field that gives the time, if one does."""
    return [field for field in ("throughput", "latency") if field in picked][:1]


def _text(picked: Mapping[str, Picked], field: str) -> str | None:
    return str(picked[field].value) if field in picked else None


def remarks_on(model: str, fields: Fields, rows: Sequence[int | None], picked: Mapping[str, Picked]) -> list[Remark]:
    """Returns what must be said of a model's figures: rounded away, contradicted by another table or by each other."""
    found = [*_coarse(model, picked), *_times(model, picked)]
    for field, givers in fields.columns.items():
        if len(givers) > 1:
            found += _contradicted(model, field, list(_given(givers, rows)))
    return found


def _coarse(model: str, picked: Mapping[str, Picked]) -> Iterator[Remark]:
    for field in ("params", *COSTS, *_time(picked)):
        if field not in picked:
            continue
        value, column, _ = picked[field]
        assert isinstance(value, Decimal)
        assert column is not None
        assert column.step is not None
        half = column.step / 2
        if _is_exact(column):
            continue
        if not value:
            told = f"written as 0: below {plain(half)} {_unit(column)}"
            yield Remark("rounded-away", _place(field), model, half, told)
        elif half > COARSE * value:
            share = f"{plain(value)} {_unit(column)} is known to ± {float(100 * half / value):.2g} %"
            yield Remark("coarse-figure", _place(field), model, half / value, f"{share}, {_rounded(column)}")


def _place(field: str) -> str:
    return "speed" if field in ("throughput", "latency") else field


def _times(model: str, picked: Mapping[str, Picked]) -> Iterator[Remark]:
    """Gives a remark where the time of a batch is not its size divided by the throughput, rounding of both apart."""
    if not {"throughput", "latency", "batch"} <= set(picked):
        return
    rate, rate_half = _interval(picked["throughput"])
    stated, half = _interval(picked["latency"])
    batch = _number(picked["batch"])
    longest = batch / (rate - rate_half) if rate > rate_half else Decimal("Infinity")
    gap = max(batch / (rate + rate_half) - (stated + half), (stated - half) - longest) / stated
    if gap > TIMES_AGREE:
        told = f"{float(stated):.4g} s a batch is published, batch / throughput is {float(batch / rate):.4g} s"
        yield Remark("times-disagree", "speed", model, gap, f"{told}: throughput is taken")


def _interval(picked: Picked) -> tuple[Decimal, Decimal]:
    """Returns (figure, half of its rounding step), in its base unit."""
    assert picked.column is not None
    assert picked.column.step is not None
    return _number(picked), picked.column.step / 2 * picked.column.target.factor


def _contradicted(model: str, field: str, given: Sequence[Picked]) -> Iterator[Remark]:
    if not given:
        return
    first, *others = given
    for other in others:
        size = _difference(first, other)
        if size:
            told = "; ".join(f"{_written(one)} in {one.column.table.name}" for one in (first, other) if one.column)
            yield Remark("tables-differ", field, model, size, f"{told}: the first is taken")


def _difference(first: Picked, other: Picked) -> Decimal:
    """Returns by what share of the first two figures differ, 0 where rounding explains it; 1 for other texts."""
    if isinstance(first.value, str) or isinstance(other.value, str):
        return Decimal(key_of(str(first.value)) != key_of(str(other.value)))
    (one, one_half), (two, two_half) = _interval(first), _interval(other)
    return abs(one - two) / max(one, two) if abs(one - two) > one_half + two_half else Decimal(0)


def _written(picked: Picked) -> str:
    unit = _unit(picked.column) if picked.column is not None else ""
    return f"{picked.value} {unit}".strip()


def _unit(column: Column) -> str:
    unit, field = column.target.unit, column.target.field
    return {"macs": f"{unit}MAC", "flops": f"{unit}FLOP"}.get(field, unit)


def _rounded(column: Column) -> str:
    """Returns how far a column was rounded; "" where it was not."""
    assert column.step is not None
    return "" if _is_exact(column) else f"rounded to {plain(column.step)} {_unit(column)}"


def _is_exact(column: Column) -> bool:
    """Returns whether a column counts things to the last one."""
    assert column.step is not None
    return column.target.field in ("params", *COSTS) and column.step * column.target.factor <= 1
