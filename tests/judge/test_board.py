"""What is said of a leaderboard beside its order: how sure it is, its front, its winners by weight, and time."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau, spearmanr

from effbench.documents.rank import ranking_document
from effbench.errors import InputError
from effbench.judge.board import Rules
from effbench.judge.candidate import Candidate, Figure, Measure, Rounded, as_error, unit_for
from effbench.judge.rank import rank
from effbench.judge.ranking import Ranking
from effbench.judge.rounding import unrounded
from effbench.judge.scores import score_of
from effbench.judge.standing import _finite, draws_for
from effbench.judge.trade import agreement, cost_and_weight, slower_above
from effbench.judge.uncertainty import ProcessTimes, Share


def candidate(
    name: str, params: float = 1e6, error: float | Figure = 1.0, latency: float | Figure | None = None
) -> Candidate:
    figures = {"params": Figure(params), "flops": Figure(1e9)}
    figures["error"] = error if isinstance(error, Figure) else Figure(error, unit="pixels")
    if latency is not None:
        figures["latency"] = latency if isinstance(latency, Figure) else Figure(latency)
    return Candidate(name, figures)


def ranked(candidates: list[Candidate], score: str = "params_flops_exp", rules: Rules | None = None) -> Ranking:
    return rank(candidates, score_of(score), "loss", rules or Rules())


# Rounding


def written(name: str, params: float, gmacs: float, cell: str = "", half: float = 0.005) -> Candidate:
    """A model whose GMACs were published with two digits after the point."""
    rounding = Rounded(half * 1e9, "macs", cell or name)
    return Candidate(name, {"params": Figure(params), "macs": Figure(gmacs * 1e9, rounding=rounding)})


def best(*candidates: Candidate, score: str = "params * macs", draws: int = 4000) -> dict[str, float | None]:
    rows = rank(candidates, score_of(score), None, Rules(draws=draws)).rows
    return {row.name: row.p_best for row in rows}


def test_an_order_that_rounding_may_turn_is_open_and_one_that_it_cannot_is_not() -> None:
    # 1.1 · (.05 ± .005) against 1 · (.06 ± .005): b is better where 5.5 u − 5 v > 5, u and v from −1 to 1. With w = −v
    # the area is ∫ (1 − (5 − 5w) / 5.5) dw from w = −.1 to 1, that is (.5 w + 2.5 w²) / 5.5 = 3.025 / 5.5 = .55 of 4.
    near = best(written("a", 1.1e6, 0.05), written("b", 1e6, 0.06))
    assert near["b"] == pytest.approx(0.55 / 4, abs=0.02)
    # 1 · .055 at most against 1 · .055 at least.
    assert best(written("a", 1e6, 0.05), written("b", 1e6, 0.06))["a"] == 1


def test_figures_of_one_cell_are_off_together() -> None:
    apart = best(written("a", 1e6, 0.05), written("b", 1.05e6, 0.05))
    assert apart["b"] is not None
    assert apart["b"] > 0.2
    assert best(written("a", 1e6, 0.05, "line 7"), written("b", 1.05e6, 0.05, "line 7"))["a"] == 1


@pytest.mark.parametrize(
    ("term", "of"), [("latency", "latency"), ("latency", "throughput"), ("throughput", "throughput")]
)
def test_a_time_is_moved_as_it_was_written(term: str, of: str) -> None:
    # A rate of 2 ± .5 a second is a time of 1/2.5 to 1/1.5 s, and a time of .5 ± .125 s one of .375 to .625.
    value = 2.0 if term == "throughput" else 0.5
    figure = Figure(value, rounding=Rounded(value / 4, of, "a cell"))
    (drawn,) = unrounded(term, [figure], np.full((4000, 1), value), [1.0], seed=0).T
    ends = {("latency", "throughput"): (0.4, 2 / 3), ("latency", "latency"): (0.375, 0.625)}.get((term, of), (1.5, 2.5))
    assert (drawn.min(), drawn.max()) == pytest.approx(ends, rel=1e-3)
    assert ends[0] <= drawn.min()
    assert drawn.max() <= ends[1]


@given(st.integers(0, 999), st.integers(0, 5))
def test_whatever_is_drawn_would_have_been_published_alike(digits: int, places: int) -> None:
    published = digits / 10**places
    figure = Figure(published, rounding=Rounded(0.5 / 10**places, "top1_err", "a cell"))
    drawn = unrounded("error", [figure], np.full((200, 1), published), [1.0], seed=1)
    assert {f"{value + 0.0:.{places}f}" for value in drawn[:, 0]} == {f"{published:.{places}f}"}
    assert (drawn >= 0).all()


def test_an_error_is_moved_in_the_ranking_s_unit() -> None:
    # 10.0 ± .05 percent against 10.1 ± .05 percent without a sample count, read as fractions.
    models = [
        candidate(name, error=Figure(value, unit="percent", rounding=Rounded(0.05, "top1_err", name)))
        for name, value in (("a", 10.0), ("b", 10.1))
    ]
    ranking = rank(models, score_of("flops * exp(1000*error)"), "top1_err", Rules(unit="fraction", draws=1000))
    assert ranking.rows[0].p_best == 1  # they only touch
    assert ranking.rows[0].half_widths == {}  # rounding is not what an interval of an error says
    said = {note.code: note.text for note in ranking.notes}
    assert said["rounding"].endswith("at most top1_err ± 0.5 % of a")
    assert said["rounding-alone"].startswith("intervals are of rounding alone")


def test_models_of_which_nothing_but_rounding_is_known_are_named_among_others() -> None:
    rounded = Figure(12.0, unit="percent", rounding=Rounded(0.5, "top1_err", "c"))
    ranking = ranked([share("a", 10.0, 100), share("b", 11.0, 100), candidate("c", error=rounded)])
    said = {note.code: note.text for note in ranking.notes}
    assert said["exact"] == "no interval is known of c: taken as exact, rounding apart"
    assert "rounding-alone" not in said


@pytest.mark.parametrize(
    ("score", "said"),
    [
        ("throughput", ("throughput", "the worse it is, the better the score: max: throughput turns it round")),
        (
            "max: latency * error",
            ("latency, error", "the worse it is, the better the score: min: latency * error turns"),
        ),
        ("params * throughput", ("throughput", "the worse it is, the better the score: check the signs in it")),
        ("params / throughput", None),
        ("max: throughput", None),
        ("netscore", None),
        ("mnasnet:T=0.001", None),
    ],
)
def test_a_score_that_rewards_the_worse_is_told_of(score: str, said: tuple[str, str] | None) -> None:
    rate = Figure(100.0, direction="higher")
    models = [share(name, 10.0 + place, None, 1e6 * (1 + place)) for place, name in enumerate("abc")]
    fast = [Candidate(one.name, {**one.figures, "throughput": rate, "latency": Figure(0.01)}) for one in models]
    macs = [Candidate(one.name, {**one.figures, "macs": Figure(1e9)}) for one in fast]
    found = [note for note in ranked(macs, score).notes if note.code == "wrong-way"]
    assert [note.subject for note in found] == ([said[0]] if said else [])
    assert all(said is not None and note.text.startswith(said[1]) for note in found)


# Uncertainty


def share(name: str, percent: float, n: int | None, params: float = 1e6) -> Candidate:
    evidence = None if n is None else Share(percent, n, "percent")
    return candidate(name, params, Figure(percent, unit="percent", evidence=evidence))


def test_errors_of_few_samples_leave_the_order_open_and_of_many_settle_it() -> None:
    for n, low, high, ties in ((100, 1, 2, 1), (1_000_000, 1, 1, 2)):
        first, second = ranked([share("a", 10.0, n), share("b", 11.0, n)]).rows
        assert (first.name, first.rank, first.rank_low, first.rank_high) == ("a", 1, low, high)
        assert len({first.tie, second.tie}) == ties
        assert first.p_best is not None
        assert second.p_best is not None
        assert first.p_best + second.p_best == pytest.approx(1)
        assert (first.p_best > 0.95) is (ties == 2)


def test_the_interval_of_a_share_is_the_binomial_s() -> None:
    first, _ = ranked([share("a", 10.0, 400), share("b", 50.0, 400)], rules=Rules(draws=4000)).rows
    # 1.96 · √(.1 · .9 / 400) = .0294 of all
    assert first.half_widths["error"] == pytest.approx(2.94, rel=0.08)


@pytest.mark.parametrize("draws", [1, 199])
def test_too_few_draws_are_refused(draws: int) -> None:
    # 2.5 % of 200 draws are 5; of a single one every rank would look certain.
    models = [share("a", 10.0, 400), share("b", 11.0, 400)]
    with pytest.raises(InputError, match=f"--draws {draws}: a 95 % interval of ranks needs at least 200"):
        ranked(models, rules=Rules(draws=draws))
    assert ranked(models, rules=Rules(draws=200)).draws == 200


def test_many_models_get_intervals_where_draws_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("effbench.judge.board.MOST_WITH_INTERVALS", 3)
    models = [share(f"m{place}", 10.0 + place, 100) for place in range(4)]
    bare = ranked(models)
    assert {row.rank_low for row in bare.rows} == {None}
    said = {note.code: note.text for note in bare.notes}
    assert said["no-intervals"].startswith("ranks are nominal: intervals of 4 models take up to some 1 minute")
    nominal = ranked([candidate(f"m{place}", error=1.0 + place) for place in range(4)])  # nothing could be drawn
    assert {note.text for note in nominal.notes if note.code == "no-intervals"} == {
        "ranks are nominal: nothing that the score reads has a stated sample size or interval"
    }
    asked = ranked(models, rules=Rules(draws=200))
    assert asked.rows[0].rank_high == 4
    assert "no-intervals" not in {note.code for note in asked.notes}


def test_draws_that_do_not_fit_are_refused_with_how_many_do() -> None:
    assert draws_for(100_000, None) == 200  # 20 million numbers of 8 bytes
    assert draws_for(100_000, 1_000) == 1_000
    with pytest.raises(InputError, match="--draws 1001 of 100,000 models do not fit in memory: 1000 do"):
        draws_for(100_000, 1_001)


def test_a_seed_gives_the_same_ranking_again() -> None:
    models = [share(f"m{place}", 10 + place / 4, 500) for place in range(6)]
    once, again, other = (ranked(models, rules=Rules(seed=seed)).rows for seed in (0, 0, 1))
    assert once == again
    assert once != other


def test_without_intervals_none_are_made_up() -> None:
    ranking = ranked([candidate("a"), candidate("b", error=2.0)])
    assert {(row.rank_low, row.p_best, row.tie, row.p_front) for row in ranking.rows} == {(None, None, None, None)}
    assert ranking.draws == 0
    assert "no-intervals" in {note.code for note in ranking.notes}


def test_models_without_an_interval_among_others_are_named() -> None:
    def said(*known: int | None) -> list[str]:
        models = [share(f"m{place}", 10.0 + place, n) for place, n in enumerate(known)]
        return [note.text for note in ranked(models).notes if note.code == "exact"]

    assert said(100, None, 100, None) == ["no interval is known of m1, m3: taken as exact"]
    assert said(100, *[None] * 5) == ["no interval is known of m1, m2, m3 and 2 more: taken as exact"]
    assert said(100, 100) == said(None, None) == []


def test_times_of_processes_give_latency_its_interval() -> None:
    times = ProcessTimes(tuple(math.log(0.010 + step * 1e-4) for step in (-2, -1, 0, 1, 2, 0)), tuple(range(6)))
    models = [candidate("a", latency=Figure(0.010, evidence=times)), candidate("b", latency=0.0101)]
    first, second = ranked(models, "latency").rows
    assert (first.name, first.rank_low, first.rank_high) == ("a", 1, 2)
    assert first.tie == second.tie
    # Student's t of five differences: sd 1.414e-4, t(.975, 5) = 2.571: 2.571 · 1.414e-4 / √6 = 1.48e-4
    assert first.half_widths["latency"] == pytest.approx(1.48e-4, rel=0.03)


def test_a_gate_is_decided_by_the_figures_as_they_are() -> None:
    models = [share("a", 10.0, 50, params=1e6), share("b", 30.0, 50)]
    timed = [Candidate(one.name, {**one.figures, "latency": Figure(0.01)}) for one in models]
    ranking = ranked(timed, "mlperf:max_error=20")
    assert [row.name for row in ranking.rows] == ["a"]
    assert [(item.name, item.reason) for item in ranking.excluded] == [
        ("b", "it does not reach the score's gate, error ≤ 20")
    ]


# The front, and the weight of the error


def test_the_front_is_over_what_the_score_reads() -> None:
    models = [candidate("small", 1e6, 3.0), candidate("large", 9e6, 1.0), candidate("worse", 9e6, 2.0)]
    rows = {row.name: row.front for row in ranked(models).rows}
    assert rows == {"small": True, "large": True, "worse": False}
    group = ranked(models).groups[0]
    assert (group.trade.models, group.trade.on_front, group.trade.axes) == (3, 2, ("params", "flops", "error"))


def test_the_hypervolume_is_that_of_the_boxes() -> None:
    volume = ranked([candidate("a", 1e6, 3.0), candidate("b", 3e6, 1.0)], "params * exp(error)").groups[0].trade.volume
    assert volume is not None
    # The reference lies a tenth of the range beyond the worst: (3.2, 3.2). Boxes 2.2 × .2 and .2 × 2.2, shared .2 × .2.
    assert volume.reference == pytest.approx((3.2, 3.2))
    assert volume.value == pytest.approx(2.2 * 0.2 + 0.2 * 2.2 - 0.2 * 0.2)
    assert volume.units == ("M params", "pixels")


def test_the_winners_by_weight_change_where_two_models_tie() -> None:
    # ln 1 + 3k = ln 9 + k at k = ln 9 / 2
    for score, weight, now in (("params_flops_exp:k=3", "k", 3.0), ("params * flops * exp(2*error)", "weight", 2.0)):
        trade = ranked([candidate("small", 1e6, 3.0), candidate("large", 9e6, 1.0)], score).groups[0].trade
        assert trade.weight == weight
        assert trade.k == pytest.approx(now)
        first, second = trade.reigns
        assert (first.model, first.k_from, second.model, second.k_to) == ("small", 0.0, "large", math.inf)
        assert first.k_to == second.k_from == pytest.approx(math.log(9) / 2, rel=1e-9)


@pytest.mark.parametrize("score", ["params", "params + error", "params * error", "mlperf:max_error=9"])
def test_a_score_without_a_constant_weight_has_no_break_points(score: str) -> None:
    models = [candidate("a", latency=0.01), candidate("b", 2e6, 3.0, latency=0.02)]
    ranking = ranked(models, score)
    assert ranking.groups[0].trade.reigns == ()
    assert {row.break_even for row in ranking.rows} == {None}


def test_the_weight_of_a_formula_is_found() -> None:
    terms = {"params": np.array([1e6, 3e6]), "error": np.array([0.1, 0.4])}
    found = cost_and_weight(score_of("params**0.5 * exp(10*error)"), terms)
    assert found is not None
    assert found[0] == pytest.approx(0.5 * np.log(terms["params"]))
    assert found[1] == pytest.approx(10.0)


def test_a_weight_that_ends_within_the_models_errors_is_none() -> None:
    # ln: ln p + min(e, 5): a line up to e = 5, and at e = 9 it is ln p + 5, not ln p + 9.
    score = score_of("params * exp(min(error, 5))")
    params = np.array([1e6, 3e6])
    assert cost_and_weight(score, {"params": params, "error": np.array([3.0, 9.0])}) is None
    within = cost_and_weight(score, {"params": params, "error": np.array([3.0, 5.0])})
    assert within is not None
    assert within[1] == pytest.approx(1.0)


# Time


orders = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=2, max_size=60)


@given(orders)
def test_reversed_pairs_are_those_counted_one_by_one(pairs: list[tuple[int, int]]) -> None:
    order = np.array([float(one) for one, _ in pairs])
    times = np.array([float(one) for _, one in pairs])
    expected = [
        sum(o < order[i] and t > times[i] for o, t in zip(order, times, strict=True)) for i in range(len(pairs))
    ]
    assert slower_above(order, times).tolist() == expected


def test_many_pairs_agree_with_kendall_s_tau() -> None:
    random = np.random.default_rng(7)
    order, times = random.permutation(5000).astype(float), random.permutation(5000).astype(float)
    found, _ = agreement(order, times)
    pairs = 5000 * 4999 // 2
    assert found.pairs == pairs
    assert found.reversed == round((1 - kendalltau(order, times).statistic) / 2 * pairs)
    assert found.spearman == pytest.approx(spearmanr(order, times).statistic, rel=1e-12)


def test_a_slower_model_with_the_better_score_is_marked() -> None:
    models = [candidate("a", 1e6, latency=0.03), candidate("b", 2e6, latency=0.01), candidate("c", 3e6, latency=0.02)]
    ranking = ranked([*models, candidate("d", 4e6)])
    assert [(row.name, row.reversed) for row in ranking.rows] == [("a", 0), ("b", 1), ("c", 1), ("d", None)]
    times = ranking.groups[0].trade.times
    assert times is not None
    assert (times.models, times.reversed, times.pairs) == (3, 2, 3)
    assert times.spearman == pytest.approx(-0.5)  # ranks 1 2 3 against 3 1 2
    assert ("missing", "latency", "no latency: d") in {(note.code, note.subject, note.text) for note in ranking.notes}


def test_times_under_different_conditions_are_not_compared_with_the_score() -> None:
    models = [candidate(name, latency=Figure(0.01, (("device", name),))) for name in "ab"]
    ranking = ranked(models)
    assert ranking.groups[0].trade.times is None
    assert "not compared with the score: device differs: a (a), b (b)" in {note.text for note in ranking.notes}
    with pytest.raises(InputError, match=r"device differs: a \(a\), b \(b\): rank those apart with --by device"):
        ranked(models, "latency")
    assert len(ranked(models, "latency", Rules(mixed=True)).rows) == 2
    assert [group.label for group in ranked(models, "latency", Rules(by="device")).groups] == ["a", "b"]


def test_calls_of_different_batches_without_a_rate_are_not_compared() -> None:
    models = [candidate(name, latency=Figure(0.01, (("batch", name),))) for name in "ab"]
    assert ranked(models, rules=Rules(mixed=True)).groups[0].trade.times is None


# Who enters


def test_a_term_that_the_score_reads_and_a_model_lacks_is_named() -> None:
    models = [
        candidate("a", latency=0.01),
        candidate("b"),
        candidate("c", latency=math.nan),
        candidate("d", latency=-1.0),
    ]
    ranking = ranked(models, "latency")
    assert [(item.name, item.reason) for item in ranking.excluded] == [
        ("b", "no latency"),
        ("c", "its latency is nan: a number above 0 is needed"),
        ("d", "its latency is -1.0: a number above 0 is needed"),
    ]


def test_models_above_the_largest_error_are_named() -> None:
    ranking = ranked([candidate("a"), candidate("b", error=3.0)], "params", Rules(max_error=2.0))
    assert [row.name for row in ranking.rows] == ["a"]
    assert [item.reason for item in ranking.excluded] == ["its error of 3 pixels is above the limit of 2"]


def test_an_undefined_score_is_no_rank() -> None:
    ranking = ranked([candidate("a"), candidate("b", error=0.0)], "params / error")
    assert [row.name for row in ranking.rows] == ["a"]
    assert [item.name for item in ranking.excluded] == ["b"]


def test_a_score_of_zero_is_a_rank() -> None:
    # 10 ms · 0 is 0, the least there can be, 10 ms · 1/3 is not; ln 0 is in no document.
    def model(name: str, wrong: int, n: int | None) -> Candidate:
        value = 100 * wrong / 30
        known = None if n is None else Share(value, n, "percent")
        return candidate(name, error=Figure(value, unit="percent", evidence=known), latency=0.01)

    for n in (30, None):
        ranking = ranked([model("wrong", 10, n), model("perfect", 0, n), model("worse", 20, n)], "latency * error")
        assert ranking.excluded == ()
        assert [(row.rank, row.name) for row in ranking.rows] == [(1, "perfect"), (2, "wrong"), (3, "worse")]
        first, second, _ = ranking.rows
        assert (first.score, first.order, first.to_dict()["order"]) == (0.0, -math.inf, None)
        assert second.to_dict()["order"] == pytest.approx(math.log(0.01 * 100 / 3))
        json.dumps(ranking_document(ranking), allow_nan=False)
        if n is not None:
            assert first.rank_low == 1
            assert first.p_best is not None
            assert first.p_best > 0.99


def test_a_score_of_zero_is_the_worst_where_higher_is_better() -> None:
    models = [candidate("none", error=0.0, latency=0.01), candidate("some", error=50.0, latency=0.02)]
    ranking = ranked(models, "max: error / latency")
    assert [(row.rank, row.name, row.score) for row in ranking.rows] == [(1, "some", 2500.0), (2, "none", 0.0)]
    assert ranking.rows[1].order == math.inf


def test_draws_of_a_score_of_zero_are_below_all_others_and_undefined_ones_the_worst() -> None:
    inf, nan = math.inf, math.nan
    orders, nominal = _finite(np.array([[-inf, 2.0, nan], [-3.0, inf, 5.0]]), np.array([-inf, 1.0, 4.0]))
    assert orders.tolist() == [[-4.0, 2.0, 6.0], [-3.0, 6.0, 5.0]]
    assert nominal.tolist() == [-4.0, 1.0, 4.0]
    assert _finite(np.array([[-3.0, nan]]), np.array([-3.0, -2.0]))[0].tolist() == [[-3.0, -2.0]]


def test_netscore_reads_the_error_in_percent() -> None:
    accuracy = Figure(0.9, unit="fraction", direction="higher")
    model = Candidate("a", {"params": Figure(4_000_000), "macs": Figure(10**9), "error": accuracy})
    (row,) = rank([model], score_of("netscore"), "accuracy").rows
    assert row.error == pytest.approx(10.0)
    assert row.score == pytest.approx(20 * math.log10(90**2 / (4**0.5 * 1**0.5)), rel=1e-9)


@pytest.mark.parametrize(
    ("value", "unit", "wanted", "error"),
    [
        (0.9337, "fraction", None, 1 - 0.9337),
        (93.37, "percent", None, 1 - 0.9337),
        (93.37, "percent", "percent", 100 - 93.37),
    ],
)
def test_a_quality_becomes_an_error(value: float, unit: str, wanted: str | None, error: float) -> None:
    measure = unit_for("accuracy", "higher", unit, wanted)
    assert as_error(Figure(value, unit=unit, direction="higher"), measure) == error


def test_an_error_keeps_its_unit_unless_another_is_asked_for() -> None:
    assert unit_for("top1_err", "lower", "percent", None) == Measure("top1_err", "lower", "percent")
    assert as_error(Figure(12.5, unit="percent"), unit_for("top1_err", "lower", "percent", "fraction")) == 0.125
    with pytest.raises(InputError, match="loss is in pixels, which cannot be turned into percent"):
        unit_for("loss", "lower", "pixels", "percent")
    with pytest.raises(InputError, match="psnr is in dB and higher is better, so it is no error"):
        unit_for("psnr", "higher", "dB", None)
