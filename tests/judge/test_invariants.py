"""What holds for every model: sums, batches, parameters, and that a profiled model is the model it was."""

import pytest
import torch
from generated_nets import Fails, Net, nets, seen_of, surroundings
from helpers import OnRealTensors, counted, load, params, traced
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

import effbench as eb
from effbench.errors import ModelError
from effbench.judge.count import Counts, by_op, by_type
from effbench.measure.trace import Mode, trace
from effbench.records import Trace

MANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
FEWER = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])

pytestmark = pytest.mark.filterwarnings("ignore:dropout option adds dropout:UserWarning")


def assert_sums(counts: Counts, found: Trace) -> None:
    """Rows by layer, by type and by op add up to the total, and their parameters to all distinct ones."""
    assert counts.total is not None
    assert sum(layer.amount.value for layer in counts.layers if layer.amount is not None) == counts.total
    assert sum(group.amount or 0 for group in by_type(counts)) == counts.total
    assert sum(group.amount or 0 for group in by_op(counts)) == counts.total
    assert sum(group.calls for group in by_op(counts)) == len(found.ops)
    assert sum(layer.params for layer in counts.layers) == sum(group.params for group in by_type(counts))
    assert sum(layer.params for layer in counts.layers) == params(found)
    assert sum(layer.calls for layer in counts.layers) == len(found.modules)


@given(nets(), st.integers(2, 4))
@MANY
def test_the_total_is_the_one_by_hand_and_every_sum_and_batch_agrees(net: Net, batch: int) -> None:
    one, many = traced(net.model, net.inputs(1)), traced(net.model, net.inputs(batch))
    counts = counted(many)
    assert counted(one).total == net.macs
    assert counts.total == batch * net.macs
    assert counts.flops == 2 * batch * net.macs
    assert_sums(counts, many)
    assert params(many) == sum(param.numel() for param in net.model.parameters())


@given(nets(), st.sampled_from(["full"]))
@FEWER
def test_every_operation_adds_up_too(net: Net, convention: str) -> None:
    found = traced(net.model, net.inputs(2))
    counts = counted(found, convention)
    assert_sums(counts, found)
    assert (counts.total or 0) >= 2 * 2 * net.macs


@given(nets(), st.sampled_from(["eval", "train"]), st.booleans())
@FEWER
def test_profiling_twice_gives_the_same_and_leaves_all_as_it_was(net: Net, mode: Mode, training: bool) -> None:
    net.model.train(training)
    x = net.inputs(3)
    given_x = x.clone()
    before, around = list(seen_of(net.model)), surroundings()
    first = trace(load(net.model, x), mode)
    assert list(seen_of(net.model)) == before
    assert surroundings() == around
    second = trace(load(net.model, x), mode)
    assert first == second
    assert first.failed is None
    assert counted(first).total == 3 * net.macs
    assert torch.equal(x, given_x)
    assert list(seen_of(net.model)) == before


@given(nets(), st.booleans())
@FEWER
def test_all_is_as_it_was_after_a_failure_too(net: Net, real: bool) -> None:
    broken = nn.Sequential(net.model, Fails())
    model = OnRealTensors(broken) if real else broken
    x = net.inputs(2)
    before, around = list(seen_of(model)), surroundings()
    found = trace(load(model, x))
    assert found.failed is not None
    assert "1 (Fails) raised RuntimeError: on purpose" in found.failed
    assert list(seen_of(model)) == before
    assert surroundings() == around
    assert counted(found).total is None
    until_then = [cost.amount.value for cost in counted(found).costs if cost.amount is not None]
    assert sum(until_then) == 2 * net.macs
    with pytest.raises(ModelError):
        eb.profile(model, x)
    assert surroundings() == around


@given(nets())
@FEWER
def test_with_and_without_data_and_in_every_number_format(net: Net) -> None:
    totals = {counted(traced(OnRealTensors(net.model), net.inputs(2))).total}
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        totals.add(counted(traced(net.model.to(dtype), net.inputs(2).to(dtype))).total)
    assert totals == {2 * net.macs}


@given(nets(), st.sampled_from([torch.no_grad, torch.enable_grad, torch.inference_mode]))
@FEWER
def test_in_every_grad_mode_of_the_caller(net: Net, caller: type[torch.no_grad]) -> None:
    x = net.inputs(2)
    around = surroundings()
    with caller():
        assert counted(traced(net.model, x)).total == 2 * net.macs
    assert surroundings() == around


class Deep(nn.Module):
    """Calls itself without end."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode(False):
            return self(self.layer(x))  # type: ignore[no-any-return]


def test_all_is_as_it_was_after_a_recursion_without_end() -> None:
    model = Deep()
    given_inputs = load(model, (1, 2))
    around = surroundings()
    found = trace(given_inputs)
    assert found.failed is not None
    assert "RecursionError" in found.failed
    assert surroundings() == around
    assert counted(traced(model.layer, (1, 2))).total == 4
