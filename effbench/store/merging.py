"""Two records of one model → one: the new one's facts, and the old one's where it has none of its own."""

from __future__ import annotations

from effbench.records import Evaluation, Note, Record, Timing
from effbench.records.environment import differences


def same_model(known: Record, record: Record) -> bool:
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
    again = {_subject(one) for one in new.evaluations}
    return tuple(one for one in old.evaluations if _subject(one) not in again)


def _subject(one: Evaluation) -> tuple[object, ...]:
    return one.metric, tuple(sorted(one.settings.items())), one.data


def _kept_timings(old: Record, new: Record) -> tuple[tuple[Timing, ...], tuple[Note, ...]]:
    """Returns (the old record's timings of other plans, a Note where they were taken elsewhere and so are dropped).

    A record has one environment: times from another machine, or under another PyTorch, are not of it.
    """
    plans = {timing.plan for timing in new.timings}
    kept = tuple(timing for timing in old.timings if timing.plan not in plans)
    lost = _lost_energy(old, new)
    if not new.timings or old.environment is None or new.environment is None:
        return kept, lost
    where = old.environment, new.environment
    moved = [differences(*(one.fingerprint(timing.plan.device) for one in where)) for timing in kept]
    alike = tuple(timing for timing, found in zip(kept, moved, strict=True) if not found)
    dropped = [found for found in moved if found]
    if not dropped:
        return alike, lost
    text = f"{len(dropped)} older timings were dropped, taken elsewhere ({'; '.join(dropped[0])})"
    return alike, (Note("dropped-timings", new.name, text), *lost)


def _lost_energy(old: Record, new: Record) -> tuple[Note, ...]:
    """Returns a Note where times that had joules are replaced by times that have none.

    The joules are not carried over: a time does not say of which inputs it is, so they may be another's.
    """
    metered = {timing.plan for timing in old.timings if timing.energy is not None}
    again = {timing.plan for timing in new.timings if timing.energy is None}
    if not metered & again:
        return ()
    return (Note("dropped-energy", new.name, "it was timed again without --energy: the joules read before are gone"),)
