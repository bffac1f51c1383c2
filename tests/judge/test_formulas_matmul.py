"""Products of matrices and vectors: (n, k) by (k, m) is n·k·m; every way of writing one product counts the same."""

from collections.abc import Callable

import pytest
import torch
from helpers import Call, expect, macs, params, traced
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

Shapes = list[tuple[int, ...]]
Function = Callable[..., Tensor]


@pytest.mark.parametrize(
    ("function", "shapes", "mac", "other"),
    [
        pytest.param(torch.mm, [(3, 4), (4, 5)], 3 * 4 * 5, 0, id="mm"),
        pytest.param(torch.bmm, [(2, 3, 4), (2, 4, 5)], 2 * 3 * 4 * 5, 0, id="bmm"),
        pytest.param(torch.addmm, [(5,), (3, 4), (4, 5)], 60, 3 * 5, id="addmm"),
        pytest.param(torch.baddbmm, [(2, 3, 5), (2, 3, 4), (2, 4, 5)], 120, 2 * 3 * 5, id="baddbmm"),
        pytest.param(torch.addbmm, [(3, 5), (2, 3, 4), (2, 4, 5)], 120, 3 * 5, id="addbmm"),
        pytest.param(torch.mv, [(3, 4), (4,)], 12, 0, id="mv"),
        pytest.param(torch.addmv, [(3,), (3, 4), (4,)], 12, 3, id="addmv"),
        pytest.param(torch.dot, [(7,), (7,)], 7, 0, id="dot"),
        pytest.param(torch.vdot, [(7,), (7,)], 7, 0, id="vdot"),
        pytest.param(torch.linalg.vecdot, [(2, 7), (2, 7)], 2 * 7, 0, id="vecdot"),
        pytest.param(torch.linalg.vecdot, [(5, 1, 7), (3, 7)], 5 * 3 * 7, 0, id="vecdot-broadcast"),
        pytest.param(lambda a, b: torch.linalg.vecdot(a, b, dim=0), [(7, 3), (7, 3)], 7 * 3, 0, id="vecdot-of-columns"),
        pytest.param(torch.inner, [(2, 7), (3, 7)], 2 * 3 * 7, 0, id="inner"),
        pytest.param(torch.addr, [(3, 4), (3,), (4,)], 3 * 1 * 4, 3 * 4, id="addr"),
        pytest.param(torch.chain_matmul, [(2, 3), (3, 4)], 2 * 3 * 4, 0, id="chain"),
        pytest.param(
            lambda a, b, c: torch.linalg.multi_dot([a, b, c]),
            [(2, 30), (30, 3), (3, 40)],
            2 * 30 * 3 + 2 * 3 * 40,  # the cheaper of the two orders
            0,
            id="multi_dot",
        ),
        pytest.param(lambda a, b: torch.tensordot(a, b, 2), [(2, 3, 4), (3, 4, 5)], 2 * 12 * 5, 0, id="tensordot"),
        pytest.param(torch.linalg.matrix_power, [(3, 3), 2], 27, 0, id="matrix_power"),
    ],
)
def test_torch_functions(function: Function, shapes: Shapes, mac: int, other: int) -> None:
    expect(function, *shapes, mac=mac, other=other)


@pytest.mark.parametrize(
    ("left", "right", "mac"),
    [
        pytest.param((4,), (4,), 4, id="vector-vector"),
        pytest.param((3, 4), (4,), 12, id="matrix-vector"),
        pytest.param((4,), (4, 5), 20, id="vector-matrix"),
        pytest.param((3, 4), (4, 5), 60, id="matrix-matrix"),
        pytest.param((2, 3, 4), (4, 5), 2 * 60, id="batch-matrix"),
        pytest.param((3, 4), (2, 4, 5), 2 * 60, id="matrix-batch"),
        pytest.param((2, 3, 4), (2, 4, 5), 2 * 60, id="batch-batch"),
        pytest.param((6, 1, 3, 4), (2, 4, 5), 6 * 2 * 60, id="broadcast-both"),
        pytest.param((2, 6, 3, 4), (4,), 2 * 6 * 12, id="batches-vector"),
        pytest.param((4,), (2, 4, 5), 2 * 20, id="vector-batch"),
    ],
)
def test_matmul_broadcasting(left: tuple[int, ...], right: tuple[int, ...], mac: int) -> None:
    expect(torch.matmul, left, right, mac=mac)
    expect(lambda a, b: a @ b, left, right, mac=mac)


