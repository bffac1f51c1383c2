"""The `ptflops` convention gives ptflops's own integer, also where ptflops is wrong: it is run beside it."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from typing import Any

import pytest
import torch
from function_cases import Run
from generated import First
from helpers import traced
from module_cases import OfTwoWidths
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.functional import relu as imported_relu
from twins import QUIET, assert_twins, counted, loaded, recorded, theirs
from zoo import on_meta

from effbench.errors import InputError
from effbench.units import Unit

pytestmark = QUIET

NAME = "ptflops"


def test_vit_as_users_quote_it() -> None:
    """17.61 G, where the network takes 17.56: what nothing counts and what counts twice nearly cancel out."""
    model, image = on_meta("vit_b_16")
    total = counted(recorded(loaded(model, image)), NAME).total
    assert total is not None
    assert round(total / 1e9, 2) == 17.61
    assert total > 17_563_828_224


@pytest.mark.parametrize(
    ("function", "by_hand"),
    [
        pytest.param(lambda x, y: x + y, 0, id="operators-are-no-attributes"),
        pytest.param(lambda x, y: x.add(y), 30, id="method"),
        pytest.param(lambda x, y: torch.add(x, y), 30, id="function"),
        pytest.param(torch.add, 0, id="taken-before"),
        pytest.param(lambda x, y: F.relu(x) + imported_relu(y), 30, id="imported-by-name"),
        pytest.param(lambda x, y: torch.matmul(x, y.T), 30 * 5, id="matmul"),
        pytest.param(lambda x, y: x @ y.T, 0, id="at"),
        pytest.param(lambda x, y: F.linear(x, y), 0, id="linear"),
        pytest.param(lambda x, y: torch.addmm(x @ x.T, x, y.T), 30 * 5 + 25, id="addmm"),
        # 5 × 6 against 6: the shapes are aligned at their first dimension, 6 × 6
        pytest.param(lambda x, y: torch.mul(x, y[0]), 36, id="aligned-left"),
    ],
)
def test_function_by_hand(function: Callable[..., Any], by_hand: int) -> None:
    assert assert_twins(NAME, Run(function), (5, 6), (5, 6)) == by_hand


@pytest.mark.parametrize(
    ("model", "shape", "by_hand"),
    [
        pytest.param(nn.ReLU(), (1, 7), 14, id="by-hook-and-by-function"),
        pytest.param(nn.Linear(6, 3), (1, 5, 6), 5 * (6 * 3 + 3), id="linear"),
        pytest.param(nn.Linear(6, 3), (5, 6), 6 * 3 + 3, id="per-sample"),
        pytest.param(nn.Conv2d(4, 6, 3, groups=2), (1, 4, 8, 8), 36 * 9 * 4 * 3 + 6 * 36, id="conv"),
        pytest.param(nn.ConvTranspose2d(4, 6, 3, 2), (1, 4, 8, 8), 64 * 9 * 24 + 6 * 17 * 17, id="transposed"),
        pytest.param(nn.MaxPool2d(2), (1, 4, 8, 8), 256 * 2, id="pool"),
        pytest.param(nn.AdaptiveAvgPool2d(1), (1, 4, 8, 8), 256 * 2, id="adaptive-pool"),
        pytest.param(nn.BatchNorm2d(4), (1, 4, 8, 8), 2 * 256, id="batch-norm"),
        pytest.param(nn.LayerNorm(6), (1, 6), 6, id="layer-norm"),
        pytest.param(nn.Upsample(scale_factor=2), (1, 4, 2, 2), 64 + 64, id="upsample"),
        pytest.param(nn.GRU(6, 5), (4, 3, 6), 3 * (15 * 6 + 15 * 5 + 5 * 7 + 30), id="gru-per-step-of-length"),
        pytest.param(nn.Softmax(-1), (1, 7), 7, id="softmax"),
        pytest.param(nn.SiLU(), (1, 7), 7, id="silu-by-function-alone"),
    ],
)
def test_module_by_hand(model: nn.Module, shape: tuple[int, ...], by_hand: int) -> None:
    assert assert_twins(NAME, model, shape) == by_hand


def test_attention_by_hand() -> None:
    """Its hook counts the whole layer; where weights are asked for, the products inside count once more."""

    class Layer(nn.Module):
        def __init__(self, need_weights: bool) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            self.need_weights = need_weights

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.attention(x, x, x, need_weights=self.need_weights)[0]
            return found

    scaling, projections, biases = 5 * 8, 3 * 5 * 64, 3 * 5 * 8
    heads, out = 2 * (25 * 4 + 25 + 25 * 4), 5 * 8 * 9
    whole = scaling + projections + biases + heads + out
    assert assert_twins(NAME, Layer(False), (1, 5, 8)) == whole
    # torch.bmm twice and the softmax
    assert assert_twins(NAME, Layer(True), (1, 5, 8)) == whole + 2 * (2 * 25 * 4) + 2 * 25


def test_functions_are_not_divided_by_the_batch() -> None:
    model = nn.Sequential(nn.Linear(6, 3), nn.ReLU())
    assert assert_twins(NAME, model, (5, 6)) == (6 * 3 + 3) + 3 + 5 * 3


def test_rows_are_whole_and_sum_where_the_batch_does_not_divide() -> None:
    class Net(OfTwoWidths):
        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.head(x) * self.mix(self.places).sum()
            return found

    found = recorded(loaded(Net(), (5, 6)))
    counts = counted(found, NAME)
    # 7 × 42 / 5 = 58.8 and 5 × 21 / 5 = 21
    assert counts.total == theirs(loaded(Net(), (5, 6)), NAME) == 79
    assert [layer.amount.value for layer in counts.layers if layer.amount] == [58, 21]


@pytest.mark.parametrize("batch", [2**20, 2**33 + 1])
def test_a_sum_beyond_a_double_is_cut_as_the_tool_cuts_it(batch: int) -> None:
    """Doubles hold 53 bits; the tool's sum is one. Checked against its arithmetic, since no machine runs this."""
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(2**20 + 1, 2**10), nn.ReLU())
        found = recorded(loaded(model, torch.empty(batch, 2**20 + 1)))
    # The linear layer and the activation by their hooks, divided; the activation's function as it is.
    hooked = batch * ((2**20 + 1) * 2**10 + 2**10) + batch * 2**10
    assert counted(found, NAME).total == int(hooked / batch + batch * 2**10)


