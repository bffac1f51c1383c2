"""The terms that scores, formulas and filters read: what is known of a model as numbers in base units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]
else:  # numpy is loaded only where something is computed
    Floats = Any

Terms: TypeAlias = Mapping[str, Floats]
"""Term name → float64 array, all of one shape: (models,) for nominal values, (draws, models) for draws."""

TERMS: Mapping[str, str] = {
    "params": "count",
    "macs": "count",
    "flops": "count",
    "latency": "seconds per call",
    "throughput": "samples per second",
    "memory": "bytes",
    "energy": "joules per call",
    "error": "the ranking's error unit",
}
"""The terms that every ranking knows, none negative, with their units; a ranking adds its metrics, as psnr in dB."""

COSTS = ("params", "macs", "flops", "latency", "memory", "energy")
"""Terms of which less is cheaper; an exchange rate says what a doubling of one is worth."""


def digits(value: float) -> str:
    """Returns a number as a person would type it: up to twelve digits, no trailing zeros."""
    return f"{value:.12g}"
