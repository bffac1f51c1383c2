"""`effbench time` as a pipeline: the batch is found, the models timed, and what was asked for beside measured after."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from effbench.api import load
from effbench.documents.time import batch_part, energy_part, timing_document, training_part
from effbench.errors import InputError, Interrupted, ModelError
from effbench.judge.plausible import wall_verdict
from effbench.judge.roofline_document import roofline_document
from effbench.judge.timings import estimate
from effbench.measure.machine.counters import nvml_energy, rapl
from effbench.measure.machine.energy import Counter, measure_energy
from effbench.measure.machine.nvml import open_nvml
from effbench.measure.timing.candidates import ROUNDS, Confirmed, confirmed
from effbench.measure.timing.entrant import Died
from effbench.measure.timing.patience import Patience
from effbench.measure.timing.throughput import Measured, best_batch, host_limit_bytes
from effbench.records import Energy, NoEnergy, Note, Peaks, Record, StopRule, Timing, TimingPlan
from effbench.records.timing import INTERRUPTED
from effbench.store import Store
from effbench.timings import Timed, time_entrants, watch_here

if TYPE_CHECKING:
    from effbench.measure.source import Loaded
    from effbench.measure.timing.run import Progress
    from effbench.measure.timing.worker import Worker

Say = Callable[[str], None]
NO_ROOFLINE = "no-roofline"
"""The code of the Note on a model whose roofline could not be had, with the reason."""

_CALLS_S = 0.05
"""While a counter counts, a process is asked for calls of about so long together: asking takes 0.1 ms."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted beside the times."""

    throughput: bool = False
    roofline: bool = False
    energy: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """What `effbench time` measured.

    Attributes:
        extras: further entries of each model's document. notes: further notes.
        refused: by model, why its times are no measurement.
    """

    timed: Timed
    specs: tuple[str, ...]
    sources: tuple[Worker, ...]
    seed: int
    extras: tuple[Mapping[str, Any], ...]
    refused: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()

    def document(self) -> dict[str, Any]:
        """Returns the document; a refused model has its raw samples and no figures."""
        return timing_document(self.timed, self.specs, self.seed, self.extras, self.notes, self.refused)

    def unfinished(self) -> tuple[str, ...]:
        """Returns a line for each model whose interval did not become narrow enough, that died or has no roofline."""
        times = tuple(
            timing.died or f"{timing.model}: not converged: raise --budget, --rounds or --half-width"
            for timing in self.timed.timings
            if not timing.converged
        )
        return (*times, *(f"{note.subject}: no roofline" for note in self.notes if note.code == NO_ROOFLINE))

    def record(self, folder: Path) -> None:
        """Adds the times of every model that lived and was not refused to its record.

        Raises:
            InputError: the folder cannot be written to.
        """
        for timing, worker in zip(self.timed.timings, self.sources, strict=True):
            if timing.runs and timing.model not in self.refused:
                model = _loaded(worker)
                entry = Record(model.name, model.spec, timings=(timing,), environment=self.timed.environment)
                Store(folder).save(entry)


def run_time(
    workers: Sequence[Worker],
    rule: StopRule,
    seed: int,
    wanted: Wanted,
    say: Say,
    on_round: Callable[[Progress], None] | None = None,
) -> Done:
    """Returns the times of models, each check made and everything wanted measured.

    Raises:
        InputError: a spec names no model, or the plan cannot be had. ModelError: a search for a batch failed.
        Interrupted: somebody ended it when a round was finished already; what was measured so far is kept.
    """
    extras: list[dict[str, Any]] = [{} for _ in workers]
    entrants = list(workers)
    if wanted.throughput:
        for place, worker in enumerate(workers):
            found = best_batch_of(worker, say, seed)
            extras[place] |= batch_part(found)
            entrants[place] = replace(worker, plan=replace(worker.plan, batch=found.best.batch))

    def done(timed: Timed) -> Done:
        specs = tuple(worker.model.spec for worker in workers)
        return Done(timed, specs, tuple(entrants), seed, tuple(extras), *_against_the_wall(timed))

    try:
        timed = time_entrants(entrants, rule, seed, on_round=on_round)
    except Interrupted as stop:
        raise Interrupted(done(stop.kept), stop) from stop
    return _with_extras(done(timed), wanted, say)


