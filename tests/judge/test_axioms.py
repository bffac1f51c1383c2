"""What every built-in score owes its readers: the better model is never below, and no third one changes anything."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DataObject, SearchStrategy

from effbench.judge.scores import Floats, Score, score_of, scores

TEXTS = (
    "params_flops_exp",
    "params_flops_exp:k=20",
    "netscore",
    "mnasnet:T=0.08",
    "mnasnet:T=0.08,w=-1",
    "ntire_esr:t0=0.022,F0=16.7e9,P0=276e3",
    "ntire_rtsr:bicubic=31.5",
    "mlperf:max_error=0.25",
)

FIGURES: Mapping[str, SearchStrategy[float]] = {
    "params": st.integers(1, 10**12).map(float),
    "macs": st.integers(1, 10**15).map(float),
    "flops": st.integers(1, 10**15).map(float),
    "latency": st.floats(1e-7, 1e3),
    "psnr": st.floats(5, 60),
}
ERRORS = {"percent": st.floats(0, 100), "fraction": st.floats(0, 1), None: st.floats(0, 2000)}
BETTER_WHEN_HIGHER = {"psnr"}


def figures_of(chosen: Score, term: str) -> SearchStrategy[float]:
    return ERRORS[chosen.error_unit] if term == "error" else FIGURES[term]


def models_of(data: DataObject, chosen: Score, least: int, most: int) -> dict[str, Floats]:
    """Some models, each with every term that the score reads."""
    count = data.draw(st.integers(least, most))
    return {
        term: np.array(data.draw(st.lists(figures_of(chosen, term), min_size=count, max_size=count)))
        for term in chosen.reads
    }


def test_every_built_in_score_is_held_to_them() -> None:
    assert {text.partition(":")[0] for text in TEXTS} == set(scores.names())


@pytest.mark.parametrize("text", TEXTS)
@given(data=st.data())
def test_a_dominated_model_is_never_above_its_dominator(text: str, data: DataObject) -> None:
    chosen = score_of(text)
    terms: dict[str, Floats] = {}
    for term in chosen.reads:
        pair = sorted(data.draw(st.tuples(figures_of(chosen, term), figures_of(chosen, term))))
        terms[term] = np.array(pair[::-1] if term in BETTER_WHEN_HIGHER else pair)
    dominator, dominated = chosen.order(terms)
    assert dominator <= dominated
    better, worse = chosen.value(terms)
    if np.isfinite([better, worse]).all():
        assert better <= worse if chosen.direction == "lower" else better >= worse


@pytest.mark.parametrize("text", TEXTS)
@given(data=st.data())
def test_one_better_term_never_harms(text: str, data: DataObject) -> None:
    chosen = score_of(text)
    terms = models_of(data, chosen, 1, 1)
    term = data.draw(st.sampled_from(chosen.reads))
    now, other = terms[term][0], data.draw(figures_of(chosen, term))
    better = max(now, other) if term in BETTER_WHEN_HIGHER else min(now, other)
    pair = {name: np.repeat(values, 2) for name, values in terms.items()} | {term: np.array([better, now])}
    improved, before = chosen.order(pair)
    assert improved <= before


@pytest.mark.parametrize("text", TEXTS)
@given(data=st.data())
def test_a_third_model_flips_no_pair_and_moves_no_score(text: str, data: DataObject) -> None:
    chosen = score_of(text)
    terms = models_of(data, chosen, 2, 9)
    gone = data.draw(st.integers(0, len(terms[chosen.reads[0]]) - 1))
    rest = {term: np.delete(values, gone) for term, values in terms.items()}
    assert np.array_equal(chosen.order(rest), np.delete(chosen.order(terms), gone))
    assert np.array_equal(chosen.value(rest), np.delete(chosen.value(terms), gone), equal_nan=True)


@pytest.mark.parametrize("text", TEXTS)
@given(data=st.data())
def test_the_sequence_of_the_models_does_not_matter(text: str, data: DataObject) -> None:
    chosen = score_of(text)
    terms = models_of(data, chosen, 2, 9)
    places = np.array(data.draw(st.permutations(range(len(terms[chosen.reads[0]])))))
    shuffled = {term: values[places] for term, values in terms.items()}
    assert np.array_equal(chosen.order(shuffled), chosen.order(terms)[places])


@pytest.mark.parametrize("text", TEXTS)
@given(data=st.data())
def test_the_terms_stay_as_they_were_and_others_are_not_read(text: str, data: DataObject) -> None:
    chosen = score_of(text)
    terms = models_of(data, chosen, 1, 3)
    before = {term: values.copy() for term, values in terms.items()}
    order = chosen.order({**terms, "unrelated": np.full(1, np.nan)})
    assert all(np.array_equal(terms[term], values) for term, values in before.items())
    assert np.array_equal(order, chosen.order(terms))
    assert not np.isnan(order).any()
