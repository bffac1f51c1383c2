"""Times of ops with a fake clock, and the order of ops against the trace on the real device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision
from helpers import Mixed, Net, load, traced
from torch import Tensor, nn

from effbench.errors import InputError
from effbench.measure.timing.layer_times import AcceleratorStopwatch, CpuStopwatch, keeps_busy, matched, op_times
from effbench.measure.trace import trace


class Clock:
    """Nanoseconds that pass where ops say so."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


CLOCK = Clock()
LIBRARY = torch.library.Library("effbench_test", "FRAGMENT")  # type: ignore[no-untyped-call]
LIBRARY.define("lasts(Tensor x, int ns) -> Tensor")  # type: ignore[no-untyped-call]


def _lasts(x: Tensor, ns: int) -> Tensor:
    CLOCK.now += ns
    return x + 0


LIBRARY.impl("lasts", _lasts, "CPU")  # type: ignore[no-untyped-call]
LIBRARY.impl("lasts", lambda x, ns: torch.empty_like(x), "Meta")  # type: ignore[no-untyped-call]


class Lasting(nn.Module):
    """An op of known length; `between` passes outside of any op."""

    def __init__(self, ns: int, between: int = 0) -> None:
        super().__init__()
        self.ns, self.between = ns, between

    def forward(self, x: Tensor) -> Tensor:
        CLOCK.now += self.between
        return torch.ops.effbench_test.lasts(x, self.ns)  # type: ignore[no-any-return]


def test_each_op_has_its_own_time_and_what_is_between_has_none() -> None:
    model = nn.Sequential(Lasting(2000), Lasting(3000, between=500), Lasting(5000))
    x = torch.rand(2, 3)
    found = op_times(lambda: model(x), traced(model, x), 4, CpuStopwatch(CLOCK), now_ns=CLOCK)
    assert [list(row) for row in found.samples_s] == [pytest.approx([2e-6, 3e-6, 5e-6])] * 4
    assert found.wall_s == pytest.approx((10.5e-6,) * 4)
    assert found.elsewhere_s == (0.0,) * 4


class Deciding(nn.Module):
    """Does another op on real tensors than on meta."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.effbench_test.lasts(x, 2000).relu() if x.is_meta else Lasting(3000)(x).sigmoid().sin()  # type: ignore[no-any-return]


def test_an_op_that_is_served_by_others_is_left_out_and_they_are_counted_apart() -> None:
    x = torch.rand(2, 3)
    model = Deciding()
    found = op_times(lambda: model(x), traced(model, x), 2, CpuStopwatch(CLOCK), now_ns=CLOCK)
    for lasting, relu in found.samples_s:
        assert lasting == pytest.approx(3e-6)
        assert relu is None
    assert found.elsewhere_s == (0.0, 0.0)


def attention() -> nn.Module:
    return nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)


@pytest.mark.parametrize(
    ("build", "shape"),
    [
        (torchvision.models.resnet18, (1, 3, 32, 32)),
        (torchvision.models.mobilenet_v3_small, (1, 3, 32, 32)),
        (Mixed, (2, 3, 6, 6)),
        (attention, (2, 5, 8)),
    ],
    ids=["resnet18", "mobilenet_v3_small", "mixed", "attention"],
)
@pytest.mark.parametrize("around", [torch.inference_mode, torch.no_grad])
def test_the_nth_op_of_a_pass_is_the_nth_of_the_trace(
    build: Callable[[], nn.Module], shape: tuple[int, ...], around: Callable[[], Any]
) -> None:
    model, x = build().eval(), torch.rand(shape)
    of_model = traced(model, x)
    with around():
        found = op_times(lambda: model(x), of_model, 1)
    missing = [call.op for call, seconds in zip(of_model.ops, found.samples_s[0], strict=True) if seconds is None]
    # Attention's kernel for CPUs lays its result out so that a copy and a view of the trace are one view.
    others = {"aten::clone", "aten::_unsafe_view"} if build in (Mixed, attention) else set()
    # Under inference mode a product with a transposed input is a bmm.
    others |= {"aten::mm"} if others and around is torch.inference_mode else set()
    assert set(missing) <= others


def test_attention_is_one_call_with_a_time() -> None:
    model, x = attention().eval(), torch.rand(2, 5, 8)
    of_model = traced(model, x)
    found = op_times(lambda: model(x), of_model, 1)
    place = [call.op for call in of_model.ops].index("aten::scaled_dot_product_attention")
    assert (found.samples_s[0][place] or 0) > 0


def test_the_model_is_left_as_it_was() -> None:
    model, x = nn.Linear(4, 4), torch.rand(2, 4)
    fast = torch.backends.mha.get_fastpath_enabled()
    kept = torch.nn.functional.scaled_dot_product_attention
    op_times(lambda: model(x), traced(model, x), 1)
    assert torch.backends.mha.get_fastpath_enabled() is fast
    assert torch.nn.functional.scaled_dot_product_attention is kept
    assert model(x).requires_grad


def test_what_cannot_be_timed_is_refused() -> None:
    with pytest.raises(InputError, match="0 passes"):
        op_times(lambda: None, traced(nn.ReLU(), (2,)), 0)
    with pytest.raises(InputError, match="op times need a trace of a whole forward pass"):
        op_times(lambda: None, trace(load(Net(width=5), (1, 4))))


@pytest.mark.parametrize(
    ("expected", "seen", "places"),
    [
        ("a b c", "a b c", [0, 1, 2]),
        ("a norm c", "a cudnn_norm c", [0, 1, 2]),  # another name for one op
        ("a b c", "a c", [0, None, 1]),
        ("a c", "a b c", [0, 2]),
        ("a b b c", "a d c", [0, None, None, 2]),  # one op for two: whose time is it
        ("a", "", [None]),
        ("", "a", []),
    ],
)
def test_ops_are_matched_in_order(expected: str, seen: str, places: list[int | None]) -> None:
    assert matched(expected.split(), seen.split()) == places


# An accelerator, by a stand-in that writes down what it is asked


class Api:
    """What an accelerator's stopwatch asks of torch; its n-th event happens n² milliseconds after the first."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.accelerator = self
        self._events = 0

    def Event(self, device: torch.device, enable_timing: bool) -> Event:
        assert enable_timing
        self._events += 1
        return Event(self, self._events - 1)

    def synchronize(self, device: torch.device) -> None:
        self.said.append("synchronize")

    def ones(self, shape: tuple[int, int], device: torch.device) -> str:
        return f"ones{shape}"

    def empty_like(self, matrix: str) -> str:
        return matrix

    def mm(self, left: str, right: str, out: str) -> None:
        self.said.append("mm")


