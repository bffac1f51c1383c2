"""The `deepspeed` convention gives both integers of DeepSpeed's profiler, which is run beside it where installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from function_cases import Run
from torch import nn
from torch.nn import functional as F
from twins import QUIET, Answer, assert_twins, counted, loaded, ours, recorded
from zoo import on_meta

from effbench.measure.peer import missing, peers
from effbench.units import Unit

pytestmark = QUIET

NAME = "deepspeed"


def as_stated(model: nn.Module, *inputs: Any) -> Answer:
    """Ours, and the tool's where it is installed."""
    if missing(peers.get(NAME)):
        return ours(recorded(loaded(model, *inputs)), NAME)
    return assert_twins(NAME, model, *inputs)


def test_vit_as_users_quote_it() -> None:
    """17.56 G: it patches attention's kernel, and its MACs are the definition's."""
    model, image = on_meta("vit_b_16")
    assert counted(recorded(loaded(model, image)), NAME).macs == 17_563_828_224


@pytest.mark.parametrize(
    ("function", "by_hand"),
    [
        pytest.param(lambda x, y: x + y, (0, 0), id="operators-are-no-attributes"),
        pytest.param(lambda x, y: x.add(y), (30, 0), id="method"),
        pytest.param(lambda x, y: torch.mm(x, y.T), (300, 150), id="mm"),
        pytest.param(lambda x, y: x @ y.T, (300, 150), id="at"),
        pytest.param(lambda x, y: torch.mm(x, mat2=y.T), (None, None), id="raises"),
        # numpy reports 3.010e+02: 2 × 5 × 6 × 5, and one more
        pytest.param(lambda x, y: torch.einsum("ij,kj->ik", x, y), (301, 0), id="einsum-has-no-macs"),
        pytest.param(lambda x, y: torch.mul(x, y[0]), (30, 0), id="aligned-right"),
        pytest.param(lambda x, y: F.interpolate(x[None], scale_factor=1.5), (45, 0), id="scale"),
        pytest.param(lambda x, y: F.scaled_dot_product_attention(x, y, y), (600, 300), id="attention"),
    ],
)
def test_function_by_hand(function: Callable[..., Any], by_hand: tuple[int | None, int | None]) -> None:
    assert as_stated(Run(function), (5, 6), (5, 6)) == by_hand


@pytest.mark.parametrize(
    ("model", "shape", "by_hand"),
    [
        pytest.param(nn.Conv2d(4, 6, 3), (2, 4, 8, 8), (72 * 6 * (2 * 36 + 1), 72 * 216), id="conv"),
        pytest.param(
            nn.ConvTranspose2d(4, 6, 3, 2), (1, 4, 8, 8), (2 * 64 * 216 + 6 * 17 * 17, 64 * 216), id="transposed"
        ),
        pytest.param(
            nn.ConvTranspose2d(4, 4, 3, groups=4, bias=False), (1, 4, 8, 8), (2 * 64 * 36, 64 * 36), id="depthwise"
        ),
        pytest.param(nn.GRU(6, 5), (4, 3, 6), (12 * (2 * 165 - 30 + 35 + 30), 0), id="gru-has-no-macs"),
    ],
)
def test_module_by_hand(model: nn.Module, shape: tuple[int, ...], by_hand: tuple[int, int]) -> None:
    assert as_stated(model, shape) == by_hand


def test_a_shared_module_counts_once_whatever_its_places() -> None:
    layer = nn.Linear(6, 6, bias=False)
    parents = nn.Sequential(nn.Sequential(layer), nn.Sequential(layer))
    assert as_stated(parents, (1, 6)) == (2 * 72, 2 * 36)


def test_an_einsum_by_einops_counts_twice() -> None:
    einops = pytest.importorskip("einops")
    model = Run(lambda x, y: einops.einsum(x, y, "i j, k j -> i k"))
    assert as_stated(model, (5, 6), (5, 6)) == (2 * 301, 0)


def test_it_gives_flops_and_macs() -> None:
    counts = counted(recorded(loaded(nn.Linear(6, 3), (2, 6))), NAME)
    assert counts.unit is Unit.FLOP
    assert (counts.flops, counts.macs) == (72, 36)
