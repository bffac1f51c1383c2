from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from io import StringIO
from types import MappingProxyType

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from effbench.errors import InputError, UnknownName
from effbench.records import Note
from effbench.report import ENDINGS, format_of, render
from effbench.report.rich_table import fold
from effbench.report.table import (
    Block,
    Cell,
    Column,
    Report,
    Table,
    Terminal,
    Text,
    display_width,
    fixed,
    notes_data,
    numeric,
    renderers,
    show_cell,
    visible,
)
from effbench.units import giga

FORMATS = ("csv", "json", "latex", "markdown", "table")
BARE_80, BARE_160 = Terminal(80, color=False), Terminal(160, color=False)

HOSTILE = (
    "[bold red]x[/]",
    ":smile:",
    "\x1b[31mred",
    "two\nlines",
    "a|b",
    "50% of_{all} $x$ & #1 ~^\\",
    "**bold** <b>&amp; `code`",
    "bidi\u202eevil",
    "surrogate\udc80",
)


def layers() -> Table:
    columns = (
        Column("path", "Layer", "left"),
        Column("params", "Params"),
        Column("macs", "MACs"),
        Column("share", "MACs (%)", show=fixed(1)),
        Column("flops", "GFLOPs", show=numeric(giga), wide=True),
    )
    figures = (("conv1", 1792, 1_500_000_000, 75.0), ("bn1", 128, 0, 0.0), ("fc", 5130, 500_000_000, 25.0))
    rows: tuple[dict[str, Cell], ...] = tuple(
        {"path": path, "params": params, "macs": macs, "share": share, "flops": 2 * macs}
        for path, params, macs, share in figures
    )
    footer: dict[str, Cell] = {"path": "Total", "params": 7050, "macs": 2 * 10**9, "share": 100.0}
    return Table("Layers of net", columns, rows, footer, ("7.050 K parameters",))


NOTES = (Note("never-called", "aux.head", "the module was not called"), Note("batch", "", "it is 8"))


def report(*blocks: Block, notes: tuple[Note, ...] = NOTES) -> Report:
    return Report({"schema": 1, "notes": notes_data(notes)}, blocks or (layers(),), notes)


def names_table(*names: str) -> Table:
    columns = (Column("name", "Name", "left"), Column("n", "Count"))
    return Table("Names", columns, tuple({"name": name, "n": index} for index, name in enumerate(names)))


def test_the_footer_of_the_golden_table_is_the_sum_of_its_rows() -> None:
    table = layers()
    assert table.footer is not None
    for key in ("params", "macs", "share"):
        assert sum(float(str(row[key])) for row in table.rows) == table.footer[key]


def test_plain_golden() -> None:
    assert render(report()) == (
        "Layers of net\n"
        "Layer  Params           MACs  MACs (%)  GFLOPs\n"
        "-----  ------  -------------  --------  ------\n"
        "conv1   1,792  1,500,000,000      75.0    3.00\n"
        "bn1       128              0       0.0    0.00\n"
        "fc      5,130    500,000,000      25.0    1.00\n"
        "-----  ------  -------------  --------  ------\n"
        "Total   7,050  2,000,000,000     100.0\n"
        "\n"
        "7.050 K parameters\n"
        "\n"
        "note: never-called: aux.head: the module was not called\n"
        "note: batch: it is 8\n"
    )


def test_terminal_golden() -> None:
    # With GFLOPs the table takes 46 columns, without it 38.
    assert render(report(), "table", Terminal(45, color=False)) == (
        "Layers of net\n"
        "Layer  Params           MACs  MACs (%)\n"
        "──────────────────────────────────────\n"
        "conv1   1,792  1,500,000,000      75.0\n"
        "bn1       128              0       0.0\n"
        "fc      5,130    500,000,000      25.0\n"
        "──────────────────────────────────────\n"
        "Total   7,050  2,000,000,000     100.0\n"
        "\n"
        "7.050 K parameters\n"
        "a wider terminal also shows: GFLOPs\n"
        "\n"
        "note: never-called: aux.head: the module was\n"
        "      not called\n"
        "note: batch: it is 8\n"
    )


