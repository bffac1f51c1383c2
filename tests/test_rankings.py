"""Records to leaderboards: which figures of theirs are read, how they are filtered, grouped, sorted and cut."""

from __future__ import annotations

import math
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers import traced
from torch import nn

import effbench as eb
from effbench.documents.rank import ranking_document
from effbench.errors import InputError, UnknownName
from effbench.rankings import Known, gather, known_of, rank_known, state
from effbench.rankings.choose import Choice
from effbench.rankings.metric_choice import parse_metric
from effbench.rankings.naming import told_apart
from effbench.rankings.speeds import NO_ENERGY
from effbench.records import (
    CostFigure,
    Energy,
    EnergyWindow,
    ErrorFigure,
    Evaluation,
    ProcessRun,
    Published,
    Record,
    SpeedFigure,
    StopRule,
    Timing,
    TimingPlan,
)
from effbench.records.environment import Cpu, Environment, Memory, System, TorchBuild
from effbench.report import render
from effbench.report.rank import rank_report
from effbench.store import Store, Stored, view

PLAN, RULE = TimingPlan(batch=4), StopRule()


def timing(seconds: tuple[float, ...], plan: TimingPlan = PLAN, **more: object) -> Timing:
    runs = tuple(ProcessRun(place, one, (), (one,) * 3, (0, 1, 2), 1.0) for place, one in enumerate(seconds))
    made = Timing("m", plan, RULE, runs, 1, True, samples=plan.batch)
    return replace(made, **more)  # type: ignore[arg-type]


def measured(name: str, *seconds: float, plan: TimingPlan = PLAN, error: float = 0.1) -> Stored:
    trace = traced(nn.Linear(2, 2), (4, 2))
    errors = {"loss": ErrorFigure(error, "none")}
    return Stored(Record(name, trace=trace.digest(), errors=errors, timings=(timing(seconds, plan),)), trace)


def published(name: str, error: float = 10.0, seconds: float = 1e-3, **conditions: str | int | float) -> Stored:
    figures = Published(
        params=10**6,
        cost=CostFigure(1.0, "GMAC", "macs"),
        errors={"top1_err": ErrorFigure(error, "percent", n=50_000)},
        speed=SpeedFigure(seconds, batch=int(conditions.pop("batch", 64)), device="RTX 4090"),
        conditions=conditions,
        source="a table",
    )
    return Stored(Record(name, published=figures), None)


def outcome(ranks: tuple[float, ...] = (1, 1, 1, 2), **more: object) -> Evaluation:
    """Top-1 of four samples: the rank of the right label of each."""
    seen = {"target": (0.0,) * len(ranks), "rank": ranks}
    made = Evaluation("top1", "fraction", "higher", len(ranks), seen, data="val", digest="d" * 16)
    return replace(made, **more)  # type: ignore[arg-type]


# Times


def test_latency_is_the_typical_process_and_throughput_the_batch_over_it() -> None:
    ranking = eb.rank([measured("a", 0.02, 0.02, 0.02), measured("b", 0.01, 0.04)], score="latency")
    rows = {row.name: row for row in ranking.rows}
    assert rows["a"].figures["latency"] == pytest.approx(0.02)
    assert rows["b"].figures["latency"] == pytest.approx(0.02)  # √(.01 · .04)
    per_s = eb.rank([measured("a", 0.02)], score="max: throughput").rows[0].figures["throughput"]
    assert per_s == pytest.approx(4 / 0.02)


@pytest.mark.parametrize(
    ("half_ms", "shown"), [(0.3, "0.30"), (12.3, "12"), (99.4, "99"), (99.6, "100"), (115.6, "116"), (57_808, "57,808")]
)
def test_half_an_interval_is_written_without_an_exponent(half_ms: float, shown: str) -> None:
    document = ranking_document(eb.rank([measured("a", 0.002, 0.004)], score="latency"))
    document["rows"][0]["latency_s_half_width"] = half_ms / 1000
    (row,) = [line.split() for line in render(rank_report(document)).splitlines() if line.startswith("1 ")]
    assert row[row.index("2.828") + 1] == shown  # √(2 · 4) ms, and what stands beside it


