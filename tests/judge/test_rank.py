"""The leaderboard: order, ties, exchange rates, and who is left out and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import traced
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import effbench as eb
from effbench.documents.rank import ranking_document
from effbench.errors import InputError, UnknownName
from effbench.judge.board import Rules
from effbench.judge.candidate import EVERY_QUALITY, Candidate, Figure
from effbench.judge.rank import rank
from effbench.judge.ranking import Ranking
from effbench.judge.scores import score_of
from effbench.records import CostFigure, ErrorFigure, Published, Record
from effbench.report import render
from effbench.report.rank import rank_report
from effbench.store import Stored

PLAIN, MIXED = Rules(), Rules(mixed=True)
SUITE = Path(__file__).parents[2] / "benchmarks" / "suites" / "published.yaml"
SCORE = score_of("params_flops_exp")


def pixels(value: float) -> ErrorFigure:
    return ErrorFigure(value, "pixels")


def candidate(name: str, params: int = 10**6, flops: int | None = 10**9, error: Any = 1.0) -> Candidate:
    stated = pixels(error) if isinstance(error, int | float) else error
    figures = {"params": Figure(params), "error": Figure(stated.value, unit=stated.unit)}
    return Candidate(name, figures if flops is None else {**figures, "flops": Figure(flops)})


def ranked(candidates: Sequence[Candidate], metric: str = "pixel_error", rules: Rules = PLAIN) -> Ranking:
    if metric not in EVERY_QUALITY:
        return rank(candidates, SCORE, metric, rules)
    higher = [{**item.figures, "error": replace(item.figures["error"], direction="higher")} for item in candidates]
    return rank(
        [replace(item, figures=found) for item, found in zip(candidates, higher, strict=True)], SCORE, metric, rules
    )


def order(ranking: Ranking) -> list[tuple[int, str]]:
    return [(row.rank, row.name) for row in ranking.rows]


# The published leaderboard


def test_the_published_leaderboard() -> None:
    ranking = eb.rank(eb.read_published(SUITE).records, "pixel_error", convention="thop")
    assert [(row.rank, row.name) for row in ranking.rows] == [
        (1, "hand-mobilenetv3s"),
        (2, "hand-final"),
        (3, "hand-v3"),
        (4, "hand-v2"),
    ]
    scored = {row.name: row.score for row in ranking.rows}
    assert round(scored.pop("hand-mobilenetv3s"), 4) == 182.3724
    assert scored == {
        "hand-final": 285.59885234255654,
        "hand-v3": 477.91665120700634,
        "hand-v2": 708.5009779051727,
    }
    assert {row.source for row in ranking.rows} == {"published"}
    assert len(ranking.excluded) == 29 - 4
    assert {item.reason for item in ranking.excluded} == {"no pixel_error"}


def test_the_published_break_even() -> None:
    ranking = eb.rank(eb.read_published(SUITE).records, "pixel_error", convention="thop")
    (row,) = [row for row in ranking.rows if row.name == "hand-v2"]
    assert row.break_even is not None
    assert row.lead is not None
    assert row.break_even == pytest.approx(math.log(4152448 * 1.031351216 / (2585248 * 0.474115488)), rel=1e-12)
    assert f"{row.break_even:.3f}" == "1.251"
    assert f"{row.lead:.3f}" == "0.857"
    assert row.lead == pytest.approx(5.965919247358571 - 5.108583596827928, rel=1e-12)


def test_accuracy_ranks_the_rows_with_flops_and_accuracy() -> None:
    ranking = eb.rank(eb.read_published(SUITE).records, "accuracy", convention="thop")
    assert len(ranking.rows) == 10
    assert len(ranking.excluded) == 19
    reasons = {item.name: item.reason for item in ranking.excluded}
    assert reasons["hand-v2"] == reasons["custom-alexnet"] == "no accuracy"
    assert reasons["mnist-resnet18"] == reasons["cifar-mnv2-relu-80"] == "no FLOPs published"
    errors = {row.name: row.error for row in ranking.rows}
    assert errors["teacher"] == 1 - 0.907
    (warning,) = [note.text for note in ranking.notes if note.code == "dead-term" and "accuracy" in note.subject]
    assert "matter" in warning
    assert "k = " in warning


# Order


def test_order_is_by_the_logarithm_so_that_nothing_overflows() -> None:
    ranking = ranked([candidate("worse", error=1001), candidate("bad", error=1000), candidate("good", error=1)])
    assert order(ranking) == [(1, "good"), (2, "bad"), (3, "worse")]
    assert [row.score for row in ranking.rows] == [math.e, math.inf, math.inf]
    assert [round(row.order) for row in ranking.rows] == [1, 1000, 1001]
    document = ranking_document(ranking)
    assert [row["score"] for row in document["rows"]] == [math.e, None, None]
    report = rank_report(document)
    for form in ("json", "csv", "table", "markdown", "latex"):
        assert "inf" not in render(report, form).lower()
    assert '"score": null' in render(report, "json")


def test_equal_scores_share_a_rank_and_stand_by_name() -> None:
    ranking = ranked([candidate("b"), candidate("c", error=2), candidate("a"), candidate("d", error=0)])
    assert order(ranking) == [(1, "d"), (2, "a"), (2, "b"), (4, "c")]
    tied = ranking.rows[2]
    assert (tied.break_even, tied.lead) == (0, 0)


def test_a_model_of_27_percent_the_size_is_worth_1_31_pixels() -> None:
    ranking = ranked([candidate("large", params=10**8, error=6.0), candidate("small", params=27 * 10**6, error=6.0)])
    first, second = ranking.rows
    assert (first.name, first.break_even, first.lead) == ("small", None, None)
    assert second.break_even == pytest.approx(math.log(1 / 0.27), rel=1e-12)
    assert f"{second.break_even:.3f}" == "1.309"


costs = st.integers(1, 10**12)
errors = st.floats(0, 100)


@given(costs, costs, errors, costs, costs, errors)
def test_at_break_even_a_row_ties_with_the_one_above(
    params: int, flops: int, error: float, other_params: int, other_flops: int, other_error: float
) -> None:
    above, below = ranked(
        [candidate("a", params, flops, error), candidate("b", other_params, other_flops, other_error)]
    ).rows
    assert below.break_even is not None
    assert above.error is not None
    assert below.error is not None
    assert below.lead == above.error - below.error
    assert below.lead <= below.break_even + 1e-9
    level = below.order - below.error + (above.error - below.break_even)
    assert level == pytest.approx(above.order, abs=1e-9)


model = st.builds(lambda params, flops, error: (params, flops, error), costs, costs, errors)


@given(st.lists(model, min_size=2, max_size=6), st.data())
def test_a_third_model_flips_no_pair(models: list[tuple[int, int, float]], data: st.DataObject) -> None:
    everyone = [candidate(f"m{index}", *figures) for index, figures in enumerate(models)]
    whole = {name: place for place, name in order(ranked(everyone))}
    gone = data.draw(st.sampled_from(everyone))
    rest = {name: place for place, name in order(ranked([item for item in everyone if item is not gone]))}
    for one in rest:
        for other in rest:
            assert (rest[one] < rest[other]) == (whole[one] < whole[other])


@given(st.lists(model, min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_the_order_of_the_arguments_does_not_matter(models: list[tuple[int, int, float]], random: Any) -> None:
    everyone = [candidate(f"m{index}", *figures) for index, figures in enumerate(models)]
    shuffled = list(everyone)
    random.shuffle(shuffled)
    assert ranked(shuffled).rows == ranked(everyone).rows


# Units


# Few values, so that many models tie.
accuracies = st.integers(0, 9999).flatmap(
    lambda low: st.lists(st.tuples(st.integers(1, 2), st.integers(low, low + 1)), min_size=2, max_size=5)
)


@given(accuracies, st.data())
def test_percent_or_fraction_moves_no_rank(models: list[tuple[int, int]], data: st.DataObject) -> None:
    def figure(hundredths_of_a_percent: int, unit: str) -> ErrorFigure:
        return ErrorFigure(hundredths_of_a_percent / {"percent": 100, "fraction": 10000}[unit], unit)

    def board(units: Sequence[str]) -> Ranking:
        return ranked(
            [
                candidate(f"m{index}", params, 10**9, figure(accuracy, unit))
                for index, ((params, accuracy), unit) in enumerate(zip(models, units, strict=True))
            ],
            "accuracy",
        )

    units = data.draw(st.lists(st.sampled_from(["percent", "fraction"]), min_size=len(models), max_size=len(models)))
    assert order(board(units)) == order(board(["fraction"] * len(models)))


def published(name: str, cost: CostFigure | None, params: int | None = 10**6, error: float = 1.0) -> Stored:
    errors = {"pixel_error": pixels(error)}
    return Stored(Record(name, published=Published(params=params, cost=cost, errors=errors)), None)


@given(st.lists(st.tuples(st.integers(1, 10**6), errors), min_size=2, max_size=5), st.data())
def test_the_unit_of_a_published_cost_moves_no_rank(models: list[tuple[int, float]], data: st.DataObject) -> None:
    def cost(kilomacs: int, unit: str) -> CostFigure:
        scale = {"MAC": 1000, "KMAC": 1, "MMAC": 1e-3, "FLOP": 2000, "KFLOP": 2, "GFLOP": 2e-6}[unit]
        digits = float(f"{kilomacs * scale:.15g}")  # as a document would print it
        return CostFigure(digits, unit, "macs")

    units = data.draw(
        st.lists(
            st.sampled_from(["MAC", "KMAC", "MMAC", "FLOP", "KFLOP", "GFLOP"]),
            min_size=len(models),
            max_size=len(models),
        )
    )
    mixed, plain = (
        eb.rank(
            [published(f"m{i}", cost(k, u), error=e) for i, ((k, e), u) in enumerate(zip(models, given, strict=True))]
        )
        for given in (units, ["MAC"] * len(models))
    )
    assert mixed.rows == plain.rows


def test_published_macs_are_two_flops_each() -> None:
    alexnet = next(item for item in eb.read_published(SUITE).records if item.record.name == "custom-alexnet")
    stated = Stored(Record("custom-alexnet", errors={"e": pixels(1)}, published=alexnet.record.published), None)
    (row,) = eb.rank([stated], "e", convention="thop").rows
    assert row.flops == 2 * 705535424


def test_an_error_in_another_unit_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"unit of pixel_error differs: pixels \(a, c\), millimetres \(b\): state all"):
        ranked([candidate("a"), candidate("b", error=ErrorFigure(1.0, "millimetres")), candidate("c")])


def test_shares_stated_in_two_ways_need_a_unit() -> None:
    models = [candidate("a", error=ErrorFigure(0.2, "fraction")), candidate("b", error=ErrorFigure(10.0, "percent"))]
    with pytest.raises(InputError, match=r"unit of top1_err differs: fraction \(a\), percent \(b\)"):
        ranked(models, "top1_err")
    for unit, shown in (("fraction", [0.1, 0.2]), ("percent", [10.0, 20.0])):
        assert [row.error for row in ranked(models, "top1_err", Rules(unit=unit)).rows] == shown


def test_an_error_in_another_unit_is_left_out_where_that_was_asked_for() -> None:
    ranking = ranked([candidate("a"), candidate("b", error=ErrorFigure(1.0, "millimetres"))], rules=MIXED)
    assert order(ranking) == [(1, "a")]
    assert [note.subject for note in ranking.notes if note.code == "mixed"] == ["pixel_error"]
    assert [(item.name, item.reason) for item in ranking.excluded] == [
        ("b", "its pixel_error is in millimetres, the ranking is in pixels")
    ]


def test_a_model_that_cannot_be_ranked_sets_no_unit() -> None:
    ranking = ranked([candidate("x", flops=None, error=ErrorFigure(1.0, "millimetres")), candidate("a")])
    assert (ranking.unit, order(ranking)) == ("pixels", [(1, "a")])


def test_an_accuracy_in_pixels_is_refused() -> None:
    models = [candidate("a", error=ErrorFigure(0.9, "fraction")), candidate("b")]
    with pytest.raises(InputError, match=r"unit of accuracy differs: fraction \(a\), pixels \(b\)"):
        ranked(models, "accuracy")
    with pytest.raises(InputError, match="accuracy is in pixels and higher is better, so it is no error"):
        ranked(models[1:], "accuracy")
    ranking = ranked(models, "accuracy", MIXED)
    assert order(ranking) == [(1, "a")]
    assert ranking.excluded[0].reason == "its accuracy is in pixels, not a fraction or percent"


@pytest.mark.parametrize("unit", ["fraction", "percent"])
def test_accuracy_is_read_as_one_minus(unit: str) -> None:
    value = {"fraction": 0.9337, "percent": 93.37}[unit]
    ranking = ranked([candidate("a", error=ErrorFigure(value, unit))], "accuracy")
    (row,) = ranking.rows
    assert row.error == 1 - 0.9337
    assert (ranking.unit, ranking.error_name) == ("fraction", "(1 − accuracy)")


@pytest.mark.parametrize(("value", "unit"), [(93.37, "fraction"), (1.0001, "fraction"), (100.5, "percent")])
def test_an_impossible_accuracy_is_left_out(value: float, unit: str) -> None:
    good, bad = ErrorFigure(0.9, "fraction"), ErrorFigure(value, unit)
    ranking = ranked([candidate("a", error=good), candidate("b", error=bad)], "accuracy")
    assert order(ranking) == [(1, "a")]
    assert str(value) in ranking.excluded[0].reason


# Left out, with the reason


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.001])
@pytest.mark.parametrize("metric", ["pixel_error", "accuracy"])
def test_an_error_that_is_no_number_from_0_up_is_left_out(value: float, metric: str) -> None:
    unit = "fraction" if metric == "accuracy" else "pixels"
    ranking = ranked(
        [candidate("a", error=ErrorFigure(0.5, unit)), candidate("b", error=ErrorFigure(value, unit))], metric
    )
    assert order(ranking) == [(1, "a")]
    assert ranking.excluded[0].name == "b"
    assert str(value) in ranking.excluded[0].reason


COST = CostFigure(1.0, "GFLOP", "macs")


@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        (published("x", None), "no FLOPs published"),
        (published("x", COST, params=None), "no parameters published"),
        (published("x", COST, params=0), "no parameters or FLOPs: the score would be 0"),
        (published("x", CostFigure(0, "FLOP", "macs")), "no parameters or FLOPs: the score would be 0"),
        (Stored(Record("x", published=Published(params=1, cost=COST)), None), "no pixel_error"),
        (Stored(Record("x", errors={"pixel_error": pixels(1)}), None), "not profiled: effbench profile SPEC --record"),
        (published("x", CostFigure(1.5, "FLOP", "macs")), "1.5 FLOP is not a whole number of FLOPs: check its unit"),
        (published("x", CostFigure(1.5, "GOP", "macs")), "unknown unit 'GOP': use one of "),
        (published("x", CostFigure(-1.0, "GMAC", "macs")), "-1.0 GMAC is not a cost"),
        (published("x", CostFigure(math.nan, "GMAC", "macs")), "nan GMAC is not a cost"),
    ],
)
def test_a_model_that_lacks_a_figure_is_listed_with_the_reason(stored: Stored, reason: str) -> None:
    ranking = eb.rank([published("ok", COST), stored], "pixel_error")
    assert order(ranking) == [(1, "ok")]
    ((name, said),) = [(item.name, item.reason) for item in ranking.excluded]
    assert name == "x"
    assert said.startswith(reason)


def test_a_cost_counted_otherwise_is_refused_by_name() -> None:
    models = [published("ok", COST), published("x", CostFigure(1.0, "GFLOP", "thop"))]
    with pytest.raises(
        InputError, match=r"convention differs: macs \(ok\), thop \(x\): .* --by convention, or together with --mixed"
    ):
        eb.rank(models)
    ranking = eb.rank(models, mixed=True)
    assert order(ranking) == [(1, "ok"), (1, "x")]
    assert ("mixed", "convention") in {(note.code, note.subject) for note in ranking.notes}


def test_costs_that_are_all_counted_otherwise_are_named() -> None:
    with pytest.raises(InputError, match="2 × its FLOPs were counted by thop, this ranking is by macs"):
        eb.rank([published(name, CostFigure(1.0, "GFLOP", "thop")) for name in "ab"])


def test_a_trace_with_an_unknown_op_is_left_out_by_the_op() -> None:
    class Distances(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cdist(x, x)

    trace = traced(nn.Sequential(nn.Linear(2, 2), Distances()), (2, 2))
    entry = Stored(Record("x", trace=trace.digest(), errors={"pixel_error": pixels(1)}), trace)
    ranking = eb.rank([published("ok", COST), entry])
    assert order(ranking) == [(1, "ok")]
    assert ranking.excluded[0].reason.startswith("FLOPs unknown: no formula for aten::")
    assert "cdist" in ranking.excluded[0].reason


def test_a_measured_model_is_counted_by_the_ranking_s_convention() -> None:
    trace = traced(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), (1, 4))
    entry = Stored(Record("x", trace=trace.digest(), errors={"pixel_error": pixels(1)}), trace)
    flops = {name: eb.rank([entry], convention=name).rows[0].flops for name in ("macs", "full", "thop")}
    assert flops == {"macs": 2 * 12, "full": 2 * 12 + 3 + 3, "thop": 2 * 12}
    assert eb.rank([entry]).rows[0].source == "measured"


# Which error


def stating(name: str, **errors: float) -> Stored:
    trace = traced(nn.Linear(2, 2), (1, 2))
    return Stored(Record(name, trace=trace.digest(), errors={key: pixels(e) for key, e in errors.items()}), trace)


def test_the_only_stated_error_needs_no_name() -> None:
    assert eb.rank([stating("a", loss=1), stating("b", loss=2)]).metric == "loss"
    assert eb.rank([stating("a", loss=1, mae=1), stating("b", loss=2)]).metric == "loss"


def test_several_errors_need_a_name() -> None:
    with pytest.raises(InputError, match="say which error to rank by, with --error loss or --error mae"):
        eb.rank([stating("a", loss=1, mae=1)])


def test_no_error_at_all_says_how_to_give_one() -> None:
    with pytest.raises(InputError, match="no record states an error"):
        eb.rank([stating("a")])


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"metric": "los"}, "unknown error 'los': did you mean loss"),
        ({"convention": "mac"}, "unknown convention 'mac': did you mean macs"),
    ],
)
def test_unknown_names_suggest_near_ones(option: dict[str, Any], said: str) -> None:
    with pytest.raises(UnknownName, match=said):
        eb.rank([stating("a", loss=1)], **option)


def test_an_unknown_score_suggests_near_ones() -> None:
    with pytest.raises(InputError, match="unknown score 'params_flop': did you mean params_flops_exp"):
        eb.rank([stating("a", loss=1)], score="params_flop")


# Notes


def test_the_exchange_rate_is_told() -> None:
    notes = {note.code: note.text for note in ranked([candidate("a")]).notes}
    assert notes["exchange-rate"] == "one doubling of cost (params or flops) = 0.6931 pixels of pixel_error"


def test_an_error_that_weighs_is_not_warned_about() -> None:
    ranking = ranked([candidate("a", error=1.0), candidate("b", error=5.0, params=10**5)])
    assert [note.code for note in ranking.notes] == ["exchange-rate", "no-intervals"]
