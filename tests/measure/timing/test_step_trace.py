"""A training step as it runs: its ops are the step's, its products those of the rule, its bytes counted by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from effbench.judge.convention import MACS_ONLY, weigh
from effbench.judge.roofline import computes_in
from effbench.judge.traffic import traffic
from effbench.judge.training import training_macs
from effbench.measure.source import Loaded, ModelInputs, already_built
from effbench.measure.timing.step import prepare
from effbench.measure.timing.step_paths import LOSS, OPTIMISER
from effbench.measure.timing.step_trace import step_trace
from effbench.measure.trace import trace
from effbench.records import OpCall, Precision, TimingPlan, Trace


def loaded(model: nn.Module, *shape: int) -> Loaded:
    return Loaded("net", None, already_built(model), ModelInputs((torch.rand(shape),)))


def step_of(model: nn.Module, *shape: int, precision: Precision = "float32") -> Trace:
    step = prepare(loaded(model, *shape), TimingPlan(runs="training", threads=1, precision=precision))
    with step.around():
        return step_trace(step.call)


def calls(seen: Trace, op: str, module: str) -> list[OpCall]:
    return [call for call in seen.ops if (call.op, call.module) == (f"aten::{op}", module)]


def moved(seen: Trace, call: OpCall) -> tuple[int, int]:
    found = traffic(call, seen.values)
    assert found is not None
    return found.read, found.written


class Convolutions(nn.Module):
    """Two convolutions with an activation between them; the first one's input is data."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 5, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x).relu())  # type: ignore[no-any-return]


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(8, 24)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.inner(x)[:, None].chunk(3, -1)
        return nn.functional.scaled_dot_product_attention(query, key, value)


@pytest.mark.parametrize(
    ("model", "shape"),
    [(nn.Linear(4, 3), (2, 4)), (Convolutions(), (2, 3, 8, 8)), (Attention(), (2, 6, 8))],
    ids=["linear", "convolutions", "attention"],
)
def test_its_products_are_those_that_the_forward_pass_says_by_rule(model: nn.Module, shape: tuple[int, ...]) -> None:
    costs = list(weigh(step_of(model, *shape), MACS_ONLY))
    assert all(cost.amount is not None for cost in costs)
    by_rule = training_macs(trace(loaded(model, *shape), "train"))
    assert by_rule is not None
    assert sum(cost.amount.value for cost in costs if cost.amount) == by_rule.total.count > 0


def test_a_recurrent_layer_s_gradients_are_twice_its_products() -> None:
    steps, batch, inputs, hidden = 5, 2, 8, 16
    seen = step_of(nn.LSTM(inputs, hidden), steps, batch, inputs)
    backward = calls(seen, "mkldnn_rnn_layer_backward", "")
    if not backward:
        pytest.skip("PyTorch runs an LSTM's gradients step by step here")
    assert computes_in(backward[0], seen.values, True) == "float32"  # though its workspace is bytes
    by_op = {cost.label: cost.amount.value for cost in weigh(seen, MACS_ONLY) if cost.amount}
    forward = steps * batch * 4 * hidden * (inputs + hidden)
    assert by_op == {"aten::lstm": forward, backward[0].op: 2 * forward}


@pytest.mark.parametrize("precision", ["bfloat16", "autocast-bfloat16"])
def test_attention_s_gradients_are_held_to_the_dtype_that_they_multiply_in(precision: Precision) -> None:
    seen = step_of(Attention(), 2, 6, 8, precision=precision)
    (backward,) = [call for call in seen.ops if "attention" in call.op and call.op.endswith("_backward")]
    kinds = {name: seen.values[ids].dtype for name, ids in backward.inputs.items() if isinstance(ids, int)}
    assert (kinds["query"], kinds["logsumexp"]) == ("bfloat16", "float32")
    products = [call for call, cost in zip(seen.ops, weigh(seen, MACS_ONLY), strict=True) if cost.amount]
    assert backward in products
    assert {computes_in(call, seen.values, True) for call in products} == {"bfloat16"}


def test_each_gradient_is_its_layer_s_and_reads_what_it_needs() -> None:
    seen = step_of(Convolutions(), 2, 3, 8, 8)
    x, hidden, y = 2 * 3 * 8 * 8, 2 * 4 * 8 * 8, 2 * 5 * 6 * 6
    weights = {"first": 4 * 3 * 3 * 3, "second": 5 * 4 * 3 * 3}
    (second,) = calls(seen, "convolution_backward", "second")
    # The gradient of the result, the input and the weight give the gradients of the two.
    assert moved(seen, second) == (4 * (y + hidden + weights["second"]), 4 * (hidden + weights["second"]))
    (first,) = calls(seen, "convolution_backward", "first")
    # No gradient of data is asked for, so the weight is not read; the bias has one.
    assert moved(seen, first) == (4 * (hidden + x), 4 * (weights["first"] + 4))


def test_the_optimiser_s_ops_are_the_second_step_s() -> None:
    seen = step_of(nn.Linear(4, 3, bias=False), 2, 4)
    (weight,) = calls(seen, "addcdiv_", OPTIMISER)  # p ← p − η·m/√v: reads three tensors and writes one
    assert moved(seen, weight) == (3 * 4 * 12, 4 * 12)
    assert not calls(seen, "zeros_like", OPTIMISER)  # its moments were made in the first
    assert calls(seen, "pow", LOSS)