def test_markdown_golden() -> None:
    assert render(report(), "markdown") == (
        "**Layers of net**\n"
        "\n"
        "| Layer     |    Params |              MACs |  MACs (%) | GFLOPs |\n"
        "| --------- | --------: | ----------------: | --------: | -----: |\n"
        "| conv1     |     1,792 |     1,500,000,000 |      75.0 |   3.00 |\n"
        "| bn1       |       128 |                 0 |       0.0 |   0.00 |\n"
        "| fc        |     5,130 |       500,000,000 |      25.0 |   1.00 |\n"
        "| **Total** | **7,050** | **2,000,000,000** | **100.0** |        |\n"
        "\n"
        "- 7.050 K parameters\n"
        "\n"
        "- note: never-called: aux.head: the module was not called\n"
        "- note: batch: it is 8\n"
    )


def test_latex_golden() -> None:
    assert render(report(), "latex") == (
        "% needs \\usepackage{booktabs}; UTF-8 input; letters beyond Latin also need lualatex or xelatex\n"
        "\n"
        "\\begin{table}[htbp]\n"
        "\\centering\n"
        "\\caption{Layers of net}\n"
        "\\begin{tabular}{lrrrr}\n"
        "\\toprule\n"
        "Layer & Params & MACs & MACs (\\%) & GFLOPs \\\\\n"
        "\\midrule\n"
        "conv1 & 1,792 & 1,500,000,000 & 75.0 & 3.00 \\\\\n"
        "bn1 & 128 & 0 & 0.0 & 0.00 \\\\\n"
        "fc & 5,130 & 500,000,000 & 25.0 & 1.00 \\\\\n"
        "\\midrule\n"
        "\\textbf{Total} & \\textbf{7,050} & \\textbf{2,000,000,000} & \\textbf{100.0} &  \\\\\n"
        "\\bottomrule\n"
        "\\end{tabular}\n"
        "\\par\\smallskip{\\footnotesize 7.050 K parameters\\par}\n"
        "\\end{table}\n"
        "\n"
        "\\begin{flushleft}\n"
        "\\footnotesize\n"
        "Note: never-called: aux.head: the module was not called \\\\\n"
        "Note: batch: it is 8\n"
        "\\end{flushleft}\n"
    )


def test_csv_golden() -> None:
    assert render(report(), "csv") == (
        "path,params,macs,share,flops\n"
        "conv1,1792,1500000000,75.0,3000000000\n"
        "bn1,128,0,0.0,0\n"
        "fc,5130,500000000,25.0,1000000000\n"
        "# Total,7050,2000000000,100.0,\n"
        "# 7.050 K parameters\n"
        "# note never-called: aux.head: the module was not called\n"
        "# note batch: it is 8\n"
    )


