"""The roofline as an SVG picture, drawn by Altair (the extra `report`)."""

from __future__ import annotations

import math
from importlib import import_module
from io import StringIO
from typing import Any

from effbench.errors import InputError
from effbench.report.roofline_picture import Picture, Point, Roof

_WIDTH, _HEIGHT = 640, 380
_SMALLEST, _LARGEST = 18, 620
"""Areas of circles in square pixels: of no time, and of the longest."""
_NAME = 28
_OTHER = "other"
_KINDS = 5
"""Ops with a colour of their own: those that took longest together."""

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#7F7F7F")
"""Told apart by the colour-blind too (Okabe and Ito, Color universal design, 2008); the last is for the others."""


def require() -> Any:
    """Returns Altair.

    Raises:
        InputError: it or its converter is not installed.
    """
    try:
        altair = import_module("altair")
        import_module("vl_convert")
    except ImportError as error:
        raise InputError(f"a roofline picture needs {error.name}: pip install 'effbench[report]'") from None
    return altair


def roofline_svg(drawn: Picture) -> str:
    """Returns a picture that needs nothing else: log-log, roofs with their ridge, ops as points as large as their time.

    Raises:
        InputError: Altair or its converter is not installed, or there is no op to draw.
    """
    if not drawn.points:
        raise InputError(f"{drawn.name}: no op has FLOPs and bytes that are known, so there is no roofline to draw")
    chart = _chart(require(), drawn)
    target = StringIO()
    chart.save(target, format="svg")
    return target.getvalue()


def _chart(altair: Any, drawn: Picture) -> Any:
    x = altair.X("x:Q", title="arithmetic intensity (FLOP/byte)", scale=_log(altair, drawn.x), axis=_axis(altair))
    y = altair.Y("y:Q", title="GFLOP/s", scale=_log(altair, _giga(drawn.y)), axis=_axis(altair))
    layers = [
        _lines(altair, drawn, x, y),
        _ridges(altair, drawn, x, y),
        _points(altair, drawn, x, y),
        *_names(altair, drawn, x, y),
        *_roof_labels(altair, drawn, x, y),
    ]
    subtitle = "each circle is an op call, larger the longer it took; the line is what the machine allows"
    if not drawn.timed:
        subtitle = "not timed: every op lies on the line, which is what the machine allows"
    title = altair.TitleParams(f"Roofline of {drawn.name}", subtitle=subtitle, anchor="start", offset=12)
    chart = altair.layer(*layers).properties(width=_WIDTH, height=_HEIGHT, title=title)
    font = "Helvetica, Arial, sans-serif"
    return (
        chart.configure(font=font, background="white", padding=12)
        .configure_view(stroke=None)
        .configure_title(fontSize=15, subtitleFontSize=11, subtitleColor="#555555", subtitlePadding=4)
        .configure_axis(labelFontSize=11, titleFontSize=12, titleFontWeight="normal", titlePadding=8)
        .configure_legend(labelFontSize=11, titleFontSize=11, titleFontWeight="normal", symbolOpacity=0.8)
    )


def _log(altair: Any, span: tuple[float, float]) -> Any:
    return altair.Scale(type="log", domain=list(span), nice=False)


def _axis(altair: Any) -> Any:
    tens = "abs(log(datum.value)/log(10) - round(log(datum.value)/log(10))) < 1e-6"
    return altair.Axis(
        labelExpr=f"{tens} ? format(datum.value, ',~r') : ''",
        gridColor=altair.condition(tens, altair.value("#d8d8d8"), altair.value("#f1f1f1")),
        domainColor="#888888",
        tickColor="#888888",
    )


def _giga(span: tuple[float, float]) -> tuple[float, float]:
    return span[0] / 1e9, span[1] / 1e9


def _lines(altair: Any, drawn: Picture, x: Any, y: Any) -> Any:
    rows = [row for roof in drawn.roofs for row in _corners(drawn, roof)]
    encoded = altair.Chart(altair.Data(values=rows)).mark_line(color="#222222", strokeWidth=1.8, clip=True)
    return encoded.encode(x=x, y=y, detail="roof:N", order="x:Q")


def _corners(drawn: Picture, roof: Roof) -> list[dict[str, Any]]:
    """Returns the ends of the slope and of the flat roof."""
    corners = [(drawn.x[0], drawn.x[0] * drawn.bytes_per_s), (roof.ridge, roof.flops_per_s)]
    corners.append((drawn.x[1], roof.flops_per_s))
    return [{"x": intensity, "y": rate / 1e9, "roof": roof.dtype} for intensity, rate in corners]


def _ridges(altair: Any, drawn: Picture, x: Any, y: Any) -> Any:
    rows = [{"x": roof.ridge, "y": drawn.y[0] / 1e9, "top": roof.flops_per_s / 1e9} for roof in drawn.roofs]
    rule = altair.Chart(altair.Data(values=rows)).mark_rule(color="#888888", strokeDash=[4, 4])
    labels = [
        _text(altair, (roof.ridge, drawn.y[0]), f"ridge {roof.ridge:.3g} FLOP/byte", x, y, align="left", dx=5, dy=-10)
        for roof in drawn.roofs
    ]
    return altair.layer(rule.encode(x=x, y=y, y2="top:Q"), *labels)


