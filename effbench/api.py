"""The pipeline, one function a stage: load → trace → count → score → rank → report.

This is what `import effbench as eb` offers; the command line is a thin layer over it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from effbench.errors import CheckFailed, InputError, ModelError, UnknownName
from effbench.judge.convention import conventions
from effbench.judge.rank import Candidate, Ranking
from effbench.judge.rank import rank as rank_candidates
from effbench.judge.scores import scores
from effbench.profiles import Profile
from effbench.records import CostFigure, ErrorFigure, Note, Published, Record, Trace
from effbench.store import Store, Stored
from effbench.suites.plan import Job, Suite, read_suite
from effbench.suites.published import Verdict, Witness
from effbench.suites.published import check as check_jobs
from effbench.units import Unit, parse_cost, unit_of

if TYPE_CHECKING:
    from torch import nn

    from effbench.measure.source import Loaded


def load(spec: str, args: Mapping[str, Any] | None = None, inputs: Sequence[str] = ()) -> Loaded:
    """Returns the model that a spec names, with its inputs, ready to be profiled.

    Args:
        spec: "path/to/file.py:Name", "package.module:Name", "torchvision:resnet50", "timm:…".
        args: constructor arguments.
        inputs: texts such as "1x3x224x224" or "ids:1x128:int64"; none takes the source's own default.

    Raises:
        InputError: nothing is found there, or it cannot be told which model is meant.
    """
    from effbench.measure.load import load as load_spec

    return load_spec(spec, args, inputs)


def profile(
    model: nn.Module | Loaded | str,
    inputs: Any = (),
    kwargs: Mapping[str, Any] | None = None,
    convention: str = "macs",
    strict: bool = False,
) -> Profile:
    """Returns what a model costs for the given inputs; the model is left as it was.

    Args:
        model: a module, a spec, or what `load` returned (whose own inputs are then used).
        inputs: the positional arguments of forward, or a single tensor.
        kwargs: its keyword arguments.
        convention: the way of counting, one of `effbench list conventions`.
        strict: raise where an op has no formula, instead of giving None for the total.

    Raises:
        InputError: the convention is unknown, or the spec names no model.
        ModelError: the model raised; `error.trace` holds what was recorded until then.
        Incomplete: `strict`, and an op has no formula.
    """
    conventions.get(convention)
    made = profile_loaded(_as_loaded(model, inputs, kwargs), convention)
    return made.complete() if strict else made


def profile_loaded(loaded: Loaded, convention: str = "macs") -> Profile:
    """Returns the profile of what a loader gave.

    Raises:
        ModelError: the model raised.
    """
    from effbench.measure.trace import trace

    return Profile(loaded.name, loaded.spec, _whole(loaded.name, trace(loaded)), convention)


def _whole(name: str, trace: Trace) -> Trace:
    if trace.failed is not None:
        shapes = ", ".join(f"{'×'.join(map(str, item.shape))} {item.dtype}" for item in trace.inputs)
        raise ModelError(f"{name}: {trace.failed} (input {shapes or 'none'}; another one is given with --input)", trace)
    return trace


def _as_loaded(model: nn.Module | Loaded | str, inputs: Any, kwargs: Mapping[str, Any] | None) -> Loaded:
    from torch import Tensor, nn

    from effbench.measure.source import Loaded, ModelInputs, already_built

    if isinstance(model, str):
        model = load(model)
    if isinstance(model, nn.Module):
        positional = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
        given = ModelInputs(positional, dict(kwargs or {}))
        return Loaded(type(model).__name__, None, already_built(model), given)
    if isinstance(model, Loaded):
        return model
    raise InputError(
        f"cannot profile a {type(model).__name__}: give an nn.Module, a spec, or what effbench.load returned"
    )


def assert_budget(
    model: nn.Module | Loaded | str, inputs: Any = (), *, params: int | None = None, macs: int | None = None
) -> None:
    """Returns nothing where a model stays within its budget; for a project's own tests.

    Raises:
        CheckFailed: it has more parameters or MACs than allowed.
        Incomplete: an op has no formula, so that the MACs are unknown.
    """
    made = profile(model, inputs, strict=macs is not None)
    for what, allowed, found in (("parameters", params, made.params), ("MACs", macs, made.macs)):
        if allowed is not None and found is not None and found > allowed:
            raise CheckFailed(f"{made.name}: {found:,} {what} are over the budget of {allowed:,}")


def record(made: Profile, folder: Path, errors: Mapping[str, ErrorFigure] | None = None) -> Path:
    """Returns the path of the model's record, after adding the trace and the stated errors to it.

    Raises:
        InputError: the folder cannot be written to.
    """
    entry = Record(made.name, made.spec, made.trace.digest(), dict(errors or {}), None, made.trace.notes)
    return Store(folder).save(entry, made.trace)


@dataclass(frozen=True, slots=True)
class Sources:
    """What a ranking reads, and notes on what could not be read."""

    records: tuple[Stored, ...]
    notes: tuple[Note, ...] = ()


def read_folder(folder: Path) -> Sources:
    """Returns the records of a folder."""
    return Sources(*Store(folder).load())


def read_published(path: Path) -> Sources:
    """Returns the rows of a suite as records of what documents publish; nothing is run."""
    suite = read_suite(path)
    return Sources(tuple(Stored(_published_record(job), None) for job in suite.models))


def _published_record(job: Job) -> Record:
    return Record(job.name, job.spec, published=job.published)


def rank(
    records: Sequence[Stored],
    metric: str | None = None,
    score: str = "params_flops_exp",
    convention: str = "macs",
) -> Ranking:
    """Returns the leaderboard of records.

    Args:
        records: what `read_folder` or `read_published` gave, or made from profiles.
        metric: the error that the score reads; None takes the one that all of them state, if there is one.
        score: one of `effbench list scores`.
        convention: how FLOPs are counted; a figure published under another one is left out and named.

    Raises:
        InputError: the score, convention or metric is unknown, several metrics could be meant, or no record
            can be ranked; the reasons are given.
    """
    chosen = scores.get(score)
    conventions.get(convention)
    chosen_metric = _metric(records, metric)
    candidates = [_candidate(stored, chosen_metric, convention) for stored in records]
    ranking = rank_candidates(candidates, chosen, chosen_metric)
    if not ranking.rows:
        reasons = Counter(item.reason for item in ranking.excluded).most_common()
        told = "; ".join(f"{models} × {reason}" for reason, models in reasons) or "there are no models"
        raise InputError(f"nothing to rank by {chosen_metric} under {convention}: {told}")
    return ranking


def _metric(records: Sequence[Stored], asked: str | None) -> str:
    """Returns the metric asked for, else the only one stated, else the only one that every record states."""
    stated = [set(_errors(stored.record)) for stored in records]
    known = sorted(set().union(*stated))
    if not known:
        raise InputError("no record states an error: give one with --error-of MODEL=VALUE:UNIT")
    if asked is not None and asked not in known:
        raise UnknownName("error", asked, known)
    for candidates in ([asked] if asked else [], known, set.intersection(*stated)):
        if len(candidates) == 1:
            return next(iter(candidates))
    raise InputError(f"say which error to rank by, with --error NAME: {', '.join(known)}")


def _errors(entry: Record) -> Mapping[str, ErrorFigure]:
    published = entry.published.errors if entry.published is not None else {}
    return {**published, **entry.errors}


def _candidate(stored: Stored, metric: str, convention: str) -> Candidate:
    entry = stored.record
    error = _errors(entry).get(metric)
    if stored.trace is not None:
        made = Profile(entry.name, entry.spec, stored.trace, convention)
        unknown = ", ".join(made.coverage.unknown)
        obstacle = f"FLOPs unknown: no formula for {unknown}" if unknown else ""
        return Candidate(entry.name, made.params, made.flops, error, "measured", obstacle)
    published = entry.published or Published()
    flops, obstacle = _published_flops(published.cost, convention)
    obstacle = "no parameters published" if published.params is None and not obstacle else obstacle
    return Candidate(entry.name, published.params, flops, error, "published", obstacle)


def _published_flops(cost: CostFigure | None, convention: str) -> tuple[int | None, str]:
    """Returns (FLOPs, "") or (None, why a published cost cannot stand in this ranking)."""
    if cost is None:
        return None, "no FLOPs published"
    if cost.convention != convention:
        return None, f"its FLOPs were counted by {cost.convention}, this ranking is by {convention}"
    try:
        amount = parse_cost(cost.value, cost.unit)
    except ValueError as error:
        return None, str(error)
    return amount * (2 if unit_of(cost.unit)[0] is Unit.MAC else 1), ""


def check(path: Path, witness: Witness | None = None) -> tuple[Suite, Iterator[tuple[Job, tuple[Verdict, ...]]]]:
    """Returns a suite and, job by job as they are recomputed, the verdicts on its published figures.

    With `witness=real_tool`, the tools that the figures were made with are run beside.

    Raises:
        InputError: the suite cannot be read, or a model in it cannot be found.
        ModelError: a model of the suite raised.
    """
    suite = read_suite(path)
    return suite, check_jobs(suite, _trace_job, witness)


def _trace_job(job: Job) -> Trace:
    return profile_loaded(_load_job(job)).trace


def _load_job(job: Job) -> Loaded:
    if job.spec is None:
        raise InputError(f"{job.name}: it has no spec to run")
    return load(job.spec, job.args, job.inputs)


def real_tool(job: Job, tool: str) -> int:
    """Returns the MACs that another tool itself gives for a suite's job.

    Raises:
        InputError: the tool is unknown, cannot be imported, or raised.
    """
    import effbench.measure.peers  # noqa: F401  fills the table of peers
    from effbench.measure.peer import peers, run_peer

    return run_peer(peers.get(tool), _load_job(job))


def gather(sources: Sequence[str], say: Callable[[str], None] = lambda text: None) -> Sources:
    """Returns the records that sources name: folders of records, suites, and specs, which are profiled now.

    Raises:
        InputError: a source is none of these. ModelError: a model raised.
    """
    records: list[Stored] = []
    notes: list[Note] = []
    for source in sources:
        say(f"reading {source}")
        found = _read_source(source)
        records += found.records
        notes += found.notes
    return Sources(_distinct(records), tuple(notes))


def _read_source(source: str) -> Sources:
    if source.endswith((".yaml", ".yml")):
        return read_published(Path(source))
    if Path(source).is_dir():
        return read_folder(Path(source))
    made = profile_loaded(load(source))
    return Sources((Stored(Record(made.name, made.spec, notes=made.trace.notes), made.trace),))


def _distinct(records: Sequence[Stored]) -> tuple[Stored, ...]:
    """Returns the records, those that share a name renamed after their spec."""
    names = [stored.record.name for stored in records]
    return tuple(
        replace(stored, record=replace(stored.record, name=stored.record.spec or stored.record.name))
        if names.count(stored.record.name) > 1
        else stored
        for stored in records
    )


def with_errors(
    records: Sequence[Stored], stated: Sequence[tuple[str, ErrorFigure]], metric: str
) -> tuple[Stored, ...]:
    """Returns the records with stated errors added; a model is named by its name, its spec or its file's stem.

    Raises:
        InputError: a statement names no model, or more than one.
    """
    found = list(records)
    for name, figure in stated:
        places = [index for index, stored in enumerate(found) if name in _labels(stored.record)]
        if len(places) != 1:
            known = ", ".join(stored.record.name for stored in found)
            many = "several models" if places else "no model"
            raise InputError(f"--error-of {name!r} names {many} of this ranking: {known}")
        entry = found[places[0]].record
        found[places[0]] = replace(found[places[0]], record=replace(entry, errors={**entry.errors, metric: figure}))
    return tuple(found)


def _labels(entry: Record) -> set[str]:
    file = (entry.spec or "").partition(":")[0]
    return {entry.name, entry.spec or entry.name, Path(file).stem or entry.name}
