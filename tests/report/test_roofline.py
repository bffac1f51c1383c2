"""The roofline's report: every figure is in the document or added up here, and the pictures show what is in it."""

from __future__ import annotations

import importlib
import math
from typing import Any
from xml.etree import ElementTree

import pytest

from effbench.errors import InputError
from effbench.report import render
from effbench.report.roofline import roofline_report, summary
from effbench.report.roofline_picture import milliseconds, picture
from effbench.report.roofline_svg import roofline_svg
from effbench.report.roofline_text import text_plot
from effbench.report.table import Terminal

PEAK, BANDWIDTH = 100e9, 10e9


def op(index: int, name: str, flops: int | None, nbytes: int | None, took_ms: float | None = None) -> dict[str, Any]:
    """A row of the document as the judge makes it, for the ceilings above."""
    best = None if flops is None or nbytes is None else max(flops / PEAK, nbytes / BANDWIDTH)
    took = None if took_ms is None else took_ms / 1e3
    least = max((flops or 0) / PEAK, (nbytes or 0) / BANDWIDTH)
    in_part = "bytes only" if nbytes else "unknown"
    bound = in_part if best is None else "none" if not best else "compute" if best == (flops or 0) / PEAK else "memory"
    return {
        "index": index,
        "op": f"aten::{name}",
        "path": f"layers.{index}",
        "dtype": "float32",
        "flops": flops,
        "read_bytes": None if nbytes is None else nbytes // 2,
        "written_bytes": None if nbytes is None else nbytes - nbytes // 2,
        "intensity": flops / nbytes if flops is not None and nbytes else None,
        "attainable_s": best,
        "at_least_s": least,
        "bound": bound,
        "measured_s": took,
        "utilisation": best / took if best is not None and took else None,
    }


def document(*ops: dict[str, Any], latency_s: float | None = None) -> dict[str, Any]:
    unknown = {row["op"]: 1 for row in ops if row["attainable_s"] is None}
    least = sum(row["at_least_s"] for row in ops)
    took = [row["measured_s"] for row in ops if row["measured_s"] is not None]
    by_bound: dict[str, float] = {}
    for row in ops:
        by_bound[row["bound"]] = by_bound.get(row["bound"], 0.0) + row["at_least_s"]
    return {
        "name": "net",
        "ceilings": {
            "bytes_per_s": BANDWIDTH,
            "flops_per_s": {"float32": PEAK},
            "ridge_flops_per_byte": {"float32": PEAK / BANDWIDTH},
        },
        "latency_s": latency_s,
        "measured_s": sum(took) if took else None,
        "bound_s": None if unknown else least,
        "at_least_s": least,
        "achieved": None if unknown or latency_s is None else least / latency_s,
        "achieved_at_least": None if latency_s is None else least / latency_s,
        "seconds_by_bound": by_bound,
        "unknown": unknown,
        "layers": [],
        "ops": list(ops),
        "notes": [{"code": "op-times", "subject": "net", "text": "measured apart"}],
    }


CONVOLUTION = op(0, "convolution", 2 * 10**9, 40 * 10**6, took_ms=40)  # 50 FLOP/B, best 20 ms
RELU = op(1, "relu", 10**6, 8 * 10**6, took_ms=1)  # 0.125 FLOP/B, best 0.8 ms
VIEW = op(2, "view", 0, 0, took_ms=0.002)
COPY = op(3, "clone", 0, 8 * 10**6, took_ms=0.4)  # twice as fast as memory
TIMED = document(CONVOLUTION, RELU, VIEW, COPY, latency_s=0.0432)


def cells(text: str, name: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if f"{name} " in line and "%" in line and "roof" not in line]
    return line.split()


def test_the_summary_says_bound_share_and_ceilings() -> None:
    assert summary(TIMED) == [
        "net: a call took 43.2 ms; op by op the roofline allows 21.6 ms, 50% achieved",
        "of these: 20.0 ms held by arithmetic, 1.60 ms held by memory",
        "ceilings: 100 GFLOP/s in float32, 10 GB/s; ridge at 10 FLOP/byte",
    ]


