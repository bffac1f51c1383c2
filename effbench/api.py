"""The pipeline, one function a stage: load → trace → count, and the sources that `effbench.rankings` ranks.

This is what `import effbench as eb` offers; the command line is a thin layer over it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from effbench.errors import CheckFailed, InputError, ModelError, no_exit
from effbench.judge.convention import conventions
from effbench.profiles import Profile
from effbench.records import ErrorFigure, Fact, Note, Record, Trace
from effbench.store import Store, Stored

if TYPE_CHECKING:
    from torch import nn

    from effbench.audits import Audit
    from effbench.measure.source import Source
    from effbench.suites.plan import Job, Suite
    from effbench.suites.published import Verdict, Witness


def load(
    spec: str, args: Mapping[str, Any] | None = None, inputs: Sequence[str] = (), unsafe_load: bool = False
) -> Source:
    """Returns the model that a spec names, with its inputs, ready to be profiled.

    Args:
        spec: "path/to/file.py:Name", "package.module:Name", "torchvision:resnet50", "timm:…", "hf:DIR", or a file
            that ends in .pt2, .pt, .onnx, .safetensors or .pth.
        args: constructor arguments, or entries of an hf: config.
        inputs: texts such as "1x3x224x224" or "ids:1x128:int64"; none takes the source's own default.
        unsafe_load: let a file run code of its own while it is read, as a pickled model does.

    Raises:
        InputError: nothing is found there, or it cannot be told which model is meant, or the file is damaged.
        ModelError: the model's code ended the process.
    """
    from effbench.measure.load import load as load_spec

    with no_exit(spec):
        return load_spec(spec, args, inputs, unsafe_load)


def profile(
    model: nn.Module | Source | str,
    inputs: Any = (),
    kwargs: Mapping[str, Any] | None = None,
    convention: str = "macs",
    strict: bool = False,
    facts: Sequence[Fact] = (),
) -> Profile:
    """Returns what a model costs for the given inputs; the model is left as it was.

    Args:
        model: a module, a spec, or what `load` returned (whose own inputs are then used).
        inputs: a tuple or list of the positional arguments of forward, or a single one.
        kwargs: its keyword arguments.
        convention: the way of counting, one of `effbench list conventions`.
        strict: raise where an op has no formula, instead of giving None for the total.
        facts: what else to record: "nonzeros" counts the weights that are not zero, for `Profile.nonzero_macs`.

    Raises:
        InputError: the convention is unknown, or the spec names no model.
        ModelError: the model raised; `error.trace` holds what was recorded until then.
        Incomplete: `strict`, and an op has no formula.
    """
    conventions.get(convention)
    made = profile_loaded(as_source(model, inputs, kwargs), convention, facts=facts)
    return made.complete() if strict else made


def profile_loaded(
    loaded: Source, convention: str = "macs", also: Sequence[str] = (), facts: Sequence[Fact] = ()
) -> Profile:
    """Returns the profile of what a loader gave; of parameters alone it has no MACs and FLOPs.

    Args:
        loaded: a model that is run now, or a file that says itself what it does or holds.
        convention: the way of counting; its facts are recorded.
        also: further conventions that the trace will be counted under; theirs are recorded too.
        facts: what else to record.

    Raises:
        InputError: the convention does not count graphs that are read from files.
        ModelError: the model raised.
    """
    from effbench.measure.source import Traced

    if isinstance(loaded, Traced):
        if facts:
            why = "are counted while a model runs on its weights, and this one is read from a file and not run"
            raise InputError(f"{loaded.name}: {', '.join(facts)} {why}")
        return _readable(Profile(loaded.name, loaded.spec, loaded.trace, convention))
    from effbench.measure.trace import trace

    needs = frozenset(facts).union(*(conventions.get(name).needs for name in (convention, *also)))
    with no_exit(loaded.name):
        found = _whole(loaded.name, trace(loaded, needs=needs))
    made = Profile(loaded.name, loaded.spec, found, convention, loaded)
    return made if loaded.origin == "module" else _readable(made)


def _readable(made: Profile) -> Profile:
    """Returns the profile after counting it once: a graph has no count under another tool's convention."""
    assert made.counts
    return made


def _whole(name: str, trace: Trace) -> Trace:
    if trace.failed is not None:
        shapes = ", ".join(f"{'×'.join(map(str, item.shape))} {item.dtype}" for item in trace.inputs)
        raise ModelError(f"{name}: {trace.failed} (input {shapes or 'none'}; another one is given with --input)", trace)
    return trace


