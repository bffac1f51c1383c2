"""Draws against the intervals and distributions that they stand for; rank intervals on tables whose truth is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats as peer

from effbench.errors import InputError
from effbench.judge.uncertainty import (
    ErrorEvidence,
    Exact,
    PerSample,
    ProcessTimes,
    Share,
    TimeEvidence,
    draw_errors,
    draw_times,
    has_spread,
    pair_probability,
    rank_intervals,
    ranks,
    stated_error,
    stated_time,
    tie_groups,
)
from effbench.metrics import evaluation
from effbench.records import ErrorFigure, Evaluation, SpeedFigure
from effbench.stats import Floats, typical


def mean(evaluation: Evaluation, weights: Floats) -> Floats:
    """A metric that is the mean of its samples' values."""
    values = np.array(evaluation.per_sample["value"])
    assert weights.shape[1] == len(values) == evaluation.n
    with np.errstate(invalid="ignore"):
        return np.asarray(weights @ values / weights.sum(axis=1))


def measured(values: Sequence[float] | Floats, digest: str = "data") -> PerSample:
    told = {"value": tuple(map(float, values))}
    return PerSample(Evaluation("wrong", "fraction", "lower", len(values), told, digest=digest))


def together(draws: Floats) -> float:
    """The correlation of two models' draws."""
    return float(peer.pearsonr(draws[:, 0], draws[:, 1]).statistic)


def timed(logs: Sequence[float] | Floats, run: str = "") -> ProcessTimes:
    return ProcessTimes(tuple(map(float, logs)), tuple(range(len(logs))), run)


# Errors


def test_the_bootstrap_s_spread_is_the_standard_error() -> None:
    values = np.random.default_rng(0).normal(3, 2, 400)
    found = draw_errors([measured(values)], 4000, 0, mean)[:, 0]
    assert found.mean() == pytest.approx(values.mean(), abs=4 * 0.1 / math.sqrt(4000))
    assert found.std() == pytest.approx(values.std() / 20, rel=0.05)


def test_models_on_the_same_samples_are_resampled_together() -> None:
    hard = np.random.default_rng(1).normal(0, 1, 300)
    found = draw_errors([measured(hard), measured(hard + 1), measured(hard + 1, "other data")], 500, 0, mean)
    assert found[:, 1] - found[:, 0] == pytest.approx(1)
    assert np.std(found[:, 2] - found[:, 0]) == pytest.approx(math.sqrt(2 / 300), rel=0.2)


def test_samples_that_were_left_out_move_no_others() -> None:
    hard = np.random.default_rng(2).normal(0, 1, 300)
    kept = np.delete(np.arange(300), [3, 70, 71])
    told = {"value": tuple(hard[kept] + 1), "sample": tuple(map(float, kept))}
    fewer = Evaluation("wrong", "fraction", "lower", 297, told, digest="data", left_out={"NaN": 3})
    found = draw_errors([measured(hard), PerSample(fewer)], 500, 0, mean)
    assert together(found) > 0.97


def test_many_samples_are_drawn_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(3).random(50)
    whole = draw_errors([measured(values)], 100, 0, mean)
    widest = 0

    def watched(evaluation: Evaluation, weights: Floats) -> Floats:
        nonlocal widest
        widest = max(widest, weights.size)
        return mean(evaluation, weights)

    monkeypatch.setattr("effbench.judge.draws._CELLS", 200)
    assert (draw_errors([measured(values)], 100, 0, watched) == whole).all()
    assert widest == 200


def test_the_registered_metric_gives_the_values() -> None:
    right = [1.0, 2.0, 0.0, 1.0] * 25
    answered = [1.0, 1.0, 0.0, 2.0] * 25
    told = {"target": tuple(right), "predicted": tuple(answered)}
    evaluation = Evaluation("error_rate", "fraction", "lower", 100, told, digest="data")
    found = draw_errors([PerSample(evaluation)], 300, 0)[:, 0]
    assert found.mean() == pytest.approx(0.5, abs=0.02)
    assert found.std() == pytest.approx(0.05, rel=0.2)


