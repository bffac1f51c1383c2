"""Tables as text: numbers as people write them, separators, quotes, marks; and what is refused, down to the cell."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from effbench.errors import InputError
from effbench.tables.cells import is_missing, key_of, number_of, resolution
from effbench.tables.layouts import layout_of
from effbench.tables.mapping import parse_target, read_maps
from effbench.tables.table import read_table


@pytest.mark.parametrize(
    ("text", "value", "ulp"),
    [
        ("305.08", "305.08", "0.01"),
        ("1,013.01", "1013.01", "0.01"),
        ("1,234,567", "1234567", "1"),
        ("1'234.5", "1234.5", "0.1"),
        ("1 234.5", "1234.5", "0.1"),
        ("1\u202f234.50", "1234.50", "0.01"),
        (" 4 ", "4", "1"),
        (".5", "0.5", "0.1"),
        ("5.", "5", "1"),
        ("-0.25", "-0.25", "0.01"),
        ("1.5e-3", "0.0015", "0.0001"),
        ("9.944 %", "9.944", "0.001"),
    ],
)
def test_numbers_are_read_as_people_write_them(text: str, value: str, ulp: str) -> None:
    number = number_of(text)
    assert number is not None
    assert number.value == Decimal(value)
    assert number.ulp == Decimal(ulp)
    assert number.percent is text.endswith("%")


@pytest.mark.parametrize(
    "text", ["", "n/a", "1,23", "12,345,6", "1.2.3", "~4", "<0.01", "4*", "inf", "0x10", "1_0", "٣"]
)
def test_what_is_no_number_is_none(text: str) -> None:
    assert number_of(text) is None


def test_a_decimal_comma_is_read_where_it_is_said() -> None:
    assert number_of("1.013,01", ",") == (Decimal("1013.01"), Decimal("0.01"), False)
    assert number_of("23,870", ",") == (Decimal("23.870"), Decimal("0.001"), False)
    assert number_of("1,013.01", ",") is None


@given(st.integers(-(10**12), 10**12), st.integers(0, 6))
def test_grouping_changes_no_number(digits: int, decimals: int) -> None:
    value = Decimal(digits).scaleb(-decimals)
    for written in (f"{value:f}", f"{value:,f}"):
        number = number_of(written)
        assert number is not None
        assert number.value == value
    comma = number_of(f"{value:,f}".translate({ord(","): ".", ord("."): ","}), ",")
    assert comma is not None
    assert comma.value == value


def test_a_column_is_rounded_to_its_finest_digit() -> None:
    # pandas writes 0.40 as "0.4": the column's other figures say that it was rounded to hundredths.
    assert resolution([number_of("0.4"), None, number_of("11.25"), number_of("3")]) == Decimal("0.01")


def test_keys_do_not_depend_on_how_a_number_is_written() -> None:
    assert {key_of(text) for text in ("224", " 224 ", "224.0", "2.24e2")} == {"224"}
    assert key_of("1,024") == key_of("1024")
    assert key_of("100") == "100"  # not 1E+2
    assert key_of("bicubic") == "bicubic"
    assert key_of("N/A") == ""


@pytest.mark.parametrize("text", ["", " ", "NaN", "N/A", "-", "—", "None"])
def test_a_cell_may_say_that_there_is_no_figure(text: str) -> None:
    assert is_missing(text)


# Files


@pytest.mark.parametrize(
    "data",
    [
        b"model,err\na,1.5\n",
        b"model;err\r\na;1.5\r\n",
        b"model\terr\na\t1.5",
        b"model|err\na|1.5\n",
        b'\xef\xbb\xbf"model","err"\n"a","1.5"\n\n',
        "model\terr\na\t1.5\n".encode("utf-16"),
    ],
    ids=["commas", "semicolons", "tabs", "bars", "mark and quotes", "utf-16"],
)
def test_a_table_is_read_however_it_was_saved(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(data)
    table = read_table(path)
    assert table.columns == ("model", "err")
    assert [(row.line, row.cells) for row in table.rows] == [(2, ("a", "1.5"))]
    assert table.sha256 == hashlib.sha256(data).hexdigest()


def test_a_quoted_name_may_hold_what_separates_cells_and_lines(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('model,err\n"net, wide",1\n"two\nlines",2\n"say ""hi""",3\n', encoding="utf-8")
    assert read_table(path).column("model") == ("net, wide", "two\nlines", 'say "hi"')
    assert [row.line for row in read_table(path).rows] == [2, 4, 5]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "a table needs a header and a row: it has 0 lines"),
        (b"model,err\n", "a table needs a header and a row: it has 1 lines"),
        (b"model,err\na,1\nb\n", "line 3: has 1 cells, the header has 2"),
        (b"model,err\na,1,2\n", "line 2: has 3 cells, the header has 2"),
        (b"model,err,err\na,1,2\n", "'err' is the name of 2 columns"),
        (b'model,err\n"a,1\n', "unexpected end of data: check its quotes"),
        (b"model,err\n\xe9,1\n", "is no text in UTF-8"),
    ],
    ids=["empty", "header alone", "short row", "long row", "column twice", "open quote", "latin-1"],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, data: bytes, told: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(data)
    with pytest.raises(InputError) as refused:
        read_table(path)
    assert told in str(refused.value)
    assert str(path) in str(refused.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such table"):
        read_table(tmp_path / "t.csv")
    with pytest.raises(InputError, match="cannot be read as a table"):
        read_table(tmp_path)


# Mappings


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("top1_err:error:percent", ("top1_err", "error", "percent", None, "")),
        ("e:error:fraction:n=5000", ("e", "error", "fraction", 5000, "")),
        ("p:params:M", ("p", "params", "M", None, "")),
        ("g:macs:G", ("g", "macs", "G", None, "macs")),
        ("g:flops:G:convention=fvcore", ("g", "flops", "G", None, "fvcore")),
        ("s:throughput", ("s", "throughput", "per_s", None, "")),
        ("t:latency:ms", ("t", "latency", "ms", None, "")),
        ("img size:img_size", ("img size", "img_size", "", None, "")),
        ("amp:precision", ("amp", "precision", "", None, "")),
        ("prec:precision:percent", ("prec", "precision", "percent", None, "")),
    ],
)
def test_a_target_is_column_field_unit(text: str, parts: tuple[str, str, str, int | None, str]) -> None:
    target = parse_target(text)
    assert (target.column, target.field, target.unit, target.n, target.convention) == parts
    assert parse_target(str(target)) == target


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("top1_err", "write COLUMN:FIELD[:UNIT]"),
        (":error:percent", "write COLUMN:FIELD[:UNIT]"),
        ("c:error:percent:5", "write COLUMN:FIELD[:UNIT]"),
        ("c:error", "say the unit of error"),
        ("c:accuracy", "say the unit of accuracy"),
        ("c:error:percent:n=0", "'0' is no number of samples"),
        ("c:error:percent:samples=5", "there is no option 'samples'"),
        ("c:error:pixels:n=5", "error in pixels is none"),
        ("c:params:MB", "'MB' is no unit of params"),
        ("c:params:M:n=5", "n is the sample count of an error, not of params"),
        ("c:params:M:convention=macs", "a convention is how a cost was counted"),
        ("c:macs:G:convention=fvcor", "unknown convention 'fvcor': did you mean fvcore"),
        ("c:latency", "'no unit' is no unit of latency: s, ms, us"),
        ("c:batch:ms", "'ms' is no unit of batch"),
        ("c:param:M", "there is no field 'param': is params meant?"),
        ("c:batch_size", "there is no field 'batch_size': is batch meant?"),
        ("c:weights:M", "M is a unit of params and macs and flops, not of 'weights'; errors have percent, …"),
        ("c:error:ms", "ms is a unit of latency, not of 'error'; errors have percent, …"),
    ],
)
def test_a_target_that_does_not_fit_is_refused(text: str, told: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_target(text)
    assert told in str(refused.value)


def test_a_mapping_may_stand_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "map.yaml"
    path.write_text(
        "columns:\n  'Top-1: err': error:percent:n=50000\n  size: [name, img_size]\nset: {device: RTX 4090, batch: 1}\n"
        "on: [arch, img_size]\n",
        encoding="utf-8",
    )
    said = read_maps([str(path), "p:params:M"])
    assert [str(target) for target in said.targets] == [
        "Top-1: err:error:percent:n=50000",
        "size:name",
        "size:img_size",
        "p:params:M",
    ]
    assert said.constants == {"device": "RTX 4090", "batch": "1"}
    assert said.on == "arch,img_size"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- a\n", "has the key columns"),
        ("columns: {c: 5}\n", "column c: write COLUMN:FIELD[:UNIT]"),
        ("columns: {c: {error: percent}}\n", "column c: {'error': 'percent'} is no text"),
        ("columns: {c: error}\n", "column c: say the unit of error"),
        ("columns: {c: error:percent}\ncolums: {}\n", "unknown key of a mapping file 'colums': did you mean columns"),
        ("columns: {c: error:percent}\nset: 5\n", "set holds constants"),
        ("columns: {c: error:percent}\non: {a: b}\n", "on names columns"),
        ("columns: [\n", "no YAML"),
    ],
)
def test_a_mapping_file_that_does_not_fit_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "map.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as refused:
        read_maps([str(path)])
    assert told in str(refused.value)


def test_layouts_are_told_by_their_header_whatever_the_order_of_columns() -> None:
    results = ["crop_pct", "param_count", "top5_err", "top1_err", "img_size", "model", "more"]
    assert layout_of(results) == "timm-results"
    assert layout_of(["model", "top1_err"]) is None
