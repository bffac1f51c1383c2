"""What a worker answers of a model beside its times; a real process is looked at by `tests/cli/test_compare.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_runner import source

from effbench.api import load
from effbench.measure.timing.serve import answered
from effbench.measure.timing.wire import Asked, decode, encode, load_message
from effbench.measure.trace import trace
from effbench.records import TimingPlan, Trace
from effbench.records.op_times import OpTimes
from effbench.store import validated


@pytest.fixture
def spec(tmp_path: Path) -> str:
    path = tmp_path / "net.py"
    path.write_text(source(), encoding="utf-8")
    return str(path)


def answers(spec: str, *more: dict[str, Any]) -> list[dict[str, Any]]:
    """The answers to a look and further requests, as they come over the wire."""
    look = {**load_message(Asked(spec), TimingPlan(threads=1)), "do": "look", "needs": []}
    requests: Iterator[dict[str, Any]] = (decode(encode(item)) for item in (look, *more))
    return [decode(encode(answer)) for answer in answered(requests)]


def test_the_trace_comes_over_the_wire_as_it_is(spec: str) -> None:
    (answer,) = answers(spec)
    here = trace(load(spec))  # type: ignore[arg-type]
    assert answer["name"] == "Net"
    assert validated(answer["trace"], Trace, "Net") == here
    assert validated(answer["trace"], Trace, "Net").digest() == here.digest()


def test_each_op_of_the_trace_has_a_time_in_each_pass(spec: str) -> None:
    look, answer = answers(spec, {"do": "op_times", "passes": 3})
    found = validated(answer["op_times"], OpTimes, "Net")
    ops = len(validated(look["trace"], Trace, "Net").ops)
    assert [len(row) for row in found.samples_s] == [ops] * 3
    assert all(seconds is not None and seconds > 0 for row in found.samples_s for seconds in row)


def test_what_is_looked_at_is_not_timed(spec: str) -> None:
    _, answer = answers(spec, {"do": "call", "times": 1})
    assert answer["because"] == "model"
    assert "raised" in answer


def test_a_missing_file_is_a_wrong_call() -> None:
    (answer,) = answers("no/such.py")
    assert answer["because"] == "input"
    assert "no such file" in answer["raised"]