def test_the_table_has_every_op_that_does_something_and_adds_up() -> None:
    text = render(roofline_report(TIMED), "table", Terminal(120, False))
    dearest = ["a", "layers.0", "convolution", "2,000.00", "40.00", "50.0", "compute", "20.0", "40.0", "50%"]
    assert cells(text, "layers.0") == dearest
    assert cells(text, "layers.1") == ["b", "layers.1", "relu", "1.00", "8.00", "0.1", "memory", "0.800", "1.00", "80%"]
    assert cells(text, "layers.3") == ["layers.3", "clone", "0.00", "8.00", "0.0", "memory", "0.800", "0.400", "200%"]
    assert cells(text, "total") == ["total", "2,001.00", "56.00", "35.7", "21.6", "41.4", "52%"]
    assert "layers.2" not in text
    assert "left out: 1 call which only look at memory in another way" in text
    assert "above 100 %: the op found its inputs in a cache" in text
    assert "op-times: net: measured apart" in text


def test_the_rest_is_one_row_and_nothing_is_lost() -> None:
    report = roofline_report(TIMED, rows=1)
    text = render(report, "table", Terminal(120, False))
    assert cells(text, "2 calls more") == ["2", "calls", "more", "1.00", "16.00", "0.1", "1.60", "1.40", "114%"]
    assert cells(text, "total") == ["total", "2,001.00", "56.00", "35.7", "21.6", "41.4", "52%"]


def test_what_is_unknown_is_shown_and_makes_the_total_unknown() -> None:
    text = render(roofline_report(document(CONVOLUTION, op(1, "topk", None, None, 0.5))), "table", Terminal(120, False))
    assert "net: op by op it cannot take less than 20.0 ms; not known in full of aten::topk (1)" in text
    (row,) = [line.split() for line in text.splitlines() if line.startswith("   layers.1")]
    assert row == ["layers.1", "topk", "?", "?", "?", "?", "?", "0.500", "?"]
    assert "? = unknown" in text


def test_what_is_bound_by_bytes_alone_says_so_and_the_total_is_a_lower_bound() -> None:
    gradient = op(1, "native_batch_norm_backward", None, 8 * 10**6, 1.6)  # 0.8 ms at 10 GB/s
    text = render(roofline_report(document(CONVOLUTION, gradient, latency_s=0.0416)), "table", Terminal(120, False))
    said = "a call took 41.6 ms; op by op it cannot take less than 20.8 ms, 50% achieved at least; not known in full of"
    assert f"net: {said} aten::native_batch_norm_backward (1)" in " ".join(text.split())
    assert "20.0 ms held by arithmetic" in text
    assert "0.800 ms by bytes only (arithmetic unknown)" in text
    (row,) = [line.split() for line in text.splitlines() if line.startswith("   layers.1")]
    assert row[1:] == ["native_batch_norm_backward", "?", "8.00", "?", "bytes", "only", "0.800", "1.60", "50%"]
    assert cells(text, "total") == ["total", "?", "48.00", "?", "20.8", "41.6", "50%"]
    assert (
        "bytes only, FLOPs only: the other side lacks a formula or a peak; best and share are at least so much" in text
    )


def test_an_op_whose_peak_was_not_measured_is_not_said_to_lack_its_flops() -> None:
    """A judge's op in float64 where float32 alone was measured: its FLOPs are known, and what they take is not."""
    double = {**op(1, "mm", 10**6, 8 * 10**6, 1.6), "attainable_s": None, "at_least_s": 8e-4, "bound": "bytes only"}
    text = render(roofline_report(document(CONVOLUTION, double)), "table", Terminal(120, False))
    (row,) = [line.split() for line in text.splitlines() if " layers.1 " in line and "bytes only" in line]
    assert row[row.index("mm") + 1] == "1.00"  # MFLOP
    assert "FLOPs unknown" not in text
    assert "lacks a formula or a peak" in text


def test_every_format_renders_it() -> None:
    for name in ("markdown", "csv", "latex", "json"):
        assert "convolution" in render(roofline_report(TIMED), name)


# The picture


def test_points_lie_where_they_were_measured() -> None:
    drawn = picture(TIMED)
    assert [(point.mark, point.op, point.intensity) for point in drawn.points] == [
        ("a", "convolution", 50.0),
        ("b", "relu", 0.125),
    ]
    assert drawn.points[0].flops_per_s == pytest.approx(2e9 / 40e-3)
    assert drawn.timed
    assert drawn.absent == 1  # the copy computes nothing
    assert drawn.x[0] < 0.125
    assert drawn.x[1] > 50
    assert drawn.y[1] > PEAK


