"""`effbench audit`."""

from __future__ import annotations

import click

from effbench.cli.options import Model, Out, one_model, reporting


@click.command()
@one_model
@reporting
def audit(model: Model, out: Out) -> None:
    """Every convention and the real tools side by side, explained."""
    from effbench import api
    from effbench.audits import audit_document
    from effbench.report.audit import audit_report

    with out.progress(f"profiling {model.spec}") as say:
        made = api.audit(model.load(), say=say)
    out.emit(audit_report(audit_document(made)))
