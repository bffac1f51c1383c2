from __future__ import annotations

import pytest
from helpers import traced
from torch import nn

from effbench.judge.op_times import agreement, seconds_by_layer, seconds_by_op
from effbench.records.op_times import OpTimes


def times(*rows: tuple[float | None, ...]) -> OpTimes:
    return OpTimes("fake", rows, (0.5,) * len(rows), (10.0,) * len(rows))


def test_the_typical_pass_is_the_middle_half() -> None:
    found = seconds_by_op(times((1.0, 5.0), (2.0, 2.0), (4.0, 4.0), (100.0, 300.0)))  # totals 6, 4, 8, 400
    assert found == {0: 2.5, 1: 4.5}
    assert sum(found.values()) == (6 + 8) / 2  # ops add up to the typical total


def test_one_pass_is_itself() -> None:
    assert seconds_by_op(times((1.0, 2.0))) == {0: 1.0, 1: 2.0}


def test_an_op_that_is_not_made_has_no_time() -> None:
    found = times((1.0, None), (1.0, None))
    assert seconds_by_op(found) == {0: 1.0}
    first, second = agreement(found, 2.0, "net")
    assert first.text == "the ops took 1000 ms, 50% of a call's 2000 ms without hooks: the rest is spent between them"
    assert second.code == "op-times-incomplete"
    assert second.text == "1 of 2 op calls are other ops here, which took 500 ms"


def test_more_than_the_latency_is_said_too() -> None:
    (note,) = agreement(times((1.5, 1.5)), 2.0, "net")
    assert "150% of a call's" in note.text
    assert "timing them one by one adds the rest" in note.text


def test_layers_add_up_their_ops() -> None:
    trace = traced(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)), (2, 4))
    assert [call.op for call in trace.ops] == ["aten::t", "aten::addmm", "aten::relu", "aten::t", "aten::addmm"]
    found = seconds_by_layer(trace, times((1.0, 2.0, 4.0, None, 8.0)))
    assert found == {"0": pytest.approx(3.0), "1": 4.0, "2": None}
