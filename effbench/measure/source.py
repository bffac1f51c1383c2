"""What a loader gives: a model that can be built, with inputs to run it, or what a file says without being run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from effbench.errors import InputError
from effbench.records import Note, Origin, Trace

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
    """A model to measure: `name` is what tables call it, `spec` the text that finds it again.

    `notes` are what a reader of its numbers must know of where it comes from; `origin` is "graph" where its modules
    stand for those of a graph.
    """

    name: str
    spec: str | None
    build: Build
    inputs: ModelInputs
    notes: tuple[Note, ...] = ()
    origin: Origin = "module"


@dataclass(frozen=True, slots=True)
class Traced:
    """A file that says itself what the model does (an ONNX graph) or what it holds (a state dict); nothing is run.

    Of a state dict `trace` has the parameters, and `trace.failed` says why there is no forward pass.
    """

    name: str
    spec: str
    trace: Trace


Source: TypeAlias = Loaded | Traced


def runnable(source: Source) -> Loaded:
    """Returns the source where it can be run.

    Raises:
        InputError: it cannot, because it is a graph of another framework or has parameters only.
    """
    if isinstance(source, Loaded):
        return source
    why = source.trace.failed or "it is a graph, which effbench counts and does not run"
    raise InputError(f"{source.name}: cannot be run: {why}")


def already_built(model: nn.Module) -> Build:
    """Returns a build that hands out a model as it is, whatever the device asked for."""
    return lambda device: model
