"""`macs`, the default: multiply-accumulates of inner products and nothing else."""

from __future__ import annotations

from collections.abc import Iterable

from effbench.judge.convention import MACS_ONLY, Cost, convention, weigh
from effbench.records import Trace
from effbench.units import Unit


@convention(
    "macs",
    Unit.MAC,
    "multiply-accumulates of convolutions, matrix products and attention; FLOPs are 2 × MACs",
    graphs=True,
)
def macs(trace: Trace) -> Iterable[Cost]:
    """Gives the MACs of every op call."""
    return weigh(trace, MACS_ONLY)
