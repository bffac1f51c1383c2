"""What needs a model's ops beside its times, with peaks that are made up."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from effbench.judge.plausible import demand_of
from effbench.measure.source import Loaded, ModelInputs, already_built
from effbench.records import GemmRun, Peaks, StreamRun, TimingPlan
from effbench.rooflines import ops_of, step_macs, traced_as_timed

ROWS, WIDE = 2, 64
MACS = ROWS * WIDE * WIDE


def linear(batch: int = ROWS) -> Loaded:
    return Loaded("net", None, already_built(nn.Linear(WIDE, WIDE)), ModelInputs((torch.rand(batch, WIDE),)))


def peaks(flops_per_s: float, bytes_per_s: float = 1e9, disturbed: bool = False) -> Peaks:
    gemm = GemmRun("float32", 1, 100, 1, (2e6 / flops_per_s,))
    stream = StreamRun("copy", 1, 8, 8, (8 / bytes_per_s,))
    return Peaks("cpu", (gemm,), (stream,), 1.0, disturbed)


def test_the_trace_is_in_the_precision_and_batch_that_are_timed() -> None:
    seen = traced_as_timed(linear(), TimingPlan(batch=5, precision="bfloat16"))
    assert [(item.shape, item.dtype) for item in seen.inputs] == [((5, WIDE), "bfloat16")]
    assert {param.dtype for param in seen.params} == {"bfloat16"}


def test_a_roofline_has_every_op_with_its_time() -> None:
    found = ops_of(linear(), TimingPlan(threads=1), 1, 1.0, peaks(1e9))
    roof = found.roofline
    assert roof.latency_s == 1.0
    busy = [op for op in roof.ops if op.attainable_s]
    assert [op.op for op in busy] == ["aten::addmm"]
    assert busy[0].flops is not None
    assert busy[0].flops.count == 2 * MACS + ROWS * WIDE  # each bias is one more addition
    assert busy[0].measured_s is not None
    assert busy[0].measured_s > 0
    assert found.objections == ()
    assert found.notes[0].code == "op-times"


@pytest.mark.parametrize(("disturbed", "refuses"), [(False, True), (True, False)])
def test_a_call_faster_than_the_machine_is_refused_unless_its_peaks_were_disturbed(
    disturbed: bool, refuses: bool
) -> None:
    # 16,384 FLOPs in half the time that 1 GFLOP/s needs.
    found = ops_of(linear(), TimingPlan(threads=1), 1, MACS * 1e-9, peaks(1e9, 1e12, disturbed))
    (against,) = found.objections
    assert (against.note.code, against.refuses) == ("faster-than-peak", refuses)


def test_a_training_step_costs_its_forward_pass_and_the_weights_gradient() -> None:
    macs, unknown = step_macs(linear(), TimingPlan(runs="training"))
    assert macs is not None
    assert (macs.forward.count, macs.backward.count, unknown) == (MACS, MACS, {})


class Trained(nn.Module):
    """A product, a norm and a product: of the norm's gradient no FLOPs are known."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.norm, self.head = nn.Linear(WIDE, WIDE), nn.LayerNorm(WIDE), nn.Linear(WIDE, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.body(x)))  # type: ignore[no-any-return]


def test_a_training_step_has_a_roofline_of_forward_backward_and_optimiser() -> None:
    model = Trained()
    before = [weight.detach().clone() for weight in model.parameters()]
    loaded = Loaded("net", None, lambda where: copy.deepcopy(model), ModelInputs((torch.rand(ROWS, WIDE),)))
    plan = TimingPlan(runs="training", threads=1)
    found = ops_of(loaded, plan, 1, 1.0, peaks(1e9))
    roof = found.roofline
    assert all(op.measured_s is not None for op in roof.ops if op.at_least_s)
    assert {op.module for op in roof.ops} >= {"body", "norm", "head", "(loss)", "(optimiser)"}
    by_norm = [op for op in roof.ops if op.op == "aten::native_layer_norm_backward"]
    assert [(op.module, op.bound, op.flops) for op in by_norm] == [("norm", "bytes only", None)]
    assert dict(roof.unknown) == {"aten::native_layer_norm_backward": 1}
    assert (roof.bound_s, roof.achieved) == (None, None)
    assert roof.achieved_at_least == pytest.approx(sum(op.at_least_s for op in roof.ops))
    # What it does at least: the products forth, and back those of the weights and, of the head, of its input.
    macs = 2 * MACS + 3 * ROWS * WIDE
    assert sum(op.flops.count for op in roof.ops if op.flops and op.op in ("aten::addmm", "aten::mm")) == (
        2 * macs + ROWS * WIDE + ROWS
    )
    (told,) = [note.text for note in found.notes if note.code == "bound-in-part"]
    assert told.startswith(f"1 of {len(roof.ops)} op calls have no FLOP formula and are bounded by their bytes or MACs")
    assert all(torch.equal(*pair) for pair in zip(before, model.parameters(), strict=True))