def test_json_is_the_data_and_reads_back() -> None:
    data = {
        "macs": 2**70 + 1,
        "flops": None,
        "frozen": MappingProxyType({"shape": (1, 3)}),
        "names": list(HOSTILE),
        "unit": "N·Cout",
    }
    text = render(Report(data, ()), "json")
    assert json.loads(text) == {**data, "frozen": {"shape": [1, 3]}}
    assert '"macs": 1180591620717411303425,\n  "flops": null' in text
    assert "N·Cout" in text
    assert all(c.isprintable() for c in text.replace("\n", ""))


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_json_refuses_numbers_that_json_lacks(number: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        render(Report({"latency_s": number}, ()), "json")


def test_json_refuses_what_is_not_plain() -> None:
    with pytest.raises(TypeError, match="Note is not plain data"):
        render(Report({"note": NOTES[0]}, ()), "json")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("terminal", [None, Terminal(80), BARE_80])
def test_every_format_shows_the_notes_and_ends_in_one_newline(name: str, terminal: Terminal | None) -> None:
    text = render(report(), name, terminal)
    assert "never-called" in text
    assert "it is 8" in text
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("terminal", [Terminal(80), Terminal(160), BARE_80])
def test_no_name_reaches_a_terminal_as_a_command(name: str, terminal: Terminal) -> None:
    notes = tuple(Note("code", hostile, hostile) for hostile in HOSTILE)
    table = names_table(*HOSTILE)
    every = Table(HOSTILE[2], table.columns, table.rows, {"name": HOSTILE[2]}, HOSTILE)
    text = render(report(every, Text(HOSTILE), notes=notes), name, terminal)
    without_own_styles = re.sub(r"\x1b\[[0-9;]*m", "", text) if terminal.color and name == "table" else text
    assert all(c.isprintable() for c in without_own_styles.replace("\n", ""))
    text.encode("utf-8")
    assert "\x1b[31m" not in text  # the name's own red; effbench uses none
    assert ":smile:" in text


@pytest.mark.parametrize("terminal", [None, BARE_80, BARE_160, Terminal(80)])
def test_names_are_literal_in_tables(terminal: Terminal | None) -> None:
    text = render(report(names_table(*HOSTILE)), "table", terminal)
    for name in HOSTILE:
        assert visible(name) in text


def test_visible() -> None:
    assert visible("×²·ᵀ ok") == "×²·ᵀ ok"
    assert visible("\x1b[0m\n\t\u202e\udc80") == r"\x1b[0m\n\t\u202e\udc80"


def escaped_cells(text: str, first: str, last: str) -> list[str]:
    lines = text.splitlines()
    return lines[lines.index(first) + 1 : lines.index(last)]


def test_latex_escapes() -> None:
    names = ("50% of_{all} $x$ & #1 ~^\\", "[arg] *", "--flag", "3×11²·64 ≤ 10⁻¹² QKᵀ x₁₀", "a<b|c>", "  in")
    text = render(report(names_table(*names), notes=()), "latex")
    cells = [line.removesuffix(r" \\").rsplit(" & ", 1)[0] for line in escaped_cells(text, r"\midrule", r"\bottomrule")]
    assert cells == [
        r"50\% of\_\{all\} \$x\$ \& \#1 \textasciitilde{}\textasciicircum{}\textbackslash{}",
        "{[}arg{]} {*}",
        "-{}-flag",
        r"3$\times$11$^{2}$$\cdot$64 $\leq$ 10$^{-12}$ QK$^{\mathsf{T}}$ x$_{10}$",
        r"a$<$b$\vert$c$>$",
        "~~in",
    ]


@given(st.text())
def test_latex_of_any_name_is_balanced(name: str) -> None:
    text = render(report(names_table(name), notes=()), "latex")
    bare = re.sub(r"\\[\\{}$&%#_]", "", text.partition("\n")[2])
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    assert bare.count("&") == 2  # one separator in the head, one in the row
    assert not {"%", "#", "^"} & set(re.sub(r"\$\^\{", "", bare))


def test_markdown_escapes() -> None:
    names = ("a|b", r"a\|b", "__init__", "vit_base_16", "**x**", "<b>&amp;", "[x](y)", "`c` $d$ ~e~", "  in")
    lines = render(report(names_table(*names), notes=()), "markdown").splitlines()
    assert [line.rsplit(" | ", 1)[0].removeprefix("| ").strip() for line in lines[4:]] == [
        r"a\|b",
        r"a\\\|b",
        r"\_\_init\_\_",
        "vit_base_16",
        r"\*\*x\*\*",
        r"\<b\>\&amp;",
        r"\[x\](y)",
        r"\`c\` \$d\$ \~e\~",
        "&nbsp;&nbsp;in",
    ]


def test_markdown_lines_do_not_turn_into_lists_or_headings() -> None:
    table = Table("", names_table("x").columns, (), None, ("1. one", "2.5 M", "# two", "- three", "10) ten"))
    assert render(report(table, notes=()), "markdown").splitlines()[-5:] == [
        "- 1\\. one",
        "- 2.5 M",
        "- \\# two",
        "- \\- three",
        "- 10\\) ten",
    ]


def test_markdown_code_cannot_be_left() -> None:
    text = render(report(Text(("````", "  x = 3 × 2")), notes=()), "markdown")
    assert text == "`````text\n````\n  x = 3 × 2\n`````\n"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\x00")), max_size=4))
def test_csv_reads_back_what_was_written(names: list[str]) -> None:
    text = render(report(names_table(*names), notes=()), "csv")
    assert list(csv.reader(StringIO(text, newline=""))) == [
        ["name", "n"],
        *([name, str(i)] for i, name in enumerate(names)),
    ]


def test_csv_with_comments_reads_into_pandas() -> None:
    columns = (Column("name", "Name", "left"), Column("n", "Count"), Column("ok", "OK"))
    rows: tuple[dict[str, Cell], ...] = (
        {"name": "fc #2", "n": 2**53 + 1, "ok": True},
        {"name": 'a "b", c\nd', "n": 1, "ok": False},
        {"name": None, "n": 0, "ok": None},
    )
    block = Table("T", columns, rows, {"name": "Total # of\nall", "n": 2**53 + 2}, ("caption",))
    frame = pd.read_csv(StringIO(render(report(block, Text(("a", "b"))), "csv")), comment="#")
    assert frame["n"].tolist() == [2**53 + 1, 1, 0]
    assert frame["name"].tolist()[:2] == ["fc #2", 'a "b", c\nd']
    assert frame["name"].isna().tolist() == [False, False, True]
    assert frame["ok"].tolist()[:2] == [True, False]


def test_csv_separates_tables() -> None:
    two = Table("Two", (Column("x", "X"), Column("x", "X again")), ({"x": 0.1},))
    assert render(report(names_table("a"), two, notes=NOTES[1:]), "csv") == (
        "# Names\nname,n\na,0\n\n# Two\nx\n0.1\n\n# note batch: it is 8\n"
    )


def test_unknown_is_marked_and_explained_never_zero() -> None:
    columns = (Column("name", "Name", "left"), Column("n", "MACs"), Column("t", "ms", show=fixed(2)))
    table = Table("", columns, ({"name": "fft", "n": None, "t": None},), {"name": "Total", "n": None})
    full = report(table, notes=())
    assert render(full).splitlines() == [
        "Name   MACs  ms",
        "-----  ----  --",
        "fft       ?   ?",
        "-----  ----  --",
        "Total     ?",
        "",
        "? = unknown",
    ]
    assert "? = unknown" in render(full, "table", BARE_80)
    assert "| fft       |     ? |   ? |" in render(full, "markdown")
    assert r"fft & ? & ? \\" in render(full, "latex")
    assert "fft,,\n# Total,,\n" in render(full, "csv")
    assert "unknown" not in render(report(names_table("?"), notes=()))


def test_a_column_may_write_none_its_own_way() -> None:
    column = Column("n", "MACs", show=lambda cell: "not run" if cell is None else show_cell(cell))
    assert render(report(Table("", (column,), ({"n": None},)), notes=())) == "   MACs\n-------\nnot run\n"


def wide_table() -> Table:
    paths = (
        "encoder.blocks.11.attention.self.query_projection.lora_A.default",
        "x" * 200,
        "層" * 60,
        "conv1",
    )
    columns = (
        Column("path", "Layer", "left"),
        Column("type", "Type", "left"),
        *(Column(f"n{i}", f"Figure number {i} (MAC)") for i in range(9)),
        Column("bytes", "Bytes", wide=True),
    )
    figures: dict[str, Cell] = {f"n{i}": 10 ** (i + 4) for i in range(9)} | {"bytes": 2**60}
    return Table("T " * 120, columns, tuple({"path": p, "type": p[::-1]} | figures for p in paths), figures)


@pytest.mark.parametrize("width", [0, 10, 20, 40, 80, 119, 120, 160, 400])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    long = report(wide_table(), Text(("    indented " + "word " * 50, "")))
    lines = render(long, "table", Terminal(width, color=False)).splitlines()
    assert max(map(display_width, lines)) <= max(width, 10)  # what claims to be narrower is not a terminal
    assert not any(line != line.rstrip() for line in lines)


@pytest.mark.parametrize("width", [40, 80, 160])
def test_numbers_stay_whole_and_names_lose_nothing(width: int) -> None:
    text = render(report(wide_table()), "table", Terminal(width, color=False))
    for power in range(4, 13):
        assert len(re.findall(rf"(?<![\d,]){10**power:,}(?![\d,])", text)) == 5  # four rows and the total
    assert "…" not in text
    first_column = [line.split("  ")[0] for line in text.partition("─\n")[2].splitlines()]
    assert "encoder.blocks.11.attention.self.query_projection.lora_A.default" in "".join(first_column)


def test_plain_text_is_never_folded() -> None:
    text = render(report(wide_table()))
    assert "encoder.blocks.11.attention.self.query_projection.lora_A.default" in text
    assert "x" * 200 in text
    assert str(f"{2**60:,}") in text


def test_wide_columns_show_where_the_table_fits_with_them() -> None:
    table = Table("", (Column("n", "Name", "left"), Column("w", "Bytes", wide=True)), ({"n": "x" * 30, "w": 12345},))
    # 30 for the name, 2 between the columns, 6 for "12,345".
    fits, narrow = (render(report(table), "table", Terminal(columns, color=False)) for columns in (38, 37))
    assert "12,345" in fits
    assert "also shows" not in fits
    assert "12,345" not in narrow
    assert "a wider terminal also shows: Bytes" in narrow


def test_wide_columns_go_one_by_one_from_the_last() -> None:
    columns = (Column("n", "Name", "left"), Column("a", "First", wide=True), Column("b", "Second", wide=True))
    table = Table("", columns, ({"n": "x" * 30, "a": 1, "b": 2},))
    # 30 for the name, 2 + 5 for "First", 2 + 6 for "Second".
    shown = {width: render(report(table), "table", Terminal(width, color=False)) for width in (45, 44, 36)}
    assert "also shows" not in shown[45]
    assert "a wider terminal also shows: Second" in shown[44]
    assert "a wider terminal also shows: First, Second" in " ".join(shown[36].split())


def test_colour_changes_nothing_but_colour() -> None:
    colored = render(report(), "table", Terminal(80))
    assert "\x1b[" in colored
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == render(report(), "table", BARE_80)
    assert "\x1b" not in render(report(), "table")


def test_colour_is_the_callers_choice_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    before = render(report(), "table", Terminal(80)), render(report(), "table", BARE_80)
    for name, value in {"NO_COLOR": "1", "FORCE_COLOR": "1", "TERM": "dumb", "COLUMNS": "20"}.items():
        monkeypatch.setenv(name, value)
    assert (render(report(), "table", Terminal(80)), render(report(), "table", BARE_80)) == before


def test_a_named_value_folds_under_itself() -> None:
    block = Text(("name    word word word word word word", "a long name of its own word"))
    out = render(report(block, notes=()), "table", Terminal(columns=26, color=False))
    assert out.splitlines() == [
        "name    word word word",
        "        word word word",
        "a long name of its own",
        "word",
    ]


def test_fold_breaks_where_a_reader_would() -> None:
    assert fold("encoder.layers.11.attention", 16) == ["encoder.layers.", "11.attention"]
    assert fold("      = 1 × 64 × 112²", 16) == ["      = 1 × 64 ×", "      112²"]
    assert fold("short", 16) == ["short"]


@given(st.text(st.characters(exclude_categories=["C", "Z", "M"]) | st.just(" ")), st.integers(2, 30))
def test_fold_fits_and_loses_nothing_but_spaces(text: str, width: int) -> None:
    lines = fold(text, width)
    assert all(display_width(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_indents_of_texts_survive() -> None:
    block = Text(("macs", "    = 3 × 11² × 64"))
    assert render(report(block, notes=())) == "macs\n    = 3 × 11² × 64\n"
    assert render(report(block, notes=()), "table", BARE_80) == "macs\n    = 3 × 11² × 64\n"
    assert r"~~~~= 3 $\times$ 11$^{2}$ $\times$ 64" in render(report(block, notes=()), "latex")


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (None, "?"),
        (True, "yes"),
        (False, "no"),
        (2**53 + 1, "9,007,199,254,740,993"),
        (0.0, "0"),
        (3.14159, "3.142"),
        (0.00012345, "0.0001234"),
        (12345.678, "12,346"),
        (-1e6, "-1,000,000"),
        (1e20, "1e+20"),
        ("", ""),
    ],
)
def test_how_cells_look(cell: Cell, text: str) -> None:
    assert show_cell(cell) == text


def test_show_helpers_leave_other_cells_alone() -> None:
    assert [numeric(giga)(cell) for cell in (10**9, None, "Total", True, 1.5)] == [
        "1.00",
        "?",
        "Total",
        "yes",
        "1.5",
    ]
    assert [fixed(1)(cell) for cell in (2, 2.25, None, "n/a", False)] == ["2.0", "2.2", "?", "n/a", "no"]


def test_a_cell_may_be_unknown_but_not_forgotten() -> None:
    columns = names_table().columns
    with pytest.raises(ValueError, match="row 0 has no cell for n"):
        Table("T", columns, ({"name": "x"},))
    with pytest.raises(ValueError, match="no columns"):
        Table("T", (), ())
    with pytest.raises(ValueError, match="notes_data"):
        Report({}, (), NOTES)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("terminal", [None, BARE_80])
def test_a_table_without_rows_is_its_head(name: str, terminal: Terminal | None) -> None:
    text = render(report(names_table(), notes=()), name, terminal)
    assert name == "json" or "name" in text.lower()


def test_formats_are_registered_and_named_by_ending() -> None:
    assert set(FORMATS) <= set(renderers.names())
    assert set(ENDINGS.values()) <= set(renderers.names())
    assert format_of("results/page.MD") == "markdown"
    with pytest.raises(InputError, match=r"unknown file ending '\.xlsx': known: \.csv, "):
        format_of("table.xlsx")
    with pytest.raises(UnknownName, match="did you mean markdown"):
        render(report(), "markdwon")


def test_importing_the_reports_imports_nothing_heavy() -> None:
    code = "import sys, effbench.report; print(*{m.partition('.')[0] for m in sys.modules})"
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "numpy", "pandas", "rich", "typer", "pydantic"} & set(seen)
