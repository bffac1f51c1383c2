"""Which module runs, and the calls of modules: seen by global hooks, without touching the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TypeAlias

import torch
from torch import nn

from effbench.measure.containers import tensors_in
from effbench.measure.reparametrised import is_reparametrisation
from effbench.measure.tensors import Tensors
from effbench.records import Attr, ModuleCall, TreeNode

Frame: TypeAlias = tuple[nn.Module, str, bool]
"""A module that runs, its path, and whether what it does is to compute a weight."""


class Frames:
    """The modules that run, outermost first, and the calls of those that returned."""

    def __init__(self, nodes: Mapping[nn.Module, TreeNode], tensors: Tensors) -> None:
        """`nodes` names the modules whose calls are recorded, each by its first place in the tree."""
        self.calls: list[ModuleCall] = []
        self.called_directly: set[str] = set()
        self._nodes = nodes
        self._tensors = tensors
        self.stack: list[Frame] = [(nn.Module(), "", False)]

    @property
    def path(self) -> str:
        """Returns the path of the innermost module running, or that ran when forward raised."""
        return self.stack[-1][1]

    def enter(self, module: nn.Module, args: object) -> None:
        """Notes that a module was called."""
        _, path, weights = self.stack[-1]
        node = self._nodes.get(module)
        self.stack.append((module, path if node is None else node.path, weights or is_reparametrisation(module)))

    def leave(self, module: nn.Module, args: tuple[object, ...], kwargs: object, output: object) -> None:
        """Notes that a module returned."""
        # A submodule that raised, caught by the model, left its frame behind: drop down to our own.
        while len(self.stack) > 1 and self.stack.pop()[0] is not module:
            pass
        node = self._nodes.get(module)
        if node is None:
            return
        self.calls.append(
            ModuleCall(
                node.path,
                node.type,
                self._numbers(args) + self._numbers(kwargs) if kwargs else self._numbers(args),
                self._numbers(output),
                _kind(output),
                node.attrs,
                tuple([_kind(arg) for arg in args]),
                None if isinstance(output, torch.Tensor) else self._nesting(output),
            )
        )

    def entering(self, module: nn.Module) -> AbstractContextManager[None] | None:
        """Returns None where a module was called and its forward now starts; else a context in which it runs."""
        running, _, weights = self.stack[-1]
        if running is module:
            return None
        path = self._path(module)
        self.called_directly.add(path)
        return self._inside((module, path, weights))

    def computing_weights(self, module: nn.Module) -> AbstractContextManager[None]:
        """Returns a context in which what runs computes a weight of the module."""
        return self._inside((module, self._path(module), True))

    def _path(self, module: nn.Module) -> str:
        node = self._nodes.get(module)
        return self.path if node is None else node.path

    @contextmanager
    def _inside(self, frame: Frame) -> Iterator[None]:
        depth = len(self.stack)
        self.stack.append(frame)
        yield  # what raises leaves its frames behind, which name the place
        del self.stack[depth:]

    def _numbers(self, tree: object) -> tuple[int, ...]:
        if isinstance(tree, torch.Tensor):
            return (self._tensors.number(tree),)
        if tree is None:
            return ()
        if type(tree) is tuple and all(isinstance(item, torch.Tensor) for item in tree):
            return tuple([self._tensors.number(item) for item in tree])
        return tuple([self._tensors.number(item) for item in tensors_in(tree)])

    def _nesting(self, value: object) -> Attr:
        """Returns a tensor's id, for a container its items'; None for anything else."""
        if isinstance(value, torch.Tensor):
            return self._tensors.number(value)
        items = list(value.values()) if isinstance(value, Mapping) else value
        return tuple([self._nesting(item) for item in items]) if isinstance(items, list | tuple) else None


def _kind(value: object) -> str:
    if isinstance(value, torch.Tensor):
        return "tensor"
    if value is None:
        return "none"
    if isinstance(value, Mapping):
        return "mapping"
    return "sequence" if isinstance(value, list | tuple) else "other"
