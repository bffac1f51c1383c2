"""Timing as a pipeline: specs → workers → timed in turns, with what the machine and the processes said of it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias

from effbench.errors import InputError, Interrupted
from effbench.judge.timings import Estimate, estimate
from effbench.measure.machine.hardware import read_cpu
from effbench.measure.machine.interference import Watch, unwatched
from effbench.measure.machine.nvml import open_nvml
from effbench.measure.machine.readings import reader
from effbench.measure.timing.entrant import Died, Entrant, Now, Session, Wrapped
from effbench.measure.timing.rounds import Interference
from effbench.measure.timing.run import Progress, timed
from effbench.measure.timing.wire import Asked
from effbench.measure.timing.worker import Place, Worker
from effbench.records import Note, StopRule, Timing, TimingPlan
from effbench.records.environment import Environment

if TYPE_CHECKING:
    from torch import nn

    from effbench.measure.timing.live import Memory


Model: TypeAlias = "str | tuple[nn.Module, Any]"
"""A spec, or a model object with its inputs."""


@dataclass(frozen=True, slots=True)
class Timed:
    """What was measured of one or more models, and where.

    Attributes:
        timings: in the order of the models; each has its own notes, those of its processes among them.
        environment: as a process of the first model that lived saw it.
        notes: what could not be watched on this machine.
        environments: of each model by name, as a process of its own saw it; one that told nothing is left out.
    """

    timings: tuple[Timing, ...]
    environment: Environment
    notes: tuple[Note, ...] = ()
    environments: Mapping[str, Environment] = field(default_factory=dict)

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        """Returns what the times say, model by model."""
        return tuple(map(estimate, self.timings))


def time(
    models: Model | Sequence[Model],
    plan: TimingPlan | None = None,
    rule: StopRule | None = None,
    *,
    args: Mapping[str, Any] | None = None,
    inputs: Sequence[str] = (),
    seed: int = 0,
    on_round: Callable[[Progress], None] | None = None,
) -> Timed:
    """Returns the times of one or more models that took turns, with an interval for each in `estimates`.

    Args:
        models: each a spec, timed in fresh processes, or a (model, inputs) pair, timed in this one.
        plan: device, batch, precision, threads, …
        rule: when enough was measured.
        args, inputs: of the specs, as for `load`.
        seed: of the order of processes and calls.
        on_round: told where the run stands after each round.

    Raises:
        InputError: a spec names no model, a model cannot be copied, or the plan or rule cannot be kept.
    """
    given = [models] if isinstance(models, str | tuple) else list(models)
    chosen = plan or TimingPlan()
    specs = [each for each in given if isinstance(each, str)]
    fresh = iter(workers(specs, args, inputs, chosen, memory="exact" if chosen.device == "cpu" else "marks"))
    objects = iter(_objects([each for each in given if not isinstance(each, str)], chosen))
    entrants = [next(fresh) if isinstance(each, str) else next(objects) for each in given]
    return time_entrants(entrants, rule or StopRule(), seed, on_round=on_round)


def _objects(pairs: Sequence[tuple[nn.Module, Any]], plan: TimingPlan) -> list[Entrant]:
    from effbench.api import as_source
    from effbench.measure.source import runnable
    from effbench.measure.timing.live import InProcess

    loaded = [runnable(as_source(model, given, None)) for model, given in pairs]
    names = _numbered([each.name for each in loaded])
    return [InProcess(name, each, plan) for name, each in zip(names, loaded, strict=True)]


def time_entrants(
    entrants: Sequence[Entrant],
    rule: StopRule,
    seed: int = 0,
    now: Now = perf_counter,
    on_round: Callable[[Progress], None] | None = None,
    watch: Interference | None = None,
) -> Timed:
    """Returns what was measured of each model, with the environment that one of its processes saw.

    Args:
        entrants: at least one; the first is what the others are compared with.
        rule: when enough was measured.
        seed: of the order of processes and calls.
        now: the clock for budget and wall times.
        on_round: told where the run stands after each round.
        watch: what disturbs a round; None reads this machine's counters. `Disturbance` itself says "nothing".

    Raises:
        InputError: no model was given, a spec names none, or the rule cannot be kept.
        Interrupted: somebody ended it when a round was finished already; what was measured so far is kept.
    """
    heard = _Heard()
    notes: tuple[Note, ...] = ()
    if watch is None:
        watch, notes = watch_here(entrant.plan for entrant in entrants)
    try:
        found = timed([_Listening(entrant, heard) for entrant in entrants], rule, seed, now, on_round, watch)
    except Interrupted as stop:
        raise Interrupted(heard.all_said(stop.kept, notes), stop) from stop
    return heard.all_said(found, notes)


def workers(
    specs: Sequence[str],
    args: Mapping[str, Any] | None = None,
    inputs: Sequence[str] = (),
    plan: TimingPlan | None = None,
    places: Sequence[Place] = (),
    unsafe: bool = False,
    plugins: Sequence[str] = (),
    memory: Memory = "marks",
) -> tuple[Worker, ...]:
    """Returns an entrant for each spec, timed in fresh processes; two equal specs get names that differ.

    Args:
        specs: as for `effbench.load`.
        args, inputs, unsafe, plugins: as for `effbench.load`, the same for all of them.
        plan: what is timed.
        memory: "exact" adds what a CPU's allocator gave at most, read in one more call of each process.
        places: where each runs; none runs all in this interpreter and folder, one holds for all.

    Raises:
        InputError: there are neither no places, nor one, nor one for each spec.
    """
    if len(places) not in (0, 1, len(specs)):
        raise InputError(f"{len(specs)} models and {len(places)} places: give one place, or one for each model")
    where = tuple(places) if len(places) == len(specs) else (*places, Place())[:1] * len(specs)
    chosen = plan or TimingPlan()
    return tuple(
        Worker(name, Asked(spec, dict(args or {}), tuple(inputs), unsafe, tuple(plugins)), chosen, place, memory)
        for name, spec, place in zip(names_apart(specs), specs, where, strict=True)
    )


def names_apart(specs: Sequence[str]) -> tuple[str, ...]:
    """Returns a name for each spec: its last part, all of it where others end alike, numbered where it comes twice."""
    ends = {spec: (spec.rpartition(":")[2] if ":" in spec else Path(spec).name) or spec for spec in specs}
    return _numbered([end if list(ends.values()).count(end) == 1 else spec for spec in specs for end in [ends[spec]]])


def _numbered(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(
        name if names.count(name) == 1 else f"{name} #{names[: place + 1].count(name)}"
        for place, name in enumerate(names)
    )


def watch_here(plans: Iterable[TimingPlan]) -> tuple[Watch, tuple[Note, ...]]:
    """Returns (what tells disturbances of this machine, a Note for each kind that it gives no sign of)."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = read_cpu(Path("/"), frozenset(affinity(0)) if affinity else None).available_physical
    on_cuda = any(plan.device.startswith("cuda") for plan in plans)
    nvml = open_nvml() if on_cuda else None
    read = reader(cores, None if isinstance(nvml, str) else nvml)
    return Watch(read), unwatched(read(), nvml if isinstance(nvml, str) else None)


