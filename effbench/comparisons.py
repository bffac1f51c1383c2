"""Two or more models beside each other: what each costs, which is faster, and the layers whose time changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from effbench.documents.compare import compare_document
from effbench.errors import InputError, Interrupted
from effbench.judge.convention import conventions
from effbench.judge.layer_changes import LayerChange, layer_changes
from effbench.judge.op_times import seconds_by_layer, seconds_by_path
from effbench.judge.timings import Estimate, disturbances, estimate
from effbench.judge.verdict import Comparison
from effbench.judge.verdict import compare as judged
from effbench.looks import looks_at
from effbench.measure.timing.entrant import Died
from effbench.measure.timing.look import Look
from effbench.measure.timing.run import Progress
from effbench.measure.timing.worker import Worker
from effbench.profiles import Profile
from effbench.records import ErrorFigure, Note, StopRule, Timing, TimingPlan
from effbench.records.environment import Environment
from effbench.timings import Timed, names_apart, time_entrants, workers
from effbench.unlike import environments_apart, inputs_apart, refuse_unlike_inputs

if TYPE_CHECKING:
    from torch import nn

    from effbench.measure.source import Source
    from effbench.measure.timing.live import InProcess

Errors = Mapping[str, Mapping[str, ErrorFigure]]
"""Known errors: by model, by the name of the error."""
Say = Callable[[str], None]

VERDICT = StopRule(until="verdict")
"""Measures until every model is known to be faster, slower or the same as the first."""

_TURNS, _PASSES = 6, 3
"""Layers are timed in so many turns, which take the models in one order and then the other, of so many passes."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One model of a comparison; None is unknown.

    Attributes:
        name: what tables call it. spec: where it came from; None for a model object.
        profile: its cost; None where it could not be run.
        errors: those that were stated of it, by name.
        environment: as a process of its own sees it.
        timing: what a clock read; None where nothing was timed.
    """

    name: str
    spec: str | None
    profile: Profile | None
    errors: Mapping[str, ErrorFigure]
    environment: Environment | None
    timing: Timing | None = None

    @property
    def estimate(self) -> Estimate | None:
        """Returns what its times say."""
        return None if self.timing is None else estimate(self.timing)


@dataclass(frozen=True, slots=True)
class Compared:
    """What a comparison found; the first model is what the others are compared with.

    Attributes:
        convention: how costs were counted.
        models: in the order given.
        verdicts: of each later model; empty where nothing was timed.
        layers: of each later model by name, what each layer's time was and became; empty where it was not asked for.
    """

    convention: str
    models: tuple[Contender, ...]
    verdicts: tuple[Comparison, ...] = ()
    layers: Mapping[str, tuple[LayerChange, ...]] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()

    @property
    def died(self) -> tuple[str, ...]:
        """Returns one line for each model that could not be run, or whose process ended."""
        told = [(one.name, one.timing.died) for one in self.models if one.timing is not None and one.timing.died]
        silent = {one.name for one in self.models if one.profile is None}.difference(name for name, _ in told)
        costs = [(note.subject, note.text) for note in self.notes if note.code == _NO_COST and note.subject in silent]
        return tuple(text if text.startswith(name) else f"{name}: {text}" for name, text in (*told, *costs))

    def to_dict(self) -> dict[str, Any]:
        """Returns the document that `effbench compare --format json` prints."""
        return compare_document(self)


_NO_COST = "not-profiled"


def compare(
    *models: nn.Module | Source | str,
    inputs: Any = (),
    kwargs: Mapping[str, Any] | None = None,
    plan: TimingPlan | None = None,
    rule: StopRule = VERDICT,
    timed: bool = True,
    layers: bool = False,
    convention: str = "macs",
    errors: Errors | None = None,
    seed: int = 0,
    mixed: bool = False,
) -> Compared:
    """Returns what the models cost, and whether each later one is faster than the first, slower or the same.

    Specs are loaded and timed in fresh processes; model objects in this one, so what differs between processes is not
    seen of them.

    Args:
        models: two or more specs, or two or more modules or things that `load` returned.
        inputs, kwargs: those of modules, as for `profile`.
        plan: what is timed. rule: when enough was measured.
        timed: False compares costs alone.
        layers: also time each layer, in passes of their own.
        convention: how to count.
        errors: known ones, by model (its name in the result, or its spec) and by the error's name.
        seed: of the order of processes and calls.

    Raises:
        InputError: fewer than two models, specs mixed with objects, a spec names no model, or inputs differ.
    """
    specs = [model for model in models if isinstance(model, str)]
    if len(specs) == len(models):
        return compare_entrants(workers(specs, plan=plan), rule, timed, layers, convention, errors, seed, mixed=mixed)
    if specs:
        raise InputError("compare specs with specs, or models with models: they are timed in different ways")
    here = _in_process(models, inputs, kwargs, plan or TimingPlan())
    return compare_entrants(here, rule, timed, layers, convention, errors, seed, mixed=mixed)


def compare_entrants(
    entrants: Sequence[Worker | InProcess],
    rule: StopRule = VERDICT,
    timed: bool = True,
    layers: bool = False,
    convention: str = "macs",
    errors: Errors | None = None,
    seed: int = 0,
    on_round: Callable[[Progress], None] | None = None,
    say: Say = lambda text: None,
    mixed: bool = False,
) -> Compared:
    """Returns what `compare` does, of models that are placed already; further arguments are told of progress.

    Raises:
        InputError: fewer than two models, a spec names none, the convention is unknown, or the rule cannot be kept.
        Interrupted: somebody ended the timing when a round was finished already; what is known by then is kept.
    """
    import effbench.judge.conventions  # noqa: F401  fills the table

    if len(entrants) < 2:
        raise InputError("a comparison needs two models or more")
    needs = conventions.get(convention).needs
    say(f"profiling {', '.join(entrant.name for entrant in entrants)}")
    with looks_at(entrants, needs) as looks:
        found = Compared(convention, *_costs(entrants, looks, convention, errors or {}))
        if not mixed:
            refuse_unlike_inputs(found.models)
        if layers:
            say("timing layers")
            found = _with_layers(found, looks, entrants[0].plan.runs == "training")
    if not timed:
        return found
    say("timing")
    try:
        return with_times(found, time_entrants(entrants, rule, seed, on_round=on_round))
    except Interrupted as stop:
        raise Interrupted(with_times(found, stop.kept), stop) from stop


def _in_process(
    models: Sequence[Any], inputs: Any, kwargs: Mapping[str, Any] | None, plan: TimingPlan
) -> tuple[InProcess, ...]:
    from effbench.api import as_source
    from effbench.measure.source import runnable
    from effbench.measure.timing.live import InProcess

    sources = [runnable(as_source(model, inputs, kwargs)) for model in models]
    names = names_apart([source.name for source in sources])
    return tuple(InProcess(name, replace(source, name=name), plan) for name, source in zip(names, sources, strict=True))


# What they cost


def _costs(
    entrants: Sequence[Worker | InProcess], looks: Sequence[Look | Died], convention: str, errors: Errors
) -> tuple[tuple[Contender, ...], tuple[Comparison, ...], dict[str, tuple[LayerChange, ...]], tuple[Note, ...]]:
    """Returns the models and, in the places of `Compared`, no verdicts, no layers and the notes."""
    made, notes = [], []
    for entrant, look in zip(entrants, looks, strict=True):
        spec = entrant.model.spec if isinstance(entrant, Worker) else entrant.loaded.spec
        known = {**errors.get(spec or entrant.name, {}), **errors.get(entrant.name, {})}
        if isinstance(look, Died):
            made.append(Contender(entrant.name, spec, None, known, None))
            notes.append(Note(_NO_COST, entrant.name, str(look).removeprefix(f"{entrant.name}: ")))
            continue
        profile = Profile(entrant.name, spec, look.trace, convention)
        assert profile.counts
        made.append(Contender(entrant.name, spec, profile, known, look.environment()))
        notes += [_of_model(note, entrant.name) for note in profile.notes]
    plan = entrants[0].plan
    apart = environments_apart(made, plan.device)
    return tuple(made), (), {}, (*notes, *_other_batch(plan), *inputs_apart(made), *_interpreters(entrants), *apart)


def _other_batch(plan: TimingPlan) -> tuple[Note, ...]:
    """Returns a Note where a batch was asked for, which the costs are not of."""
    if plan.batch is None:
        return ()
    return (Note("batch", "cost", f"costs are of the inputs as given, and times of batch {plan.batch}"),)


def _of_model(note: Note, name: str) -> Note:
    """Returns a note whose subject says which model it is about."""
    if not note.subject or note.subject == name:
        return replace(note, subject=name)
    return replace(note, subject=f"{name}, {note.subject}")


def _interpreters(entrants: Sequence[Worker | InProcess]) -> Iterator[Note]:
    """Gives each model's interpreter where not all have the same."""
    pythons = {entrant.name: entrant.place.command[0] for entrant in entrants if isinstance(entrant, Worker)}
    if len(set(pythons.values())) > 1:
        yield from (Note("interpreter", name, f"runs in {python}") for name, python in pythons.items())


