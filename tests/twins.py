"""A convention beside the tool whose number it gives: both run on one model, the tool as its registered peer."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import effbench.measure.peers  # noqa: F401  fills the table of peers
from effbench.errors import InputError
from effbench.judge.convention import conventions
from effbench.judge.count import Counts, count
from effbench.measure.peer import Figures, missing, peers, run_for_figures
from effbench.measure.source import Loaded, ModelInputs, already_built
from effbench.measure.trace import trace
from effbench.records import Fact, Trace

Answer = int | tuple[int | None, int | None] | None
"""A total; (FLOPs, MACs) of a tool that gives both; None, also in place of either, where the tool raises."""

FUNCTIONS: frozenset[Fact] = frozenset({"functions"})


def loaded(model: nn.Module, *inputs: Any) -> Loaded:
    """A model with positional inputs, given as they are or as shapes."""
    shapes = (isinstance(item, tuple) and all(isinstance(size, int) for size in item) for item in inputs)
    given = tuple(torch.rand(item) if is_shape else item for item, is_shape in zip(inputs, shapes, strict=True))
    return Loaded("net", None, already_built(model), ModelInputs(given))


def recorded(source: Loaded) -> Trace:
    """The trace of a pass that must not fail, function calls included."""
    found = trace(source, needs=FUNCTIONS)
    assert found.failed is None, found.failed
    return found


def counted(found: Trace, name: str) -> Counts:
    """The counts under a convention; its rows must sum to its totals."""
    counts = count(found, conventions.get(name))
    if counts.total is not None:
        assert sum(layer.amount.value for layer in counts.layers if layer.amount is not None) == counts.total
    if counts.beside is not None:
        assert sum(layer.beside.value for layer in counts.layers if layer.beside is not None) == counts.beside
    return counts


def ours(found: Trace, name: str) -> Answer:
    """What the convention makes of a trace."""
    counts = counted(found, name)
    return counts.total if conventions.get(name).beside is None else (counts.flops, counts.macs)


def theirs(source: Loaded, name: str) -> Answer:
    """What the tool itself gives."""
    tool = peers.get(name)
    if missing(tool):
        pytest.skip(f"{name} {missing(tool)}")
    try:
        made = run_for_figures(tool, source)
    except InputError:
        return None if conventions.get(name).beside is None else (None, None)
    return (made.flops, made.macs) if isinstance(made, Figures) else made


def assert_twins(name: str, model: nn.Module, *inputs: Any) -> Answer:
    """Asserts that convention and tool agree, and returns what they say."""
    source = loaded(model, *inputs)
    mine, other = ours(recorded(source), name), theirs(source, name)
    assert mine == other, f"{name}: {mine} here, {other} by the tool itself"
    return mine
