"""A selfcheck's figures against hand arithmetic, and on machines whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from effbench.judge.disturbances import GPU_KINDS, KINDS, disturbances
from effbench.judge.selfcheck import drawn_labels, self_check
from effbench.measure.timing.drawn import drawn
from effbench.measure.timing.simulated import MACHINES, Machine
from effbench.records import Note, StopRule

RULE = StopRule()


def series(machine: Machine, pairs: int, seed: int = 0) -> list[float]:
    """The log ratios of a model of 10 ms against itself."""
    return [float(value) for value in drawn(machine, (0.01, 0.01), pairs, 50, seed).log_ratios(0, 1)]


def test_spread_and_pairs_by_hand() -> None:
    values = [0.02, -0.02] * 5
    found = self_check(values, 1.5, RULE, draws=50)
    sd = 0.02 * math.sqrt(10 / 9)
    assert found.spread == pytest.approx(sd)
    assert found.spread_low < sd < found.spread_high
    assert (found.pairs, found.pair_s, found.draws, found.margin) == (10, 1.5, 50, 0.02)
    assert found.pairs_allowed == 40  # 60 s of budget are just 40 pairs
    assert found.detectable == pytest.approx(3.24 * sd / math.sqrt(40))
    assert found.detectable_low / found.spread_low == pytest.approx(found.detectable / sd)
    assert [each.difference for each in found.outcomes] == [0.0, 0.01, 0.03, 0.10]
    three = found.outcomes[2]
    assert three.pairs_for_power == pytest.approx((3.24 * sd / 0.03) ** 2)
    assert three.seconds_for_power == pytest.approx(1.5 * (3.24 * sd / 0.03) ** 2)
    assert found.outcomes[0].pairs_for_power is None


@pytest.mark.parametrize(("pair_s", "allowed"), [(0.5, 40), (3.0, 20), (30.0, 6)])
def test_a_slow_pair_leaves_fewer_within_the_budget(pair_s: float, allowed: int) -> None:
    assert self_check([0.02, -0.03, 0.01], pair_s, RULE, draws=10).pairs_allowed == allowed


def test_verdicts_sum_to_one_and_give_the_false_alarms() -> None:
    found = self_check(series(MACHINES[0], 20), 1.0, RULE, draws=300)
    for each in found.outcomes:
        assert each.slower + each.faster + each.same + each.undecided == pytest.approx(1)
        assert each.seconds == each.pairs * 1.0
        assert 6 <= each.pairs <= 40
    equal = found.outcomes[0]
    assert found.false_alarms.share == pytest.approx(equal.slower + equal.faster)
    assert found.false_alarms.low <= found.false_alarms.share <= found.false_alarms.high


def test_labels_are_swapped_and_nothing_else() -> None:
    values = np.array([0.01, 0.02, -0.04])
    runs = drawn_labels(values, 500, 7, seed=1)
    assert runs.shape == (500, 7)
    assert set(np.abs(runs).ravel()) == {0.01, 0.02, 0.04}
    assert abs(float(np.mean(np.sign(runs)))) < 0.05
    assert (runs == drawn_labels(values, 500, 7, seed=1)).all()


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_an_honest_machine_has_few_false_alarms_and_finds_what_was_planted(machine: Machine) -> None:
    found = self_check(series(machine, 40), 1.0, RULE, draws=1000)
    assert found.is_honest
    assert found.false_alarms.share <= 0.063
    assert found.outcomes[2].slower > 0.7  # the series has its own luck: its spread is known to ±20 %
    assert found.outcomes[3].slower == 1.0
    assert all(each.faster < 0.01 for each in found.outcomes[1:])


def test_a_series_with_a_constant_lead_is_no_false_alarm_since_labels_are_chance() -> None:
    lead = [0.05 + value for value in series(MACHINES[0], 20)]
    assert self_check(lead, 1.0, RULE, draws=1000).false_alarms.share <= 0.063


def test_pairs_that_remember_one_another_are_told() -> None:
    slow = [math.sin(number / 3) for number in range(30)]
    found = self_check(slow, 1.0, RULE, draws=10).remembered
    assert found is not None
    assert found > 0.7
    assert self_check([0.01, -0.01] * 15, 1.0, RULE, draws=10).remembered is None
    assert self_check([0.0] * 8, 1.0, RULE, draws=10).remembered is None


# What disturbed it


def test_disturbances_are_counted_by_round_and_blindness_is_no_zero() -> None:
    rounds = [
        (Note("steal", "cpu", "3 %"), Note("steal", "cpu", "4 %"), Note("run-again", "round 0", "…")),
        (),
        (Note("steal", "cpu", "5 %"), Note("pressure", "cpu", "13 %")),
    ]
    found = disturbances(rounds, (Note("unwatched", "thermal", "no counters"),))
    assert [each.kind for each in found] == list(KINDS)
    rows = {each.kind: (each.rounds, each.of, each.last) for each in found}
    assert rows["steal"] == (2, 3, "5 %")
    assert rows["pressure"] == (1, 3, "13 %")
    assert rows["waiting"] == (0, 3, "")
    assert rows["thermal"] == (None, 3, "")


def test_a_gpu_has_kinds_of_its_own() -> None:
    found = disturbances([()], (Note("unwatched", "gpu", "no NVML"),), gpu=True)
    assert [each.kind for each in found] == [*KINDS, *GPU_KINDS]
    assert [each.rounds for each in found if each.kind in GPU_KINDS] == [None] * len(GPU_KINDS)
