"""`effbench rank`."""

from __future__ import annotations

from collections.abc import Sequence

import click

from effbench.cli.options import Out, counting, reporting
from effbench.cli.texts import parse_error


@click.command()
@click.argument(
    "sources", metavar="SOURCE…", nargs=-1, required=True, help="Folders of records, suites (.yaml) or SPECs."
)
@click.option(
    "--score", metavar="NAME", default="params_flops_exp", show_default=True, help="See effbench list scores."
)
@click.option("--error", metavar="METRIC", help="The error that the score reads, by name.")
@click.option("--error-of", metavar="MODEL=VALUE:UNIT", multiple=True, help="A model's known error; repeatable.")
@counting
@reporting
def rank(
    sources: Sequence[str], score: str, error: str | None, error_of: Sequence[str], convention: str, out: Out
) -> None:
    """The leaderboard: cost, error, score, and what would lift a row."""
    from effbench import api
    from effbench.rankings import rank as rank_records
    from effbench.rankings import ranking_document, with_errors
    from effbench.report.rank import rank_report

    stated = [parse_error(text, "--error-of") for text in error_of]
    with out.progress("reading") as say:
        found = api.gather(sources, say)
    records = with_errors(found.records, stated, error or "error")
    ranking = rank_records(records, error, score, convention)
    out.emit(rank_report(ranking_document(ranking, convention, found.notes)))
