"""Layers of a training step: each op, forward or backward, is some module's, and the watch is asked for each once."""

from __future__ import annotations

import torch
from torch import nn

from effbench.measure.source import Loaded, ModelInputs, already_built
from effbench.measure.timing.step import prepare
from effbench.measure.timing.step_paths import GRADIENTS, LOSS, OPTIMISER
from effbench.measure.timing.step_times import step_times
from effbench.records import TimingPlan


class Counting:
    """A watch that says how many ops it was started for: each takes one second."""

    name = "counting"

    def __init__(self) -> None:
        self.open = False
        self.ops = 0

    def start(self) -> None:
        assert not self.open
        self.open = True

    def stop(self) -> None:
        assert self.open
        self.open = False
        self.ops += 1

    def read(self) -> list[float]:
        ops, self.ops = self.ops, 0
        return [1.0] * ops


class Block(nn.Module):
    """Its own op (a square), below it two linear layers of which the second is frozen, and attention."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)
        self.frozen = nn.Linear(4, 4).requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.frozen(self.inner(x) ** 2)[:, None]
        return nn.functional.scaled_dot_product_attention(y, y, y)


def seconds(model: nn.Module, *shape: int) -> dict[str, float]:
    loaded = Loaded("net", None, already_built(model), ModelInputs((torch.rand(shape),)))
    step = prepare(loaded, TimingPlan(runs="training", threads=1))
    with step.around():
        first, second = step_times(step.call, 2, Counting())
    assert first == second
    return dict(first)


def test_backward_ops_are_those_of_the_layer_that_they_differentiate() -> None:
    alone = seconds(nn.Linear(4, 4), 2, 4)
    assert set(alone) == {"", LOSS, GRADIENTS, OPTIMISER}
    both = seconds(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)), 2, 4)
    assert set(both) == {"0", "1", "2", LOSS, GRADIENTS, OPTIMISER}
    assert both["0"] == alone[""]  # the first one has no gradient of its input in either
    assert both["2"] > both["0"]  # which the second one has: one product more
    assert both["1"] >= 2  # relu and threshold_backward, and what PyTorch does to keep the result in between


def test_what_a_module_does_itself_and_a_frozen_layer() -> None:
    found = seconds(Block(), 2, 4)
    assert {"", "inner", "frozen"} <= set(found)
    # Backward it has the gradient of its input alone.
    assert found["frozen"] < found["inner"]


def test_no_hook_stays_and_gradients_are_what_they_are_without() -> None:
    from torch.nn.modules import module as hooks

    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    seconds(model, 2, 4)
    assert not hooks._global_forward_hooks
    assert not hooks._global_forward_pre_hooks
