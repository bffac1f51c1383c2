"""A graph's nodes made ready to run: calls, what they read by name, what they make, what no later one needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch

from effbench.measure.graphs.program import Frame

Values = dict[str, Any]
"""What the values of a graph are during one run, by name."""


class Ref(NamedTuple):
    """A value of the graph, read by its name when a step runs."""

    name: str


class Device(NamedTuple):
    """Stands for the device that the run is on; a file names the one it was exported on."""


@dataclass(frozen=True, slots=True)
class Step:
    """One node.

    Attributes:
        call: what it runs. args, kwargs: what it is given; names of values as `Ref`.
        outs: names of what it makes: a text takes the whole result, a tuple its items in order.
        frames: the modules around it, outermost first; None where it belongs to whatever is running.
        drops: names that no later step reads.
    """

    call: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    outs: tuple[Any, ...]
    frames: tuple[Frame, ...] | None
    drops: tuple[str, ...] = ()

    def run(self, values: Values, device: torch.device) -> None:
        """Runs the node and enters what it makes."""
        args = [filled(item, values, device) for item in self.args]
        kwargs = {name: filled(item, values, device) for name, item in self.kwargs.items()}
        result = self.call(*args, **kwargs)
        whole = len(self.outs) == 1 and not isinstance(result, list | tuple)
        _enter(self.outs[0] if whole or _takes_all(self.outs, result) else self.outs, result, values)
        for name in self.drops:
            values.pop(name, None)


def _takes_all(outs: Sequence[Any], result: Any) -> bool:
    """Returns whether the only output is the list that the op returned, and not that list's only item."""
    return len(outs) == 1 and isinstance(outs[0], tuple) and isinstance(result, list | tuple)


def _enter(names: Any, result: Any, values: Values) -> None:
    if isinstance(names, str):
        values[names] = result
    elif names is not None:
        for name, item in zip(names, result, strict=False):
            _enter(name, item, values)


def filled(item: Any, values: Values, device: torch.device) -> Any:
    """Returns an argument with the values it names put in."""
    if isinstance(item, Ref):
        return values[item.name]
    if isinstance(item, Device):
        return device
    if isinstance(item, list):
        return [filled(part, values, device) for part in item]
    return item


def reads(step: Step) -> Iterator[str]:
    """Gives the names that a step reads."""
    for item in (*step.args, *step.kwargs.values()):
        yield from refs(item)


def refs(item: Any) -> Iterator[str]:
    """Gives the names in an argument."""
    if isinstance(item, Ref):
        yield item.name
    elif isinstance(item, list):
        for part in item:
            yield from refs(part)


def makes(step: Step) -> Iterator[str]:
    """Gives the names that a step makes."""
    pending = list(step.outs)
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            yield item
        elif item is not None:
            pending.extend(item)


def with_drops(steps: Sequence[Step], kept: frozenset[str]) -> tuple[Step, ...]:
    """Returns the steps, each knowing what no later step and no output needs."""
    last: dict[str, int] = {}
    for index, step in enumerate(steps):
        last.update((name, index) for name in (*reads(step), *makes(step)))
    dying: dict[int, list[str]] = {}
    for name, index in last.items():
        if name not in kept:
            dying.setdefault(index, []).append(name)
    return tuple(replace(step, drops=tuple(dying.get(index, ()))) for index, step in enumerate(steps))