def _with_extras(done: Done, wanted: Wanted, say: Say) -> Done:
    """Returns what was measured with what was wanted beside the times."""
    extras, refused, notes = [dict(extra) for extra in done.extras], dict(done.refused), done.notes
    peaks: Peaks | None = None
    drawn: dict[str, Energy] = {}
    try:
        for timing, worker, extra in zip(done.timed.timings, done.sources, extras, strict=True):
            median_s = estimate(timing).median_s
            if median_s is None:
                continue
            if worker.plan.runs == "training":
                extra |= _training(worker, median_s)
            if wanted.roofline:
                peaks = peaks or _peaks(worker.plan, timing, done.timed, say)
                try:
                    part, more, why = _roofline(worker, timing, median_s, peaks, say)
                except (InputError, ModelError) as error:  # the times are whole all the same
                    part, more, why = {}, (Note(NO_ROOFLINE, timing.model, str(error)),), None
                extra |= part
                notes = (*notes, *more)
                refused |= {timing.model: why} if why else {}
            if wanted.energy:
                say(f"measuring the energy of {worker.name}: over a minute")
                joules = energy_of(worker, counter_for(worker.plan), median_s)
                extra |= energy_part(joules)
                drawn |= {timing.model: joules} if isinstance(joules, Energy) else {}
    except KeyboardInterrupt as stop:
        told = Note(INTERRUPTED, "", "interrupted after the times: what was to be measured beside them is not complete")
        kept = replace(_with_energy(done, drawn), extras=tuple(extras), refused=refused, notes=(*notes, told))
        raise Interrupted(kept, stop) from stop
    return replace(_with_energy(done, drawn), extras=tuple(extras), refused=refused, notes=notes)


def _with_energy(done: Done, drawn: Mapping[str, Energy]) -> Done:
    """Returns what was measured with the energy of models by name, which their records keep beside their times."""
    timings = tuple(replace(timing, energy=drawn.get(timing.model)) for timing in done.timed.timings)
    return replace(done, timed=replace(done.timed, timings=timings))


def best_batch_of(worker: Worker, say: Say = lambda text: None, seed: int = 0) -> Confirmed:
    """Returns a model's batch of the highest throughput within the memory that is free: searched, then confirmed.

    What was measured while something disturbed it is measured once more, while that helps: of the search the better of
    the two is kept, of the rounds that confirm it the second.

    Raises:
        InputError: its inputs cannot be repeated. ModelError: its process ended, or no batch fits into memory.
    """
    limit = host_limit_bytes() if worker.plan.device == "cpu" else None
    measured = Measured(lambda plan: replace(worker, plan=plan, memory="marks"), worker.plan, limit)
    watch = watch_here([worker.plan])[0]

    patience = Patience()

    def watched(batch: int) -> tuple[float, bool]:
        watch.restart()
        return measured(batch), bool(watch().tainted)

    def taken(batch: int) -> list[float]:
        reached, tainted = watched(batch)
        if not patience.wants_again(tainted):
            return [reached]
        second, tainted = watched(batch)
        patience.saw_again(tainted)
        return [reached, second]

    def told(batch: int) -> float:
        say(f"{worker.name}: trying batch {batch}")
        return max(taken(batch))

    def again(batch: int) -> float:
        return taken(batch)[-1]

    def in_rounds(number: int, batches: Sequence[int]) -> None:
        say(f"{worker.name}: batches {', '.join(map(str, batches))} again, round {number + 1} of {ROUNDS}")

    try:
        return confirmed(best_batch(told), again, random.Random(seed), in_rounds)
    except Died as death:
        why = str(death).removeprefix(f"{worker.name}: ")
        raise ModelError(f"{worker.name}: its best batch cannot be found: {why}") from death