def as_source(model: nn.Module | Source | str, inputs: Any, kwargs: Mapping[str, Any] | None) -> Source:
    """Returns what a spec names, a module with its inputs, or what `load` returned as it is."""
    from effbench.measure.source import Loaded, ModelInputs, Traced, already_built

    if isinstance(model, str):
        model = load(model)
    if isinstance(model, Loaded | Traced):
        return model
    from torch import nn

    if isinstance(model, nn.Module):
        positional = tuple(inputs) if type(inputs) in (tuple, list) else (inputs,)
        given = ModelInputs(positional, dict(kwargs or {}))
        return Loaded(type(model).__name__, None, already_built(model), given)
    raise InputError(
        f"cannot profile a {type(model).__name__}: give an nn.Module, a spec, or what effbench.load returned"
    )


def assert_budget(
    model: nn.Module | Source | str, inputs: Any = (), *, params: int | None = None, macs: int | None = None
) -> None:
    """Returns nothing where a model stays within its budget; for a project's own tests.

    Raises:
        CheckFailed: it has more parameters or MACs than allowed.
        Incomplete: the MACs are unknown, because an op has no formula or there is no forward pass.
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


def read_folder(folder: str | Path) -> Sources:
    """Returns the records of a folder: `eb.rank(eb.read_folder("runs").records)`; InputError where there is none."""
    return Sources(*Store(Path(folder)).load())


def read_published(path: str | Path) -> Sources:
    """Returns the rows of a suite as records of what documents publish; nothing is run."""
    from effbench.suites.plan import read_suite

    suite = read_suite(Path(path))
    return Sources(tuple(Stored(_published_record(job), None, str(path)) for job in suite.models))


def _published_record(job: Job) -> Record:
    return Record(job.name, job.spec, published=job.published)


def check(path: Path, witness: Witness | None = None) -> tuple[Suite, Iterator[tuple[Job, tuple[Verdict, ...]]]]:
    """Returns a suite and, job by job as they are recomputed, the verdicts on its published figures.

    With `witness=real_tool`, the tools that the figures were made with are run beside.

    Raises:
        InputError: the suite cannot be read, or a model in it cannot be found.
        ModelError: a model of the suite raised.
    """
    from effbench.suites.plan import read_suite
    from effbench.suites.published import check as check_jobs

    suite = read_suite(path)
    return suite, check_jobs(suite, _trace_job, witness)


def _trace_job(job: Job) -> Trace:
    cost = job.published.cost if job.published is not None else None
    return profile_loaded(_load_job(job), also=() if cost is None else (cost.convention,)).trace


def _load_job(job: Job) -> Source:
    if job.spec is None:
        raise InputError(f"{job.name}: it has no spec to run")
    return load(job.spec, job.args, job.inputs)


def real_tool(job: Job, tool: str) -> int:
    """Returns the MACs that another tool itself gives for a suite's job.

    Raises:
        InputError: the tool is unknown, cannot be imported, or raised.
    """
    import effbench.measure.peers  # noqa: F401  fills the table of peers
    from effbench.measure.peer import Figures, peers, run_for_figures
    from effbench.measure.source import runnable

    chosen = peers.get(tool)
    given = run_for_figures(chosen, runnable(_load_job(job)))
    if isinstance(given, Figures):
        return given.macs
    return given // 2 if chosen.unit == "FLOP" else given


def profiled(source: str) -> Stored:
    """Returns the record of a model that a spec names, profiled now.

    Raises:
        InputError: it names none. ModelError: the model raised.
    """
    from effbench.measure.load import names_a_model

    if not names_a_model(source):
        raise InputError(f"{source}: no such folder of records; a suite ends in .yaml, a model is path/to/file.py:Name")
    made = profile_loaded(load(source))
    return Stored(Record(made.name, made.spec, notes=made.trace.notes), made.trace)


def audit(
    model: nn.Module | Source | str,
    inputs: Any = (),
    kwargs: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Audit:
    """Returns one model under every convention, the real tools run beside, each difference from `macs` explained.

    Args:
        model: a module, a spec, or what `load` returned. inputs, kwargs: as for `profile`.
        say: told which tool is being run.

    Raises:
        InputError: the spec names no model. ModelError: the model raised.
    """
    from effbench.audits import audit as audit_loaded
    from effbench.measure.source import runnable

    loaded = runnable(as_source(model, inputs, kwargs))
    return audit_loaded(loaded, profile_loaded(loaded, also=conventions.names()), say)
