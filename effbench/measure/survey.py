"""What a model holds before it runs: its tree of modules, its parameters and its buffers, read in one walk."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import nn

from effbench.measure.packed import packed_params
from effbench.measure.plain import class_name, dtype_name, hyper_parameters
from effbench.measure.state import is_shapeless
from effbench.records import Buffer, Param, TreeNode


@dataclass(frozen=True, slots=True)
class Survey:
    """A model's inventory.

    Attributes:
        nodes: every module with its first place in the tree, in depth-first order.
        tree: every place; shared modules stand at each of theirs.
        params: every name of every parameter; a second name of one tensor points to its first.
        buffers: every distinct buffer.
        tensors: the distinct parameters, then the distinct buffers, but those that have no shape yet.
        packed: the first places of modules that hold packed weights.
        is_lazy: whether some tensor gets its shape from the first input.
    """

    nodes: dict[nn.Module, TreeNode] = field(default_factory=dict)
    tree: list[TreeNode] = field(default_factory=list)
    params: list[Param] = field(default_factory=list)
    buffers: list[Buffer] = field(default_factory=list)
    tensors: list[torch.Tensor] = field(default_factory=list)
    packed: set[str] = field(default_factory=set)
    is_lazy: bool = False


def survey(model: nn.Module) -> Survey:
    """Returns what a model holds."""
    walk = _Walk()
    walk.visit(model, "")
    walk.found.params.extend(walk.packed)
    walk.found.tensors.extend(walk.buffers)
    return replace(walk.found, is_lazy=walk.is_lazy)


class _Walk:
    def __init__(self) -> None:
        self.found = Survey()
        self.packed: list[Param] = []
        self.buffers: list[torch.Tensor] = []
        self.is_lazy = False
        self._identities: dict[nn.Module, int] = {}
        self._names: dict[int, str] = {}
        self._buffers: set[int] = set()
        self._above: set[nn.Module] = set()
        self._bases: dict[type, tuple[str, tuple[str, ...]]] = {}

    def visit(self, module: nn.Module, path: str) -> None:
        """Reads a module at a place, and then the modules below it; one that holds itself is not entered again."""
        self._above.add(module)
        found, prefix = self.found, f"{path}." if path else ""
        children = {name: child for name, child in module._modules.items() if child is not None}
        own = [
            (local, self._param(prefix + local, item)) for local, item in module._parameters.items() if item is not None
        ]
        kind = type(module)
        name, bases = self._bases.get(kind) or self._bases.setdefault(kind, (class_name(kind), _torch_bases(kind)))
        first = module not in found.nodes
        if first:
            own += self._packed(module, path, prefix)
            self._read_buffers(module, prefix)
            attrs = hyper_parameters(module)
        else:
            own += [(local, prefix + local) for local, _ in packed_params(module)]
            attrs = dict(found.nodes[module].attrs)
        identity = self._identities.setdefault(module, len(self._identities))
        node = TreeNode(path, identity, name, bases, tuple(children), tuple(own), attrs)
        found.tree.append(node)
        if first:
            found.nodes[module] = node
        for local, child in children.items():
            if child not in self._above:
                self.visit(child, prefix + local)
        self._above.remove(module)

    def _param(self, name: str, param: nn.Parameter) -> str:
        """Returns the name that a parameter was met under first."""
        lazy = is_shapeless(param)
        first = self._names.setdefault(id(param), name)
        self.is_lazy |= lazy
        if first == name and not lazy:
            self.found.tensors.append(param)
        shape = () if lazy else tuple(param.shape)
        nbytes = 0 if lazy else param.numel() * param.element_size()
        alias = None if first == name else first
        self.found.params.append(Param(name, shape, dtype_name(param.dtype), param.requires_grad, nbytes, alias))
        return first

    def _packed(self, module: nn.Module, path: str, prefix: str) -> list[tuple[str, str]]:
        names = []
        for local, tensor in packed_params(module):
            self.found.packed.add(path)
            nbytes = tensor.numel() * tensor.element_size()
            self.packed.append(Param(prefix + local, tuple(tensor.shape), dtype_name(tensor.dtype), False, nbytes))
            names.append((local, prefix + local))
        return names

    def _read_buffers(self, module: nn.Module, prefix: str) -> None:
        for local, item in module._buffers.items():
            if item is None or id(item) in self._buffers:
                continue
            if is_shapeless(item):
                self.is_lazy = True
                continue
            self._buffers.add(id(item))
            nbytes = item.numel() * item.element_size()
            self.buffers.append(item)
            self.found.buffers.append(Buffer(prefix + local, tuple(item.shape), dtype_name(item.dtype), nbytes))


def _torch_bases(kind: type) -> tuple[str, ...]:
    return tuple(class_name(base) for base in kind.__mro__ if base.__module__.startswith("torch.nn"))