def drifting(name: str, factor: float, run: str) -> Stored:
    """A model timed on a machine that slows down by a half over eight rounds, all models alike."""
    noise = (0, 1, -1, 2, 0, -2, 1, -1)
    times = tuple(0.01 * factor * (1 + 0.06 * place + 1e-4 * off) for place, off in enumerate(noise))
    stored = measured(name, *times)
    return replace(stored, record=replace(stored.record, timings=(timing(times, run=run),)))


@pytest.mark.parametrize(("runs", "apart"), [(("r", "r"), True), (("r", "s"), False), (("", ""), False)])
def test_drift_that_models_shared_in_one_run_cancels(runs: tuple[str, str], apart: bool) -> None:
    ranking = eb.rank([drifting("a", 1.0, runs[0]), drifting("b", 1.03, runs[1])], score="latency")
    found = [(row.name, row.rank_low, row.rank_high) for row in ranking.rows]
    assert found == ([("a", 1, 1), ("b", 2, 2)] if apart else [("a", 1, 2), ("b", 1, 2)])


def drawing(name: str, *joules: float, source: Any = "rapl", calls: int = 100) -> Stored:
    windows = tuple(EnergyWindow(each, 10.0, 1000, calls) for each in joules)
    stored = measured(name, 0.01, 0.02)
    counted = timing((0.01, 0.02), energy=Energy(source, "package-0", 0.001, windows))
    return replace(stored, record=replace(stored.record, timings=(counted,)))


def test_joules_of_a_call_are_ranked_with_their_interval() -> None:
    ranking = eb.rank([drawing("a", 10, 11, 12), drawing("b", 50, 52, 51)], score="energy")
    first, second = ranking.rows
    assert first.name == "a"
    assert first.figures["energy"] == pytest.approx(0.11)
    # Student's t of 3 repeats: 4.3027 · 0.01/√3 = 0.02484 J.
    assert first.half_widths["energy"] == pytest.approx(0.02484, rel=1e-3)
    assert (first.rank_low, first.rank_high, second.rank_low) == (1, 1, 2)
    assert dict(first.conditions)["energy"] == "rapl: package-0"


@pytest.mark.parametrize(
    ("stored", "why"),
    [
        (measured("b", 0.01), NO_ENERGY),
        (drawing("b", 50, 51, source="modelled"), "its energy is modelled, which is no measurement"),
        (drawing("b", 50, calls=0), "no window of its energy holds a call"),
        (drawing("b", 0), "its energy is 0 J: the counter did not count"),
    ],
)
def test_joules_that_no_counter_read_do_not_enter(stored: Stored, why: str) -> None:
    ranking = eb.rank([drawing("a", 10, 11), stored], score="energy")
    assert [row.name for row in ranking.rows] == ["a"]
    assert [(left.name, left.reason) for left in ranking.excluded] == [("b", why)]


def test_joules_of_different_counters_are_not_ranked_together() -> None:
    with pytest.raises(InputError, match="energy"):
        eb.rank([drawing("a", 10, 11), drawing("b", 50, 51, source="nvml")], score="energy")


