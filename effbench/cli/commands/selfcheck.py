"""`effbench selfcheck`."""

from __future__ import annotations

import click

from effbench.cli.interruptions import whole_or_kept
from effbench.cli.options import Out, WholeNumber, reporting
from effbench.errors import CheckFailed, Incomplete


@click.command()
@click.option("--budget", type=float, metavar="SECONDS", default=180.0, show_default=True, help="For all of it.")
@click.option("--device", metavar="NAME", default="cpu", show_default=True, help="cpu, cuda, cuda:1, …")
@click.option("--threads", type=WholeNumber(min=1), metavar="N", help="Intra-op threads; PyTorch's choice if none.")
@reporting
def selfcheck(budget: float, device: str, threads: int | None, out: Out) -> None:
    """This machine: false alarms, what can be detected, peaks, advice."""
    from effbench import selfchecks
    from effbench.documents.selfcheck import selfcheck_document
    from effbench.report.selfcheck import selfcheck_report

    with out.progress("starting PyTorch") as say:
        found, stop = whole_or_kept(lambda: selfchecks.selfcheck(budget, device, threads, say))
    out.emit(selfcheck_report(selfcheck_document(found)))
    if stop is not None:
        raise stop
    if found.check is None:
        raise Incomplete(next(note.text for note in found.notes if note.code == "few-pairs"))
    if not found.check.is_honest:
        share = found.check.false_alarms
        raise CheckFailed(
            f"false alarms in {share.share:.1%} of comparisons ({share.low:.1%} at least): 5 % is promised"
        )
