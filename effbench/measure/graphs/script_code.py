"""TorchScript's functions → what runs them, compiled when they are first called."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from effbench.measure.graphs.script_nodes import Action, NotCovered, Values, action_of

_MANGLED = re.compile(r"___torch_mangle_\d+\.")


@dataclass(frozen=True, slots=True)
class Block:
    """Actions in order, each with the names that no later one needs; what the block gives back."""

    actions: tuple[tuple[Action, tuple[str, ...]], ...]
    outs: tuple[str, ...]

    def run(self, values: Values, device: torch.device) -> list[Any]:
        """Returns what the block gives back."""
        for action, drops in self.actions:
            action(values, device)
            for name in drops:
                values.pop(name, None)
        return [values[name] for name in self.outs]


@dataclass
class Function:
    """A function or method of the file, compiled when it is first called."""

    inputs: tuple[str, ...]
    body: Block
    several: bool

    def call(self, given: Sequence[Any], device: torch.device) -> Any:
        """Returns what the function returns for these arguments."""
        found = self.body.run(dict(zip(self.inputs, given, strict=True)), device)
        return found if self.several else found[0]


@dataclass
class Unit:
    """All functions of a file by qualified name, and those compiled so far."""

    graphs: Mapping[str, Any]
    unsafe: bool
    compiled: dict[str, Function] = field(default_factory=dict)

    def function(self, name: str) -> Function:
        """Returns a function ready to run.

        Raises:
            NotCovered: it is not in the file, or does what is not run node by node.
        """
        if name not in self.compiled:
            graph = self.graphs.get(name)
            if graph is None:
                raise NotCovered(f"{name} is not in the file")
            inputs = tuple(item.debugName() for item in graph.inputs())
            outputs = list(graph.outputs())
            self.compiled[name] = Function(inputs, self.block(graph), len(outputs) != 1)
        return self.compiled[name]

    def block(self, block: Any) -> Block:
        """Returns the nodes of a graph or of a branch, each with the values that die after it."""
        nodes = list(block.nodes())
        outs = tuple(item.debugName() for item in block.outputs())
        made = [{item.debugName() for item in node.outputs()} for node in nodes]
        last: dict[str, int] = {}
        for index, node in enumerate(nodes):
            last.update((name, index) for name in (*made[index], *_reads(node)))
        own = set().union(*made, (item.debugName() for item in block.inputs())) - set(outs)
        dying: dict[int, list[str]] = {}
        for name, index in last.items():
            if name in own:
                dying.setdefault(index, []).append(name)
        actions = (
            (action, tuple(dying.get(index, ())))
            for index, node in enumerate(nodes)
            if (action := action_of(node, self)) is not None
        )
        return Block(tuple(actions), outs)


def class_of(kind: Any) -> str:
    """Returns "torch.nn.modules.conv.Conv2d" for a TorchScript type."""
    return _MANGLED.sub("", str(kind)).removeprefix("__torch__.")


def _reads(node: Any) -> set[str]:
    """Returns the names that a node reads, also inside its branches."""
    found = {item.debugName() for item in node.inputs()}
    for block in node.blocks():
        found.update(item.debugName() for item in block.outputs())
        for inner in block.nodes():
            found |= _reads(inner)
    return found