def test_draws_without_a_value_are_drawn_again() -> None:
    def odd(evaluation: Evaluation, weights: Floats) -> Floats:
        return np.where(weights[:, 0] > 0, mean(evaluation, weights), np.nan)

    found = draw_errors([measured([0.0, 1.0, 1.0])], 200, 0, odd)
    assert np.isfinite(found).all()
    assert found.max() < 1  # every draw left has the first sample
    with pytest.raises(InputError, match="no value"):
        draw_errors([measured([1.0])], 5, 0, lambda evaluation, weights: np.full(len(weights), np.nan))


def test_shares_are_drawn_as_the_binomial_leaves_them_open() -> None:
    found = draw_errors([Share(0.25, 1000), Share(25, 1000, "percent"), Share(0, 100)], 4000, 0)
    # 1.95 is exceeded by √n times the statistic in one of 1,000 samples.
    assert peer.kstest(found[:, 0], peer.beta(250.5, 750.5).cdf).statistic < 1.95 / math.sqrt(4000)
    assert found[:, 1].mean() == pytest.approx(25, abs=0.1)
    assert found[:, 1].std() == pytest.approx(100 * math.sqrt(0.25 * 0.75 / 1000), rel=0.05)
    # None of 100: up to the rule of three, roughly.
    assert 0.01 < np.quantile(found[:, 2], 0.975) < 0.04


def test_models_with_the_same_share_are_drawn_independently() -> None:
    found = draw_errors([Share(0.25, 1000)] * 2, 2000, 0)
    assert abs(together(found)) < 0.1


def test_a_bare_value_has_no_spread() -> None:
    assert (draw_errors([Exact(3.5)], 10, 0) == 3.5).all()


def test_draws_do_not_depend_on_the_other_models() -> None:
    evidence: list[ErrorEvidence] = [Share(0.2, 100), measured([0, 1, 1, 0]), Exact(2.0, 0.1), Share(0.3, 100)]
    found = draw_errors(evidence, 50, 7, mean)
    assert (draw_errors(evidence[::-1], 50, 7, mean)[:, ::-1] == found).all()
    for place, one in enumerate(evidence):
        assert (draw_errors([one], 50, 7, mean)[:, 0] == found[:, place]).all()
    assert (draw_errors(evidence, 50, 8, mean)[:, 0] != found[:, 0]).any()


def test_of_equal_evidence_the_second_has_draws_of_its_own() -> None:
    one, both = draw_errors([Share(0.2, 100)], 50, 7), draw_errors([Share(0.2, 100), Share(0.2, 100)], 50, 7)
    assert (both[:, 0] == one[:, 0]).all()
    assert (both[:, 1] != one[:, 0]).any()


def answers(wrong: Sequence[bool] | np.ndarray, digest: str = "data") -> PerSample:
    targets = np.zeros(len(wrong), dtype=np.int64)
    predicted = np.asarray(wrong, dtype=np.int64)
    return PerSample(evaluation("error_rate", {"num_classes": 2}, predicted, targets, "d", digest))


def test_no_errors_of_twenty_leave_open_what_jeffreys_prior_does() -> None:
    drawn = draw_errors([answers([False] * 20)], 20_000, 0)[:, 0]
    assert np.quantile(drawn, [0.5, 0.975]) == pytest.approx(peer.beta.ppf([0.5, 0.975], 0.5, 20.5), rel=0.08)


def test_rates_of_few_errors_are_covered() -> None:
    # 2 errors of 100 on average: a resample alone holds the truth in 86 %.
    noise, held = np.random.default_rng(0), 0
    for seed in range(300):
        low, high = np.quantile(draw_errors([answers(noise.random(100) < 0.02)], 500, seed)[:, 0], [0.025, 0.975])
        held += low <= 0.02 <= high
    assert held / 300 >= 0.93


def test_equal_answers_stay_equal_in_every_draw_and_others_stay_paired() -> None:
    hard = np.arange(1000) < 200
    harder = np.arange(1000) < 203
    drawn = draw_errors([answers(hard), answers(hard), answers(harder)], 2000, 0)
    assert (drawn[:, 0] == drawn[:, 1]).all()
    # Of 1,000 samples 3 tell them apart: as 3 independent errors and a prior of half an error each, not as 200 and 203.
    assert (drawn[:, 2] - drawn[:, 0]).std() == pytest.approx(math.sqrt(3 + 0.5 + 0.5) / 1000, rel=0.1)


