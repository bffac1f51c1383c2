"""Calls recorded whole: what is part of what, and that nothing is left behind."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers import Call, load, traced
from torch import Tensor, nn
from torch.nn import functional as F

from effbench.measure.composites import Composites
from effbench.measure.trace import trace
from effbench.records import OpCall


def whole(model: Any, *inputs: Any) -> list[OpCall]:
    found = trace(load(model, *inputs), needs=frozenset({"composites"}))
    assert found.failed is None, found.failed
    return list(found.composites or ())


def names(model: Any, *inputs: Any) -> list[str]:
    return [call.op.removeprefix("aten::") for call in whole(model, *inputs)]


@pytest.mark.parametrize(
    ("model", "shape", "known"),
    [
        pytest.param(nn.Linear(3, 4), (2, 5, 3), ["linear"], id="linear"),
        pytest.param(nn.Conv2d(3, 4, 3), (1, 3, 5, 5), ["convolution"], id="opened-by-the-tracer"),
        pytest.param(nn.Conv2d(3, 4, 3, padding="same"), (1, 3, 5, 5), ["_convolution_mode"], id="padding-in-words"),
        pytest.param(lambda x: torch.einsum("ij,kj->ik", x, x) @ x, (2, 3), ["einsum", "matmul"], id="einsum"),
        pytest.param(lambda x: F.scaled_dot_product_attention(x, x, x), (1, 3, 4), None, id="attention"),
        pytest.param(nn.BatchNorm2d(3), (1, 3, 4, 4), ["batch_norm"], id="batch-norm"),
    ],
)
def test_a_call_is_there_by_its_own_name(model: Any, shape: Any, known: list[str] | None) -> None:
    assert names(model, shape) == (known or ["scaled_dot_product_attention"])


def test_a_cell_is_opened_and_its_layers_are_not() -> None:
    found = names(nn.LSTMCell(3, 5), (4, 3))
    assert found.count("linear") == 2
    assert "addmm" not in found


def test_shapes_modules_and_arguments_are_those_of_the_call() -> None:
    net = nn.Sequential(nn.Identity(), nn.Sequential(nn.Linear(3, 4)))
    found = trace(load(net, (2, 5, 3)), needs=frozenset({"composites"}))
    (call,) = found.composites or ()
    assert call.module == "1.0"
    shapes = {name: found.values[ids].shape for name, ids in call.inputs.items() if isinstance(ids, int)}
    assert shapes == {"input": (2, 5, 3), "weight": (4, 3), "bias": (4,)}
    assert found.values[call.outputs[0]].shape == (2, 5, 4)


def test_they_are_recorded_on_request_only() -> None:
    assert traced(nn.Linear(3, 4), (2, 3)).composites is None


class Fails(torch.autograd.Function):
    """A function that gives up."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        raise ValueError("no")

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return grads


class Catches(nn.Module):
    """A model that gets over it."""

    def forward(self, x: Tensor) -> Tensor:
        try:
            found: Tensor = Fails.apply(x)
        except ValueError:
            found = x @ x.t()
        return found


def test_everything_is_put_back_where_forward_raises() -> None:
    before = vars(torch.autograd.Function)["apply"]
    found = trace(load(Call(Fails.apply), (2, 3)), needs=frozenset({"composites"}))
    assert found.failed is not None
    assert vars(torch.autograd.Function)["apply"] is before
    rows = torch.rand(2, 3, requires_grad=True)
    assert (rows * 2).requires_grad


def test_what_comes_after_a_call_that_raised_is_not_part_of_it() -> None:
    assert names(Catches(), (2, 3))[-2:] == ["t", "matmul"]


def test_parts_are_told_by_their_place_in_the_list() -> None:
    ops = ["a"]
    composites = Composites(ops)
    with composites.one_call("outer") as outermost:
        ops.append("b")
        with composites.one_call("inner") as inner:
            ops.append("c")
    composites.name_last("outer")
    with composites.one_call("aten::conv2d") as opened:
        ops.append("d")
    with composites.one_call("unnamed"):
        ops.append("e")
    ops.append("f")
    assert (outermost, inner, opened) == (True, False, False)
    assert list(composites.calls()) == ["a", "outer", "d", "f"]