def counter_for(plan: TimingPlan) -> Counter | NoEnergy:
    """Returns the energy counter of a plan's device, or why there is none."""
    kind, _, _ = plan.device.partition(":")
    if kind == "cpu":
        return rapl(Path("/"))
    if kind != "cuda":
        return NoEnergy("nvml", f"effbench reads no energy counter of {kind} devices")
    nvml = open_nvml()
    states = () if isinstance(nvml, str) else nvml.states()
    if not isinstance(nvml, str) and len(states) != 1:
        return NoEnergy("nvml", f"this machine has {len(states)} GPUs, and which one {plan.device} is cannot be told")
    return nvml_energy(nvml, states[0].uuid if states else "", "the GPU")


def energy_of(worker: Worker, counter: Counter | NoEnergy, median_s: float) -> Energy | NoEnergy:
    """Returns what a model draws in a fresh process, or why that is not known: a process that ended is a reason too."""
    if isinstance(counter, NoEnergy):
        return counter
    times = max(1, round(_CALLS_S / median_s))
    session = worker.start(0)
    try:
        session.call(times)
        found = measure_energy(counter, lambda: session.call(times), time.perf_counter, time.sleep)
    except Died as death:
        return NoEnergy(counter.source, str(death))
    finally:
        session.close()
    if isinstance(found, NoEnergy):
        return found
    return replace(found, windows=tuple(replace(item, calls=item.calls * times) for item in found.windows))


def _against_the_wall(timed: Timed) -> tuple[dict[str, str], tuple[Note, ...]]:
    """Returns (by model, why it is refused; the warnings)."""
    refused: dict[str, str] = {}
    notes: list[Note] = []
    for timing in timed.timings:
        for found in wall_verdict(timing):
            notes.append(found.note)
            if found.refuses:
                refused[timing.model] = found.note.text
    return refused, tuple(notes)


def _training(worker: Worker, median_s: float) -> dict[str, Any]:
    from effbench.rooflines import step_macs

    return training_part(*step_macs(_loaded(worker), worker.plan), median_s)


def _peaks(plan: TimingPlan, timing: Timing, timed: Timed, say: Say) -> Peaks:
    from effbench.rooflines import PEAKS_S, peaks_here

    say(f"measuring what this machine reaches: {PEAKS_S:g} s")
    return peaks_here(plan, timing.threads, timed.environment, watch_here([plan])[0])


def _roofline(
    worker: Worker, timing: Timing, median_s: float, peaks: Peaks, say: Say
) -> tuple[dict[str, Any], tuple[Note, ...], str | None]:
    """Returns (the document's entry, notes, why the time is refused)."""
    from effbench.rooflines import ops_of

    say(f"timing the ops of {worker.name}")
    named = replace(_loaded(worker), name=worker.name)  # as the table of times has it
    found = ops_of(named, worker.plan, timing.threads, median_s, peaks)
    why = next((item.note.text for item in found.objections if item.refuses), None)
    notes = (*found.notes, *(item.note for item in found.objections), *peaks.notes, *_shaken(peaks))
    return {"roofline": roofline_document(found.roofline, timing.model, found.notes)}, notes, why


def _shaken(peaks: Peaks) -> tuple[Note, ...]:
    text = "the machine was disturbed while they were measured: they are lower bounds, and nothing is refused for them"
    return (Note("disturbed-peaks", "peaks", text),) if peaks.disturbed else ()


def _loaded(worker: Worker) -> Loaded:
    """Returns the model of a spec, loaded in this process."""
    from effbench.measure.source import runnable

    asked = worker.model
    return runnable(load(asked.spec, asked.args, asked.inputs, asked.unsafe))