def test_of_several_plans_the_one_that_most_models_share_is_read() -> None:
    other = TimingPlan(batch=8)
    both = measured("b", 0.01)
    both = Stored(replace(both.record, timings=(timing((0.5,), other), *both.record.timings)), both.trace)
    ranking = eb.rank([measured("a", 0.02), both, measured("c", 0.03)], score="latency")
    assert [row.name for row in ranking.rows] == ["b", "a", "c"]
    assert dict(ranking.rows[0].conditions)["batch"] == "4"


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (TimingPlan(batch=8), r"batch differs: 4 \(a\), 8 \(b\)"),
        (TimingPlan(batch=4, device="cuda"), r"device differs: cpu \(a\), cuda \(b\)"),
        (TimingPlan(batch=4, precision="bfloat16"), r"precision differs: float32 \(a\), bfloat16 \(b\)"),
        (TimingPlan(batch=4, compiled=True), r"compiled differs: no \(a\), yes \(b\)"),
    ],
)
def test_times_of_different_plans_are_refused(plan: TimingPlan, said: str) -> None:
    models = [measured("a", 0.02), measured("b", 0.01, plan=plan)]
    with pytest.raises(InputError, match=said):
        eb.rank(models, score="latency")
    assert [row.name for row in eb.rank(models, score="latency", mixed=True).rows] == ["b", "a"]
    assert len(eb.rank(models).rows) == 2  # the default score reads no time


def test_threads_that_differ_are_refused() -> None:
    one = measured("b", 0.01)
    one = Stored(replace(one.record, timings=(timing((0.01,), threads=2),)), one.trace)
    with pytest.raises(InputError, match=r"threads differs: 1 \(a\), 2 \(b\)"):
        eb.rank([measured("a", 0.02), one], score="latency")


def test_another_pytorch_or_machine_is_refused() -> None:
    def at(name: str, torch: str, cpu: str) -> Stored:
        one = measured(name, 0.01)
        where = Environment(Cpu(model=cpu), Memory(), System(), torch=TorchBuild(torch))
        return Stored(replace(one.record, environment=where), one.trace)

    models = [at("a", "2.1", "slow"), at("b", "2.2", "slow"), at("c", "2.1", "quick")]
    said = r"CPU differs: slow \(a, b\), quick \(c\); torch differs: 2.1 \(a, c\), 2.2 \(b\): .* --by CPU, or together"
    with pytest.raises(InputError, match=said):
        eb.rank(models, score="latency")
    assert {row.rank for row in eb.rank(models, score="latency", by="torch", mixed=True).rows} == {1}
    unknown = Stored(replace(models[0].record, name="d", environment=None), models[0].trace)
    ranking = eb.rank([models[0], unknown], score="latency")
    assert ("not-stated", "torch", "not stated of d: taken to be like the others") in {
        (note.code, note.subject, note.text) for note in ranking.notes
    }


def test_a_model_whose_process_died_says_so() -> None:
    dead = measured("b")
    dead = Stored(replace(dead.record, timings=(timing((), died="b: killed by signal 9"),)), dead.trace)
    ranking = eb.rank([measured("a", 0.02), dead], score="latency")
    assert [(item.name, item.reason) for item in ranking.excluded] == [("b", "not timed: b: killed by signal 9")]


def test_inputs_that_differ_are_refused_where_flops_are_read() -> None:
    wide = traced(nn.Linear(2, 2), (4, 3, 2))
    models = [measured("a"), Stored(Record("b", trace=wide.digest(), errors={"loss": ErrorFigure(0.1, "none")}), wide)]
    with pytest.raises(InputError, match=r"input differs: 2 \(a\), 3×2 \(b\)"):
        eb.rank(models)
    assert len(eb.rank(models, score="params * exp(error)").rows) == 2


# Published tables


def test_published_batches_that_differ_are_refused() -> None:
    models = [published("a", batch=64), published("b", batch=256)]
    with pytest.raises(InputError, match=r"batch differs: 64 \(a\), 256 \(b\).*--mixed"):
        eb.rank(models, score="error / throughput")
    ranking = eb.rank(models, score="error / throughput", mixed=True)
    assert [(note.subject, note.text) for note in ranking.notes if note.code == "mixed"] == [
        ("batch", "batch differs: 64 (a), 256 (b)")
    ]
    latencies = {row.name: row.figures["latency"] for row in ranking.rows}
    assert latencies == {"a": pytest.approx(0.064), "b": pytest.approx(0.256)}  # seconds a call of the whole batch


