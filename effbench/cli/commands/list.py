"""`effbench list`."""

from __future__ import annotations

import click

from effbench.cli.options import Out, reporting


@click.command("list")
@click.argument("kind", metavar="KIND", help="ops, conventions, loaders, data, metrics, peers, scores or formats.")
@reporting
def list_(kind: str, out: Out) -> None:
    """What is registered, with a line on each."""
    from effbench.cli.listing import entries
    from effbench.documents import listing_document
    from effbench.report.listing import listing_report

    out.emit(listing_report(listing_document(kind, entries(kind))))
