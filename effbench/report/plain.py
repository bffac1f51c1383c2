"""Tables for pipes and files: aligned columns, nothing cut whatever the width, no colour, no boxes."""

from __future__ import annotations

from collections.abc import Iterator

from effbench.report.table import Grid, Report, Table, captions, grid, note_line, pad, visible

GAP = "  "


def render_plain(report: Report) -> str:
    """Returns the report as plain aligned text."""
    blocks = [
        "\n".join(_table_lines(block) if isinstance(block, Table) else map(visible, block.lines))
        for block in report.blocks
    ]
    if report.notes:
        blocks.append("\n".join(f"note: {visible(note_line(note))}" for note in report.notes))
    return "\n\n".join(blocks) + "\n"


def _table_lines(table: Table) -> Iterator[str]:
    if table.title:
        yield visible(table.title)
    yield from _grid_lines(grid(table, visible))
    below = captions(table)
    if below:
        yield ""
        yield from map(visible, below)


def _grid_lines(written: Grid) -> Iterator[str]:
    widths = written.widths()
    rule = GAP.join("-" * width for width in widths)
    for index, cells in enumerate(written.lines):
        if written.foot and index == len(written.lines) - 1:
            yield rule
        padded = map(pad, cells, widths, (column.align for column in written.columns))
        yield GAP.join(padded).rstrip()
        if index == 0:
            yield rule
