"""`full`: every floating-point operation, by the mathematical definition of each op."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

from effbench.judge.convention import Cost, Weights, convention, weigh
from effbench.judge.free import MOVES_DATA
from effbench.records import Trace
from effbench.units import Unit

WEIGHTS = Weights(MappingProxyType({"mac": 2, "add": 1, "mul": 1, "div": 1, "special": 1, "cmp": 1}), MOVES_DATA)


@convention(
    "full",
    Unit.FLOP,
    "2 per MAC and 1 per add, mul, div, compare and special function; data movement is free",
    graphs=True,
)
def full(trace: Trace) -> Iterable[Cost]:
    """Gives the FLOPs of every op call."""
    return weigh(trace, WEIGHTS)
