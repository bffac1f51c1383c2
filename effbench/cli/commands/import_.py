"""`effbench import`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from effbench.cli.options import FILE, RECORDS, Out, WholeNumber, reporting


@click.command("import")
@click.argument(
    "tables", metavar="TABLE.csv…", nargs=-1, required=True, type=FILE, help="The first one's rows are the models."
)
@click.option(
    "--map",
    "mapping",
    metavar="COLUMN:FIELD[:UNIT],…",
    multiple=True,
    help="What columns hold, such as top1_err:error:percent, or a .yaml file; timm's tables need none; repeatable.",
)
@click.option("--on", metavar="KEY[=OTHER],…", help="What tables are joined by; arch is a name before its first dot.")
@click.option(
    "--set", "constants", metavar="FIELD=VALUE", multiple=True, help='The same for all: device="RTX 4090"; repeatable.'
)
@click.option("--samples", metavar="N", type=WholeNumber(1), help="How many samples the errors are shares of.")
@click.option(
    "--decimal",
    metavar="SIGN",
    type=click.Choice([".", ","]),
    default=".",
    show_default=True,
    help="What separates decimals.",
)
@click.option(
    "--record", metavar="DIR", type=RECORDS, help="Keep a record of each model there, in place of what it has."
)
@reporting
def import_(
    tables: Sequence[Path],
    mapping: Sequence[str],
    on: str | None,
    constants: Sequence[str],
    samples: int | None,
    decimal: str,
    record: Path | None,
    out: Out,
) -> None:
    """Published tables as records, a zoo's or a paper's."""
    from effbench.report.import_ import FIRST, import_report
    from effbench.tables.document import import_document
    from effbench.tables.fields import parse_constants
    from effbench.tables.importing import import_tables

    stated = parse_constants(constants)
    with out.progress("reading") as say:
        imported = import_tables(tables, mapping, on, stated, samples, "," if decimal == "," else ".")
        if record is not None:
            say(f"writing {len(imported.records):,} records")
            imported.save(record)
    out.emit(import_report(import_document(imported, record), None if out.form == "csv" else FIRST))