def test_calls_of_different_batches_are_compared_by_the_sample() -> None:
    # A call of a takes 64 ms and one of b 128 ms, but a sample 1 ms and .5 ms.
    models = [published("a", seconds=1e-3, batch=64), published("b", error=20.0, seconds=5e-4, batch=256)]
    times = eb.rank(models, mixed=True).groups[0].trade.times
    assert times is not None
    assert (times.of, times.reversed, times.pairs) == ("sample", 1, 1)
    assert eb.rank(models).groups[0].trade.times is None


def test_a_quality_is_read_by_its_own_name() -> None:
    made = published("a", seconds=1e-3, batch=4)
    figures = made.record.published
    assert figures is not None
    psnr = replace(figures, errors={"psnr": ErrorFigure(30.0, "dB")})
    stored = Stored(replace(made.record, published=psnr), None)
    (row,) = eb.rank([stored], score="ntire_rtsr:bicubic=28").rows
    assert row.score == pytest.approx(2 * 2 ** (30 - 28) / (0.1 * math.sqrt(4.0)), rel=1e-12)
    assert row.figures["psnr"] == 30.0
    with pytest.raises(InputError, match="psnr is in dB and higher is better, so it is no error: read it by its name"):
        eb.rank([stored])


def test_what_a_table_says_beside_groups_and_filters() -> None:
    models = [published("a", 10.0, img_size=224), published("b", 9.0, img_size=288), published("c", 8.0, img_size=224)]
    assert len(eb.rank(models).rows) == 3
    ranking = eb.rank(models, by="img_size")
    assert [(group.label, [row.name for row in group.rows]) for group in ranking.groups] == [
        ("224", ["c", "a"]),
        ("288", ["b"]),
    ]
    assert [row.rank for row in ranking.rows] == [1, 2, 1]
    assert [row.name for row in eb.rank(models, where="img_size == 224 and error < 9").rows] == ["c"]
    with pytest.raises(UnknownName, match="unknown column 'imgsize': did you mean img_size"):
        eb.rank(models, by="imgsize")


def test_a_filter_says_what_it_left_out_and_what_it_cannot_decide() -> None:
    timed, untimed = measured("a", 0.02), measured("b")
    ranking = eb.rank([timed, untimed, measured("c", 0.5)], where="latency < 0.1")
    assert [row.name for row in ranking.rows] == ["a"]
    assert [(item.name, item.reason) for item in ranking.excluded] == [("b", "--filter cannot be decided: no latency")]
    assert "1 of 3 models do not meet latency < 0.1" in {note.text for note in ranking.notes}
    with pytest.raises(InputError, match=r"nothing to rank by loss under macs: .*1 of 1 models do not meet"):
        eb.rank([timed], where="latency > 1")


def test_where_nothing_can_be_ranked_the_commonest_reasons_are_told() -> None:
    models = [
        published(f"m{place}", 20.0 + place % 4) for place in range(6)
    ]  # two of 20 and of 21, one of 22 and of 23
    told = (
        "2 × its error of 20 percent is above the limit of 1; 2 × its error of 21 percent is above the limit of 1; "
        "1 × its error of 22 percent is above the limit of 1; 1 more"
    )
    with pytest.raises(InputError, match=re.escape(told)):
        eb.rank(models, max_error=1.0)


def test_many_models_under_other_conditions_are_counted_and_few_are_named() -> None:
    models = [published(f"m{place}", batch=64) for place in range(4)] + [published("n", batch=1)]
    with pytest.raises(InputError, match=r"batch differs: 64 \(4 models\), 1 \(n\): rank those apart"):
        eb.rank(models, score="latency")


def test_rows_are_sorted_by_any_column_and_ranks_stay() -> None:
    models = [measured("a", 0.02, error=0.3), measured("b", 0.03, error=0.1), measured("c", error=0.2)]
    for column, names in (
        ("error", ["b", "c", "a"]),
        ("-error", ["a", "c", "b"]),
        ("latency", ["a", "b", "c"]),
        ("-latency", ["b", "a", "c"]),
        ("-model", ["c", "b", "a"]),
        ("latency_s", ["a", "b", "c"]),
    ):
        ranking = eb.rank(models, sort=column)
        assert [row.name for row in ranking.rows] == names
        assert {row.name: row.rank for row in ranking.rows} == {"b": 1, "c": 2, "a": 3}
    with pytest.raises(UnknownName, match="unknown column 'latenc': did you mean latency"):
        eb.rank(models, sort="latenc")


