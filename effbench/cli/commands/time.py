"""`effbench time`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from effbench.cli.interruptions import whole_or_kept
from effbench.cli.options import RECORDS, Out, picturing
from effbench.cli.timing_options import Models, Until, planning, rounds_told, several_models, stopping
from effbench.errors import CheckFailed, Incomplete, InputError
from effbench.records import TimingPlan


@click.command()
@several_models
@planning
@stopping
@click.option("--throughput", is_flag=True, help="Find the batch that serves most samples a second, and time that.")
@click.option("--roofline", is_flag=True, help="Each op beside what this machine's arithmetic and memory allow.")
@click.option("--energy", is_flag=True, help="Joules of a call, measured after the times: over a minute a model.")
@click.option("--record", metavar="DIR", type=RECORDS, help="Add the times to the models' records there.")
@picturing
def time(
    models: Models,
    plan: TimingPlan,
    until: Until,
    throughput: bool,
    roofline: bool,
    energy: bool,
    record: Path | None,
    out: Out,
) -> None:
    """Latency and throughput, with intervals and memory; models take turns in fresh processes."""
    from effbench.report.time import time_report
    from effbench.timing_runs import Wanted, run_time

    wanted = Wanted(throughput, roofline, energy)
    _refuse(models, plan, wanted.roofline, throughput, out)
    with out.progress(f"timing {', '.join(models.specs)}") as say:
        workers = models.workers(plan, out)
        done, stop = whole_or_kept(lambda: run_time(workers, until.rule, until.seed, wanted, say, rounds_told(say)))
        if record is not None:
            done.record(record)
    document = done.document()
    if out.form != "svg":
        out.emit(time_report(document))
    elif stop is None:
        out.write(_picture(document["models"][0]))
    if stop is not None:
        raise stop
    if done.refused:
        raise CheckFailed("; ".join(f"{name}: {why}" for name, why in done.refused.items()))
    unfinished = done.unfinished()
    if unfinished:
        raise Incomplete("; ".join(unfinished))


def _picture(model: dict[str, Any]) -> str:
    """Returns the picture of a model's roofline.

    Raises:
        InputError: it was not timed, so there is none.
    """
    from effbench.report.roofline_picture import picture
    from effbench.report.roofline_svg import roofline_svg

    if "roofline" not in model:
        raise InputError(f"{model['name']}: {model['died'] or 'not timed'}: there is no roofline to draw")
    return roofline_svg(picture(model["roofline"]))


def _refuse(models: Models, plan: TimingPlan, roofline: bool, throughput: bool, out: Out) -> None:
    """Refuses what does not go together, before anything is measured."""
    if throughput and plan.batch is not None:
        raise InputError("--throughput looks for the batch: leave --batch out")
    if out.form == "svg":
        from effbench.report.roofline_svg import require

        require()
        if not roofline or len(models.specs) != 1:
            raise InputError("svg is the picture of one model's roofline: give one SPEC and --roofline")