def test_a_bootstrap_of_no_errors_has_no_spread() -> None:
    assert (draw_errors([measured([0] * 40)], 50, 7, mean) == 0).all()


# Times


@pytest.mark.parametrize("processes", [2, 6, 12, 20, 40])
def test_draws_of_a_time_have_the_quantiles_of_its_interval(processes: int) -> None:
    logs = np.random.default_rng(processes).normal(-4, 0.05, processes)
    interval = typical(logs)
    assert interval is not None
    found = draw_times([timed(logs)], 20_000, 0)[:, 0]
    low, middle, high = np.quantile(np.log(found), [0.025, 0.5, 0.975])
    width = math.log(interval.high / interval.low)
    assert middle == pytest.approx(math.log(interval.estimate), abs=0.03 * width)
    assert low == pytest.approx(math.log(interval.low), abs=0.06 * width)
    assert high == pytest.approx(math.log(interval.high), abs=0.06 * width)


def test_six_processes_are_covered_and_drawing_with_replacement_is_not_enough() -> None:
    random = np.random.default_rng(0)
    held = np.zeros(2)
    for seed in range(400):
        logs = random.normal(0, 0.05, 6)
        again = random.choice(logs, (500, 6)).mean(axis=1)
        for way, drawn in enumerate((np.log(draw_times([timed(logs)], 500, seed)[:, 0]), again)):
            low, high = np.quantile(drawn, [0.025, 0.975])
            held[way] += low <= 0 <= high
    # Of 400 at a true 95 %, 372 or fewer come about in 5 of 1,000 series; with replacement it is near 87 %.
    assert held[0] > 372 > held[1]


def test_what_models_of_one_run_share_cancels() -> None:
    random = np.random.default_rng(4)
    shared, own = random.normal(0, 0.2, 8), random.normal(0, 0.01, (2, 8))
    logs = shared + own
    found = np.log(draw_times([timed(logs[0], "run"), timed(logs[1], "run")], 20_000, 0))
    student = peer.t.interval(0.95, 7, (logs[1] - logs[0]).mean(), peer.sem(logs[1] - logs[0]))
    width = student[1] - student[0]
    assert np.quantile(found[:, 1] - found[:, 0], [0.025, 0.975]) == pytest.approx(student, abs=0.06 * width)
    apart = np.log(draw_times([timed(logs[0]), timed(logs[1])], 2000, 0))
    assert np.std(apart[:, 1] - apart[:, 0]) > 10 * np.std(found[:, 1] - found[:, 0])


def test_rounds_that_one_model_missed_still_pair_the_others() -> None:
    random = np.random.default_rng(5)
    shared = random.normal(0, 0.2, 12)
    whole = ProcessTimes(tuple(shared), tuple(range(12)), "run")
    fewer = ProcessTimes(tuple(shared[1:]), tuple(range(1, 12)), "run")
    assert together(np.log(draw_times([whole, fewer], 2000, 0))) > 0.8


def test_a_stated_half_width_is_the_one_drawn() -> None:
    found = draw_times([Exact(0.01, 0.05), Exact(0.02), timed([-3.0])], 20_000, 0)
    assert np.quantile(found[:, 0], [0.025, 0.5, 0.975]) == pytest.approx([0.01 / 1.05, 0.01, 0.0105], rel=0.003)
    assert found[:, 1] == pytest.approx(0.02)
    assert found[:, 2] == pytest.approx(math.exp(-3))


# Evidence


def test_what_is_stated_becomes_evidence() -> None:
    assert stated_error(ErrorFigure(20.5, "percent", n=50_000)) == Share(20.5, 50_000, "percent")
    assert stated_error(ErrorFigure(20.5, "percent")) == Exact(20.5)
    assert stated_error(ErrorFigure(6.86, "pixels", n=100)) == Exact(6.86)
    assert stated_time(SpeedFigure(0.01, half_width=0.02)) == Exact(0.01, 0.02)