def test_the_top_is_cut_after_all_were_ranked() -> None:
    ranking = eb.rank([published(name, error) for name, error in zip("abc", (3.0, 1.0, 2.0), strict=True)], top=1)
    assert [row.name for row in ranking.rows] == ["b"]
    assert ranking.groups[0].trade.models == 3
    assert ranking.notes[0].code == "top"


# Errors


def test_a_measured_error_comes_before_a_stated_one() -> None:
    trace = traced(nn.Linear(2, 2), (4, 2))
    entry = Record("a", trace=trace.digest(), errors={"top1": ErrorFigure(0.9, "fraction")}, evaluations=(outcome(),))
    (row,) = eb.rank([Stored(entry, trace)], "top1").rows
    assert row.error == 0.25
    (known,) = state(known_of([Stored(entry, trace)], "macs"), [("a", ErrorFigure(0.8, "fraction"))], "top1")
    assert rank_known([known], Choice("top1")).rows[0].error == pytest.approx(0.2)


def test_models_on_other_data_are_refused() -> None:
    trace = traced(nn.Linear(2, 2), (4, 2))

    def on(name: str, digest: str) -> Stored:
        return Stored(Record(name, trace=trace.digest(), evaluations=(outcome(digest=digest),)), trace)

    with pytest.raises(InputError, match=r"data differs: val aaaaaaaa \(a\), val bbbbbbbb \(b\)"):
        eb.rank([on("a", "a" * 16), on("b", "b" * 16)])
    rows = eb.rank([on("a", "a" * 16), on("b", "a" * 16)]).rows
    assert {row.tie for row in rows} == {1}
    assert {row.p_best for row in rows} == {0.5}  # the same answers to the same samples: equal in every draw


def test_several_measurements_of_a_metric_need_a_choice() -> None:
    trace = traced(nn.Linear(2, 2), (4, 2))
    other = outcome((1, 2, 2, 2), data="test", digest="e" * 16)
    stored = Stored(Record("a", trace=trace.digest(), evaluations=(outcome(), other)), trace)
    said = "a has several top1: say which, with --error top1:data=val or --error top1:data=test$"
    with pytest.raises(InputError, match=said):
        eb.rank([stored])
    assert eb.rank([stored], "top1:data=test").rows[0].error == 0.75
    assert eb.rank([stored], "top1:percent,data=val").rows[0].error == 25.0


def test_what_tells_measurements_apart_can_be_pasted() -> None:
    trace = traced(nn.Linear(2, 2), (4, 2))
    one = outcome(data="my set")
    other = replace(outcome((1, 2, 2, 2), data="my set"), settings={"num_classes": 2})
    stored = Stored(Record("a", trace=trace.digest(), evaluations=(one, other)), trace)
    with pytest.raises(InputError) as told:
        eb.rank([stored], "top1:percent")
    words = shlex.split(str(told.value).partition("with ")[2])
    assert words[::3] == ["--error", "--error"]
    # The first fits both by what it says; it is meant by what it does not say.
    assert [eb.rank([stored], text).rows[0].error for text in words[1::3]] == [25.0, 75.0]
    assert words[4] == "top1:percent,num_classes=2"
    # A formula that reads the metric by its name means the same one.
    for text, quality in zip(words[1::3], (0.75, 0.25), strict=True):
        assert eb.rank([stored], text, score="1/top1").rows[0].score == pytest.approx(1 / quality)


