"""Who takes part in a comparison: one model in two interpreters or at two revisions, and the errors known of each."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import which

from effbench.errors import InputError
from effbench.measure.load import spec_with
from effbench.measure.revisions import checked_out
from effbench.measure.timing.worker import Worker, worker_command
from effbench.rankings import with_errors
from effbench.records import ErrorFigure, Record
from effbench.store import Store, Stored


@dataclass(frozen=True, slots=True)
class Side:
    """Where one side of a comparison of a model with itself is run.

    Attributes:
        python: the interpreter; None is this one.
        revision: of the model's file in git; None is the file as it lies here.
    """

    python: str | None = None
    revision: str | None = None


@contextmanager
def sides_of(model: Worker, sides: Sequence[Side]) -> Iterator[tuple[Worker, ...]]:
    """Gives one model at several places for a block; checkouts are removed at its end.

    Args:
        model: whose name becomes that of each side, with what tells it from the others.
        sides: interpreters and revisions.

    Raises:
        InputError: there is no such interpreter or revision.
    """
    with ExitStack() as stack:
        yield tuple(_at(model, side, name, stack) for side, name in zip(sides, _names(model, sides), strict=True))


def _at(model: Worker, side: Side, name: str, stack: ExitStack) -> Worker:
    place = model.place
    if side.python is not None:
        place = replace(place, command=worker_command(_interpreter(side.python)))
    if side.revision is None:
        return replace(model, name=name, place=place)
    found = stack.enter_context(checked_out(model.model.spec, side.revision))
    asked = replace(model.model, spec=found.spec)
    return replace(model, name=name, model=asked, place=replace(place, folder=found.folder, path=found.path))


def _interpreter(python: str) -> str:
    """Returns the path of an interpreter; a link is not followed, since it is what makes a virtual environment."""
    found = which(python)
    if found is None:
        raise InputError(f"{python}: no such Python interpreter: give the path of one, such as venv/bin/python")
    return os.path.abspath(found)  # noqa: PTH100  Path.resolve() follows links


def _names(model: Worker, sides: Sequence[Side]) -> tuple[str, ...]:
    """Returns the model's name with each side's revision, or with a letter where those are no different."""
    by_revision = len({side.revision for side in sides}) == len(sides)
    if by_revision:
        return tuple(f"{model.name}@{side.revision or 'here'}" for side in sides)
    letters = "ABCDEFGH"[: len(sides)]
    return tuple(f"{model.name} ({letter})" for letter in letters)


def known_errors(
    entrants: Sequence[Worker],
    stated: Sequence[tuple[str, ErrorFigure]],
    metric: str | None,
    folder: Path | None,
) -> dict[str, Mapping[str, ErrorFigure]]:
    """Returns the errors of each model by its name: those in its record, and those that were stated.

    Args:
        entrants: the models.
        stated: of models by name, spec or stem of the file.
        metric: what stated ones are called, and which of the records' is wanted; None takes all.
        folder: of records; None for none.

    Raises:
        InputError: a statement names no model, the folder is missing, or errors of one name differ in unit.
    """
    known = Store(folder).load()[0] if folder is not None else ()
    records = [Record(one.name, one.model.spec, errors=_recorded(one, known, metric)) for one in entrants]
    found = with_errors([Stored(entry, None) for entry in records], stated, metric or "error")
    units: dict[str, str] = {}
    for stored in found:
        for name, figure in stored.record.errors.items():
            if units.setdefault(name, figure.unit) != figure.unit:
                raise InputError(f"{name} is known in {units[name]} and in {figure.unit}: state both in one unit")
    return {stored.record.name: stored.record.errors for stored in found}


def _recorded(model: Worker, known: Sequence[Stored], metric: str | None) -> dict[str, ErrorFigure]:
    """Returns the errors in the records of one model, which is told by its spec, else by its name."""
    spec = spec_with(model.model.spec, model.model.args)
    records = [stored.record for stored in known if stored.record.spec == spec]
    records = records or [stored.record for stored in known if stored.record.name == model.name]
    return {
        name: figure for record in records for name, figure in record.errors.items() if metric is None or name == metric
    }
