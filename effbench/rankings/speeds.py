"""Times of records → latency, throughput, memory, energy; of several plans the one that most models share."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TypeAlias

from effbench.judge.candidate import Figure
from effbench.judge.comparable import Conditions
from effbench.judge.energy import call_energy
from effbench.judge.standing import typical_s
from effbench.judge.uncertainty import Exact, ProcessTimes, has_spread, stated_time
from effbench.records import Energy, Note, Published, SpeedFigure
from effbench.records.environment import Environment
from effbench.store import RecordView, TimingView

Found: TypeAlias = tuple[Mapping[str, Figure], Mapping[str, str]]
"""Figures by term, and why others are missing."""

NOT_TIMED = "not timed: effbench time SPEC --record DIR adds how long it takes"
NO_ENERGY = "its energy was not measured: effbench time SPEC --energy --record DIR adds it"
_MEMORY = ("allocated", "reserved", "process", "resident")
"""Kinds of measured peaks, the one that says most first."""


class Speeds:
    """The speeds of many records: what they share is looked at once."""

    def __init__(self, views: Sequence[RecordView]) -> None:
        self._known = {id(view): [timing for timing in view.timings if _is_known(timing)] for view in views}
        # Counted only where there is a choice: hashing plans takes a while.
        several = any(len(known) > 1 for known in self._known.values())
        every = (_setting(timing) for known in self._known.values() for timing in known)
        self._plans = Counter(every if several else ())
        self._places: dict[tuple[object, ...], Conditions] = {}
        self._kept: list[object] = []

    def of(self, view: RecordView, inputs: Conditions) -> Found:
        """Returns the speeds of one record: a measured time first, then a published one.

        Args:
            inputs: conditions that the trace says of the inputs, which times depend on.
        """
        known = self._known[id(view)]
        if known:
            chosen = known[0] if len(known) == 1 else max(known, key=lambda timing: self._plans[_setting(timing)])
            return self._measured(chosen, view.environment, inputs)
        stated = view.published.speed if view.published is not None else None
        if view.published is not None and stated is not None:
            return _stated(stated, view.published)
        why = next((f"not timed: {timing.died}" for timing in view.timings if timing.died), NOT_TIMED)
        return {}, dict.fromkeys(("latency", "throughput"), why) | {"energy": NO_ENERGY}

    def _measured(self, timing: TimingView, where: Environment | None, inputs: Conditions) -> Found:
        conditions = self._conditions(timing, where, inputs)
        times = ProcessTimes(timing.log_medians, timing.rounds, timing.run)
        latency_s = typical_s(timing.log_medians)
        evidence = times if has_spread(times) else None
        notes = _doubts(timing)
        figures = {"latency": Figure(latency_s, conditions, evidence=evidence, notes=notes)}
        missing = {}
        if timing.samples is None:
            missing["throughput"] = "its inputs share no batch"
        else:
            rate = timing.samples / latency_s
            figures["throughput"] = Figure(rate, conditions, direction="higher", evidence=evidence, notes=notes)
        kind = next((kind for kind in _MEMORY if kind in timing.peak_bytes), None)
        if kind is not None:
            figures["memory"] = Figure(timing.peak_bytes[kind], (("memory", kind), *conditions))
        drawn = NO_ENERGY if timing.energy is None else _energy(timing.energy, conditions)
        if isinstance(drawn, str):
            missing["energy"] = drawn
        else:
            figures["energy"] = drawn
        return figures, missing

    def _conditions(self, timing: TimingView, where: Environment | None, inputs: Conditions) -> Conditions:
        """Returns what a time depends on: the plan, the machine with its software, and the inputs."""
        key = (id(timing.plan), timing.threads, timing.samples, id(where), id(inputs))
        if key not in self._places:
            self._kept += (timing.plan, where, inputs)  # an identity holds only while the object lives
            self._places[key] = (*_described(timing, where), *inputs)
        return self._places[key]


def _is_known(timing: TimingView) -> bool:
    return bool(timing.log_medians) and all(map(math.isfinite, timing.log_medians))


def _energy(energy: Energy, conditions: Conditions) -> Figure | str:
    """Returns the joules of a call, the idle share included, or why they do not enter a ranking."""
    if not energy.ranks:
        return f"its energy is {energy.source}, which is no measurement"
    found = call_energy(energy)
    if found is None:
        return "no window of its energy holds a call"
    joules = found.joules
    if not joules.estimate > 0:
        return f"its energy is {joules.estimate:g} J: the counter did not count"
    evidence = Exact(joules.estimate, joules.half_width) if math.isfinite(joules.half_width) else None
    source = (("energy", f"{energy.source}: {energy.covers}"), *conditions)
    return Figure(joules.estimate, source, evidence=evidence, notes=energy.notes)


def _doubts(timing: TimingView) -> tuple[Note, ...]:
    """Returns why a time may not be the model's own; one text for all models, so that their names are gathered."""
    if timing.converged and timing.died is None and not timing.notes:
        return ()
    unsteady = any(note.code == "not-steady" for note in timing.notes)
    doubts = (
        (not timing.converged, "its precision was not reached within its budget"),
        (timing.died is not None, "a process died while it was timed"),
        (unsteady, "its calls were not steady"),
    )
    return tuple(Note("not-converged", "latency", text) for holds, text in doubts if holds)


def _setting(timing: TimingView) -> tuple[object, ...]:
    return timing.plan, timing.threads, timing.samples


def _described(timing: TimingView, where: Environment | None) -> Conditions:
    plan = timing.plan
    found = [("device", plan.device), ("precision", plan.precision), ("threads", str(timing.threads))]
    if timing.samples is not None:
        found.append(("batch", str(timing.samples)))
    # What is as it is by default needs no word, but differs from what is not.
    special = [field.name for field in fields(plan) if field.name not in ("device", "precision", "threads", "batch")]
    found += [(_WORDS.get(name, name), _text(getattr(plan, name))) for name in special]
    if where is not None:
        found += [(_FACTS.get(name, name), text) for name, text in where.fingerprint(plan.device)]
    return tuple(found)


_WORDS = {"memory_format": "memory format", "cold_cache": "cold cache", "captured": "CUDA graph"}
_FACTS = {"device": "accelerator"}
"""The machine's device is its GPU's name; the plan's is where the model ran."""


def _text(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _stated(speed: SpeedFigure, published: Published) -> Found:
    """Returns a published speed: seconds for one sample, in batches that may not be said."""
    given = (
        ("device", speed.device),
        ("precision", speed.precision),
        ("threads", speed.threads),
        ("batch", speed.batch),
        ("torch", speed.torch),
        ("input", published.conditions.get("input")),
    )
    conditions = tuple([(name, str(value)) for name, value in given if value is not None])
    if not (math.isfinite(speed.seconds) and speed.seconds > 0):
        why = f"its published time is {speed.seconds} s"
        return {}, {"latency": why, "throughput": why}
    evidence = stated_time(speed)
    known = evidence if has_spread(evidence) else None
    rate = Figure(1 / speed.seconds, conditions, direction="higher", source="published", evidence=known)
    if speed.batch is None:
        return {"throughput": rate}, {"latency": "its published time is that of one sample in batches of unknown size"}
    call = Figure(speed.seconds * speed.batch, conditions, source="published", evidence=known)
    return {"latency": call, "throughput": rate}, {}
