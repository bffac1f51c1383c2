"""What `effbench rank` ranks: folders of records, suites, and models that are profiled now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from effbench import api
from effbench.errors import InputError
from effbench.judge.blame import is_users
from effbench.judge.convention import conventions
from effbench.judge.work import formulas
from effbench.rankings.candidates import Known
from effbench.rankings.naming import told_apart
from effbench.rankings.trace_costs import Costs, costs_of
from effbench.records import ErrorFigure, Note, Record
from effbench.store import Store, Stored, code_version, of_traces, view

CODE = ("judge", "units.py", "records", "rankings/trace_costs.py")
"""What the costs of a trace hang on: where one of these files changes, kept costs are derived anew."""


def gather(
    sources: Sequence[str], convention: str, memory: bool = False, say: Callable[[str], None] = lambda text: None
) -> tuple[tuple[Known, ...], tuple[Note, ...]]:
    """Returns the records that sources name, and notes on what could not be read.

    Args:
        sources: folders of records, suites, and specs, which are profiled now.
        convention: how FLOPs are counted.
        memory: whether the ranking reads memory.
        say: told what is being read.

    Raises:
        InputError: a source is none of these or is named twice, or there is no record in them.
        ModelError: a model raised.
    """
    found: list[Known] = []
    notes: list[Note] = []
    _refuse_repeats(sources)
    for source in sources:
        say(f"reading {source}")
        known, said = _read(source, convention, memory)
        found += known
        notes += said
    if not found:
        why = "; ".join(note.text for note in notes) or "effbench profile SPEC --record DIR makes one"
        raise InputError(f"{', '.join(sources)}: no record there: {why}")
    return told_apart(found), tuple(notes)


def _read(source: str, convention: str, memory: bool) -> tuple[Sequence[Known], tuple[Note, ...]]:
    if _is_suite(source):
        return known_of(api.read_published(Path(source)).records, convention, memory), ()
    if Path(source).is_dir():
        return _read_folder(Path(source), convention, memory)
    return known_of([api.profiled(source)], convention, memory), ()


def _is_suite(source: str) -> bool:
    return source.endswith((".yaml", ".yml"))


def _refuse_repeats(sources: Sequence[str]) -> None:
    seen: dict[str | Path, str] = {}
    for source in sources:
        place = Path(source).resolve() if _is_suite(source) or Path(source).is_dir() else source
        if place in seen:
            raise InputError(f"{source}: the same as {seen[place]}, which stands before it: name it once")
        seen[place] = source


def _read_folder(folder: Path, convention: str, memory: bool) -> tuple[Sequence[Known], tuple[Note, ...]]:
    """Returns the records of a folder; each distinct trace is opened once, and what was derived of it may be kept."""
    views, notes = Store(folder).views()
    digests = [one.trace for one in views if one.trace is not None]
    name = f"costs-{convention}{'-memory' if memory else ''}"
    derive = partial(costs_of, convention=convention, memory=memory)
    costs: Mapping[str, Any] = of_traces(folder, digests, derive, name, _version(convention)) if digests else {}
    return [Known(one, None if one.trace is None else costs[one.trace], str(folder)) for one in views], notes


def _version(convention: str) -> str:
    """Returns the version of the code that derives costs; "" where a user's own takes part."""
    own = not is_users(conventions.get(convention).rule) and not any(one.is_users for _, one in formulas.items())
    return code_version(*CODE) if own else ""


def known_of(records: Sequence[Stored | Known], convention: str, memory: bool = False) -> tuple[Known, ...]:
    """Returns records in hand as rankings read them; equal traces are counted once."""
    costs: dict[int, Costs] = {}

    def known(stored: Stored | Known) -> Known:
        if isinstance(stored, Known):
            return stored
        trace = stored.trace
        if trace is None:
            return Known(view(stored.record), source=stored.source)
        if id(trace) not in costs:
            costs[id(trace)] = costs_of(trace, convention, memory)
        return Known(view(stored.record), costs[id(trace)], stored.source)

    return tuple([known(stored) for stored in records])


def state(found: Sequence[Known], stated: Sequence[tuple[str, ErrorFigure]], metric: str) -> tuple[Known, ...]:
    """Returns the records with stated errors added, which take the place of any other figure of that metric.

    Raises:
        InputError: a statement names no model, or more than one.
    """
    result = list(found)
    for name, figure in stated:
        place = _place(name, [(known.view.name, known.view.spec) for known in result])
        seen = result[place].view
        kept = tuple(one for one in seen.evaluations if one.metric != metric)
        own = replace(seen, errors={**seen.errors, metric: figure}, evaluations=kept)
        result[place] = replace(result[place], view=own)
    return tuple(result)


def with_errors(
    records: Sequence[Stored], stated: Sequence[tuple[str, ErrorFigure]], metric: str
) -> tuple[Stored, ...]:
    """Returns the records with stated errors added; a model is named by its name, its spec or its file's stem.

    Raises:
        InputError: a statement names no model, or more than one.
    """
    found = list(records)
    for name, figure in stated:
        place = _place(name, [(stored.record.name, stored.record.spec) for stored in found])
        entry: Record = found[place].record
        found[place] = replace(found[place], record=replace(entry, errors={**entry.errors, metric: figure}))
    return tuple(found)


def _place(name: str, models: Sequence[tuple[str, str | None]]) -> int:
    """Returns which model a statement is about."""
    places = [index for index, model in enumerate(models) if name in _labels(*model)]
    if len(places) != 1:
        known = ", ".join(model for model, _ in models[:20]) + (", …" if len(models) > 20 else "")
        many = "several models" if places else "no model"
        raise InputError(f"--error-of {name!r} names {many} of this ranking: {known}")
    return places[0]


def _labels(name: str, spec: str | None) -> set[str]:
    file = (spec or "").partition(":")[0]
    return {name, spec or name, Path(file).stem or name}
