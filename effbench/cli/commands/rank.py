"""`effbench rank`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from effbench.cli.options import Number, Out, WholeNumber, as_one, counting, reporting
from effbench.cli.texts import parse_error

if TYPE_CHECKING:
    from effbench.rankings import Choice


def _choice(**asked: Any) -> Choice:
    from effbench.rankings import Choice

    return Choice(**asked)


def _asked(
    score: str,
    error: str | None,
    max_error: float | None,
    by: str,
    filter: str,
    sort: str,
    top: int | None,
    mixed: bool,
    draws: int | None,
    seed: int,
    convention: str,
) -> Choice:
    """Returns what the leaderboard is asked for."""
    return _choice(
        metric=error,
        score=score,
        convention=convention,
        max_error=max_error,
        by=by,
        where=filter,
        sort=sort,
        top=top,
        mixed=mixed,
        draws=draws,
        seed=seed,
    )


_ASKING = (
    click.option(
        "--score",
        metavar="NAME[:PARAM=…]|FORMULA",
        default="params_flops_exp",
        show_default=True,
        help="See effbench list scores; or terms, such as 'latency * exp(20*error)', 'max: …' where more is better.",
    ),
    click.option(
        "--error",
        metavar="METRIC[:UNIT]",
        help="The error that the score reads, by name; pck:t=0.1 picks among several.",
    ),
    counting,
    click.option("--max-error", metavar="VALUE", type=Number(min=0), help="Leave out models above it."),
    click.option("--filter", metavar="CONDITION", default="", help="Such as 'params < 5e6 and error < 0.1'."),
    click.option("--by", metavar="COLUMN", default="", help="A leaderboard for each of its values: batch, device, …"),
    click.option("--sort", metavar="COLUMN", default="", help="Order the rows by it; -COLUMN turns that round."),
    click.option("--top", metavar="N", type=WholeNumber(min=1), help="Show so many rows."),
    click.option("--mixed", is_flag=True, help="Rank together what was measured under different conditions."),
    click.option("--draws", metavar="N", type=WholeNumber(min=1), help="Of everything uncertain.  [default: 1000]"),
    click.option("--seed", metavar="N", type=WholeNumber(min=0), default=0, show_default=True, help="Of the draws."),
)
asking = as_one("choice", _asked, *_ASKING)


@click.command()
@click.argument(
    "sources", metavar="SOURCE…", nargs=-1, required=True, help="Folders of records, suites (.yaml) or SPECs."
)
@click.option("--error-of", metavar="MODEL=VALUE:UNIT", multiple=True, help="A model's known error; repeatable.")
@asking
@reporting
def rank(sources: Sequence[str], error_of: Sequence[str], choice: Choice, out: Out) -> None:
    """The leaderboard: cost, error, score, how sure the order is, and what would lift a row."""
    from effbench.documents.rank import ranking_document
    from effbench.garbage import no_collection
    from effbench.rankings import gather, rank_known, reads_memory, state
    from effbench.report.rank import LEFT_OUT, rank_report
    from effbench.report.table import Report

    stated = [parse_error(text, "--error-of") for text in error_of]
    with no_collection():
        with out.progress("reading") as say:
            records, notes = gather(sources, choice.convention, reads_memory(choice), say)
            known = state(records, stated, (choice.metric or "error").partition(":")[0])
            say(f"ranking {len(known):,} models")
            ranking = rank_known(known, choice)
        document = ranking_document(ranking, notes)
        if out.form == "json":  # which has no use for a table of 100,000 rows
            out.emit(Report(document, ()))
        else:
            out.emit(rank_report(document, None if out.form == "csv" else LEFT_OUT))
