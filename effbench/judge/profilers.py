"""What DeepSpeed's profiler and calflops, which was made after it, count by the same rules.

Facts read in their sources: every module whose class is no plain RNN layer or cell opens a list when it is entered, and
adds the list to its own sums when it returns; a patched function adds FLOPs and MACs, each by rules of its own, to the
list opened last. RNN layers and cells are counted by a hook, in FLOPs only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from effbench.judge.algebra import ZERO, Expr
from effbench.judge.convention import Cost
from effbench.judge.patched import (
    RECURRENT,
    Called,
    ToolRaises,
    calls_of,
    gate_arithmetic,
    numel,
    outcome,
    recurrent,
)
from effbench.records import Shape, Trace


@dataclass(frozen=True, slots=True)
class Both:
    """The two figures of one call."""

    flops: Expr
    macs: Expr = ZERO


Rule = Callable[..., Both]


def costs(trace: Trace, tool: str, rules: Mapping[str, Rule], times: Mapping[str, int]) -> Iterator[Cost]:
    """Gives the cost of every function call that a tool patches and of every RNN module call.

    Args:
        trace: the facts.
        tool: its name.
        rules: by name of the function.
        times: by module path, how often its own sum is added to the total; once where it is left out.
    """
    types = {node.path: node.type for node in trace.tree}
    for function in trace.functions or ():
        rule, path = rules.get(function.name), _adds_to(function.module, types)
        if rule is not None and path is not None:
            yield _cost(path, function.name, tool, times, partial(outcome, rule, function))
    for call, called in calls_of(trace):
        if call.type in RECURRENT:
            yield _cost(call.path, call.type, tool, times, partial(_rnn, called))


def _adds_to(path: str, types: Mapping[str, str]) -> str | None:
    """Returns the module whose list a call lands in; None where only a hooked RNN is running, which opens none."""
    while types[path] in RECURRENT:
        if not path:
            return None
        path = path.rpartition(".")[0]
    return path


def _cost(path: str, label: str, tool: str, times: Mapping[str, int], made: Callable[[], Both]) -> Cost:
    try:
        both = made()
    except ToolRaises as error:
        return Cost(path, label, None, why=f"is where {tool} itself raises ({error})")
    repeats = times.get(path, 1)
    if repeats == 1:
        return Cost(path, label, both.flops, both.macs)
    return Cost(path, label, both.flops * repeats, both.macs * repeats)


def _rnn(called: Called) -> Both:
    return Both(recurrent(called, _step))


def _step(kind: str, inner: Shape, outer: Shape, hidden: int) -> int:
    return 2 * (numel(inner) + numel(outer) - inner[0]) + gate_arithmetic(kind, hidden)
