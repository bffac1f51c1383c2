"""The score against arithmetic by hand and the four published figures."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from effbench.errors import UnknownName
from effbench.judge.scores import Facts, scores

SCORE = scores.get("params_flops_exp")


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
    value = SCORE.value(Facts(params, round(gflops * 1e9), pixels))
    assert value == params / 1e6 * gflops * math.exp(pixels)  # a plain product of doubles, in this order
    decimals = len(repr(published).partition(".")[2])
    assert round(value, decimals) == published


def test_the_formula_says_what_is_computed() -> None:
    assert SCORE.formula == "params/1e6 × FLOPs/1e9 × e^ERROR"
    assert SCORE.value(Facts(2 * 10**6, 3 * 10**9, 0.0)) == 6.0
    assert SCORE.value(Facts(2 * 10**6, 3 * 10**9, 1.0)) == 6.0 * math.e


def test_nothing_overflows() -> None:
    hopeless = Facts(10**6, 10**9, 1000.0)
    assert SCORE.value(hopeless) == math.inf
    assert SCORE.log(hopeless) == pytest.approx(1000.0, abs=1e-9)
    huge = Facts(10**400, 10**400, 1.0)  # beyond doubles
    assert SCORE.value(huge) == math.inf
    assert SCORE.log(huge) == pytest.approx(800 * math.log(10) - 15 * math.log(10) + 1, rel=1e-12)


@given(st.integers(1, 10**13), st.integers(1, 10**16), st.floats(0, 600))
def test_the_logarithm_is_that_of_the_value(params: int, flops: int, error: float) -> None:
    facts = Facts(params, flops, error)
    assert SCORE.log(facts) == pytest.approx(math.log(SCORE.value(facts)), abs=1e-9)
    assert SCORE.log(facts) == SCORE.log_cost(facts) + SCORE.error_weight * error


def test_an_unknown_score_suggests_near_ones() -> None:
    with pytest.raises(UnknownName, match=r"^unknown score 'params_flops': did you mean params_flops_exp\?$"):
        scores.get("params_flops")
