"""The commands: each turns its words into one call of the pipeline and hands the report on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from effbench.cli.options import (
    Arg,
    Convention,
    Format,
    Input,
    Output,
    Plugin,
    Quiet,
    Spec,
    Strict,
    UnsafeLoad,
    import_plugins,
    parse_args,
    parse_error,
    parse_errors,
)
from effbench.errors import UnknownName

if TYPE_CHECKING:
    from effbench.profiles import Profile
    from effbench.suites.published import Verdict

app = typer.Typer(
    help="Say what a PyTorch model costs, how wrong it is, and which model is the best trade.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@app.callback()
def root(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error; stands anywhere.")] = False,
) -> None:
    """Say what a PyTorch model costs, how wrong it is, and which model is the best trade."""


@app.command()
def profile(
    spec: Spec,
    arg: Arg = None,
    input: Input = None,
    by: Annotated[str, typer.Option(help="Tables to print, of layer, type and op; several with commas.")] = "layer",
    depth: Annotated[int | None, typer.Option(min=0, help="Fold deeper layers into those above them.")] = None,
    convention: Convention = "macs",
    strict: Strict = False,
    record: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Add the trace to the model's record there.")
    ] = None,
    error: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE:UNIT", help="A known error, kept with --record; repeatable."),
    ] = None,
    format: Format = None,
    output: Output = None,
    quiet: Quiet = False,
    unsafe_load: UnsafeLoad = False,
    plugin: Plugin = None,
) -> None:
    """Params, MACs, FLOPs, output shapes and memory per layer."""
    from effbench.cli.output import chosen_format, emit
    from effbench.errors import InputError
    from effbench.report.profile import GROUPINGS, profile_report

    name = chosen_format(format, output)
    groupings = by.split(",")
    for grouping in groupings:
        if grouping not in GROUPINGS:
            raise UnknownName("grouping", grouping, GROUPINGS)
    errors = parse_errors(error, "--error")
    if errors and record is None:
        raise InputError("--error states what a record keeps: say which with --record DIR")
    made = _profile(spec, arg, input, convention, quiet, plugin, unsafe_load)
    if record is not None:
        from effbench.api import record as add_to_record

        add_to_record(made, record, errors)
    emit(profile_report(made.to_dict(), groupings, depth), name, output)
    if strict:
        made.complete()


@app.command()
def summary(
    spec: Spec,
    arg: Arg = None,
    input: Input = None,
    format: Format = None,
    output: Output = None,
    quiet: Quiet = False,
    unsafe_load: UnsafeLoad = False,
    plugin: Plugin = None,
) -> None:
    """The torchsummary report: same columns, order and totals."""
    from effbench.cli.output import chosen_format, emit
    from effbench.documents import summary_document
    from effbench.report.summary import summary_report

    name = chosen_format(format, output)
    made = _profile(spec, arg, input, "macs", quiet, plugin, unsafe_load)
    emit(summary_report(summary_document(made), name), name, output)


@app.command()
def explain(
    spec: Spec,
    layer: Annotated[str | None, typer.Option(metavar="PATH", help="Only this layer and what is below it.")] = None,
    arg: Arg = None,
    input: Input = None,
    convention: Convention = "macs",
    format: Format = None,
    output: Output = None,
    quiet: Quiet = False,
    unsafe_load: UnsafeLoad = False,
    plugin: Plugin = None,
) -> None:
    """The hand calculation of every layer: formula, numbers put in, result."""
    from effbench.cli.output import chosen_format, emit
    from effbench.documents import explain_document
    from effbench.report.explain import explain_report

    name = chosen_format(format, output)
    made = _profile(spec, arg, input, convention, quiet, plugin, unsafe_load)
    emit(explain_report(explain_document(made, layer), name), name, output)


@app.command()
def rank(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE…", help="Folders of records, suites (.yaml) or SPECs.")
    ],
    score: Annotated[str, typer.Option(metavar="NAME", help="See effbench list scores.")] = "params_flops_exp",
    error: Annotated[
        str | None, typer.Option(metavar="METRIC", help="The error that the score reads, by name.")
    ] = None,
    error_of: Annotated[
        list[str] | None, typer.Option(metavar="MODEL=VALUE:UNIT", help="A model's known error; repeatable.")
    ] = None,
    convention: Convention = "macs",
    format: Format = None,
    output: Output = None,
    quiet: Quiet = False,
    plugin: Plugin = None,
) -> None:
    """The leaderboard: rank, model, cost, error, score, and what each row would need to rise."""
    from effbench import api
    from effbench.cli.output import chosen_format, emit, progress
    from effbench.rankings import rank as rank_records
    from effbench.rankings import ranking_document, with_errors
    from effbench.report.rank import rank_report

    name = chosen_format(format, output)
    import_plugins(plugin)
    stated = [parse_error(text, "--error-of") for text in error_of or ()]
    with progress("reading", quiet) as say:
        found = api.gather(sources, say)
    records = with_errors(found.records, stated, error or "error")
    ranking = rank_records(records, error, score, convention)
    emit(rank_report(ranking_document(ranking, convention, found.notes)), name, output)


@app.command()
def check(
    suite: Annotated[Path, typer.Argument(metavar="SUITE.yaml", help="A suite with published figures.")],
    peers: Annotated[bool, typer.Option("--peers", help="Run the tools that the figures were made with, too.")] = False,
    format: Format = None,
    output: Output = None,
    quiet: Quiet = False,
    plugin: Plugin = None,
) -> None:
    """Recompute every published figure of a suite; code 1 where one differs."""
    from effbench import api
    from effbench.cli.output import chosen_format, emit, progress
    from effbench.documents import check_document
    from effbench.errors import CheckFailed
    from effbench.report.check import check_report

    name = chosen_format(format, output)
    import_plugins(plugin)
    plan, checked = api.check(suite, api.real_tool if peers else None)
    verdicts: list[Verdict] = []
    with progress(f"recomputing {plan.suite}", quiet) as say:
        for done, (job, found) in enumerate(checked, start=1):
            verdicts += found
            say(f"recomputed {done} of {len(plan.models)}: {job.name}")
    emit(check_report(check_document(plan.suite, verdicts)), name, output)
    wrong = [item for item in verdicts if item.verdict == "differs"]
    if wrong:
        raise CheckFailed(f"{len(wrong)} published figures differ, first {wrong[0].figure} of {wrong[0].model}")


@app.command()
def audit(
    spec: Spec,
    arg: Arg = None,
    input: Input = None,
    format: Format = None,
    output: Output = None,
    quiet: Quiet = False,
    unsafe_load: UnsafeLoad = False,
    plugin: Plugin = None,
) -> None:
    """Every convention side by side, the real tools run beside, each difference explained."""
    from effbench import api
    from effbench.audits import audit_document
    from effbench.cli.output import chosen_format, emit, progress
    from effbench.report.audit import audit_report

    name = chosen_format(format, output)
    args = parse_args(arg)
    import_plugins(plugin)
    with progress(f"profiling {spec}", quiet) as say:
        made = api.audit(api.load(spec, args, input or (), unsafe_load), say=say)
    emit(audit_report(audit_document(made)), name, output)


@app.command("list")
def list_(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="ops, conventions, loaders, peers, scores or formats.")],
    format: Format = None,
    output: Output = None,
    plugin: Plugin = None,
) -> None:
    """What is registered, with a line on each."""
    from effbench.cli.listing import entries
    from effbench.cli.output import chosen_format, emit
    from effbench.documents import listing_document
    from effbench.report.listing import listing_report

    name = chosen_format(format, output)
    import_plugins(plugin)
    emit(listing_report(listing_document(kind, entries(kind))), name, output)


def _profile(
    spec: str,
    arg: list[str] | None,
    given: list[str] | None,
    convention: str,
    quiet: bool,
    plugin: list[str] | None,
    unsafe_load: bool,
) -> Profile:
    """Returns the profile of a spec, saying so while it lasts."""
    from effbench.cli.output import progress
    from effbench.judge.convention import conventions

    args = parse_args(arg)
    import_plugins(plugin)
    import effbench.judge.conventions  # noqa: F401  an unknown convention is told before torch is loaded

    conventions.get(convention)
    with progress(f"profiling {spec}", quiet):
        from effbench import api

        return api.profile_loaded(api.load(spec, args, given or (), unsafe_load), convention)