def test_unit_and_coverage() -> None:
    counts = counted(recorded(loaded(nn.Sequential(nn.Linear(6, 3), nn.ReLU(), nn.Tanh()), (1, 6))), NAME)
    assert counts.unit is Unit.MAC
    assert counts.total == 21 + 6
    assert counts.flops == 54
    # Linear, ReLU and its function; Tanh and the container are none of its classes
    assert (counts.coverage.counted, counts.coverage.free, counts.coverage.unknown) == (3, 2, {})


def test_where_the_tool_gives_up_the_total_is_unknown_and_says_why() -> None:
    found = recorded(loaded(Run(lambda x: torch.mm(x, mat2=x)), (6, 6)))
    counts = counted(found, NAME)
    assert counts.total is None
    assert counts.coverage.unknown == {"torch.mm": 1}
    (cost,) = (cost for cost in counts.costs if cost.amount is None)
    assert cost.why == (
        "is where ptflops itself gives up (its handler does not take these arguments: "
        "missing a required argument: 'other')"
    )


def test_it_needs_function_calls_and_says_so() -> None:
    with pytest.raises(InputError, match=r"convention ptflops reads functions, .*\(--convention ptflops\)"):
        counted(traced(nn.ReLU(), (1, 6)), NAME)


def tool_itself(model: nn.Module, given: Tensor) -> int:
    """The tool as a user calls it: whatever grad mode and fused path are on."""
    ptflops = pytest.importorskip("ptflops")
    with contextlib.redirect_stdout(io.StringIO()):
        macs, _ = ptflops.get_model_complexity_info(
            model, (1,), as_strings=False, print_per_layer_stat=False, input_constructor=lambda _: given
        )
    return int(macs)


def test_gradients_matter_only_where_attention_has_a_fused_path() -> None:
    x = torch.zeros(1, 5, 8)
    layer = First(nn.MultiheadAttention(8, 2, batch_first=True), 3)
    mine = assert_twins(NAME, layer, x)
    assert isinstance(mine, int)
    assert tool_itself(layer, x) == mine  # gradients on, as it comes
    inside = 2 * (2 * 25 * 4) + 2 * 25
    with torch.no_grad():
        assert tool_itself(layer, x) == mine - inside  # one kernel, which calls no function
    layer.requires_grad_(False)
    assert tool_itself(layer, x) == mine - inside
    plain = nn.Sequential(nn.Linear(8, 8), nn.ReLU())
    with torch.no_grad():
        assert tool_itself(plain, x) == assert_twins(NAME, plain, x)