def _text(altair: Any, place: tuple[float, float], text: str, x: Any, y: Any, **mark: Any) -> Any:
    """Returns a text at (FLOP/byte, FLOP/s) with a white rim, so that it can be read over circles and lines."""
    data = altair.Data(values=[{"x": place[0], "y": place[1] / 1e9, "text": text}])
    style = {"fontSize": 11, "color": "#333333", **mark}
    rim = altair.Chart(data).mark_text(**style, stroke="white", strokeWidth=4, strokeJoin="round", strokeOpacity=0.85)
    return altair.layer(
        *(layer.encode(x=x, y=y, text="text:N") for layer in (rim, altair.Chart(data).mark_text(**style)))
    )


def _kinds(points: tuple[Point, ...]) -> list[str]:
    """Returns the names that have a colour, those with most time first, and the name for all others."""
    sums: dict[str, float] = {}
    for point in points:
        sums[point.op] = sums.get(point.op, 0.0) + point.seconds
    ordered = sorted(sums, key=lambda op: -sums[op])
    return ordered if len(ordered) <= _KINDS else [*ordered[:_KINDS], _OTHER]


def _points(altair: Any, drawn: Picture, x: Any, y: Any) -> Any:
    kinds = _kinds(drawn.points)
    rows = [
        {
            "x": point.intensity,
            "y": point.flops_per_s / 1e9,
            "op": point.op if point.op in kinds else _OTHER,
            "ms": point.seconds * 1e3,
        }
        for point in drawn.points
    ]
    colours = [*_COLOURS[: len(kinds) - 1], _COLOURS[-1]] if kinds[-1] == _OTHER else list(_COLOURS[: len(kinds)])
    longest = drawn.points[0].seconds * 1e3
    area = altair.Scale(domain=[0, longest], range=[_SMALLEST, _LARGEST])
    legend = altair.Legend(values=[longest / 4, longest / 2, longest], format=".2~r")
    circles = altair.Chart(altair.Data(values=rows)).mark_circle(opacity=0.65, stroke="white", strokeWidth=0.6)
    return circles.encode(
        x=x,
        y=y,
        color=altair.Color("op:N", title="op", sort=kinds, scale=altair.Scale(domain=kinds, range=colours)),
        size=altair.Size("ms:Q", title="ms", scale=area, legend=legend),
    )


def _names(altair: Any, drawn: Picture, x: Any, y: Any) -> list[Any]:
    """Returns the names of the dearest points, left of them."""
    longest = drawn.points[0].seconds
    found = []
    for point in _apart(drawn):
        radius = math.sqrt((_SMALLEST + (_LARGEST - _SMALLEST) * point.seconds / longest) / math.pi)
        name = point.path if len(point.path) <= _NAME else "…" + point.path[-_NAME + 1 :]
        place = (point.intensity, point.flops_per_s)
        found.append(_text(altair, place, name, x, y, align="right", baseline="middle", dx=-radius - 4, fontSize=10))
    return found


def _apart(drawn: Picture, most: int = 3) -> list[Point]:
    """Returns the dearest points whose names do not cover each other."""
    chosen: list[Point] = []
    for point in drawn.points:
        places = [_distance(drawn, (point.intensity, point.flops_per_s), (o.intensity, o.flops_per_s)) for o in chosen]
        if len(chosen) < most and all(abs(across) > 150 or abs(up) > 16 for across, up in places):
            chosen.append(point)
    return chosen


def _distance(drawn: Picture, one: tuple[float, float], two: tuple[float, float]) -> tuple[float, float]:
    """Returns how many pixels a place is right of and above another one."""
    across = math.log(one[0] / two[0]) / math.log(drawn.x[1] / drawn.x[0])
    up = math.log(one[1] / two[1]) / math.log(drawn.y[1] / drawn.y[0])
    return _WIDTH * across, _HEIGHT * up


def _roof_labels(altair: Any, drawn: Picture, x: Any, y: Any) -> list[Any]:
    """Returns the name of each flat roof at its right end, and of memory's slope along it where most room is."""
    ends = [
        _text(
            altair,
            (drawn.x[1], roof.flops_per_s),
            f"{roof.flops_per_s / 1e9:,.4g} GFLOP/s {roof.dtype}",
            x,
            y,
            align="right",
            baseline="bottom",
            dy=-5,
        )
        for roof in drawn.roofs
    ]
    left = max(drawn.x[0], drawn.y[0] / drawn.bytes_per_s)
    right = min(roof.ridge for roof in drawn.roofs)
    if right <= left:
        return ends
    places = [left * (right / left) ** (step / 20) for step in range(2, 19)]
    place = max(places, key=lambda at: _room(drawn, (at, at * drawn.bytes_per_s)))
    across, up = _distance(drawn, (right, right), (left, left))
    angle = 360 - math.degrees(math.atan2(up, across))
    text = f"{drawn.bytes_per_s / 1e9:,.4g} GB/s"
    at = (place, place * drawn.bytes_per_s)
    return [*ends, _text(altair, at, text, x, y, angle=angle, baseline="bottom", dy=-5)]


def _room(drawn: Picture, place: tuple[float, float]) -> float:
    """Returns the pixels to the nearest point."""
    return min(math.hypot(*_distance(drawn, place, (p.intensity, p.flops_per_s))) for p in drawn.points)
