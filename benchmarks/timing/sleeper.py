"""A model that takes as long as it is told: it sleeps, and spins the rest until the moment comes."""

from __future__ import annotations

from time import perf_counter_ns, sleep

import torch
from torch import nn


class Sleeper(nn.Module):
    """A forward pass of so many seconds.

    A sleep alone ends up to 0.1 ms late, by the kernel's timer, so it is left early enough to spin for the last part.
    """

    def __init__(self, seconds: float = 0.01) -> None:
        super().__init__()
        self.length_ns = round(seconds * 1e9)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        end_ns = perf_counter_ns() + self.length_ns
        sleep(max(self.length_ns / 1e9 - 1e-3, 0))
        while perf_counter_ns() < end_ns:
            pass
        return x


def example_inputs() -> torch.Tensor:
    return torch.zeros(1)
