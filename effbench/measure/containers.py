"""Tensors inside whatever a model takes and gives: pytrees, dataclasses, mappings and plain objects, of any depth."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import fields, is_dataclass
from types import ModuleType
from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence
from torch.utils._pytree import tree_flatten_with_path, tree_leaves, tree_map

Path = tuple[str, ...]


def named_tensors(tree: object, path: Path = ()) -> Iterator[tuple[Path, torch.Tensor]]:
    """Gives every tensor with the keys, indices and attribute names that lead to it."""
    for steps, leaf in tree_flatten_with_path(tree)[0]:
        here = (*path, *(_key(step) for step in steps))
        if isinstance(leaf, torch.Tensor):
            yield here, leaf
        else:
            for name, item in _held(leaf).items():
                yield from named_tensors(item, (*here, name))


def tensors_in(tree: object) -> list[torch.Tensor]:
    """Returns every tensor, in order."""
    found: list[torch.Tensor] = []
    for leaf in tree_leaves(tree):
        if isinstance(leaf, torch.Tensor):
            found.append(leaf)
        else:
            for item in _held(leaf).values():
                found += tensors_in(item)
    return found


def mapped(tree: Any, swap: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """Returns the same containers with every tensor swapped; containers without tensors are passed on as they are.

    A tensor that stands in several places is swapped once, so that it is one tensor in the copy too.
    The lengths in a packed sequence stay: every kernel reads them, and PyTorch keeps them on the CPU.
    """
    swapped: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def once(tensor: torch.Tensor) -> torch.Tensor:
        if id(tensor) not in swapped:  # kept beside its stand-in, so that no other tensor gets its id
            swapped[id(tensor)] = tensor, swap(tensor)
        return swapped[id(tensor)][1]

    return _mapped(tree, once)


def _mapped(tree: Any, swap: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    return tree_map(lambda leaf: _mapped_leaf(leaf, swap), tree, is_leaf=lambda item: isinstance(item, PackedSequence))


def _mapped_leaf(leaf: Any, swap: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    if isinstance(leaf, torch.Tensor):
        return swap(leaf)
    if isinstance(leaf, PackedSequence):
        order = [None if item is None else swap(item) for item in (leaf.sorted_indices, leaf.unsorted_indices)]
        return PackedSequence(swap(leaf.data), leaf.batch_sizes, *order)
    held = _held(leaf)
    if not tensors_in(held):
        return leaf
    fresh = copy.copy(leaf)
    for name, item in held.items():
        if isinstance(fresh, MutableMapping):
            fresh[name] = _mapped(item, swap)
        else:
            object.__setattr__(fresh, name, _mapped(item, swap))  # a frozen dataclass too
    return fresh


def _held(leaf: object) -> Mapping[str, Any]:
    """Returns what an object that is no pytree holds, by name: a mapping's items, an object's own attributes."""
    if isinstance(leaf, Mapping):
        return {str(key): item for key, item in leaf.items()} if not isinstance(leaf, MutableMapping) else dict(leaf)
    if isinstance(leaf, type | nn.Module | ModuleType) or callable(leaf):
        return {}
    if is_dataclass(leaf):
        return {field.name: getattr(leaf, field.name) for field in fields(leaf) if hasattr(leaf, field.name)}
    attributes = getattr(leaf, "__dict__", None)
    # One object deep: what an input knows (a tokenizer, a data set) is no input.
    return {name: item for name, item in attributes.items() if _is_near(item)} if isinstance(attributes, dict) else {}


def _is_near(item: object) -> bool:
    return isinstance(item, torch.Tensor | list | tuple | dict)


def _key(step: Any) -> str:
    return str(getattr(step, "key", getattr(step, "idx", getattr(step, "name", step))))