def test_whose_noise_is_unknown_is_said() -> None:
    known: list[ErrorEvidence | TimeEvidence] = [Share(0.5, 10), measured([0, 1]), timed([0.0, 1.0]), Exact(1.0, 0.1)]
    unknown: list[ErrorEvidence | TimeEvidence] = [Exact(1.0), measured([1]), timed([0.0])]
    assert [has_spread(one) for one in known] == [True] * 4
    assert [has_spread(one) for one in unknown] == [False] * 3


@pytest.mark.parametrize(
    "call",
    [
        lambda: Share(1.2, 100),
        lambda: Share(0.5, 0),
        lambda: Share(5.0, 100, "pixels"),
        lambda: Exact(math.nan),
        lambda: Exact(0.0, 0.1),
        lambda: ProcessTimes((), ()),
        lambda: ProcessTimes((0.0, 1.0), (3, 3)),
        lambda: ProcessTimes((0.0, math.inf), (1, 2)),
        lambda: draw_errors([Exact(1.0)], 0, 0),
        lambda: draw_times([Exact(1.0)], 0, 0),
        lambda: draw_errors([PerSample(replace(measured([1]).evaluation, n=0, per_sample={}))], 3, 0, mean),
        lambda: rank_intervals([[1.0, math.inf]]),
        lambda: rank_intervals([1.0, 2.0]),
        lambda: rank_intervals([[1.0, 2.0]], level=95),
        lambda: rank_intervals([[1.0, 2.0]], nominal=[1.0]),
    ],
)
def test_what_cannot_be_is_refused(call: Callable[[], object]) -> None:
    with pytest.raises(InputError):
        call()


# Ranks


VALUES = st.integers(0, 5).map(float)


@given(arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 9)), elements=VALUES))
def test_ranks_are_one_and_the_number_of_better_ones(order: Floats) -> None:
    assert ranks(order).tolist() == [[1 + sum(row < own) for own in row] for row in order]
    assert (ranks(order) == peer.rankdata(order, method="min", axis=1)).all()


def test_models_far_apart_have_one_rank_each() -> None:
    order = np.array([30.0, 10, 20]) + np.random.default_rng(0).normal(size=(500, 3)) * 0.1
    found = rank_intervals(order)
    assert found.low.tolist() == found.high.tolist() == [3, 1, 2]
    assert found.best.tolist() == [0, 1, 0]
    assert found.expected.tolist() == [3, 1, 2]
    assert tie_groups(order, [30, 10, 20]).tolist() == [3, 1, 2]


def test_models_that_are_equal_in_every_draw_tie_for_certain() -> None:
    noise = np.random.default_rng(0).normal(size=(200, 1))
    found = rank_intervals(np.array([1.0, 1, 5, 2]) + noise)  # the noise is shared, so nothing is uncertain
    assert found.low.tolist() == found.high.tolist() == [1, 1, 4, 3]
    assert found.best.tolist() == [0.5, 0.5, 0, 0]
    exact = rank_intervals([[2.0, 1.0, 1.0]])
    assert exact.low.tolist() == exact.high.tolist() == [3, 1, 1]


def test_a_pair_by_hand() -> None:
    order = np.array([[1.0, 2], [1, 2], [2, 1], [1, 1]])
    assert pair_probability(order, 0, 1) == (2 + 0.5) / 4
    assert pair_probability(order, 1, 0) == (1 + 0.5) / 4


def test_the_first_group_ends_where_an_interval_leaves_out_the_leader_s_rank() -> None:
    # sd .1 each: neighbours in one group are 1 sd of a difference apart, the groups 20.
    nominal = np.array([3.1, 0.0, 0.14, 3.0])
    order = nominal + np.random.default_rng(0).normal(size=(1000, 4)) * 0.1
    assert tie_groups(order, nominal).tolist() == [2, 1, 1, 2]


