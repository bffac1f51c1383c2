"""The only place that opens result files: records as JSON, traces shared by content, written whole or not at all."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from effbench.errors import InputError
from effbench.records import SCHEMA, Evaluation, Note, Record, Timing, Trace
from effbench.records.environment import differences

T = TypeVar("T")


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file so that a reader sees the old content or the new, never a part.

    Raises:
        InputError: it cannot be written there.
    """
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            path.write_bytes(data)  # a device or a pipe has no content to keep whole, and must not be replaced
        else:
            _replace(path.resolve(), data)  # through a link to the file it names
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)  # once renamed, it has gone


def read_text(path: Path, what: str) -> str:
    """Returns the text of a file that the user named.

    Raises:
        InputError: it is missing or is no text; `what` says what was expected there.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: no such {what}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a {what}: {error}") from error


@dataclass(frozen=True, slots=True)
class Stored:
    """A record with its trace, if it has one."""

    record: Record
    trace: Trace | None


class Store:
    """A folder of records: NAME.json each, and traces/DIGEST.json.gz, one file per distinct content."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, record: Record, trace: Trace | None = None) -> Path:
        """Returns the path written; the trace, if any, is stored under the record's digest first.

        What the file held of the same model before is kept where the new record says nothing.

        Raises:
            InputError: the folder cannot be written to, or the model's file there is no record.
        """
        path, known = self._place(record)
        if trace is not None and record.trace is not None:
            self._save_trace(record.trace, trace)
        write_whole(path, _dump(record if known is None else merge(known, record), Record, indent=2) + b"\n")
        return path

    def _place(self, record: Record) -> tuple[Path, Record | None]:
        """Returns the model's file and what it holds: one named after the model or, where another has it, its spec."""
        digest = hashlib.sha256(f"{record.name}\n{record.spec}".encode(errors="backslashreplace")).hexdigest()
        for path in (self.folder / f"{_slug(record.name)}{end}.json" for end in ("", f"-{digest[:8]}")):
            known = _parse_record(path) if path.exists() else None
            if known is None or _same_model(known, record):
                return path, known
        raise InputError(f"{path}: holds another model than {record.name}: move it away")

    def load(self) -> tuple[tuple[Stored, ...], tuple[Note, ...]]:
        """Returns (records in order of name, a Note per file that is none).

        Raises:
            InputError: the folder is missing.
        """
        if not self.folder.is_dir():
            raise InputError(f"{self.folder}: no such folder of records")
        found: list[Stored] = []
        notes: list[Note] = []
        for path in sorted(self.folder.glob("*.json")):
            try:
                record = _parse_record(path)
                found.append(Stored(record, self._trace(record.trace)))
            except InputError as error:
                notes.append(Note("skipped-file", path.name, str(error)))
        return tuple(found), tuple(notes)

    def _save_trace(self, digest: str, trace: Trace) -> None:
        path = self._trace_path(digest)
        if not path.exists():
            write_whole(path, gzip.compress(_dump(trace, Trace), mtime=0))

    def _trace(self, digest: str | None) -> Trace | None:
        return None if digest is None else _parse(self._trace_path(digest), Trace, "trace")

    def _trace_path(self, digest: str) -> Path:
        return self.folder / "traces" / f"{digest}.json.gz"


def _same_model(known: Record, record: Record) -> bool:
    """Returns whether two records are of one model; a model object, which has no spec, is told by its name."""
    return known.name == record.name and (known.spec == record.spec or None in (known.spec, record.spec))


def merge(old: Record, new: Record) -> Record:
    """Returns the new record with the old one's facts where it has none of its own."""
    kept, moved = _kept_timings(old, new)
    return Record(
        name=new.name,
        spec=new.spec or old.spec,
        trace=new.trace or old.trace,
        errors={**old.errors, **new.errors},
        published=new.published or old.published,
        notes=tuple(dict.fromkeys((*old.notes, *new.notes, *moved))),
        timings=(*kept, *new.timings),
        environment=new.environment or old.environment,
        evaluations=(*_kept_evaluations(old, new), *new.evaluations),
    )


def _kept_evaluations(old: Record, new: Record) -> tuple[Evaluation, ...]:
    """Returns the old record's evaluations that the new one does not hold again."""
    again = {(one.metric, tuple(sorted(one.settings.items())), one.data) for one in new.evaluations}
    return tuple(
        one for one in old.evaluations if (one.metric, tuple(sorted(one.settings.items())), one.data) not in again
    )


def _kept_timings(old: Record, new: Record) -> tuple[tuple[Timing, ...], tuple[Note, ...]]:
    """Returns (the old record's timings of other plans, a Note where they were taken elsewhere and so are dropped).

    A record has one environment: times from another machine, or under another PyTorch, are not of it.
    """
    plans = {timing.plan for timing in new.timings}
    kept = tuple(timing for timing in old.timings if timing.plan not in plans)
    if not new.timings or old.environment is None or new.environment is None:
        return kept, ()
    where = old.environment, new.environment
    moved = [differences(*(one.fingerprint(timing.plan.device) for one in where)) for timing in kept]
    alike = tuple(timing for timing, found in zip(kept, moved, strict=True) if not found)
    dropped = [found for found in moved if found]
    if not dropped:
        return alike, ()
    text = f"{len(dropped)} older timings were dropped, taken elsewhere ({'; '.join(dropped[0])})"
    return alike, (Note("dropped-timings", new.name, text),)


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


@dataclass(frozen=True, slots=True)
class _Versioned:
    schema: int = SCHEMA


def _parse_record(path: Path) -> Record:
    """Returns the record in a file; its schema is looked at first, since a newer one may not fit."""
    schema = _parse(path, _Versioned, "record").schema
    if schema > SCHEMA:
        raise InputError(f"{path}: its schema {schema} is newer than this effbench's {SCHEMA}: update effbench")
    return _parse(path, Record, "record")


def _parse(path: Path, kind: type[T], what: str) -> T:
    from pydantic import ValidationError

    try:
        data = path.read_bytes()
        text = gzip.decompress(data) if path.suffix == ".gz" else data
        fitting: T = _adapter(kind).validate_json(text)
    except FileNotFoundError:
        raise InputError(f"{path}: missing") from None
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    except ValidationError as error:
        raise InputError(f"{path}: not a {what} of effbench: {_first_misfit(error)}") from None
    return fitting


def _first_misfit(error: Any) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else str(first["msg"])


def _dump(item: T, kind: type[T], indent: int | None = None) -> bytes:
    # pydantic's own JSON would lose infinities: they are arguments that models pass (masked_fill).
    text = json.dumps(_adapter(kind).dump_python(item), indent=indent, ensure_ascii=False)
    # A lone surrogate, from a file name that is no UTF-8, becomes its JSON escape.
    return text.encode(errors="backslashreplace")


def _slug(name: str) -> str:
    """Returns a file name for a model's name; names that differ only in odd characters share one."""
    return re.sub(r"[^\w.+-]+", "_", name).strip("._") or "model"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
