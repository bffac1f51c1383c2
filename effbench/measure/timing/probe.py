"""A small model whose cost is chosen: the same block so many times, so that k % more of them are k % more work."""

from __future__ import annotations

from statistics import median

import torch
from torch import nn

from effbench.measure.load import load
from effbench.measure.source import runnable
from effbench.measure.timing.live import InProcess
from effbench.measure.timing.wire import Asked
from effbench.records import TimingPlan

SPEC = f"{__name__}:Probe"
INPUT = "1x16x16x16"
_PILOT_REPEATS = 100
_PILOT_CALLS = 50


class Probe(nn.Module):
    """A convolution, a batch norm and an activation, done `repeats` times with the same weights."""

    def __init__(self, repeats: int = 100) -> None:
        """`repeats` is about proportional to what a call takes."""
        super().__init__()
        self.repeats = repeats
        self.block = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.Sigmoid())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns a tensor shaped as the input, values between 0 and 1 whatever the number of repeats."""
        for _ in range(self.repeats):
            x = self.block(x)
        return x


def probe(repeats: int) -> Asked:
    """Returns what a worker is asked to load."""
    return Asked(SPEC, {"repeats": repeats}, (INPUT,))


def repeats_for(seconds: float, plan: TimingPlan) -> int:
    """Returns how many repeats take so long under a plan, by a few calls in this process.

    Raises:
        InputError: the plan cannot be had here.
        Died: the model raised.
    """
    loaded = runnable(load(SPEC, {"repeats": _PILOT_REPEATS}, (INPUT,)))
    session = InProcess("probe", loaded, plan).start(0)
    try:
        session.call(_PILOT_CALLS)
        once_s = median(session.call(_PILOT_CALLS)) / _PILOT_REPEATS
    finally:
        session.close()
    return max(1, round(seconds / once_s))