@given(st.integers(0, 30))
def test_intervals_hold_the_nominal_rank_and_groups_follow_the_table(seed: int) -> None:
    random = np.random.default_rng(seed)
    nominal = random.normal(0, 2, 12).round(1)
    order = nominal + random.normal(size=(300, 12)) * random.gamma(1, 1, 12)
    found = rank_intervals(order, nominal=nominal)
    assert (found.low <= ranks(nominal)).all()
    assert (ranks(nominal) <= found.high).all()
    assert found.best.sum() == pytest.approx(1)
    groups = tie_groups(order, nominal, intervals=found)
    ordered = groups[np.argsort(nominal, kind="stable")]
    assert ordered[0] == 1
    assert set(np.diff(ordered)) <= {0, 1}
    assert all(len(set(groups[nominal == value])) == 1 for value in nominal)
    turned = random.permutation(12)
    again = rank_intervals(order[:, turned], nominal=nominal[turned])
    assert (again.low == found.low[turned]).all()
    assert (again.high == found.high[turned]).all()
    assert (tie_groups(order[:, turned], nominal[turned]) == groups[turned]).all()


def test_the_unit_of_the_order_does_not_matter() -> None:
    order = np.random.default_rng(0).normal(size=(300, 8)) + np.arange(8)
    found = rank_intervals(order)
    for scale in (1e-200, 1e150):
        again = rank_intervals(order * scale)
        assert (again.low == found.low).all()
        assert (again.high == found.high).all()


def test_many_models_are_done_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    order = np.random.default_rng(0).normal(size=(300, 20)) + np.arange(20) / 3
    whole = rank_intervals(order)
    monkeypatch.setattr("effbench.judge.rank_intervals._CELLS", 60)
    parts = rank_intervals(order)
    assert (parts.low == whole.low).all()
    assert (parts.high == whole.high).all()


def every_pair(order: Floats, nominal: Floats) -> tuple[list[int], list[int]]:
    """Intervals at 95 % with each model compared with each, as the docstring of `rank_intervals` has it."""
    models = len(nominal)
    noise = order - order.mean(axis=0)
    low, high = [], []
    for own in range(models):
        moved = noise[:, [own]] - noise
        error = np.sqrt((moved**2).sum(axis=0) / (len(order) - 1))
        others = np.arange(models) != own
        size = np.where(others, np.abs(nominal[own] - nominal) / np.where(others, error, 1.0), 0.0)
        near = np.flatnonzero(others & (size < 6))
        bounds = [0.0, 0.0]
        if len(near):
            share = 0.95 if len(near) > 1 else 0.975
            extreme = moved[:, near] / error[near]
            bounds = [float(np.quantile((sign * extreme).max(axis=1), share)) for sign in (1, -1)]
        low.append(1 + int(((nominal < nominal[own]) & (size > bounds[0])).sum()))
        high.append(models - int(((nominal > nominal[own]) & (size > bounds[1])).sum()))
    return low, high


@pytest.mark.parametrize("freedom", [3, 1000])
@given(st.integers(0, 1000), st.integers(2, 60), st.sampled_from([1.0, 8.0, 60.0]))
def test_what_is_left_out_as_too_far_would_change_nothing(freedom: int, seed: int, models: int, apart: float) -> None:
    random = np.random.default_rng(seed)
    nominal = random.normal(0, apart, models)
    spread = np.exp(random.normal(0, 1, models))  # some are wide: near many
    order = nominal + spread * random.standard_t(freedom, (200, models)) + random.normal(size=(200, 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("effbench.judge.rank_intervals._ROWS", 7)
        found = rank_intervals(order, nominal=nominal)
    assert (found.low.tolist(), found.high.tolist()) == every_pair(order, nominal)


def test_near_ties_are_covered_and_quantiles_of_ranks_are_not_enough() -> None:
    """Twelve models that are all but equal; the study over many kinds of tables is benchmarks/ranking/coverage.py."""
    truth = np.arange(12) * 1e-6
    held = np.zeros((2, 12))
    tables = 100
    for seed in range(tables):
        random = np.random.default_rng(seed)
        nominal = truth + random.normal(size=12)
        order = nominal + random.normal(size=(400, 12))
        found = rank_intervals(order, nominal=nominal)
        held[0] += (found.low <= ranks(truth)) & (ranks(truth) <= found.high)
        low, high = np.quantile(ranks(order), [0.025, 0.975], axis=0)
        held[1] += (np.floor(low) <= ranks(truth)) & (ranks(truth) <= np.ceil(high))
    assert held[0].mean() / tables >= 0.93
    assert held[0, [0, -1]].mean() / tables >= 0.9
    assert held[1].mean() / tables < 0.9
