"""The files of a folder of records, read one by one; what is no record is named, and the others are still read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from effbench.errors import InputError
from effbench.garbage import no_collection
from effbench.records import Note, Record, Trace
from effbench.records.environment import Environment
from effbench.store.beside import Beside, without_values
from effbench.store.disposable import now_ns, settled, stamps
from effbench.store.files import file_name
from effbench.store.index import Entry, read_index, write_index
from effbench.store.texts import parsed_record, read_data, record_of, validated
from effbench.store.views import RecordView, view

T = TypeVar("T")

INDEXED = 500
"""Records that a folder holds before an index is written: fewer are read as quickly one by one."""

STALE = 0.01
"""Share of the records that the index may lack before it is written anew: so few are read as quickly one by one."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A record with its trace, if it has one, and the folder or suite that it was read from; "" is none."""

    record: Record
    trace: Trace | None
    source: str = field(default="", compare=False)


def places(folder: Path, name: str, spec: str | None) -> Iterator[Path]:
    """Gives the files that a model's record may lie in: named after the model or, where another has it, its spec."""
    digest = hashlib.sha256(f"{name}\n{spec}".encode(errors="backslashreplace")).hexdigest()
    yield from (folder / f"{file_name(name)}{end}.json" for end in ("", f"-{digest[:8]}"))


def read_record(path: Path) -> Record:
    """Returns the record in a file, with the values of its evaluations.

    Raises:
        InputError: it, or a file of values that it names, is missing, damaged or foreign.
    """
    data = parsed_record(read_data(path), str(path))
    return record_of(Beside(path.parent).with_values(data), str(path))


def read_all(folder: Path) -> tuple[tuple[Stored, ...], tuple[Note, ...]]:
    """Returns (records in order of file name, a Note per file that is none); equal traces are one object."""
    beside = Beside(folder)
    traces: dict[str, Trace] = {}

    def stored(path: Path) -> Stored:
        record = read_record(path)
        if record.trace is not None and record.trace not in traces:
            traces[record.trace] = beside.trace(record.trace)
        return Stored(record, None if record.trace is None else traces[record.trace], str(folder))

    files, odd = stamps(folder, ".json")
    skipped = _Skipped(folder, odd)
    found = {name: one for name in files if (one := skipped.unless(name, stored)) is not None}
    single = _one_each(folder, [(name, one.record.name, one.record.spec) for name, one in found.items()], skipped)
    return tuple(found[name] for name in single), skipped.notes()


def read_views(folder: Path) -> tuple[tuple[RecordView, ...], tuple[Note, ...]]:
    """Returns (the views of the records in order of file name, a Note per file that is none).

    Files that the index knows as they are now are not opened; it is written anew where it lacks many.
    """
    began = now_ns()
    files, odd = stamps(folder, ".json")
    skipped = _Skipped(folder, odd)
    index = read_index(folder)
    environments: dict[str, Environment] = {}

    def opened(path: Path) -> RecordView:
        return _view(path, environments)

    entries: dict[str, Entry] = {}
    with no_collection():
        for name, stamp in files.items():
            known = index.get(name)
            if known is not None and known[0] == stamp:
                entries[name] = known
            elif (found := skipped.unless(name, opened)) is not None:
                entries[name] = stamp, found
    _renew(folder, index, {name: one for name, one in entries.items() if settled(one[0], began)})
    views = {name: found for name, (_, found) in entries.items()}
    _leave_out_unsupported(folder, views, skipped)
    single = _one_each(folder, [(name, one.name, one.spec) for name, one in views.items()], skipped)
    return tuple([views[name] for name in single]), skipped.notes()


def _renew(folder: Path, index: Mapping[str, Entry], entries: Mapping[str, Entry]) -> None:
    new = sum(index.get(name) is not one for name, one in entries.items())
    gone = len(index.keys() - entries.keys())
    if len(entries) >= INDEXED and new + gone > STALE * len(entries):
        write_index(folder, entries)


def _view(path: Path, environments: dict[str, Environment]) -> RecordView:
    """Returns the view of a file; equal environments become one object, and are looked through once."""
    data, values = without_values(parsed_record(read_data(path), str(path)))
    where: Any = data.get("environment")
    if where is not None:
        text = json.dumps(where)
        if text not in environments:
            environments[text] = validated(where, Environment, f"{path}: not a record of effbench: environment")
        data["environment"] = environments[text]
    return view(record_of(data, str(path)), (path.parent, path.name), values)


class _Skipped:
    """The files of a folder that are no records, with the reason."""

    def __init__(self, folder: Path, odd: Mapping[str, str]) -> None:
        self.folder = folder
        self._why = {name: f"{folder / name}: cannot be read: {why}" for name, why in odd.items()}

    def add(self, name: str, why: str) -> None:
        self._why[name] = why

    def unless(self, name: str, read: Callable[[Path], T]) -> T | None:
        """Returns what is read from a file, or None where that fails."""
        try:
            return read(self.folder / name)
        except InputError as error:
            self._why[name] = str(error)
            return None

    def notes(self) -> tuple[Note, ...]:
        return tuple(Note("skipped-file", name, why) for name, why in sorted(self._why.items()))


def _one_each(folder: Path, found: Iterable[tuple[str, str, str | None]], skipped: _Skipped) -> list[str]:
    """Returns the files to keep of (file, name, spec): of several with one model, that which is named after it."""
    files: dict[tuple[str, str | None], str] = {}
    doubles: dict[tuple[str, str | None], list[str]] = {}
    for file, name, spec in found:
        key = (name, spec)
        if files.setdefault(key, file) is not file:
            doubles.setdefault(key, [files[key]]).append(file)
    for key, several in doubles.items():
        own = [path.name for path in places(folder, *key)]
        files[key] = min(several, key=lambda file: (own.index(file) if file in own else len(own), file))
        for file in several:
            if file != files[key]:
                skipped.add(
                    file, f"{folder / file}: holds the same model as {files[key]}, {key[0]}: remove one of them"
                )
    return sorted(files.values())


def _leave_out_unsupported(folder: Path, views: dict[str, RecordView], skipped: _Skipped) -> None:
    """Takes out the views whose record names a file beside it that is not there."""
    beside = Beside(folder)
    traces, _ = stamps(folder / "traces", ".json.gz")
    values, _ = stamps(folder / "samples", ".json.gz")
    for name, one in list(views.items()):
        if one.trace is not None and f"{one.trace}.json.gz" not in traces:
            missing = beside.trace_path(one.trace)
        else:
            lost = next((e.values for e in one.evaluations if e.values and f"{e.values}.json.gz" not in values), None)
            if lost is None:
                continue
            missing = beside.values_path(lost)
        skipped.add(name, f"{missing}: missing")
        del views[name]