@pytest.mark.parametrize("text", ["top1:", ":percent", "top1:a,b", "top1:percent,"])
def test_a_metric_that_cannot_be_read_says_how_to_write_it(text: str) -> None:
    with pytest.raises(InputError, match="write METRIC, METRIC:UNIT or METRIC:SETTING=VALUE"):
        parse_metric(text)


def test_samples_left_out_are_noted_and_refused_where_they_differ() -> None:
    trace = traced(nn.Linear(2, 2), (4, 2))

    def lost(name: str, ranks: tuple[float, ...], **left_out: int) -> Stored:
        return Stored(Record(name, trace=trace.digest(), evaluations=(outcome(ranks, left_out=left_out),)), trace)

    nan, whole = lost("nan", (1, 1, 1), hard=1), lost("whole", (1, 1, 1, 2))
    with pytest.raises(InputError, match=r"left out differs: 1 × hard \(nan\), none \(whole\): .* with --mixed"):
        eb.rank([nan, whole])
    ranking = eb.rank([nan, whole], mixed=True)
    assert {row.name: row.error for row in ranking.rows} == {"nan": 0.0, "whole": 0.25}  # 0 of 3, 1 of 4 wrong
    said = [(note.subject, note.text) for note in ranking.notes if note.code == "left-out"]
    assert said == [("top1", "nan: 1 × hard are not in its error")]


def test_times_that_did_not_converge_are_noted() -> None:
    rough = measured("b", 0.01)
    rough = Stored(replace(rough.record, timings=(timing((0.01,), converged=False),)), rough.trace)
    notes = eb.rank([measured("a", 0.02), rough], score="latency").notes
    said = [note.text for note in notes if note.code == "not-converged"]
    assert said == ["b: its precision was not reached within its budget"]


def in_unit(name: str, value: float, unit: str, metric: str = "top1_err") -> Stored:
    figures = published(name).record.published
    assert figures is not None
    return Stored(Record(name, published=replace(figures, errors={metric: ErrorFigure(value, unit)})), None)


def test_a_metric_read_by_its_name_is_compared_in_one_unit() -> None:
    models = [in_unit("a", 20.0, "percent"), in_unit("b", 0.3, "fraction")]  # b errs more, though .3 < 20
    said = r"unit of top1_err differs: percent \(a\), fraction \(b\)"
    with pytest.raises(InputError, match=said):
        eb.rank(models, score="latency*top1_err")


def test_a_filter_reads_the_error_in_the_scores_unit() -> None:
    models = [in_unit("a", 0.2, "fraction"), in_unit("b", 0.3, "fraction")]  # netscore reads 20 and 30 percent
    limited = eb.rank(models, score="netscore", max_error=25.0)
    filtered = eb.rank(models, score="netscore", where="error < 25")
    assert [row.name for row in limited.rows] == [row.name for row in filtered.rows] == ["a"]


def test_batch_is_that_of_the_figure_that_the_score_reads() -> None:
    wide = TimingPlan(batch=64)  # the traces have a batch of 4
    models = [measured("a", 0.02, plan=wide), measured("b", 0.01)]
    groups = eb.rank(models, score="latency", by="batch").groups
    assert [(group.label, [row.name for row in group.rows]) for group in groups] == [("4", ["b"]), ("64", ["a"])]
    assert [row.name for row in eb.rank(models, score="latency", where="batch == 64").rows] == ["a"]


# Python and folders


def test_a_ranking_is_a_frame() -> None:
    frame = eb.rank([published("a", 2.0), published("b", 1.0)]).to_frame()
    assert list(frame["model"]) == ["b", "a"]
    assert list(frame["rank"]) == [1, 2]
    assert frame["error"].tolist() == [1.0, 2.0]
    assert frame["score"][0] == pytest.approx(1.0 * 2.0 * math.e)
    # 10^6 parameters times 2 · 10^9 FLOPs, a thousand and ten thousand times, is more than 64 bits hold.
    assert (frame["params"] * 1000 * frame["flops"] * 10_000).tolist() == [2e22, 2e22]
    assert {"params", "flops", "latency_s", "rank_low", "p_best", "front", "break_even"} <= set(frame.columns)