def test_without_times_every_op_lies_on_the_roof() -> None:
    drawn = picture(document(op(0, "convolution", 2 * 10**9, 40 * 10**6), op(1, "relu", 10**6, 8 * 10**6)))
    for point in drawn.points:
        assert point.flops_per_s == pytest.approx(min(PEAK, point.intensity * BANDWIDTH))
    assert "(not timed: every op lies on the roof)" in text_plot(drawn)[0]


def test_slow_and_short_ops_do_not_stretch_the_picture() -> None:
    tiny = op(4, "mean", 10, 100, took_ms=0.5)  # 1.2 % of the time, at 20 kFLOP/s
    drawn = picture(document(CONVOLUTION, RELU, tiny))
    assert [point.op for point in drawn.points] == ["convolution", "relu"]
    assert drawn.y[0] > 1e8
    kept = picture(document(CONVOLUTION, RELU, op(4, "mean", 10, 100, took_ms=5)))
    assert [point.op for point in kept.points] == ["convolution", "mean", "relu"]


def test_the_plot_in_text_has_the_slope_the_flat_roof_and_the_letters_in_place() -> None:
    drawn = picture(TIMED)
    lines = text_plot(drawn, columns=80, rows=18)
    assert max(map(len, lines)) <= 80
    body = [line[9:].ljust(71) for line in lines[1:19]]
    place = {mark: (row, line.index(mark)) for row, line in enumerate(body) for mark in "ab" if line.find(mark) >= 0}
    for point in drawn.points:
        across = math.log(point.intensity / drawn.x[0]) / math.log(drawn.x[1] / drawn.x[0])
        down = math.log(drawn.y[1] / point.flops_per_s) / math.log(drawn.y[1] / drawn.y[0])
        assert place[point.mark] == (round(down * 17), round(across * 70))
    slope = [(row, line.index("╱")) for row, line in enumerate(body) if "╱" in line]
    assert [column for _, column in slope] == sorted((column for _, column in slope), reverse=True)  # rises
    assert sum("─" in line for line in body) == 1
    assert any("100 GFLOP/s float32" in line for line in body)
    assert any("ridge 10" in line for line in lines)
    assert "  a  layers.0  convolution     40.0 ms   50% of the roof" in lines
    assert lines[-1].strip().startswith("not drawn: 1 call ")


def test_a_long_path_keeps_its_end() -> None:
    long = {**CONVOLUTION, "path": "encoder." * 12 + "mlp.3"}
    lines = text_plot(picture(document(long, RELU)))
    (line,) = [line for line in lines if line.startswith("  a")]
    assert len(line) <= 80
    assert "…" in line
    assert ".mlp.3  convolution" in line


def test_two_dtypes_have_two_roofs() -> None:
    found = document(CONVOLUTION, RELU)
    found["ceilings"]["flops_per_s"]["bfloat16"] = 4 * PEAK
    found["ceilings"]["ridge_flops_per_byte"]["bfloat16"] = 40.0
    lines = text_plot(picture(found))
    assert sum("GFLOP/s" in line for line in lines[1:]) == 2
    assert any("ridge 10" in line and "ridge 40" in line for line in lines)


def test_nothing_to_draw_is_a_table_alone_and_no_picture() -> None:
    empty = document(COPY)
    assert len(roofline_report(empty).blocks) == 2
    with pytest.raises(InputError, match="net: no op has FLOPs and bytes that are known"):
        roofline_svg(picture(empty))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0347, "34.7"), (0.1, "100"), (1.2345, "1,234"), (4.2e-6, "0.00420"), (0.0099999, "10.0"), (0.0, "0.00")],
)
def test_milliseconds_have_three_digits(seconds: float, text: str) -> None:
    assert milliseconds(seconds) == text


def test_without_altair_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr("effbench.report.roofline_svg.import_module", missing)
    with pytest.raises(InputError, match=r"a roofline picture needs altair: pip install 'effbench\[report\]'"):
        roofline_svg(picture(TIMED))


def test_the_svg_needs_nothing_else_and_shows_ops_ridge_and_ceilings() -> None:
    for name in ("altair", "vl_convert"):
        pytest.importorskip(name, reason="the extra `report` is not installed")
    assert importlib.import_module("altair")
    svg = roofline_svg(picture(TIMED))
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    texts = {"".join(item.itertext()) for item in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"Roofline of net", "ridge 10 FLOP/byte", "100 GFLOP/s float32", "10 GB/s", "layers.0"} <= texts
    circles = [item for item in root.iter() if item.get("aria-roledescription") == "circle"]
    assert len(circles) == 2
    assert "href" not in svg
    assert "<script" not in svg
    assert "<image" not in svg
