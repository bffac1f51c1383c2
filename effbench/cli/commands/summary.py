"""`effbench summary`."""

from __future__ import annotations

import click

from effbench.cli.options import Model, Out, one_model, reporting


@click.command()
@one_model
@reporting
def summary(model: Model, out: Out) -> None:
    """The torchsummary report: same columns, order and totals."""
    from effbench.documents import summary_document
    from effbench.report.summary import summary_report

    out.emit(summary_report(summary_document(model.profiled(out)), out.form))