class Mixed(nn.Module):
    """A product, a norm that autocast leaves as it is, and attention on what the norm gives."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(WIDE, WIDE)
        self.norm = nn.LayerNorm(WIDE)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.body(x).float())[:, None]
        return nn.functional.scaled_dot_product_attention(x, x, x)


def test_under_autocast_each_op_has_the_dtype_that_it_computes_in() -> None:
    model = Loaded("net", None, already_built(Mixed()), ModelInputs((torch.rand(ROWS, WIDE),)))
    plan = TimingPlan(threads=1, precision="autocast-bfloat16")
    half = GemmRun("bfloat16", 1, 100, 1, (2e6 / 2e9,))
    measured = peaks(1e9)
    found = ops_of(model, plan, 1, 1.0, replace(measured, gemms=(*measured.gemms, half)))
    by_op = {op.op: op for op in found.roofline.ops}
    product, attention = by_op["aten::addmm"], by_op["aten::scaled_dot_product_attention"]
    assert [each.dtype for each in (product, by_op["aten::native_layer_norm"], attention)] == [
        "bfloat16",
        "float32",
        "bfloat16",
    ]
    # At 2 GFLOP/s: 2 FLOPs a MAC, and one for each bias.
    assert product.compute_s == pytest.approx((2 * MACS + ROWS * WIDE) / 2e9)
    # Two bytes each: x, the weight and the bias are read and y is written.
    assert product.nbytes == 2 * (ROWS * WIDE + WIDE * WIDE + WIDE + ROWS * WIDE)
    casts = [op for op in found.roofline.ops if op.op == "aten::_to_copy"]
    assert casts
    assert all(op.measured_s is not None for op in found.roofline.ops if op.attainable_s)


STEPS, HIDDEN = 3, 16
INNER = {"lstm": ("mkldnn_rnn_layer",), "gru": ("addmm", "mm"), "rnn_tanh": ("addmm", "mm")}
"""The ops that multiply inside a recurrent layer on a CPU: one for a whole LSTM, a product or more for each step."""


class Inside(TorchDispatchMode):
    """Hears the dtypes that ops are given, without any of our own code."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.dtypes: set[tuple[str, str]] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if isinstance(args[0], torch.Tensor):
            self.dtypes.add((func._schema.name.removeprefix("aten::"), str(args[0].dtype)))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU, nn.RNN])
def test_a_recurrent_layer_under_autocast_is_held_to_the_dtype_that_it_multiplies_in(layer: type[nn.Module]) -> None:
    model, x = layer(WIDE, HIDDEN), torch.rand(STEPS, ROWS, WIDE)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16), Inside() as inside:
        model(x)
    op = {"LSTM": "lstm", "GRU": "gru", "RNN": "rnn_tanh"}[layer.__name__]
    seen = {dtype for name, dtype in inside.dtypes if name in INNER[op]}
    assert seen == {"torch.bfloat16"}  # PyTorch casts all three inside the layer
    loaded = Loaded("net", None, already_built(model), ModelInputs((x,)))
    half = GemmRun("bfloat16", 1, 100, 1, (2e6 / 2e9,))
    measured = peaks(1e9)
    plan = TimingPlan(threads=1, precision="autocast-bfloat16")
    found = ops_of(loaded, plan, 1, 1.0, replace(measured, gemms=(*measured.gemms, half)))
    (whole,) = [each for each in found.roofline.ops if each.op == f"aten::{op}"]
    assert whole.dtype == "bfloat16"
    assert whole.flops is not None
    assert whole.compute_s == pytest.approx(whole.flops.count / 2e9)
    # It is given float32 and reads that: input and weights have four bytes.
    given = 4 * sum(tensor.numel() for tensor in (x, *model.parameters()))
    assert whole.traffic is not None
    assert given <= whole.traffic.read <= given + 4 * 2 * ROWS * HIDDEN  # and a first state or two
    plain = ops_of(loaded, TimingPlan(threads=1), 1, 1.0, measured)
    assert [each.dtype for each in plain.roofline.ops if each.op == whole.op] == ["float32"]


def test_a_layer_that_reaches_the_peak_of_what_it_casts_to_is_not_refused() -> None:
    model, x = nn.LSTM(WIDE, HIDDEN), torch.rand(STEPS, ROWS, WIDE)
    macs = STEPS * ROWS * 4 * HIDDEN * (WIDE + HIDDEN)
    seen = traced_as_timed(
        Loaded("net", None, already_built(model), ModelInputs((x,))), TimingPlan(precision="autocast-bfloat16")
    )
    demand = demand_of(seen, 1.0, "net")
    assert {dtype: flops.count for dtype, flops in demand.flops.items()} == {"bfloat16": 2 * macs}


def test_autocast_is_off_again_and_the_model_as_it_was() -> None:
    model = Mixed()
    loaded = Loaded("net", None, already_built(model), ModelInputs((torch.rand(ROWS, WIDE),)))
    seen = traced_as_timed(loaded, TimingPlan(precision="autocast-bfloat16"))
    assert not torch.is_autocast_enabled("cpu")
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert "autocast casts nothing" in next(note.text for note in seen.notes if note.code == "real-run")
