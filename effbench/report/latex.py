"""Booktabs tables for papers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from effbench.report.table import Grid, Report, Table, Terminal, captions, grid, note_line, renderers, visible

_SUPER = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n", strict=True)) | {"ᵀ": r"\mathsf{T}"}
_SUB = dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True))
_COMMANDS = (
    "×times ·cdot ±pm ÷div ≤leq ≥geq ≈approx ≠neq →to ∞infty √surd ∏prod ∑sum |vert "
    "ΔDelta ΣSigma αalpha βbeta γgamma δdelta εepsilon ηeta θtheta λlambda µmu μmu πpi σsigma τtau"
)
_MATH = {word[0]: f"\\{word[1:]}" for word in _COMMANDS.split()} | {"−": "-", "<": "<", ">": ">"}
# After \\ a bracket would be read as its argument and a star as its variant, hence the last three.
_TEXT = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "`": r"\textasciigrave{}",
    "…": r"\ldots{}",
    "–": "--",
    "—": "---",
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
}
_TOKEN = re.compile(f"[{''.join(_SUPER)}]+|[{''.join(_SUB)}]+|([-,'])(?=\\1)|[{re.escape(''.join((*_MATH, *_TEXT)))}]")
_HEADER = r"% needs \usepackage{booktabs}; UTF-8 input; letters beyond Latin also need lualatex or xelatex"


@renderers.register("latex")
def render_latex(report: Report, terminal: Terminal | None = None) -> str:
    """Returns the report as LaTeX: a booktabs table float per table, texts in typewriter, notes last."""
    blocks = [
        "\n".join(_table_lines(block) if isinstance(block, Table) else _paragraph(block.lines, r"\ttfamily"))
        for block in report.blocks
    ]
    if report.notes:
        notes = tuple(f"Note: {note_line(note)}" for note in report.notes)
        blocks.append("\n".join(_paragraph(notes, r"\footnotesize")))
    return "\n\n".join((_HEADER, *blocks)) + "\n"


def escaped(text: str) -> str:
    """Returns the text as LaTeX that prints it literally; ×, ², ≤ and the like become math."""
    body = text.lstrip(" ")
    return "~" * (len(text) - len(body)) + _TOKEN.sub(_replacement, visible(body))


def _replacement(match: re.Match[str]) -> str:
    token = match[0]
    if match[1]:
        return f"{token}{{}}"  # keeps -- , ,, and '' from becoming one character
    if token[0] in _SUPER:
        return f"$^{{{''.join(_SUPER[c] for c in token)}}}$"
    if token[0] in _SUB:
        return f"$_{{{''.join(_SUB[c] for c in token)}}}$"
    return f"${_MATH[token]}$" if token in _MATH else _TEXT[token]


def _table_lines(table: Table) -> Iterator[str]:
    yield r"\begin{table}[htbp]"
    yield r"\centering"
    if table.title:
        yield rf"\caption{{{escaped(table.title)}}}"
    yield from _tabular_lines(grid(table, escaped))
    for line in captions(table):
        yield rf"\par\smallskip{{\footnotesize {escaped(line)}\par}}"
    yield r"\end{table}"


def _tabular_lines(written: Grid) -> Iterator[str]:
    spec = "".join("l" if column.align == "left" else "r" for column in written.columns)
    yield rf"\begin{{tabular}}{{{spec}}}"
    yield r"\toprule"
    yield _row(written.head)
    yield r"\midrule"
    yield from map(_row, written.body)
    if written.foot:
        yield r"\midrule"
        yield _row(cell and rf"\textbf{{{cell}}}" for cell in written.foot)
    yield r"\bottomrule"
    yield r"\end{tabular}"


def _row(cells: Iterable[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def _paragraph(lines: Iterable[str], style: str) -> Iterator[str]:
    yield r"\begin{flushleft}"
    yield style
    # ~ keeps the author's runs of spaces; an empty line would end the paragraph.
    yield " \\\\\n".join(escaped(line).replace("  ", "~~") or "~" for line in lines)
    yield r"\end{flushleft}"
