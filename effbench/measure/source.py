"""What a loader gives: a model that can be built and the inputs to run it with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from torch import nn

Build: TypeAlias = "Callable[[str], nn.Module]"
"""Returns the model, its tensors on the named device ("meta" or "cpu")."""


@dataclass(frozen=True, slots=True)
class ModelInputs:
    """Positional and keyword arguments of a forward call."""

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model to measure: `name` is what tables call it, `spec` the text that finds it again."""

    name: str
    spec: str | None
    build: Build
    inputs: ModelInputs


def already_built(model: nn.Module) -> Build:
    """Returns a build that hands out a model as it is, whatever the device asked for."""
    return lambda device: model
