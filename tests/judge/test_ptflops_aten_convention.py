"""The `ptflops-aten` convention gives the integer of ptflops's aten backend, which is run beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from function_cases import Run
from generated import Net, on_generated_nets
from helpers import traced, traced_for_real
from torch import Tensor, nn
from torch.nn import functional as F
from twins import QUIET, assert_twins, counted, loaded, ours, recorded, theirs
from zoo import on_meta

from effbench.measure.trace import trace
from effbench.records import Trace
from effbench.units import Unit

pytestmark = QUIET

NAME = "ptflops-aten"


def products(found: Trace) -> Counter[str]:
    return Counter(call.op for call in found.ops if call.op in ("aten::mm", "aten::bmm", "aten::addmm"))


@on_generated_nets(200)
def test_generated_net(net: Net) -> None:
    """From a run with data always; from one without, save where a kernel lays its result out in another way.

    Then a linear layer adds its bias apart on one of them, and the trace shows other products.
    """
    source = loaded(net.model, net.given)
    total = theirs(source, NAME)
    real = traced_for_real(net.model, net.given)
    assert ours(real, NAME) == total
    hollow = trace(source)
    assert ours(hollow, NAME) == total or (products(hollow) != products(real) and not has_layers(hollow))


def has_layers(found: Trace) -> bool:
    """Whether the model has recurrent layers, whose products differ between devices by design."""
    return any("torch.nn.modules.rnn.RNNBase" in node.bases for node in found.tree)


def test_vit_as_users_quote_it() -> None:
    """16.86 G: the definition's 17.56 without attention's two products, and with the biases."""
    model, image = on_meta("vit_b_16")
    total = counted(recorded(loaded(model, image)), NAME).total
    attention = 12 * 2 * 197 * 197 * 768
    rows = 197 * 12 * (3 * 768 + 768 + 3072 + 768)
    assert total == 17_563_828_224 - attention + rows + 196 * 768 + 1000
    assert round(total / 1e9, 2) == 16.86


@pytest.mark.parametrize(
    ("function", "shapes", "by_hand"),
    [
        pytest.param(lambda x, y: x @ y, [(5, 6), (6, 7)], 5 * 6 * 7, id="at"),
        pytest.param(lambda x, y: torch.einsum("ij,jk->ik", x, y), [(5, 6), (6, 7)], 5 * 6 * 7, id="einsum"),
        pytest.param(lambda x, y: x @ y, [(5, 6), (6,)], 0, id="vector"),
        pytest.param(lambda b, x: torch.baddbmm(b, x, x), [(2, 5, 5), (2, 5, 5)], 0, id="baddbmm"),
        pytest.param(lambda b, x: torch.addmm(b, x, x), [(5,), (5, 5)], 125 + 25, id="addmm-and-its-bias"),
        pytest.param(lambda x, y: F.conv2d(x, y), [(2, 4, 8, 8), (6, 2, 3, 3)], None, id="wrong-channels"),
        pytest.param(lambda q: F.scaled_dot_product_attention(q, q, q), [(2, 3, 5, 4)], 0, id="fused"),
        pytest.param(
            lambda q, v: F.scaled_dot_product_attention(q, q, v),
            [(2, 3, 5, 4), (2, 3, 5, 7)],
            6 * 25 * (4 + 7),
            id="not-fused",
        ),
    ],
)
def test_function_by_hand(function: Callable[..., Any], shapes: list[tuple[int, ...]], by_hand: int | None) -> None:
    if by_hand is None:
        source = loaded(Run(function), *shapes)
        assert trace(source).failed is not None
        assert theirs(source, NAME) is None
        return
    assert assert_twins(NAME, Run(function), *shapes) == by_hand


@pytest.mark.parametrize(
    ("model", "shape", "by_hand"),
    [
        pytest.param(nn.LSTM(6, 5), (4, 3, 6), 0, id="lstm-is-one-call"),
        pytest.param(nn.GRU(6, 5), (4, 3, 6), 12 * (90 + 75 + 30), id="gru"),
        pytest.param(nn.GRU(6, 5, batch_first=True), (3, 4, 6), 12 * (90 + 75 + 15), id="gru-batch-first"),
        pytest.param(nn.GRU(6, 5, bias=False), (4, 3, 6), 12 * (90 + 75), id="gru-no-bias"),
        pytest.param(nn.LSTM(6, 5, proj_size=2), (4, 3, 6), 12 * (120 + 40 + 10 + 40), id="lstm-projection"),
        pytest.param(nn.Linear(6, 3), (2, 5, 6), 10 * 21, id="linear"),
        pytest.param(nn.Conv2d(4, 6, 3, groups=2), (2, 4, 8, 8), 72 * (6 * 2 * 9 + 6), id="conv"),
        pytest.param(nn.BatchNorm2d(4), (2, 4, 8, 8), 0, id="batch-norm"),
    ],
)
def test_module_by_hand(model: nn.Module, shape: tuple[int, ...], by_hand: int) -> None:
    assert assert_twins(NAME, model, shape) == by_hand


def test_a_linear_layer_s_bias_counts_where_its_input_lies_in_order() -> None:
    model = Run(lambda x: F.linear(x.transpose(0, 1), x.new_ones(3, 6), x.new_ones(3)))
    assert assert_twins(NAME, model, (5, 4, 6)) == 20 * 18
    model = Run(lambda x: F.linear(x, x.new_ones(3, 6), x.new_ones(3)))
    assert assert_twins(NAME, model, (5, 4, 6)) == 20 * 21


def test_its_unit_is_the_mac_and_other_ops_are_free() -> None:
    counts = counted(traced(nn.Sequential(nn.Linear(6, 3), nn.Softmax(-1)), (2, 6)), NAME)
    assert counts.unit is Unit.MAC
    assert (counts.total, counts.flops) == (42, 84)
    assert counts.coverage.counted == 1
    assert counts.coverage.unknown == {}


def test_half_precision_lstm_depends_on_the_processor() -> None:
    model, given = nn.LSTM(6, 5).bfloat16(), torch.zeros(4, 3, 6, dtype=torch.bfloat16)
    counts = counted(traced(model, given), NAME)
    assert counts.total is None
    assert "depends on the processor" in next(cost.why for cost in counts.costs if cost.why)


def tool_itself(model: nn.Module, given: Tensor) -> int:
    """The tool as a user calls it, in whatever grad mode."""
    ptflops = pytest.importorskip("ptflops")
    macs, _ = ptflops.get_model_complexity_info(
        model,
        (1,),
        as_strings=False,
        print_per_layer_stat=False,
        input_constructor=lambda _: given,
        backend="aten",
    )
    return int(macs)


def test_grad_mode_changes_what_the_tool_gives() -> None:
    layer = nn.Sequential(nn.Linear(6, 3))
    x = torch.zeros(5, 6)
    mine = assert_twins(NAME, layer, x)
    assert tool_itself(layer, x) == mine == 5 * 21
    with torch.no_grad():
        assert tool_itself(layer, x) == mine
    with torch.inference_mode():
        assert tool_itself(layer, x) == 0  # `linear` arrives whole, and is none of its ops


def test_a_learned_mask_keeps_attention_from_its_kernel_while_gradients_are_on() -> None:
    class Learned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.places = nn.Parameter(torch.zeros(5))

        def forward(self, q: Tensor) -> Tensor:
            return F.scaled_dot_product_attention(q, q, q, self.places[:, None] - self.places)

    q = torch.zeros(2, 3, 5, 4)
    assert assert_twins(NAME, Learned(), q) == 0
    assert tool_itself(Learned(), q) == 6 * 25 * 8
