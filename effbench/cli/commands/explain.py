"""`effbench explain`."""

from __future__ import annotations

import click

from effbench.cli.options import Model, Out, counting, one_model, reporting


@click.command()
@one_model
@click.option("--layer", metavar="PATH", help="Only this layer and what is below it.")
@counting
@reporting
def explain(model: Model, layer: str | None, convention: str, out: Out) -> None:
    """The hand calculation of every layer: formula, numbers, result."""
    from effbench.documents import explain_document
    from effbench.report.explain import explain_report

    made = model.profiled(out, convention)
    out.emit(explain_report(explain_document(made, layer), out.form))
