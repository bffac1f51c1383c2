"""`effbench profile`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from effbench.cli.options import RECORDS, Model, Out, WholeNumber, counting, one_model, reporting
from effbench.cli.texts import parse_error
from effbench.errors import InputError, UnknownName


@click.command()
@one_model
@click.option("--by", default="layer", show_default=True, help="Tables to print, of layer, type and op, with commas.")
@click.option("--depth", type=WholeNumber(min=0), metavar="N", help="Fold deeper layers into those above them.")
@counting
@click.option("--sparsity", is_flag=True, help="Count the MACs whose weight is not zero, too; needs the weights.")
@click.option("--measure-memory", is_flag=True, help="Measure the peak of the CPU allocator, too; runs the model.")
@click.option("--strict", is_flag=True, help="End with code 3 where an op has no formula.")
@click.option("--name", metavar="TEXT", help="What tables and the record call the model.")
@click.option("--record", metavar="DIR", type=RECORDS, help="Add the trace to the model's record there.")
@click.option(
    "--error", metavar="NAME=VALUE:UNIT", multiple=True, help="A known error, kept with --record; repeatable."
)
@reporting
def profile(
    model: Model,
    by: str,
    depth: int | None,
    convention: str,
    sparsity: bool,
    measure_memory: bool,
    strict: bool,
    name: str | None,
    record: Path | None,
    error: Sequence[str],
    out: Out,
) -> None:
    """Params, MACs, FLOPs, output shapes and memory per layer."""
    from effbench.report.profile import profile_report

    groupings = _groupings(by)
    if depth is not None and "layer" not in groupings:
        raise InputError(f"--depth folds the table of layers, which --by {by} leaves out: add layer to it")
    errors = dict(parse_error(text, "--error") for text in error)
    if errors and record is None:
        raise InputError("--error states what a record keeps: say which with --record DIR")
    made = model.profiled(out, convention, ("nonzeros",) if sparsity else ())
    if name is not None:
        made = replace(made, name=name)
    if measure_memory:
        with out.progress(f"measuring the memory of {model.spec}"):
            made = made.with_measured_memory()
    if record is not None:
        from effbench.api import record as add_to_record

        add_to_record(made, record, errors)
    out.emit(profile_report(made.to_dict(), groupings, depth))
    if strict:
        made.complete()


def _groupings(by: str) -> list[str]:
    """Returns the tables asked for.

    Raises:
        UnknownName: there is no such table.
    """
    from effbench.report.profile import GROUPINGS

    found = by.split(",")
    for grouping in found:
        if grouping not in GROUPINGS:
            raise UnknownName("grouping", grouping, GROUPINGS)
    return found
