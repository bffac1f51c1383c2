"""The `calflops` convention gives both of calflops's integers, also where it is wrong: it is run beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from function_cases import Run
from module_cases import beside_a_parameter
from torch import Tensor, nn
from torch.nn import functional as F
from twins import QUIET, assert_twins, counted, loaded, recorded
from zoo import on_meta

from effbench.api import profile
from effbench.judge.count import by_op, by_type
from effbench.measure.functions import functions_kept
from effbench.units import Unit

pytestmark = QUIET

NAME = "calflops"


def counted_pair(answer: Any) -> tuple[int, int]:
    flops, macs = answer
    assert isinstance(flops, int)
    assert isinstance(macs, int)
    return flops, macs


def test_vit_as_users_quote_it() -> None:
    """16.86 G is half of its FLOPs; the MACs beside them are the linear layers and the convolution, exactly."""
    model, image = on_meta("vit_b_16")
    counts = counted(recorded(loaded(model, image)), NAME)
    assert counts.macs == 17_563_828_224 - 12 * 2 * 197 * 197 * 768
    assert counts.flops is not None
    assert round(counts.flops / 2e9, 2) == 16.86


@pytest.mark.parametrize(
    ("function", "by_hand"),
    [
        pytest.param(lambda x, y: x + y, (0, 0), id="operators-are-no-attributes"),
        pytest.param(lambda x, y: x.add(y), (30, 0), id="method"),
        pytest.param(torch.add, (0, 0), id="taken-before"),
        pytest.param(lambda x, y: torch.matmul(x, y.T), (300, 150), id="matmul"),
        pytest.param(lambda x, y: torch.mm(x, y.T), (0, 0), id="mm"),
        pytest.param(lambda x, y: x @ y.T, (0, 0), id="at"),
        pytest.param(lambda x, y: F.linear(x, y), (300, 150), id="linear"),
        pytest.param(lambda x, y: torch.addmm(x @ x.T, x, y.T), (300 + 25, 150), id="addmm"),
        # numpy reports 3.010e+02: 2 × 5 × 6 × 5, and one more
        pytest.param(lambda x, y: torch.einsum("ij,kj->ik", x, y), (301, 0), id="einsum-has-no-macs"),
        pytest.param(lambda x, y: torch.mul(x, y[0]), (36, 0), id="aligned-left"),
        pytest.param(lambda x, y: F.layer_norm(x, (6,), y[0]), (150, 0), id="layer-norm"),
        pytest.param(lambda x, y: F.interpolate(x[None], size=9), (9, 0), id="size-alone"),
        pytest.param(lambda x, y: F.interpolate(x[None], scale_factor=2), (30, 0), id="scale-forgotten"),
        pytest.param(lambda x, y: F.adaptive_avg_pool1d(x[None], output_size=2), (None, None), id="raises"),
    ],
)
def test_function_by_hand(function: Callable[..., Any], by_hand: tuple[int | None, int | None]) -> None:
    assert assert_twins(NAME, Run(function), (5, 6), (5, 6)) == by_hand


@pytest.mark.parametrize(
    ("model", "shape", "by_hand"),
    [
        pytest.param(nn.Conv2d(4, 6, 3), (2, 4, 8, 8), (72 * 6 * (2 * 36 + 1), 72 * 216), id="conv"),
        # ⌊6/2⌋ filters where there are 6, and a bias for the 3 × 3 outputs of a forward convolution
        pytest.param(
            nn.ConvTranspose2d(4, 6, 3, 2, groups=1),
            (1, 4, 8, 8),
            (2 * 64 * 216 + 6 * 9, 64 * 216),
            id="transposed",
        ),
        pytest.param(nn.ConvTranspose2d(4, 4, 3, groups=4, bias=False), (1, 4, 8, 8), (0, 0), id="depthwise-is-zero"),
        pytest.param(nn.GRU(6, 5), (4, 3, 6), (12 * (2 * 165 - 30 + 35 + 30), 0), id="gru-has-no-macs"),
        pytest.param(nn.Sequential(nn.Linear(6, 6), nn.ReLU()), (5, 6), (360 + 30, 180), id="linear-relu"),
    ],
)
def test_module_by_hand(model: nn.Module, shape: tuple[int, ...], by_hand: tuple[int, int]) -> None:
    assert assert_twins(NAME, model, shape) == by_hand


def test_a_shared_module_counts_all_its_calls_at_each_of_its_places() -> None:
    layer = nn.Linear(6, 6, bias=False)
    assert assert_twins(NAME, nn.Sequential(layer, layer), (1, 6)) == (2 * 72, 2 * 36)
    parents = nn.Sequential(nn.Sequential(layer), nn.Sequential(layer))
    assert assert_twins(NAME, parents, (1, 6)) == (4 * 72, 4 * 36)


def test_a_model_without_parameters_has_no_figure() -> None:
    assert assert_twins(NAME, nn.ReLU(), (5, 6)) == (None, None)
    assert assert_twins(NAME, beside_a_parameter(nn.ReLU), (5, 6)) == (30, 0)


def test_both_figures_stand_everywhere() -> None:
    model = nn.Sequential(nn.Linear(6, 3), nn.ReLU())
    counts = counted(recorded(loaded(model, (2, 6))), NAME)
    assert counts.unit is Unit.FLOP
    assert (counts.flops, counts.macs) == (72 + 6, 36)
    assert {group.name: (group.amount, group.beside) for group in by_op(counts)} == {
        "torch.nn.functional.linear": (72, 36),
        "torch.nn.functional.relu": (6, 0),
    }
    assert sum(group.beside or 0 for group in by_type(counts)) == 36
    document = profile(model, torch.zeros(2, 6), convention=NAME).to_dict()
    assert (document["unit"], document["flops"], document["macs"]) == ("FLOP", 78, 36)
    assert document["per_sample"] == {"flops": 39, "macs": 18}
    assert [(row["flops"], row["macs"]) for row in document["layers"]] == [(0, 0), (72, 36), (6, 0)]
    assert document["layers"][0]["subtotal"] == {"params": 21, "flops": 78, "macs": 36}


def tool_itself(model: nn.Module, given: Tensor) -> tuple[int, int]:
    """The tool as a user calls it: whatever grad mode and fused path are on."""
    calflops = pytest.importorskip("calflops")
    with functions_kept():
        flops, macs, _ = calflops.calculate_flops(model, args=[given], print_results=False, output_as_string=False)
    return flops, macs


def test_gradients_matter_only_where_attention_has_a_fused_path() -> None:
    x = torch.zeros(1, 5, 8)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    flops, macs = counted_pair(assert_twins(NAME, layer, x))
    assert tool_itself(layer, x) == (flops, macs)  # gradients on, as it comes
    inside = 5 * 8 * 8 * 4  # the projections, which one kernel makes without calling a function
    with torch.no_grad():
        assert tool_itself(layer, x) == (flops - 2 * inside, macs - inside)
    plain = nn.Sequential(nn.Linear(8, 8), nn.ReLU())
    with torch.no_grad():
        assert tool_itself(plain, x) == assert_twins(NAME, plain, x)
