"""A folder of records: who writes waits for the other writers, who reads sees whole files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from effbench.errors import InputError
from effbench.records import Note, Record, Trace
from effbench.store.beside import Beside
from effbench.store.files import locked, write_whole
from effbench.store.imports import finish, finish_for_reading, write_together
from effbench.store.merging import merge, same_model
from effbench.store.reading import Stored, places, read_all, read_record, read_views
from effbench.store.texts import record_text
from effbench.store.views import RecordView


class Store:
    """A folder of records: NAME.json each; beside them traces and values of evaluations, a file per distinct content.

    Writers lock the folder and wait for each other. Readers need no lock: every file is replaced whole.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.beside = Beside(folder)

    def save(self, record: Record, trace: Trace | None = None) -> Path:
        """Returns the path written; the trace, if any, is stored under the record's digest first.

        What the file held of the same model before is kept where the new record says nothing.

        Raises:
            InputError: the folder cannot be written to, or the model's file there is no record.
        """
        with locked(self.folder):
            finish(self.folder)
            path, whole = self._merged(record, {})
            if trace is not None and record.trace is not None:
                self.beside.save_trace(record.trace, trace)
            write_whole(path, self._text(whole))
        return path

    def save_many(self, records: Iterable[Record], traces: Mapping[str, Trace] | None = None) -> tuple[Path, ...]:
        """Returns the paths written, one for each record in turn; as `save`, for all of them or for none.

        Ended before all are safe on the disk, it has changed no record; ended after that, the next reader or writer
        finishes it.

        Args:
            records: several of one model are merged.
            traces: by digest.

        Raises:
            InputError: the folder cannot be written to, or a model's file there is no record; no record is changed.
        """
        with locked(self.folder):
            finish(self.folder)
            whole: dict[Path, Record] = {}
            paths = []
            for record in records:
                path, merged = self._merged(record, whole)
                whole[path] = merged
                paths.append(path)
            for digest, trace in (traces or {}).items():
                self.beside.save_trace(digest, trace)
            write_together(self.folder, ((path.name, self._text(one)) for path, one in whole.items()))
        return tuple(paths)

    def _merged(self, record: Record, pending: Mapping[Path, Record]) -> tuple[Path, Record]:
        """Returns the model's file, and what it is to hold."""
        for path in places(self.folder, record.name, record.spec):
            known = pending.get(path) or (read_record(path) if path.exists() else None)
            if known is None:
                return path, record
            if same_model(known, record):
                return path, merge(known, record)
        raise InputError(f"{path}: holds another model than {record.name}: move it away")

    def _text(self, record: Record) -> bytes:
        return record_text(record, self.beside.save_values(record))

    def read(self, path: Path) -> Record:
        """Returns the record in one of the folder's files, with the values of its evaluations.

        Raises:
            InputError: it, or a file of values that it names, is missing, damaged or foreign.
        """
        return read_record(path)

    def trace(self, digest: str) -> Trace:
        """Returns a trace by its digest.

        Raises:
            InputError: its file is missing or damaged.
        """
        return self.beside.trace(digest)

    def load(self) -> tuple[tuple[Stored, ...], tuple[Note, ...]]:
        """Returns (records in order of file name, a Note per file that is none); equal traces are one object.

        Raises:
            InputError: the folder is missing, or an import into it was broken off and cannot be finished.
        """
        self._ready()
        return read_all(self.folder)

    def views(self) -> tuple[tuple[RecordView, ...], tuple[Note, ...]]:
        """Returns (what rankings read of each record, in order of file name; a Note per file that is no record).

        An index beside the records, written where there are many, saves opening the files that it knows. Traces are
        not opened: `effbench.store.derived` reads each distinct one once.

        Raises:
            InputError: the folder is missing, or an import into it was broken off and cannot be finished.
        """
        self._ready()
        return read_views(self.folder)

    def _ready(self) -> None:
        if not self.folder.is_dir():
            raise InputError(f"{self.folder}: no such folder of records")
        finish_for_reading(self.folder)
