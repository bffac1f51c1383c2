"""`effbench check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from effbench.cli.options import FILE, Out, reporting
from effbench.errors import CheckFailed

if TYPE_CHECKING:
    from effbench.suites.published import Verdict


@click.command()
@click.argument("suite", metavar="SUITE.yaml", type=FILE, help="A suite with published figures.")
@click.option("--peers", is_flag=True, help="Run the tools that the figures were made with, too.")
@reporting
def check(suite: Path, peers: bool, out: Out) -> None:
    """Recompute a suite's published figures; code 1 if one differs."""
    from effbench import api
    from effbench.documents import check_document
    from effbench.report.check import check_report

    plan, checked = api.check(suite, api.real_tool if peers else None)
    verdicts: list[Verdict] = []
    with out.progress(f"recomputing {plan.suite}") as say:
        for done, (job, found) in enumerate(checked, start=1):
            verdicts += found
            say(f"recomputed {done} of {len(plan.models)}: {job.name}")
    out.emit(check_report(check_document(plan.suite, verdicts)))
    wrong = [item for item in verdicts if item.verdict == "differs"]
    if wrong:
        raise CheckFailed(f"{len(wrong)} published figures differ, first {wrong[0].figure} of {wrong[0].model}")