def test_a_folder_is_ranked_as_its_records_are(tmp_path: Path) -> None:
    models = [measured("a", 0.02, 0.03), measured("b", 0.01, 0.01, error=0.5), published("c")]
    for stored in models:
        Store(tmp_path).save(stored.record, stored.trace)
    known, notes = gather([str(tmp_path)], "macs")
    assert notes == ()
    for score in ("params_flops_exp", "latency * exp(error)"):
        assert rank_known(known, Choice("loss", score)).rows == eb.rank(models, "loss", score).rows


def test_models_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for folder, names in (("x/zoo", "ab"), ("y/zoo", "bc")):
        for place, name in enumerate(names):
            Store(tmp_path / folder).save(published(name, 10.0 + place).record)
    folders = [str(tmp_path / folder) for folder in ("x/zoo", "y/zoo")]
    told = ["a", "b (x/zoo)", "b (y/zoo)", "c"]
    known, _ = gather(folders, "macs")
    ranking = rank_known(known, Choice(draws=200))
    assert sorted(row.name for row in ranking.rows) == told
    assert sorted(ranking.to_frame()["model"]) == told
    assert sorted(row["model"] for row in ranking_document(ranking)["rows"]) == told
    in_hand = [stored for folder in folders for stored in eb.read_folder(folder).records]
    assert sorted(row.name for row in eb.rank(in_hand).rows) == told
    # Which of the two is meant is said by the name that is shown.
    (b,) = [one for one in state(known, [("b (y/zoo)", ErrorFigure(1.0, "percent"))], "e") if one.view.errors]
    assert b.source == folders[1]


def entry(name: str, spec: str | None, source: str) -> Known:
    return Known(view(Record(name, spec)), source=source)


@pytest.mark.parametrize(
    ("models", "names"),
    [
        ([("n", None, "p"), ("m", None, "q")], ["n", "m"]),
        ([("n", "a.py:N", "p"), ("n", "b.py:N", "p")], ["a.py:N", "b.py:N"]),
        ([("n", "a.py:N", "p"), ("n", "b.py:N", "q")], ["a.py:N", "b.py:N"]),
        ([("n", "a.py:N", "p"), ("n", "a.py:N", "q")], ["n (p)", "n (q)"]),
        ([("n", "a.py:N", "p"), ("n", "b.py:N", "p"), ("n", "a.py:N", "q")], ["a.py:N (p)", "b.py:N (p)", "n (q)"]),
        ([("n", "a.py:N", ""), ("n", "a.py:N", "r/q")], ["n", "n (q)"]),  # profiled now, and as it was kept
        ([("n", None, "a/z.yaml"), ("n", None, "b/z.yaml")], ["n (a/z.yaml)", "n (b/z.yaml)"]),
    ],
)
def test_a_name_is_as_long_as_it_takes(models: list[tuple[str, str | None, str]], names: list[str]) -> None:
    assert [one.view.name for one in told_apart([entry(*model) for model in models])] == names


@pytest.mark.parametrize("sources", [("{0}", "{0}/."), ("a.py:Net", "a.py:Net")])
def test_a_source_named_twice_is_refused(sources: tuple[str, str], tmp_path: Path) -> None:
    Store(tmp_path).save(published("a").record)
    with pytest.raises(InputError, match="which stands before it: name it once"):
        gather([source.format(tmp_path) for source in sources], "macs")


def test_memory_is_read_where_the_score_asks_for_it() -> None:
    trace = traced(nn.Linear(2, 2), (4, 2))
    stored = Stored(Record("a", trace=trace.digest(), errors={"loss": ErrorFigure(0.1, "none")}), trace)
    (row,) = eb.rank([stored], score="memory * error").rows
    assert row.figures["memory"] == (8 + 8) * 4  # the input and the output, in float32
    assert dict(row.conditions)["memory"] == "activations, from the trace"