class Event:
    def __init__(self, api: Api, number: int) -> None:
        self._api, self.number = api, number

    def record(self) -> None:
        self._api.said.append(f"record {self.number}")

    def elapsed_time(self, later: Event) -> float:
        assert self._api.said[-1] != f"record {later.number}", "read before it was waited for"
        return float(later.number**2 - self.number**2)


def test_a_device_is_waited_for_once_and_before_any_event_is_read() -> None:
    api = Api()
    watch = AcceleratorStopwatch(torch.device("cuda"), api)
    for _ in range(3):
        watch.start()
        watch.stop()
    assert api.said == [f"record {number}" for number in range(6)]
    assert watch.read() == [(1 - 0) / 1e3, (9 - 4) / 1e3, (25 - 16) / 1e3]
    assert api.said[6:] == ["synchronize"]
    assert watch.read() == []


def test_a_device_is_kept_busy_for_as_long_as_a_pass_took() -> None:
    api = Api()
    busy = keeps_busy(torch.device("cuda"), api)  # between events 0 and 1: 1 ms a product
    assert api.said == ["mm", "record 0", "mm", "record 1", "synchronize"]
    del api.said[:]
    busy(0.0035)
    assert api.said == ["mm"] * 4


def test_a_pass_is_preceded_by_as_much_work_as_the_last_one_took() -> None:
    asked: list[float] = []
    model = Lasting(2000)
    x = torch.rand(2)
    op_times(lambda: model(x), traced(model, x), 3, CpuStopwatch(CLOCK), asked.append, CLOCK)
    assert asked == pytest.approx([2e-6] * 3)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_device_the_ops_take_about_as_long_as_the_call() -> None:
    device = torch.device("cuda")
    model = nn.Sequential(*(nn.Linear(4096, 4096) for _ in range(4))).to(device)
    x = torch.rand(512, 4096, device=device)
    watch, busy = AcceleratorStopwatch(device), keeps_busy(device)
    with torch.inference_mode():
        found = op_times(lambda: model(x), traced(model, x), 5, watch, busy)
        begin, end = (torch.Event(device=device, enable_timing=True) for _ in range(2))
        begin.record()
        model(x)
        end.record()
        torch.accelerator.synchronize(device)
    total = sum(seconds or 0 for seconds in found.samples_s[-1])
    assert total == pytest.approx(begin.elapsed_time(end) / 1e3, rel=0.5)
