"""The roofline by hand: y = relu(x W) of (16, 64) by (64, 32) in float32."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers import Net, load, traced
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from effbench.errors import InputError
from effbench.judge.roofline import Ceilings, OpRoof, Roofline, roofline
from effbench.judge.roofline_document import roofline_document
from effbench.judge.roofline_layers import by_layer
from effbench.measure.trace import trace
from effbench.units import Flops

FLOPS = 2 * 16 * 64 * 32
BYTES = 4 * (16 * 64 + 64 * 32 + 16 * 32)
OUTPUTS = 16 * 32


def layer() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 32, bias=False), nn.ReLU())


def under(flops_per_s: float, bytes_per_s: float, **more: float) -> Roofline:
    ceilings = Ceilings({"float32": flops_per_s, **more}, bytes_per_s)
    return roofline(traced(layer(), (16, 64)), ceilings)


def only(found: Roofline, op: str) -> OpRoof:
    (item,) = [item for item in found.ops if item.op == f"aten::{op}"]
    return item


def test_an_op_above_the_ridge_is_held_by_arithmetic() -> None:
    product = only(under(1e9, 1e9), "mm")
    assert (product.flops, product.nbytes) == (Flops(FLOPS), BYTES)
    assert product.intensity == FLOPS / BYTES  # 4.57, beyond a ridge of 1
    assert product.bound == "compute"
    assert product.attainable_s == FLOPS / 1e9


def test_an_op_below_the_ridge_is_held_by_memory() -> None:
    product = only(under(1e10, 1e9), "mm")  # a ridge of 10
    assert product.bound == "memory"
    assert product.attainable_s == BYTES / 1e9
    relu = only(under(1e9, 1e9), "relu")  # one comparison for 8 bytes
    assert (relu.flops, relu.nbytes, relu.bound) == (Flops(OUTPUTS), 8 * OUTPUTS, "memory")


def test_a_view_is_held_by_nothing() -> None:
    view = only(under(1e9, 1e9), "t")
    assert (view.bound, view.attainable_s, view.intensity) == ("none", 0.0, None)


def test_the_model_s_bound_is_the_sum_and_the_share_is_of_the_latency() -> None:
    trace = traced(layer(), (16, 64))
    places = {call.op: index for index, call in enumerate(trace.ops)}
    seconds = {places["aten::mm"]: 4 * FLOPS / 1e9, places["aten::relu"]: 2 * 8 * OUTPUTS / 1e9}
    bound = (FLOPS + 8 * OUTPUTS) / 1e9
    found = roofline(trace, Ceilings({"float32": 1e9}, 1e9), seconds, latency_s=10 * bound)
    assert found.bound_s == pytest.approx(bound, rel=1e-12)
    assert found.achieved == pytest.approx(0.1, rel=1e-12)
    assert found.measured_s == pytest.approx(sum(seconds.values()), rel=1e-12)
    assert (only(found, "mm").utilisation, only(found, "relu").utilisation) == (0.25, 0.5)
    assert only(found, "t").measured_s is None
    assert found.seconds_by_bound == {
        "none": 0.0,
        "compute": pytest.approx(FLOPS / 1e9),
        "memory": pytest.approx(8 * OUTPUTS / 1e9),
    }


def test_layers_add_up_to_the_model() -> None:
    found = under(1e9, 1e9)
    linear, relu = by_layer(found)
    assert (linear.path, linear.calls, linear.flops, linear.nbytes) == ("0", 2, Flops(FLOPS), BYTES)
    assert (relu.path, relu.attainable_s) == ("1", 8 * OUTPUTS / 1e9)
    assert found.bound_s == pytest.approx((linear.attainable_s or 0) + (relu.attainable_s or 0))


def test_every_dtype_has_its_own_peak() -> None:
    trace = traced(layer().to(torch.bfloat16), torch.rand(16, 64, dtype=torch.bfloat16))
    product = only(roofline(trace, Ceilings({"float32": 1e9, "bfloat16": 2e9}, 1e9)), "mm")
    assert (product.dtype, product.nbytes) == ("bfloat16", BYTES // 2)
    assert product.attainable_s == FLOPS / 2e9
    unknown = roofline(trace, Ceilings({"float32": 1e9}, 1e9))  # another dtype's peak is no stand-in
    assert unknown.bound_s is None
    assert unknown.unknown == {"aten::mm": 1, "aten::relu": 1}
    assert unknown.at_least_s == pytest.approx((BYTES // 2 + 4 * OUTPUTS) / 1e9)


def test_an_op_without_a_formula_is_unknown_and_shown_and_its_bytes_still_bind() -> None:
    trace = traced(lambda x: torch.topk(x, 2).values, (10, 5))
    found = roofline(trace, Ceilings({"float32": 1e9}, 1e9), latency_s=1.0)
    (top,) = found.ops
    assert (top.flops, top.bound, top.attainable_s) == (None, "bytes only", None)
    assert (found.bound_s, found.achieved) == (None, None)
    assert found.achieved_at_least == found.at_least_s  # of one second
    assert found.unknown == {"aten::topk": 1}
    assert found.at_least_s == (4 * 50 + 4 * 20 + 8 * 20) / 1e9  # values and indices
    assert by_layer(found)[0].flops is None


def test_an_op_whose_macs_alone_are_known_is_bound_by_them_too() -> None:
    def gradients(g: torch.Tensor, x: torch.Tensor) -> Any:
        out, log = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(x, x, x)
        return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(g, x, x, x, out, log, 0.0, False)

    shape = (2, 3, 5, 8)  # N, H, L, D: 2·N·H·L·L·(D + D) MACs, and what the softmax's gradient takes, which is unknown
    macs = 2 * 2 * 3 * 5 * 5 * 16
    seen = traced(gradients, torch.rand(shape), torch.rand(shape))
    by_arithmetic = only(roofline(seen, Ceilings({"float32": 1e6}, 1e12)), SDPA_BACKWARD)
    assert (by_arithmetic.flops, by_arithmetic.attainable_s, by_arithmetic.bound) == (None, None, "FLOPs only")
    assert by_arithmetic.at_least_s == 2 * macs / 1e6
    by_memory = only(roofline(seen, Ceilings({"float32": 1e15}, 1e6)), SDPA_BACKWARD)
    assert by_memory.bound == "bytes only"
    # The gradient, x once for the three that share it, the result and a float for each row are read; three are written.
    assert by_memory.at_least_s == 4 * (3 * 240 + 30 + 3 * 240) / 1e6


SDPA_BACKWARD = "_scaled_dot_product_flash_attention_for_cpu_backward"


def test_work_on_integers_is_no_floating_point_work() -> None:
    found = roofline(traced(lambda ids: ids + 1, torch.zeros(100, dtype=torch.int64)), Ceilings({}, 1e9))
    assert (found.ops[0].flops, found.ops[0].bound, found.bound_s) == (Flops(0), "memory", 1600 / 1e9)


def test_complex_numbers_are_held_to_the_peak_of_their_parts() -> None:
    trace = traced(lambda x: x @ x, torch.rand(8, 8, dtype=torch.complex64))
    (product,) = roofline(trace, Ceilings({"float32": 1e9}, 1e9)).ops
    assert (product.dtype, product.flops) == ("float32", Flops(2 * 4 * 8**3))


@given(st.floats(1e6, 1e15), st.floats(1e6, 1e13))
def test_no_op_attains_more_than_either_ceiling(flops_per_s: float, bytes_per_s: float) -> None:
    for op in roofline(TRACE, Ceilings({"float32": flops_per_s}, bytes_per_s)).ops:
        if op.attainable_s and op.flops is not None and op.nbytes is not None:
            assert op.flops.count / op.attainable_s <= flops_per_s * (1 + 1e-12)
            assert op.nbytes / op.attainable_s <= bytes_per_s * (1 + 1e-12)


TRACE = traced(layer(), (16, 64))


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_a_ceiling_is_a_rate(rate: float) -> None:
    with pytest.raises(InputError, match="peak of memory"):
        Ceilings({}, rate)
    with pytest.raises(InputError, match="peak of float32"):
        Ceilings({"float32": rate}, 1.0)


def test_what_has_no_whole_pass_has_no_roofline() -> None:
    broken = trace(load(Net(width=5), (1, 4)))
    with pytest.raises(InputError, match=r"a roofline needs a whole forward pass, and features\.1"):
        roofline(broken, Ceilings({}, 1.0))
    with pytest.raises(InputError, match="seconds of op call 7: the trace has 3"):
        roofline(TRACE, Ceilings({}, 1.0), {7: 1.0})


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(self.inner(x)).sum()  # type: ignore[no-any-return]


def test_the_document_is_plain_and_its_ops_add_up() -> None:
    trace = traced(Twice(), (2, 4))
    found = roofline(trace, Ceilings({"float32": 1e9, "float64": 1e8}, 1e9), {0: 1e-3}, 2e-3)
    document = roofline_document(found, "twice")
    assert document["ceilings"]["flops_per_s"] == {"float32": 1e9}  # float64 is not used
    assert document["ceilings"]["ridge_flops_per_byte"] == {"float32": 1.0}
    assert document["bound_s"] == pytest.approx(sum(op["attainable_s"] for op in document["ops"]))
    layers = {row["path"]: row for row in document["layers"]}
    assert layers["inner"]["flops"] == 2 * (2 * 2 * 4 * 4 + 2 * 4)
    assert layers["inner"]["measured_s"] is None  # one of its ops was not timed
    assert document["ops"][0]["measured_s"] == 1e-3