# Which layers changed


def _with_layers(found: Compared, looks: Sequence[Look | Died], training: bool) -> Compared:
    seconds = _step_seconds if training else _pass_seconds
    alive = {name: look for name, look in zip(_names(found), looks, strict=True) if not isinstance(look, Died)}
    turns: dict[str, list[Mapping[str, float | None]]] = {name: [] for name in alive}
    for turn in range(_TURNS):
        for name in list(alive)[:: 1 if turn % 2 == 0 else -1]:
            turns[name].append(seconds(alive[name]))
    base, *others = _names(found)
    changes = {name: layer_changes(turns[base], turns[name]) for name in others if base in turns and name in turns}
    what = "training steps, its gradients' ops with its own," if training else "passes"
    text = (
        f"each op timed by itself, in {_TURNS} turns of {_PASSES} {what} beside the timed runs: what lies between ops "
        "is not in it, and one layer in 20 seems changed by chance"
    )
    return replace(found, layers=changes, notes=(*found.notes, Note("layer-times", "", text)))


def _pass_seconds(look: Look) -> Mapping[str, float | None]:
    return seconds_by_layer(look.trace, look.op_times(_PASSES))


def _step_seconds(look: Look) -> Mapping[str, float | None]:
    return seconds_by_path(look.step_times(_PASSES))


def _names(found: Compared) -> list[str]:
    return [one.name for one in found.models]


# Which is faster


def with_times(found: Compared, seen: Timed) -> Compared:
    """Returns a comparison with the times of its models, in their order, and the verdicts."""
    base, *others = seen.timings
    verdicts = tuple(judged(base, other) for other in others)
    models = tuple(
        replace(model, timing=timing, environment=model.environment or seen.environments.get(timing.model))
        for model, timing in zip(found.models, seen.timings, strict=True)
    )
    settled = {base.model, *(verdict.other for verdict in verdicts if verdict.verdict != "undecided")}
    told = [
        note
        for timing in seen.timings
        for note in timing.notes
        if not (note.code == "not-converged" and timing.model in settled)  # the last look may settle it yet
    ]
    return replace(
        found,
        models=models,
        verdicts=verdicts,
        notes=(*found.notes, *dict.fromkeys(told), *disturbances(seen.timings), *seen.notes),
    )