@pytest.mark.parametrize(
    ("equation", "shapes", "mac"),
    [
        pytest.param("ij,jk->ik", [(3, 4), (4, 5)], 60, id="matrix"),
        pytest.param("bij,bjk->bik", [(2, 3, 4), (2, 4, 5)], 120, id="batch"),
        pytest.param("bij,kj->bik", [(2, 3, 4), (5, 4)], 120, id="linear"),
        pytest.param("bhqd,bhkd->bhqk", [(2, 3, 4, 5), (2, 3, 6, 5)], 2 * 3 * 4 * 6 * 5, id="scores"),
        pytest.param("i,i->", [(7,), (7,)], 7, id="dot"),
        pytest.param("ij,ij->i", [(3, 4), (3, 4)], 12, id="row-dots"),
        pytest.param("bchw,oc->bohw", [(2, 3, 4, 4), (5, 3)], 2 * 16 * 3 * 5, id="pointwise-convolution"),
        pytest.param("bi,oij,bj->bo", [(2, 3), (5, 3, 4), (2, 4)], 160, id="bilinear"),
        pytest.param("ij->ji", [(3, 4)], 0, id="transpose"),
    ],
)
def test_einsum(equation: str, shapes: Shapes, mac: int) -> None:
    expect(lambda *tensors: torch.einsum(equation, *tensors), *shapes, mac=mac)


@pytest.mark.parametrize(
    ("module", "shape", "mac", "bias"),
    [
        pytest.param(nn.Linear(9216, 4096), (1, 9216), 37_748_736, 4096, id="fc"),
        pytest.param(nn.Linear(4, 6), (2, 3, 4), 6 * 4 * 6, 6 * 6, id="tokens"),
        pytest.param(nn.Linear(4, 6, bias=False), (2, 3, 4), 6 * 4 * 6, 0, id="no-bias"),
        pytest.param(nn.Linear(4, 6), (4,), 4 * 6, 6, id="one-row"),
        pytest.param(nn.Linear(4, 6), (2, 3, 5, 4), 30 * 4 * 6, 30 * 6, id="four-dimensions"),
        pytest.param(nn.Linear(4, 1), (5, 4), 5 * 4, 5, id="one-output"),
        pytest.param(nn.Linear(1, 6), (5, 1), 5 * 6, 5 * 6, id="one-input"),
    ],
)
def test_linear(module: nn.Linear, shape: tuple[int, ...], mac: int, bias: int) -> None:
    expect(module, shape, mac=mac, other=bias)


def test_linear_on_rows_that_do_not_lie_together() -> None:
    expect(lambda x, w, b: F.linear(x.transpose(1, 2), w, b), (2, 4, 3), (6, 4), (6,), mac=6 * 24, other=36)


def test_bilinear_contracts_one_input_after_the_other() -> None:
    """Per row and output: in1·in2 products for x₁ᵀA, then in2 with x₂."""
    found = traced(nn.Bilinear(3, 4, 5), (2, 3), (2, 4))
    expect(nn.Bilinear(3, 4, 5), (2, 3), (2, 4), mac=2 * 5 * (3 * 4 + 4), other=2 * 5)
    assert params(found) == 5 * 3 * 4 + 5
    expect(nn.Bilinear(3, 4, 5, bias=False), (7, 2, 3), (7, 2, 4), mac=14 * 5 * 16)


@pytest.mark.parametrize(
    ("factors", "other"),
    [
        pytest.param({"alpha": 2}, 15 + 15, id="alpha"),
        pytest.param({"beta": 2}, 15 + 5, id="beta"),  # a bias of 5 is scaled before it is spread
        pytest.param({"beta": 0}, 0, id="nothing-added"),
        pytest.param({"alpha": 3, "beta": 2}, 15 + 15 + 5, id="both"),
    ],
)
def test_scaled_sum_of_a_product(factors: dict[str, float], other: int) -> None:
    expect(torch.addmm, (5,), (3, 4), (4, 5), mac=60, other=other, **factors)


def test_an_elementwise_product_is_no_inner_product() -> None:
    expect(torch.outer, (3,), (4,), other=12)
    expect(torch.mul, (3, 4), (3, 4), other=12)


@given(st.lists(st.integers(1, 4), min_size=4, max_size=4), st.sampled_from(["mm", "bmm", "nd", "vector"]))
@settings(max_examples=40, deadline=None)
def test_ones_times_ones_add_up_to_the_macs(sizes: list[int], kind: str) -> None:
    b, n, k, m = sizes
    left, right = {
        "mm": ((n, k), (k, m)),
        "bmm": ((b, n, k), (b, k, m)),
        "nd": ((b, 1, n, k), (2, k, m)),
        "vector": ((b, n, k), (k,)),
    }[kind]
    x, y = torch.ones(left), torch.ones(right)
    assert macs(Call(torch.matmul), x, y) == int((x @ y).sum().item())
