"""The views of a folder's records as columns in one file, so that 100,000 records need not be opened one by one.

Parts that many records share (environments, plans) are written once, and are one object again when they are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from effbench.garbage import no_collection
from effbench.records import Energy, ErrorFigure, Note, Published, TimingPlan
from effbench.records.environment import Environment
from effbench.store.disposable import Stamp, code_version, read_disposable, write_disposable
from effbench.store.texts import plain, validated
from effbench.store.views import EvaluationView, RecordView, TimingView

INDEX = ".effbench-index"
Entry = tuple[Stamp, RecordView]


@cache
def _version() -> str:
    return code_version("store", "records")


def read_index(folder: Path) -> dict[str, Entry]:
    """Returns by file name the stamp that a record's file had and its view; nothing where there is no valid index."""
    with no_collection():
        found = read_disposable(folder / INDEX, _version())
        return {} if found is None else _unpacked(found, folder)


def write_index(folder: Path, entries: Mapping[str, Entry]) -> bool:
    """Returns whether the index was written."""
    with no_collection():
        return write_disposable(folder / INDEX, _version(), _packed(entries))


# Writing


class _Table:
    """Distinct objects of one kind, told by identity first."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self._by_id: dict[int, int] = {}
        self._by_value: dict[Any, int] = {}

    def place(self, item: Any) -> int | None:
        if item is None:
            return None
        found = self._by_id.get(id(item))
        if found is None:
            found = self._by_value.setdefault(item, len(self.items))
            self._by_id[id(item)] = found
            if found == len(self.items):
                self.items.append(item)
        return found


def _packed(entries: Mapping[str, Entry]) -> dict[str, Any]:
    views = [view for _, view in entries.values()]
    environments, plans = _Table(), _Table()
    columns = {
        "file": list(entries),
        "stamp": [stamp for stamp, _ in entries.values()],
        "name": [view.name for view in views],
        "spec": [view.spec for view in views],
        "trace": [view.trace for view in views],
        "environment": [environments.place(view.environment) for view in views],
        "timings": [[_timing_row(one, plans) for one in view.timings] for view in views],
        "errors": plain([dict(view.errors) for view in views], list[dict[str, ErrorFigure]]),
        "published": plain([view.published for view in views], list[Published | None]),
        "notes": plain([view.notes for view in views], list[tuple[Note, ...]]),
        "evaluations": plain([view.evaluations for view in views], list[tuple[EvaluationView, ...]]),
    }
    tables = {
        "environment": plain(environments.items, list[Environment]),
        "plan": plain(plans.items, list[TimingPlan]),
    }
    return {"columns": columns, "tables": tables}


def _timing_row(one: TimingView, plans: _Table) -> list[Any]:
    notes = [[note.code, note.subject, note.text] for note in one.notes]
    facts = [plans.place(one.plan), one.model, one.threads, one.converged, one.died, one.samples]
    energy = None if one.energy is None else plain(one.energy, Energy)
    return [*facts, one.rounds, one.log_medians, one.peak_bytes, notes, one.run, energy]


# Reading


def _unpacked(found: Mapping[str, Any], folder: Path) -> dict[str, Entry]:
    columns, tables = found["columns"], found["tables"]
    environments: Sequence[Environment] = _made(tables["environment"], list[Environment])
    plans: Sequence[TimingPlan] = _made(tables["plan"], list[TimingPlan])
    rows: Iterable[tuple[Any, ...]] = zip(
        columns["file"],
        columns["stamp"],
        columns["name"],
        columns["spec"],
        columns["trace"],
        _made(columns["errors"], list[dict[str, ErrorFigure]]),
        _made(columns["published"], list[Published | None]),
        _made(columns["notes"], list[tuple[Note, ...]]),
        columns["timings"],
        columns["environment"],
        _made(columns["evaluations"], list[tuple[EvaluationView, ...]]),
        strict=True,
    )
    return {
        file: (
            tuple(stamp),
            RecordView(
                name,
                spec,
                trace,
                errors,
                published,
                notes,
                tuple([_timing(row, plans) for row in timings]),
                None if place is None else environments[place],
                evaluations,
                (folder, file),
            ),
        )
        for file, stamp, name, spec, trace, errors, published, notes, timings, place, evaluations in rows
    }


def _timing(row: Sequence[Any], plans: Sequence[TimingPlan]) -> TimingView:
    plan, model, threads, converged, died, samples, rounds, logs, peaks, notes, run, joules = row
    told = tuple([Note(*note) for note in notes])
    energy = None if joules is None else _made(joules, Energy)
    facts = model, plans[plan], threads, converged, died, samples
    return TimingView(*facts, tuple(rounds), tuple(logs), peaks, told, run, energy)


def _made(column: Any, kind: Any) -> Any:
    return validated(column, kind, INDEX)
