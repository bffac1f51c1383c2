"""The lie detector against planted bugs, one of each kind, and against honest times."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from helpers import Mixed, traced
from torch import nn
from torch.nn import functional as F

from effbench.errors import CheckFailed
from effbench.judge.plausible import (
    WINOGRAD,
    Demand,
    Objection,
    demand_of,
    rate_objections,
    refuse,
    wall_objections,
    wall_verdict,
)
from effbench.judge.roofline import Ceilings
from effbench.records import ProcessRun, StopRule, Timing, TimingPlan
from effbench.units import Flops, Macs

HONEST = tuple(0.010 + 0.0001 * (number % 7) for number in range(50))


def run(samples_s: tuple[float, ...], wall_s: float) -> ProcessRun:
    return ProcessRun(0, 0.5, (), samples_s, tuple(range(len(samples_s))), wall_s)


def said(objections: tuple[Objection, ...]) -> str:
    """The one refusal among them, as text."""
    (objection,) = objections
    assert objection.refuses
    return f"{objection.note.code}: {objection.note.text}"


# Against the wall


@pytest.mark.parametrize("around", [1.0, 1.04, 0.97])
def test_an_honest_clock_passes(around: float) -> None:
    assert wall_objections(run(HONEST, around * sum(HONEST)), "net") == ()


@pytest.mark.parametrize("around", [1.06, 0.94])
def test_more_than_5_percent_apart_is_refused(around: float) -> None:
    assert "clock-disagrees" in said(wall_objections(run(HONEST, around * sum(HONEST)), "net"))


def test_a_missing_synchronisation_is_caught() -> None:
    launches = tuple(sample / 1000 for sample in HONEST)
    assert "a missing synchronisation" in said(wall_objections(run(launches, sum(HONEST)), "net"))


def test_swapped_events_are_caught() -> None:
    swapped = tuple(-sample for sample in HONEST)
    text = said(wall_objections(run(swapped, sum(HONEST)), "net"))
    assert text.startswith("impossible-sample: 50 of 50 samples are no time at all, such as -0.01 s")
    assert "swapped" in text
    one = (*HONEST[:-1], -HONEST[-1])  # one negative sample hardly moves the sum
    assert "1 of 50" in said(wall_objections(run(one, sum(HONEST)), "net"))


@pytest.mark.parametrize("bad", [0.0, float("nan"), float("inf")])
def test_what_is_no_time_is_caught(bad: float) -> None:
    assert "impossible-sample" in said(wall_objections(run((*HONEST, bad), sum(HONEST)), "net"))


def test_milliseconds_kept_as_seconds_are_caught() -> None:
    milliseconds = tuple(1000 * sample for sample in HONEST)
    assert "milliseconds kept as seconds" in said(wall_objections(run(milliseconds, sum(HONEST)), "net"))


def test_what_the_clock_itself_takes_is_no_lie() -> None:
    short = (10e-6,) * 50
    wall_s = sum(short) + 50 * 1e-6
    assert wall_objections(run(short, wall_s), "net") != ()
    assert wall_objections(run(short, wall_s), "net", per_call_s=1e-6) == ()


def test_no_samples_and_no_wall_agree_and_a_wall_without_samples_does_not() -> None:
    assert wall_objections(run((), 0.0), "net") == ()
    assert "clock-disagrees" in said(wall_objections(run((), 1.0), "net"))
    assert "clock-disagrees" in said(wall_objections(run(HONEST, 0.0), "net"))


# Units


def model(*around: float, plan: TimingPlan | None = None) -> Timing:
    runs = tuple(run(HONEST, share * sum(HONEST)) for share in around)
    return Timing("net", plan or TimingPlan(), StopRule(), runs, 1, True)


def test_one_process_that_disagrees_with_the_wall_warns_and_most_of_them_refuse() -> None:
    assert wall_verdict(model(1.0, 1.01, 1.02)) == ()
    (warning,) = wall_verdict(model(1.0, 2.0, 1.0))
    assert not warning.refuses
    assert warning.note.text.startswith("in 1 of 3 processes; the first: 50 samples add up to")
    (refusal,) = wall_verdict(model(2.0, 2.0, 1.0))
    assert refusal.refuses
    assert wall_verdict(model()) == ()


def test_emptying_a_cache_before_each_call_is_outside_of_the_samples() -> None:
    assert wall_verdict(model(2.0, 2.0, plan=TimingPlan("cuda", cold_cache=True))) == ()


def test_an_accelerator_s_events_and_waiting_are_allowed_for() -> None:
    # 50 calls of 10.3 ms and 0.1 ms around each.
    share = 1 + 50 * 100e-6 / sum(HONEST) + 0.04
    assert wall_verdict(model(share, plan=TimingPlan("cuda"))) == ()


def test_a_mac_cannot_be_made_a_flop() -> None:
    with pytest.raises(TypeError, match=r"Flops counts in integers, not in Macs: convert it with to_flops\(\)"):
        Flops(Macs(5))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Macs counts in integers, not in Flops"):
        Macs(Flops(5))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Flops counts in integers, not in float"):
        Flops(1e9)  # type: ignore[arg-type]
    assert Macs(5).to_flops() == Flops(10)


# Against the machine

PEAK, BANDWIDTH = 1e11, 1e10
MACHINE = Ceilings({"float32": PEAK}, BANDWIDTH)


def demand(seconds: float, flops: int = 10**9, nbytes: int | None = 10**6, eased: float | None = None) -> Demand:
    return Demand("net", {"float32": Flops(flops)}, {"float32": eased or float(flops)}, nbytes, seconds)


def test_105_percent_of_the_peak_is_believed_and_106_is_refused() -> None:
    least_s = 1e9 / PEAK
    assert rate_objections(demand(least_s / 1.049), MACHINE) == ()
    text = said(rate_objections(demand(least_s / 1.06), MACHINE))
    assert text.startswith("faster-than-peak: 106.0 GFLOP/s is 106% of what this machine was measured to reach")


def test_doubled_flops_are_caught_where_the_model_is_fast() -> None:
    seconds = 1e9 / (0.6 * PEAK)
    assert rate_objections(demand(seconds), MACHINE) == ()
    assert "faster-than-peak" in said(rate_objections(demand(seconds, flops=2 * 10**9), MACHINE))


def test_beyond_the_bandwidth_is_a_warning() -> None:
    (objection,) = rate_objections(demand(0.01, flops=10**6, nbytes=2 * 10**8), MACHINE)
    assert (objection.refuses, objection.note.code) == (False, "faster-than-memory")
    assert "20.0 GB/s is 200% of the memory's measured bandwidth" in objection.note.text
    assert refuse((objection,)) == (objection.note,)
    assert rate_objections(demand(0.01, flops=10**6, nbytes=int(1.04e8)), MACHINE) == ()


def test_what_could_not_be_checked_is_said() -> None:
    codes = [item.note.code for item in rate_objections(demand(1.0, nbytes=None), Ceilings({}, BANDWIDTH))]
    assert codes == ["rate-unchecked", "bandwidth-unchecked"]


def test_no_time_is_refused() -> None:
    assert "impossible-sample" in said(rate_objections(demand(-1.0), MACHINE))


def test_a_refusal_is_raised_with_its_subject() -> None:
    with pytest.raises(CheckFailed, match="net: 10,000"):
        refuse(rate_objections(demand(1e-4), MACHINE))


# What a model demands


@pytest.mark.parametrize(
    ("layer", "factor"),
    [
        (nn.Conv2d(3, 4, 3), WINOGRAD),
        (nn.Conv2d(3, 4, 3, padding=1), WINOGRAD),
        (nn.Conv2d(3, 4, 3, stride=2), 1),
        (nn.Conv2d(3, 4, 3, dilation=2), 1),
        (nn.Conv2d(4, 4, 3, groups=2), 1),
        (nn.Conv2d(3, 4, 5), 1),
        (nn.Conv2d(3, 4, (3, 1)), 1),
        (nn.ConvTranspose2d(3, 4, 3), 1),
        (nn.Conv1d(3, 4, 3), 1),
    ],
    ids=str,
)
def test_winograd_may_serve_3_by_3_without_stride_dilation_and_groups(layer: nn.Module, factor: float) -> None:
    channels = layer.in_channels
    shape = (1, channels, 12) if isinstance(layer, nn.Conv1d) else (1, channels, 12, 12)
    found = demand_of(traced(layer, shape), 1.0, "net")
    assert found.flops["float32"].count > 0
    assert found.eased["float32"] == pytest.approx(found.flops["float32"].count / factor, rel=1e-12)


def test_a_convolution_at_twice_the_peak_is_believed_only_where_winograd_may_serve() -> None:
    for stride, believed in ((1, True), (2, False)):
        found = demand_of(traced(nn.Conv2d(64, 64, 3, stride), (1, 64, 58, 58)), 1.0, "net")
        twice = replace(found, seconds=found.flops["float32"].count / (2 * PEAK), nbytes=0)
        assert (rate_objections(twice, MACHINE) == ()) is believed


@pytest.mark.parametrize(("kernel", "factor"), [(3, WINOGRAD), (5, 1)])
def test_winograd_may_serve_a_convolution_s_gradients_too(kernel: int, factor: float) -> None:
    def gradients(g: torch.Tensor, x: torch.Tensor, weight: torch.Tensor) -> Any:
        ones, noughts = [1, 1], [0, 0]
        asked = [True, True, False]
        return torch.ops.aten.convolution_backward(g, x, weight, None, ones, noughts, ones, False, noughts, 1, asked)

    out = 12 - kernel + 1
    found = demand_of(traced(gradients, (1, 4, out, out), (1, 3, 12, 12), (4, 3, kernel, kernel)), 1.0, "net")
    assert found.flops == {"float32": Flops(2 * 2 * out * out * 4 * 3 * kernel * kernel)}
    assert found.eased["float32"] == pytest.approx(found.flops["float32"].count / factor, rel=1e-12)


def test_a_causal_kernel_may_skip_half() -> None:
    def attend(x: torch.Tensor) -> torch.Tensor:
        return F.scaled_dot_product_attention(x, x, x, is_causal=True)

    found = demand_of(traced(attend, (1, 2, 8, 4)), 1.0, "net")
    assert found.flops == {"float32": Flops(2 * 2 * 8 * 8 * (4 + 4))}
    assert found.eased == {"float32": 2 * 8 * 8 * (4 + 4)}


def test_only_inner_products_are_held_against_the_peak() -> None:
    found = demand_of(traced(Mixed(), (2, 3, 6, 6)), 1.0, "net")
    (flops,) = found.flops.values()
    from helpers import macs

    assert flops.count == 2 * (macs(Mixed(), (2, 3, 6, 6)) or 0)
    assert found.nbytes is not None


def test_stored_zeros_that_a_kernel_skips_demand_nothing() -> None:
    weight = torch.eye(4).to_sparse()
    found = demand_of(traced(lambda x: torch.mm(weight, x), (4, 4)), 1.0, "net")
    assert (dict(found.flops), found.nbytes) == ({}, None)
