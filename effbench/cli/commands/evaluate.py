"""`effbench evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from effbench.cli.data_options import Images, Reading, images, reading
from effbench.cli.evaluation_options import Files, Metrics, Model, files, metrics, model
from effbench.cli.options import RECORDS, Out, reporting
from effbench.errors import Incomplete, InputError

if TYPE_CHECKING:
    from effbench.evaluations import Choice, Evaluated


@click.command()
@model
@reading
@images
@files
@metrics
@click.option("--confusion", is_flag=True, help="Print the confusion matrix, too.")
@click.option("--allow-left-out", is_flag=True, help="End with code 0 where samples had to be left out.")
@click.option("--record", metavar="DIR", type=RECORDS, help="Add what was measured to the model's record there.")
@reporting
def evaluate(
    model: Model,
    reading: Reading,
    images: Images,
    files: Files,
    metrics: Metrics,
    confusion: bool,
    allow_left_out: bool,
    record: Path | None,
    out: Out,
) -> None:
    """The error, measured: of a model on data, or of predictions against targets."""
    from effbench.report.evaluate import evaluation_report

    if not (files.given or metrics.names) and (model.spec is None or reading.data is None):
        raise InputError(f"{_SOURCES}, and a metric, such as --metric top1; effbench list metrics has them all")
    chosen = metrics.chosen(confusion)
    if files.given:
        refuse_words("--predictions and --targets hold all samples", (*reading.given(), *images.given()))
        found = files.evaluated(model, chosen, reading.index(), out)
    else:
        found = of_model(model, reading, images, files, chosen, out)
    with out.progress(f"resampling {found.asked:,} samples {metrics.draws:,} times"):
        document = found.document(metrics.draws, metrics.seed, confusion)
    if record is not None:
        found.record(record)
    out.emit(evaluation_report(document))
    if found.left_out() and not allow_left_out:
        raise Incomplete(f"{found.name}: samples were left out: {found.left_out()}; --allow-left-out accepts that")


def of_model(
    model: Model, reading: Reading, images: Images, files: Files, chosen: Sequence[Choice], out: Out
) -> Evaluated:
    """Returns what a model's answers are worth, showing how far it is."""
    refuse_words("a column is of --predictions or --targets", files.columns())
    if model.spec is None or reading.data is None:
        raise InputError(_SOURCES)
    with out.progress(f"reading {reading.data}") as say:
        return model.evaluated(reading, images, chosen, say)


_SOURCES = "give a SPEC and --data, or --predictions and --targets"


def refuse_words(why: str, given: Sequence[str]) -> None:
    """Refuses options that the call has no use for.

    Raises:
        InputError: there are any.
    """
    if given:
        raise InputError(f"{given[0]} has nowhere to go: {why}")
