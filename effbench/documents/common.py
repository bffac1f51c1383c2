"""What every document about one model starts with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from effbench.judge.convention import conventions
from effbench.records import SCHEMA

if TYPE_CHECKING:
    from effbench.profiles import Profile

Document = dict[str, Any]


def head(profile: Profile) -> Document:
    """Returns what every document about one model starts with."""
    return {
        "schema": SCHEMA,
        "name": profile.name,
        "spec": profile.spec,
        "convention": profile.convention,
        "unit": conventions.get(profile.convention).unit.value,
        "inputs": [
            {"name": item.name, "shape": list(item.shape), "dtype": item.dtype} for item in profile.trace.inputs
        ],
    }
