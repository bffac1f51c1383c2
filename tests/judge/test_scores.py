"""Every built-in score against hand values, published figures and its own exchange rate; how `--score` is read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from effbench.errors import InputError
from effbench.judge.scores import (
    Floats,
    Parameter,
    Score,
    dead_note,
    dead_terms,
    exchange_rate,
    exchange_rates,
    matters_at,
    score,
    score_of,
    scores,
    value_of_one,
)
from effbench.units import parse_cost

SCORE = score_of("params_flops_exp")
ESR = "ntire_esr:t0=0.02,F0=16.7e9,P0=276e3"


def terms_of(**figures: Any) -> dict[str, Floats]:
    return {name: np.asarray(values, dtype=np.float64) for name, values in figures.items()}


# Values


@pytest.mark.parametrize(
    ("params", "gflops", "pixels", "published"),
    [
        (4152448, 1.031351216, 5.108583596827928, 708.5009779051727),
        (2585248, 0.474115488, 5.965919247358571, 477.91665120700634),
        (2007968, 0.302601376, 6.152803876982536, 285.59885234255654),
        (1560906, 0.122993904, 6.85640465, 182.3724),
    ],
)
def test_the_published_scores_to_every_digit(params: int, gflops: float, pixels: float, published: float) -> None:
    value = value_of_one(SCORE, {"params": params, "flops": round(gflops * 1e9), "error": pixels})
    assert value == params / 1e6 * gflops * math.exp(pixels)  # a plain product of doubles, in this order
    decimals = len(repr(published).partition(".")[2])
    assert round(value, decimals) == published


@pytest.mark.parametrize(
    ("text", "figures", "expected"),
    [
        # 2 million parameters × 3 GFLOPs × e^0 = 6; one unit of error more: × e = 2.718281828…
        ("params_flops_exp", {"params": 2e6, "flops": 3e9, "error": 0.0}, 6.0),
        ("params_flops_exp", {"params": 2e6, "flops": 3e9, "error": 1.0}, 6 * 2.718281828459045),
        # k = 20 and an error of 0.05: 20 × 0.05 = 1
        ("params_flops_exp:k=20", {"params": 2e6, "flops": 3e9, "error": 0.05}, 6 * 2.718281828459045),
        # a = 100 − 90 = 10, p = 100, m = 0.01: 20·log10(100 / (10 · 0.1)) = 20·log10(100) = 40
        ("netscore", {"params": 100e6, "macs": 0.01e9, "error": 90.0}, 40.0),
        # a = 80, p = 25, m = 4: 6400 / (5 · 2) = 640 = 2⁶ · 10, log10(2) = .3010299957: 20 · (6 · .3010299957 + 1)
        ("netscore", {"params": 25e6, "macs": 4e9, "error": 20.0}, 56.12359947967774),
        # at the target the accuracy itself; at twice the target 0.75 · 2^−0.07 = 0.75 / 1.0497166836
        ("mnasnet:T=0.08", {"latency": 0.08, "error": 0.25}, 0.75),
        ("mnasnet:T=0.08", {"latency": 0.16, "error": 0.25}, 0.714478498532953),
        # w = −1 above twice the target: half the accuracy
        ("mnasnet:T=0.08,w=-1", {"latency": 0.16, "error": 0.25}, 0.375),
        # the baseline: (0.7 + 0.15 + 0.15) · e² = 7.3891
        (ESR, {"latency": 0.02, "flops": 16.7e9, "params": 276e3, "psnr": 26.9}, 7.38905609893065),
        # half the time, the same FLOPs, twice the parameters: 0.7·e + 0.15·e² + 0.15·e⁴ = 1.9028 + 1.1084 + 8.1897
        (ESR, {"latency": 0.01, "flops": 16.7e9, "params": 552e3, "psnr": 27.0}, 11.200878199732565),
        # 1 dB above bicubic in 4 ms: 2 · 2 / (0.1 · 2) = 20; 3 dB in 25 ms: 2 · 8 / (0.1 · 5) = 32
        ("ntire_rtsr:bicubic=31", {"latency": 0.004, "psnr": 32.0}, 20.0),
        ("ntire_rtsr:bicubic=31", {"latency": 0.025, "psnr": 34.0}, 32.0),
        ("mlperf:max_error=0.25", {"latency": 0.004, "error": 0.25}, 0.004),
    ],
)
def test_values_by_hand(text: str, figures: Mapping[str, float], expected: float) -> None:
    chosen = score_of(text)
    assert set(figures) == set(chosen.reads)
    assert value_of_one(chosen, figures) == pytest.approx(expected, rel=1e-12, abs=1e-9)


def test_the_baseline_of_the_super_resolution_challenge_scores_as_its_report_says() -> None:
    baseline = {"latency": 0.02, "flops": 16.7e9, "params": 276e3, "psnr": 26.93}
    assert f"{value_of_one(score_of(ESR), baseline):.4f}" == "7.3891"


def test_mnasnet_pays_five_percent_of_accuracy_for_twice_the_latency_as_its_paper_chose() -> None:
    chosen = score_of("mnasnet:T=0.08")
    slow, fast = ({"latency": time, "error": 1 - accuracy} for time, accuracy in ((0.1, 0.5 * 2**0.07), (0.05, 0.5)))
    assert value_of_one(chosen, slow) == pytest.approx(value_of_one(chosen, fast), rel=1e-12)
    assert round(2**0.07, 2) == 1.05


@pytest.mark.parametrize(
    ("text", "figures", "told"),
    [
        (ESR, {"latency": 0.01, "flops": 1e9, "params": 1e5, "psnr": 26.89}, "psnr ≥ 26.9"),
        ("mlperf:max_error=0.25", {"latency": 0.004, "error": 0.26}, "error ≤ 0.25"),
    ],
)
def test_who_does_not_pass_the_gate_has_no_score(text: str, figures: Mapping[str, float], told: str) -> None:
    chosen = score_of(text)
    terms = terms_of(**figures)
    assert chosen.gate is not None
    assert str(chosen.gate) == told
    assert not chosen.gate.passed(terms)
    assert np.isnan(chosen.value(terms))
    assert chosen.order(terms) == math.inf


# Order

LARGE_ESR = "ntire_esr:t0=0.02,F0=16.7e9,P0=276e6"
EVERY = ("params_flops_exp", "netscore", "mnasnet:T=0.08", LARGE_ESR, "ntire_rtsr:bicubic=31", "mlperf:max_error=40")


def plausible(shape: tuple[int, ...] = (7,), seed: int = 0) -> dict[str, Floats]:
    rng = np.random.default_rng(seed)
    return {
        "params": rng.integers(10**5, 10**9, shape).astype(np.float64),
        "macs": rng.integers(10**7, 10**11, shape).astype(np.float64),
        "flops": rng.integers(10**7, 10**11, shape).astype(np.float64),
        "latency": rng.uniform(1e-4, 0.1, shape),
        "error": rng.uniform(0, 0.9, shape),
        "psnr": rng.uniform(26, 33, shape),
    }


def test_every_built_in_score_is_tried() -> None:
    assert {score_of(text).name.partition(":")[0] for text in EVERY} == set(scores.names())


@pytest.mark.parametrize("text", EVERY)
def test_order_is_that_of_the_values_lower_first(text: str) -> None:
    chosen = score_of(text)
    terms = plausible((200,))
    values, order = chosen.value(terms), chosen.order(terms)
    assert values.shape == order.shape == (200,)
    passed = np.isfinite(order)
    assert passed.sum() > 100
    assert np.isnan(values[~passed]).all()
    sign = 1 if chosen.direction == "lower" else -1
    assert list(np.argsort(order[passed])) == list(np.argsort(sign * values[passed]))


@pytest.mark.parametrize("text", EVERY)
def test_draws_of_models_are_scored_as_each_of_them(text: str) -> None:
    chosen = score_of(text)
    terms = plausible((3, 5))
    for part in (chosen.value, chosen.order):
        whole = part(terms)
        assert whole.shape == (3, 5)
        for place in np.ndindex(3, 5):
            one = part({name: values[place] for name, values in terms.items()})
            np.testing.assert_allclose(one, whole[place], rtol=1e-14, equal_nan=True)


def test_nothing_overflows() -> None:
    hopeless = terms_of(params=[1e6, 1e6], flops=[1e9, 1e9], error=[1000.0, 1001.0])
    assert SCORE.value(hopeless).tolist() == [math.inf, math.inf]
    assert SCORE.order(hopeless) == pytest.approx([1000.0, 1001.0], abs=1e-9)
    slow = terms_of(latency=[20.0, 21.0], flops=[1e9, 1e9], params=[1e5, 1e5], psnr=[30.0, 30.0])
    assert score_of(ESR).value(slow).tolist() == [math.inf, math.inf]
    # ln 0.7 + 2 · 20 / 0.02; the other two are nothing beside it
    assert score_of(ESR).order(slow) == pytest.approx([2000 + math.log(0.7), 2100 + math.log(0.7)], rel=1e-12)


@given(st.integers(1, 10**13), st.integers(1, 10**16), st.floats(0, 600))
def test_the_logarithm_is_that_of_the_value(params: int, flops: int, error: float) -> None:
    figures = {"params": params, "flops": flops, "error": error}
    order = float(SCORE.order(terms_of(**figures)))
    assert order == pytest.approx(math.log(value_of_one(SCORE, figures)), abs=1e-9)


# Units


@pytest.mark.parametrize("text", ["params_flops_exp", "netscore"])
@given(models=st.lists(st.tuples(st.integers(1, 10**9), st.integers(1, 10**12), st.integers(0, 9999)), min_size=2))
def test_the_unit_of_a_count_moves_no_rank(text: str, models: list[tuple[int, int, int]]) -> None:
    chosen = score_of(text)

    def order(cost: str, thousandth: str) -> list[float]:
        macs = [parse_cost(work if cost == "MAC" else work / 1e9, cost) for _, work, _ in models]
        params = [size if thousandth == "one" else round(size / 1e6 * 1e6) for size, _, _ in models]
        errors = [error / 100 for _, _, error in models]
        terms = terms_of(params=params, macs=macs, flops=[2 * work for work in macs], error=errors)
        found: list[float] = chosen.order(terms).tolist()
        return found

    assert order("MAC", "one") == order("GMAC", "million")


FACTORS = {"flops": 2.0, "macs": 2.0, "latency": 1e3, "params": 1e-6}
"""FLOPs for MACs, milliseconds for seconds, millions for ones."""
PRODUCTS = [
    (text, term, factor) for text in EVERY for term, factor in FACTORS.items() if term in score_of(text).log_slopes
]


def test_the_products_are_these() -> None:
    scaled = {(text.partition(":")[0], term) for text, term, _ in PRODUCTS}
    assert scaled == {
        ("params_flops_exp", "params"),
        ("params_flops_exp", "flops"),
        ("netscore", "params"),
        ("netscore", "macs"),
        ("mnasnet", "latency"),
        ("ntire_rtsr", "latency"),
    }


@pytest.mark.parametrize(("text", "term", "factor"), PRODUCTS)
def test_a_scaled_cost_moves_no_rank_of_products(text: str, term: str, factor: float) -> None:
    chosen = score_of(text)
    terms = plausible((300,), seed=1)
    before, after = chosen.order(terms), chosen.order({**terms, term: terms[term] * factor})
    assert np.argsort(before).tolist() == np.argsort(after).tolist()
    assert after - before == pytest.approx(np.full(300, chosen.log_slopes[term] * math.log(factor)), abs=1e-9)


def test_a_baseline_in_the_same_unit_moves_no_rank() -> None:
    terms = plausible((50,), seed=2)
    flops = score_of(ESR).order(terms)
    macs = score_of(ESR.replace("16.7e9", "8.35e9")).order({**terms, "flops": terms["flops"] / 2})
    assert flops.tolist() == macs.tolist()


# What --score says


def test_names_are_as_they_were_asked_for() -> None:
    assert SCORE.name == "params_flops_exp"
    assert SCORE.formula == "params/1e6 × FLOPs/1e9 × e^ERROR"
    changed = score_of(" params_flops_exp: k = 20 ")
    assert (changed.name, changed.settings) == ("params_flops_exp:k=20", {"k": 20.0})
    assert changed.formula == "params/1e6 × FLOPs/1e9 × e^(20·ERROR)"
    exact = score_of("ntire_esr:t0=0.02218123456,F0=16.7e9,P0=276049")
    assert exact.name == "ntire_esr:t0=0.02218123456,F0=16700000000,P0=276049"
    assert score_of(exact.name).settings == exact.settings
    assert (score_of("netscore").error_unit, score_of("mnasnet:T=1").error_unit) == ("percent", "fraction")
    assert "T" not in score_of("mnasnet:T=0.08").formula
    assert "0.08 s" in score_of("mnasnet:T=0.08").formula


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("params_flops", "unknown score 'params_flops': did you mean params_flops_exp? A formula of terms"),
        ("qqq", "unknown score 'qqq': known: mlperf, mnasnet, netscore, ntire_esr, ntire_rtsr, params_flops_exp"),
        ("mnasnet", "--score mnasnet needs T, the target latency in seconds: write mnasnet:T=…"),
        ("ntire_esr:t0=0.02", "--score ntire_esr needs F0, the baseline's FLOPs, as this ranking counts them; P0, the"),
        ("params_flops_exp:K=2", "--score params_flops_exp: unknown parameter 'K': it has k, how much one unit of"),
        ("netscore:k=2", "--score netscore: unknown parameter 'k': it has none"),
        ("params_flops_exp:k=two", "--score params_flops_exp: k=two is no number: give how much one unit of error"),
        ("params_flops_exp:k=inf", "--score params_flops_exp: k=inf is not finite: give how much"),
        ("params_flops_exp:k=0", "--score params_flops_exp: k=0 must be above 0: give how much"),
        ("mnasnet:T=1,w=0.07", "--score mnasnet: w=0.07 must be below 0: give the exponent of the latency"),
        ("params_flops_exp:k=1,k=2", "--score params_flops_exp: k stands twice: give it once"),
        ("params_flops_exp:20", "--score params_flops_exp: '20' is no parameter: write params_flops_exp:k=NUMBER"),
        ("params_flops_exp:", "--score params_flops_exp: '' is no parameter: write params_flops_exp:k=NUMBER"),
        ("netscore:", "--score netscore: '' is no parameter: write netscore alone, it has no parameters"),
        ("", "formula '', column 1: it is empty"),
        ("max:", "formula 'max:', column 5: it is empty"),
        (
            "max: parms",
            "formula 'max: parms', column 6: unknown term 'parms': did you mean params? terms: params (count)",
        ),
        ("latency:3", "--score latency:3: latency is a term and takes no parameters: write latency alone"),
    ],
)
def test_a_score_that_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        score_of(text)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_formula_of_the_user_s_own() -> None:
    chosen = score_of("params**0.5  * latency*exp(10*error)")
    assert (chosen.reads, chosen.direction) == (("params", "latency", "error"), "lower")
    assert chosen.formula == "params**0.5 * latency*exp(10*ERROR)"
    # √4 · 3 · e^1
    assert value_of_one(chosen, {"params": 4, "latency": 3, "error": 0.1}) == pytest.approx(6 * math.e, rel=1e-12)
    large = chosen.order(terms_of(params=[4.0, 4.0], latency=[3.0, 3.0], error=[100.0, 101.0]))
    assert large == pytest.approx([math.log(6) + 1000, math.log(6) + 1010], rel=1e-12)


def test_a_formula_says_which_direction_is_better() -> None:
    terms = terms_of(latency=[1.0, 2.0, 4.0])
    assert np.argsort(score_of("latency").order(terms)).tolist() == [0, 1, 2]
    assert np.argsort(score_of("min: latency").order(terms)).tolist() == [0, 1, 2]
    highest = score_of("max: 1 / latency")
    assert (highest.name, highest.formula, highest.direction) == ("max: 1 / latency", "1 / latency", "higher")
    assert np.argsort(highest.order(terms)).tolist() == [0, 1, 2]
    assert highest.value(terms).tolist() == [1.0, 0.5, 0.25]


def test_a_metric_of_the_ranking_is_a_term() -> None:
    chosen = score_of("max: psnr - 10*log10(latency)", {"psnr": "dB", "latency": "seconds per call"})
    assert value_of_one(chosen, {"psnr": 30, "latency": 0.01}) == pytest.approx(50, rel=1e-12)
    with pytest.raises(InputError, match="unknown term 'psnr'"):
        score_of("max: psnr - latency")


def test_a_value_of_one_model_needs_what_the_score_reads() -> None:
    with pytest.raises(InputError, match=r"^the score netscore reads macs, error, of which nothing is known$"):
        value_of_one(score_of("netscore"), {"params": 1.0})


# What a user registers


@pytest.fixture
def no_trace() -> Iterator[None]:
    before = dict(scores._entries)
    yield
    scores._entries.clear()
    scores._entries.update(before)


@pytest.mark.usefixtures("no_trace")
def test_a_registered_function_is_a_score() -> None:
    @score(
        "fps_per_watt", "throughput / energy ^ a", ("throughput", "energy"), "higher", (Parameter("a", "power", 1.0),)
    )
    def fps_per_watt(terms: Mapping[str, Floats], a: float) -> Floats:
        return terms["throughput"] / terms["energy"] ** a

    chosen = score_of("fps_per_watt:a=2")
    terms = terms_of(throughput=[10.0, 20.0], energy=[1.0, 2.0])
    assert chosen.value(terms).tolist() == [10.0, 5.0]
    assert chosen.order(terms).tolist() == [-10.0, -5.0]
    assert scores.get("fps_per_watt").about == "throughput / energy ^ a; higher is better; a = 1: power"
    with pytest.raises(InputError, match="score 'fps_per_watt' is registered already"):
        score("fps_per_watt", "", ("latency",))(fps_per_watt)


@pytest.mark.usefixtures("no_trace")
def test_the_parameters_of_a_function_are_those_of_the_score() -> None:
    @score("weighed", "latency^a · e^(b·error)", ("latency", "error"))
    def weighed(terms: Mapping[str, Floats], a: float, b: float = 3.0) -> Floats:
        return terms["latency"] ** a * np.exp(b * terms["error"])

    assert value_of_one(score_of("weighed:a=2"), {"latency": 3, "error": 1}) == pytest.approx(9 * math.exp(3))
    assert scores.get("weighed").about == "latency^a · e^(b·error); lower is better; a (needed); b = 3"
    with pytest.raises(InputError, match=r"^--score weighed needs a: write weighed:a=…$"):
        score_of("weighed")
    with pytest.raises(InputError, match=r"^--score weighed: a=x is no number: give a number$"):
        score_of("weighed:a=x")
    with pytest.raises(InputError, match=r"^--score weighed: unknown parameter 'c': it has a; b$"):
        score_of("weighed:c=1")


@pytest.mark.usefixtures("no_trace")
def test_a_registered_function_that_is_wrong_is_told_as_its_writer_s() -> None:
    @score("broken", "x", ("latency",))
    def broken(terms: Mapping[str, Floats]) -> Floats:
        return terms["params"]

    @score("flat", "x", ("latency",))
    def flat(terms: Mapping[str, Floats]) -> Any:
        return 1.0

    terms = terms_of(latency=[1.0, 2.0])
    with pytest.raises(
        InputError, match=r"^the function of score broken \(.*test_scores.py:\d+\) raised KeyError: 'params'"
    ):
        score_of("broken").order(terms)
    with pytest.raises(InputError, match=r"returned 1.0: it must return an array of shape \(2,\)$"):
        score_of("flat").value(terms)


@pytest.mark.parametrize("name", ["two words", "max", "latency", "a-b", ""])
def test_a_name_that_could_not_be_asked_for_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="choose a name"):
        score(name, "x", ("latency",))


def test_a_direction_is_one_of_two() -> None:
    with pytest.raises(InputError, match="direction 'up' is neither 'lower' nor 'higher'"):
        score("upward", "x", ("latency",), "up")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", scores.names())
def test_every_score_says_its_formula_parameters_and_source(name: str) -> None:
    kind = scores.get(name)
    assert kind.source
    assert kind.formula in kind.about.replace("error", "ERROR") or "max_error" in kind.formula
    for parameter in kind.parameters:
        assert parameter.name in kind.formula
        assert str(parameter) in kind.about


# Exchange rates


def rates(chosen: Score, terms: Mapping[str, Floats]) -> dict[tuple[str, str], float]:
    return {(rate.term, rate.quality): rate.change for rate in exchange_rates(chosen, terms)}


def test_a_doubling_is_worth_ln_2_over_k() -> None:
    terms = plausible()
    assert rates(SCORE, terms) == {("params", "error"): -math.log(2), ("flops", "error"): -math.log(2)}
    note = exchange_rate(SCORE, terms, "pixel_error", "pixels")
    assert note.code == "exchange-rate"
    assert note.text == "one doubling of cost (params or flops) = 0.6931 pixels of pixel_error"
    as_fraction = exchange_rate(SCORE, terms, "top-1 error", "fraction").text
    assert as_fraction == "one doubling of cost (params or flops) = 0.6931 of top-1 error (as a fraction)"
    assert rates(score_of("params_flops_exp:k=20"), terms)["flops", "error"] == pytest.approx(-math.log(2) / 20)


def test_half_a_decibel_pays_for_twice_the_time() -> None:
    # 2^ΔPSNR against √2: ½ dB
    note = exchange_rate(score_of("ntire_rtsr:bicubic=31"), plausible())
    assert note.text == "one doubling of latency = 0.5 dB of psnr"


def test_netscore_trades_at_the_median_and_says_so() -> None:
    # 40·log10(a) against 10·log10(p): da/a = ln 2 / 4, so at a = 80 percent 80 · 0.1733 = 13.86 points
    terms = terms_of(params=[1e6, 2e6, 9e6], macs=[1e9, 2e9, 3e9], error=[10.0, 20.0, 40.0])
    found = rates(score_of("netscore"), terms)
    assert found["params", "error"] == pytest.approx(-80 * math.log(2) / 4, rel=1e-6)
    assert exchange_rate(score_of("netscore"), terms, "top-1 error", "percent").text == (
        "one doubling of cost (params or macs) = 13.86 percentage points of top-1 error; "
        "at the median model (params 2e+06, macs 2e+09, top-1 error 20), elsewhere it may differ"
    )


def test_at_a_median_error_of_0_the_rate_asks_for_no_error_below_it() -> None:
    # ln: ln p + e + e^1.5, which is undefined below 0 and has the slope 1 there: a doubling of p is worth ln 2.
    terms = terms_of(params=[1e6, 2e6, 9e6], error=[0.0, 0.0, 1e-3])
    found = rates(score_of("params * exp(error + error**1.5)"), terms)
    assert found["params", "error"] == pytest.approx(-math.log(2), rel=1e-3)
    smooth = rates(score_of("params * (1 + error)"), terms_of(params=[1e6, 2e6, 9e6], error=[0.0, 0.0, 10.0]))
    assert smooth["params", "error"] == pytest.approx(-math.log(2), rel=1e-5)


def test_a_formula_has_the_rate_that_its_slopes_give() -> None:
    # ln: ½·ln p + ln t + 10·e: a doubling of p is worth ½·ln 2 / 10, one of t twice that
    terms = terms_of(params=[1e6, 2e6, 9e6], latency=[0.01, 0.02, 0.03], error=[0.1, 0.2, 0.4])
    found = rates(score_of("params**0.5 * latency * exp(10*error)"), terms)
    assert found["params", "error"] == pytest.approx(-math.log(2) / 20, rel=1e-6)
    assert found["latency", "error"] == pytest.approx(-math.log(2) / 10, rel=1e-6)
    # a throughput in the denominator of the cost: one halving of it is a doubling of time
    faster = terms_of(throughput=[50.0, 100.0, 200.0], error=[0.1, 0.2, 0.4])
    assert rates(score_of("exp(10*error) / throughput"), faster)["throughput", "error"] == pytest.approx(
        -math.log(2) / 10, rel=1e-6
    )
    assert exchange_rate(score_of("exp(10*error) / throughput"), faster).text.startswith(
        "one halving of throughput = 0.06931 of"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("latency", "no exchange: the score reads cost alone"),
        ("max: psnr", "no exchange: the score reads no cost"),
        (ESR, "no exchange: psnr ≥ 26.9 is a gate, beyond it no quality makes up for cost"),
        ("mlperf:max_error=40", "no exchange: top-1 ≤ 40 is a gate, beyond it no quality makes up for cost"),
        ("latency + 0*error", "one doubling of latency = more than any top-1, which does not move the score here; at"),
        (
            "latency / exp(error)",
            "one doubling of latency = 0.6931 percentage points of top-1 more: the score rewards",
        ),
    ],
)
def test_what_is_said_where_nothing_is_exchanged(text: str, said: str) -> None:
    known = {"psnr": "dB", "latency": "seconds per call", "error": "percent"}
    assert exchange_rate(score_of(text, known), plausible(), "top-1", "percent").text.startswith(said)


@given(k=st.floats(0.01, 100), size=st.floats(1e3, 1e9), error=st.floats(0, 50))
def test_an_error_lower_by_the_rate_makes_up_for_a_doubling(k: float, size: float, error: float) -> None:
    chosen = score_of(f"params_flops_exp:k={k!r}")
    (rate, _) = exchange_rates(chosen, plausible())
    terms = terms_of(params=[size, 2 * size], flops=[1e9, 1e9], error=[error, error + rate.change])
    small, large = chosen.order(terms)
    assert small == pytest.approx(large, abs=1e-9)


# Terms that do not matter


def table(errors: list[float], costs: list[float]) -> dict[str, Floats]:
    """Models of one million parameters and these GFLOPs: the score is FLOPs/1e9 · e^error."""
    return terms_of(params=[1e6] * len(costs), flops=[1e9 * cost for cost in costs], error=errors)


def test_the_weight_at_which_an_error_matters_by_hand() -> None:
    # Costs 1, 2, 8, 32: gaps ln 2, ln 4, ln 4. Each model is 0.1 better than the one before. As the weight grows, the
    # first two swap at ln 2 / 0.1 = 6.93, the Spearman of 4 models with one swap is 1 − 6·2/(4·15) = 0.8.
    assert matters_at(np.log([1.0, 2.0, 8.0, 32.0]), np.array([0.4, 0.3, 0.2, 0.1])) == pytest.approx(
        math.log(2) / 0.1, rel=1e-9
    )
    # The second model is also the better one of the dearer two: only the first of the three can be overtaken, by the
    # last, at ln 8 / 0.2, or by the second, at ln 2 / 0.3, which comes first.
    assert matters_at(np.log([1.0, 2.0, 8.0]), np.array([0.4, 0.1, 0.2])) == pytest.approx(math.log(2) / 0.3, rel=1e-9)
    # To fall to −1 all must have swapped; the last pair to do so are the third and the fourth: ln 4 / 0.1.
    assert matters_at(np.log([1.0, 2.0, 8.0, 32.0]), np.array([0.4, 0.3, 0.2, 0.1]), level=-0.999) == pytest.approx(
        math.log(4) / 0.1, rel=1e-9
    )


def test_no_weight_makes_an_error_matter_that_agrees_with_cost() -> None:
    assert matters_at(np.log([1.0, 2.0, 8.0]), np.array([0.1, 0.2, 0.3])) is None
    assert matters_at(np.log([1.0, 2.0, 8.0]), np.array([0.1, 0.1, 0.1])) is None
    assert matters_at(np.log([2.0, 2.0, 2.0]), np.array([0.1, 0.2, 0.3])) is None
    assert matters_at(np.log([1.0, 2.0]), np.array([0.2, 0.1])) is None


@given(st.lists(st.tuples(st.integers(1, 10**6), st.integers(0, 1000)), min_size=3, max_size=8, unique=True))
def test_below_that_weight_the_order_agrees_and_at_it_no_more(models: list[tuple[int, int]]) -> None:
    from scipy.stats import spearmanr

    rest = np.log(np.array([cost for cost, _ in models], dtype=np.float64))
    error = np.array([wrong / 1000 for _, wrong in models])
    found = matters_at(rest, error)
    swaps = {
        (rest[j] - rest[i]) / (error[i] - error[j])
        for i in range(len(models))
        for j in range(len(models))
        if rest[i] < rest[j] and error[i] > error[j]
    }
    if found is None:
        return
    if found == 0:  # the error tells apart so many models of one cost that any weight will do
        assert len(set(rest)) < len(rest)
        assert spearmanr(rest, rest + 1e-9 * error).statistic <= 0.99 + 1e-12
        return
    assert spearmanr(rest, rest + found * (1 - 1e-6) * error).statistic > 0.99 - 1e-12
    assert spearmanr(rest, rest + found * (1 + 1e-6) * error).statistic <= 0.99 + 1e-12
    # It is where two models swap, or a tie in cost is resolved by the least error at all.
    assert any(math.isclose(found, swap, rel_tol=1e-9) for swap in swaps) or len(set(rest)) < len(rest)


def test_a_fraction_does_not_matter_and_the_weight_that_would_is_named() -> None:
    terms = table(errors=[0.4, 0.3, 0.2, 0.1], costs=[1, 2, 8, 32])
    dead = {item.term: item for item in dead_terms(SCORE, terms)}
    assert set(dead) == {"params", "error"}
    error = dead["error"]
    assert error.spearman == 1.0
    assert error.factor == pytest.approx(math.exp(0.3))
    assert error.factor_of_rest == pytest.approx(32)
    assert error.parameter == "k"
    assert error.matters_at == pytest.approx(math.log(2) / 0.1)
    assert error.balances_at == pytest.approx(math.log(32) / 0.3)
    assert dead_note(error, "(1 − top1)").text == (
        "does not matter: Spearman 1 with the order without it, 4 models; from best to worst it changes the "
        "score by a factor of 1.35, cost by 32; it begins to matter (Spearman 0.99) at k = 6.931 and spreads as widely "
        "as cost at k = 11.55"
    )
    assert dead["params"].constant
    assert dead_note(dead["params"]).text == "does not matter: all 4 models have the same"
    at_once = score_of(f"params_flops_exp:k={error.matters_at}")
    assert "error" not in {item.term for item in dead_terms(at_once, terms)}
    # Asked at another k, the answer is the same.
    assert [
        item.matters_at for item in dead_terms(score_of("params_flops_exp:k=2"), terms) if item.term == "error"
    ] == [pytest.approx(error.matters_at)]


def test_in_percent_the_same_error_matters() -> None:
    terms = table(errors=[40, 30, 20, 10], costs=[1, 2, 8, 32])
    assert [item.term for item in dead_terms(SCORE, terms)] == ["params", "flops"]


def test_an_error_that_swaps_neighbours_of_one_cost_still_hardly_matters() -> None:
    # e^0.1 against a factor of 1000, and two models of equal cost that only the error tells apart
    terms = table(errors=[0.2, 0.1, 0.15], costs=[1, 1, 1000])
    (error,) = [item for item in dead_terms(SCORE, terms) if item.term == "error"]
    assert error.spearman is not None
    assert error.spearman < 0.99
    assert dead_note(error).text.startswith(
        "hardly matters; from best to worst it changes the score by a factor of 1.11"
    )


def test_an_error_that_agrees_with_cost_has_no_weight_at_which_it_matters() -> None:
    (error,) = [item for item in dead_terms(SCORE, table([0.1, 0.2, 0.3], [1, 2, 8])) if item.term == "error"]
    assert error.matters_at is None
    assert "no k makes an order that differs from cost alone" in dead_note(error).text


def test_two_models_have_no_rank_correlation_but_a_spread() -> None:
    assert [item.term for item in dead_terms(SCORE, table([0.2, 0.1], [1, 1000]))] == ["error"]
    assert dead_terms(SCORE, table([20, 10], [1, 1000])) == ()
    assert dead_terms(SCORE, table([0.1], [1])) == ()


def test_the_only_term_of_a_score_is_not_dead() -> None:
    assert dead_terms(score_of("latency"), terms_of(latency=[1.0, 2.0, 3.0])) == ()


def test_terms_of_formulas_and_models_without_a_score_are_judged_too() -> None:
    terms = terms_of(latency=[1.0, 2.0, 3.0, 4.0], energy=[1e-9, 3e-9, 2e-9, 1e-9])
    (dead,) = dead_terms(score_of("latency + energy"), terms)
    assert (dead.term, dead.spearman, dead.parameter, dead.matters_at) == ("energy", 1.0, "", None)
    assert dead_note(dead).text == "does not matter: Spearman 1 with the order without it, 4 models"
    gated = terms_of(latency=[1.0, 2.0, 3.0, 4.0], error=[0.1, 0.1, 0.1, 0.9])
    (error,) = dead_terms(score_of("mlperf:max_error=0.5"), gated)
    assert (error.term, error.models, error.constant) == ("error", 3, True)


def test_a_correlation_is_never_rounded_up_to_one() -> None:
    costs = [float(2**i) for i in range(200)]
    errors = [0.0] * 200
    errors[0] = 1.0  # swaps the first two: 1 − 6·2/(200·(200² − 1)) = 0.9999985
    (error,) = [item for item in dead_terms(SCORE, table(errors, costs)) if item.term == "error"]
    assert error.spearman == pytest.approx(1 - 12 / (200 * 39999), rel=1e-12)
    assert "Spearman above 0.9999 with the order" in dead_note(error).text