def run_of(timings: Sequence[Timing]) -> str:
    """Returns a name for the run of models that took turns, a digest of all their times; "" for a model alone."""
    if len(timings) < 2:
        return ""
    told = hashlib.blake2b(digest_size=8)
    for timing in timings:
        told.update(repr([timing.model, [(run.round, run.samples_s) for run in timing.runs]]).encode())
    return told.hexdigest()


# What the processes say


@dataclass(slots=True)
class _Heard:
    """What the sessions of a run said beside their times, by model: notes, samples and environments."""

    notes: dict[str, list[Note]] = field(default_factory=dict)
    samples: dict[str, int | None] = field(default_factory=dict)
    environments: dict[str, Environment] = field(default_factory=dict)

    def all_said(self, found: Sequence[Timing], notes: tuple[Note, ...]) -> Timed:
        """Returns what was measured with what the sessions said; where none told its environment, this process's."""
        first = next(iter(self.environments.values()), None)
        run = run_of(found)
        timings = tuple(replace(self.added(timing), run=run) for timing in found)
        return Timed(timings, first or _environment_here(), notes, self.environments)

    def added(self, timing: Timing) -> Timing:
        """Returns a timing with what the sessions of its model said, each thing once."""
        told = dict.fromkeys(self.notes.get(timing.model, ()))
        return replace(timing, notes=(*told, *timing.notes), samples=self.samples.get(timing.model))


@dataclass(frozen=True, slots=True)
class _Listening(Wrapped):
    """An entrant whose sessions are listened to."""

    heard: _Heard

    def start(self, number: int) -> Session:
        return _Heeded(self.name, self.entrant.start(number), self.heard)


@dataclass(frozen=True, slots=True)
class _Heeded:
    """A session that is asked for its environment when its calls are done, so that no time holds the asking."""

    model: str
    session: Session
    heard: _Heard

    def ready(self) -> None:
        self.session.ready()
        self.heard.notes.setdefault(self.model, []).extend(getattr(self.session, "notes", ()))
        self.heard.samples[self.model] = getattr(self.session, "samples", None)

    @property
    def threads(self) -> int:
        return self.session.threads

    @property
    def wall_s(self) -> float | None:
        own: float | None = getattr(self.session, "wall_s", None)
        return own

    def call(self, times: int) -> tuple[float, ...]:
        return self.session.call(times)

    def rest(self) -> None:
        self.session.rest()

    def peak_bytes(self) -> tuple[tuple[str, int], ...]:
        peaks = self.session.peak_bytes()
        ask = getattr(self.session, "environment", None)
        if self.model not in self.heard.environments and ask is not None:
            try:
                self.heard.environments[self.model] = ask()
            except Died:
                return peaks  # its times are whole; another process is asked
        return peaks

    def close(self) -> None:
        self.session.close()


def _environment_here() -> Environment:
    """Returns this process's environment: models were timed in it, or none lived to tell."""
    from effbench.measure.machine.environment import environment

    return environment()
