"""What lies beside the records, a file for each distinct content: traces, and the values of evaluations."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from effbench.errors import InputError
from effbench.records import Evaluation, Record, Trace
from effbench.store.files import write_whole
from effbench.store.texts import packed, packed_trace, read_data, read_trace

Values = Mapping[str, tuple[float, ...]]
"""Each sample's sufficient statistics by name."""


class Beside:
    """The folders traces/ and samples/ of a folder of records."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def trace_path(self, digest: str) -> Path:
        """Returns where the trace of a digest lies."""
        return self.folder / "traces" / f"{digest}.json.gz"

    def values_path(self, digest: str) -> Path:
        """Returns where the values of a digest lie."""
        return self.folder / "samples" / f"{digest}.json.gz"

    def trace(self, digest: str) -> Trace:
        """Returns a trace.

        Raises:
            InputError: its file is missing or damaged.
        """
        return read_trace(self.trace_path(digest))

    def save_trace(self, digest: str, trace: Trace) -> None:
        """Writes a trace where there is none of its digest."""
        path = self.trace_path(digest)
        if not path.exists():
            write_whole(path, packed_trace(trace))

    def save_values(self, record: Record) -> dict[int, str]:
        """Returns, by the evaluation's place, the digest that its values now lie under."""
        return {place: self._save(one) for place, one in enumerate(record.evaluations)}

    def _save(self, evaluation: Evaluation) -> str:
        columns = {name: [float(value) for value in column] for name, column in evaluation.per_sample.items()}
        digest = hashlib.sha256(json.dumps(columns).encode()).hexdigest()[:16]
        path = self.values_path(digest)
        if not path.exists():
            write_whole(path, packed(columns))
        return digest

    def with_values(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Returns a record's plain data with the values of its evaluations in the place of their digests.

        Raises:
            InputError: a file is missing or holds no columns of values.
        """
        return {**data, "evaluations": [self._filled(one) for one in _entries(data)]}

    def _filled(self, entry: Any) -> Any:
        digest = entry.get("per_sample") if isinstance(entry, Mapping) else None
        if not isinstance(digest, str):
            return entry
        from pydantic_core import from_json

        path = self.values_path(digest)
        try:
            found = from_json(read_data(path))
        except ValueError as error:
            raise InputError(f"{path}: not the values of an evaluation: {error}") from None
        if not isinstance(found, dict):
            raise InputError(f"{path}: not the values of an evaluation: it holds no mapping")
        return {**entry, "per_sample": found}


def _entries(data: Mapping[str, Any]) -> tuple[Any, ...]:
    """Returns the entries of evaluations as they stand; what is no list is left for the check of the whole record."""
    found = data.get("evaluations", ())
    return tuple(found) if isinstance(found, list | tuple) else (found,)


def without_values(data: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Returns (a record's plain data without values that lie beside it, for each evaluation their digest or "")."""
    light: list[Any] = []
    digests = []
    for one in _entries(data):
        found = one.get("per_sample") if isinstance(one, Mapping) else None
        digests.append(found if isinstance(found, str) else "")
        light.append({**one, "per_sample": {}} if isinstance(found, str) else one)
    return {**data, "evaluations": light}, tuple(digests)
