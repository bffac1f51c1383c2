"""A model timed in this very process: nothing of the user's changes, and a Note says what it costs in rigour."""

import random
from contextlib import nullcontext

import pytest
import torch
from accelerator import FakeAccelerator
from helpers import load
from torch import Tensor, nn

from effbench.errors import InputError
from effbench.measure.timing.clocks import AcceleratorClock, Call, Clock, CpuClock
from effbench.measure.timing.entrant import Died, OutOfMemory
from effbench.measure.timing.live import InProcess, Live
from effbench.measure.timing.step import Step
from effbench.records import TimingPlan


class Noisy(nn.Module):
    """Draws numbers and writes to a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.calls = nn.Buffer(torch.zeros(()))
        self.kept: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.calls.add_(1)
        self.kept.append(x)
        random.random()
        return self.layer(x + torch.rand(()))  # type: ignore[no-any-return]


def test_calls_are_timed_one_by_one() -> None:
    live = InProcess("net", load(Noisy(), (1, 3)), TimingPlan(threads=1)).start(0)
    seconds = (*live.call(2), *live.call(1))
    assert len(seconds) == 3
    assert 0 < sum(seconds) <= live.wall_s
    assert live.threads == 1
    assert dict(live.peak_bytes())["resident"] > 0
    live.close()
    live.close()


@pytest.mark.parametrize("plan", [TimingPlan(), TimingPlan(runs="training"), TimingPlan(precision="bfloat16")])
def test_the_users_model_and_random_numbers_stay_as_they_were(plan: TimingPlan) -> None:
    model = Noisy()
    model.layer.train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    loaded = load(model, (1, 3))
    states = torch.get_rng_state(), random.getstate()
    sessions = [InProcess("net", loaded, plan).start(number) for number in range(2)]
    for session in sessions:
        session.call(2)
    for session in sessions:
        session.close()
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert model.layer.weight.dtype == torch.float32
    assert model.layer.weight.grad is None
    assert model.kept == []
    assert model.training


def test_sharing_a_process_is_said() -> None:
    entrant = InProcess("net", load(Noisy(), (1, 3)), TimingPlan())
    live = entrant.start(0)
    live.close()
    assert [note.code for note in live.notes] == ["in-process"]
    assert live.notes == entrant.notes


def test_exact_memory_is_one_more_call() -> None:
    live = InProcess("net", load(nn.Linear(3, 2), (5, 3)), TimingPlan(), memory="exact").start(0)
    assert dict(live.peak_bytes())["allocated"] == 5 * (3 + 2) * 4
    live.close()


def raising(error: BaseException) -> InProcess:
    def fail(x: Tensor) -> Tensor:
        raise error

    return InProcess("net", load(fail, (1, 3)), TimingPlan())


def test_a_model_that_raises_has_died() -> None:
    with pytest.raises(Died, match="net: running the model raised ValueError: two lines") as caught:
        raising(ValueError("two\nlines")).start(0).call(1)
    assert not isinstance(caught.value, OutOfMemory)
    with pytest.raises(OutOfMemory, match="CUDA out of memory"):
        raising(torch.OutOfMemoryError("CUDA out of memory")).start(0).call(1)
    with pytest.raises(KeyboardInterrupt):
        raising(KeyboardInterrupt()).start(0).call(1)


def test_what_cannot_be_copied_is_not_timed_and_leaves_no_trace() -> None:
    class Stubborn(nn.Module):
        def __deepcopy__(self, memo: object) -> nn.Module:
            torch.rand(3)
            raise TypeError("a handle")

    entrant = InProcess("net", load(Stubborn(), (1, 3)), TimingPlan())
    state = torch.get_rng_state()
    with pytest.raises(InputError, match=r"cannot be copied .TypeError: a handle.: time it from a file"):
        entrant.start(0)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("waits", [True, False])
def test_the_wall_time_ends_when_the_device_has_finished(monkeypatch: pytest.MonkeyPatch, waits: bool) -> None:
    """Four calls of 5 µs on the host and 3 ms on the device: 12 ms; a clock that does not wait sees the 5 µs only."""
    fake = FakeAccelerator()
    device = torch.device("cuda:0")
    monkeypatch.setattr(torch.accelerator, "synchronize", fake.synchronize)

    class Hasty:
        name = "the host's counter alone"

        def time(self, call: Call) -> float:
            return CpuClock(lambda: round(fake.host_s * 1e9)).time(call)

    clock: Clock = AcceleratorClock(device, api=fake) if waits else Hasty()
    step = Step(lambda: fake.work(5e-6, 3e-3), clock, nullcontext, 1, 0)
    live = Live("net", step, "cuda:0", now=lambda: fake.host_s)
    seconds = live.call(4)
    assert live.wall_s == pytest.approx(0.012, rel=0.01)
    assert sum(seconds) == pytest.approx(live.wall_s if waits else 20e-6, rel=1e-3)
