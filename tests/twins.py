"""A convention beside the tool whose number it gives: both run on one model, the tool as its registered peer.

`Twins` is all that a test of a convention sets up. What every convention must give back on the same models, calls and
networks is in `judge/test_conventions.py`; a convention's own file holds what is true of that tool alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from helpers import load, shaped
from torch import nn

import effbench.measure.peers  # noqa: F401  fills the table of peers
from effbench.errors import InputError
from effbench.judge.convention import conventions
from effbench.judge.count import Counts, count
from effbench.measure.peer import Figures, missing, peers, run_for_figures
from effbench.measure.source import Loaded
from effbench.measure.trace import trace
from effbench.records import Fact, Trace

Answer = int | tuple[int | None, int | None] | None
"""A total; (FLOPs, MACs) of a tool that gives both; None, also in place of either, where the tool raises."""

Model = nn.Module | Callable[..., Any]

TOOLS = tuple(name for name in conventions.names() if peers.find(name) is not None)
"""The conventions that give a tool's number."""

GIVE_BOTH = frozenset({"calflops", "deepspeed"})
"""Tools that give FLOPs and MACs, each by rules of its own."""

FUNCTIONS: frozenset[Fact] = frozenset({"functions"})

EVERY_FACT: frozenset[Fact] = frozenset().union(*(conventions.get(name).needs for name in TOOLS))

QUIET = [
    pytest.mark.filterwarnings(f"ignore:{message}")
    for message in (
        # What torch says of layers that it runs another way, on whatever model asks for them.
        "enable_nested_tensor is True:UserWarning",
        "LSTM with projections is not supported with oneDNN:UserWarning",
        "Using padding='same' with even kernel lengths:UserWarning",
        "An output with one or more elements was resized:UserWarning",
        "The PyTorch API of nested tensors is in prototype stage:UserWarning",
        # fvcore traces with torch.jit, which is called deprecated from Python 3.14 on and warns of what it cannot keep.
        ":torch.jit.TracerWarning",
        ".*torch.jit.*:DeprecationWarning",
        # thop reads torch's version through distutils and calls two of its own rules deprecated.
        "The distutils package is deprecated:DeprecationWarning",
        "distutils Version classes are deprecated:DeprecationWarning",
        "This API is being deprecated:UserWarning",
    )
]
"""What the tools and torch warn of while they are run; for `pytestmark`."""


class Twins(NamedTuple):
    """A convention and its tool."""

    name: str

    def counts(self, model: Model, *inputs: Any) -> Counts:
        """The convention's counts of a pass that must not fail, traced with the facts it needs and no others."""
        found = trace(load(model, *inputs), needs=conventions.get(self.name).needs)
        assert found.failed is None, found.failed
        return counted(found, self.name)

    def theirs(self, model: Model, *inputs: Any) -> int:
        """The tool's own total; what it raises is raised."""
        source = load(model, *inputs)
        made = peers.get(self.name).run(source.build("cpu"), source.inputs.args)
        assert isinstance(made, int)
        return made

    def assert_equal(self, model: Model, *inputs: Any) -> int:
        """Asserts that both give a total and that it is one; the convention first, before the tool leaves hooks."""
        given = tuple(map(shaped, inputs))
        mine = self.counts(model, *given).total
        assert mine == self.theirs(model, *given)
        assert mine is not None
        return mine


def loaded(model: Model, *inputs: Any) -> Loaded:
    """A model with positional inputs, given as they are or as shapes."""
    return load(model, *inputs)


def recorded(source: Loaded) -> Trace:
    """The trace of a pass that must not fail, with every fact that a convention needs."""
    found = trace(source, needs=EVERY_FACT)
    assert found.failed is None, found.failed
    return found


def counted(found: Trace, name: str) -> Counts:
    """The counts under a convention; its rows must sum to its totals."""
    counts = count(found, conventions.get(name))
    if counts.total is not None:
        rows = sum(layer.amount.value for layer in counts.layers if layer.amount is not None)
        assert rows == counts.total
    if counts.beside is not None:
        assert sum(layer.beside.value for layer in counts.layers if layer.beside is not None) == counts.beside
    return counts


def ours(found: Trace, name: str) -> Answer:
    """What the convention makes of a trace."""
    counts = counted(found, name)
    return (counts.flops, counts.macs) if name in GIVE_BOTH else counts.total


def theirs(source: Loaded, name: str) -> Answer:
    """What the tool itself gives."""
    tool = peers.get(name)
    if missing(tool):
        pytest.skip(f"{name} {missing(tool)}")
    try:
        made = run_for_figures(tool, source)
    except InputError:
        return (None, None) if name in GIVE_BOTH else None
    return (made.flops, made.macs) if isinstance(made, Figures) else made


def assert_twins(name: str, model: Model, *inputs: Any) -> Answer:
    """Asserts that convention and tool agree, also in giving none, and returns what they say."""
    source = loaded(model, *inputs)
    mine, other = ours(recorded(source), name), theirs(source, name)
    assert mine == other, f"{name}: {mine} here, {other} by the tool itself"
    return mine
