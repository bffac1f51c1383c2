"""Weights that PyTorch keeps packed for a quantised kernel: objects of TorchScript's classes, unpacked to be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

_CLASSES = ("__torch__.torch.classes.quantized.", "__torch__.torch.classes.rnn.")


def is_packed(value: object) -> bool:
    """Returns whether it is a packed weight, or a list of them as recurrent layers have."""
    kind = type(value)
    if kind is list or kind is tuple:
        items: Any = value
        return bool(items) and type(items[0]) is torch.ScriptObject and all(map(is_packed, items))
    return kind is torch.ScriptObject and _class_name(value).startswith(_CLASSES)


def _class_name(value: Any) -> str:
    name: str = value._type().qualified_name()
    return name


def unpacked(value: Any) -> list[torch.Tensor]:
    """Returns the weights and biases in it, each once: of a linear layer or a convolution the weight first."""
    if isinstance(value, list | tuple):
        return [tensor for item in value for tensor in unpacked(item)]
    if value._has_method("unpack"):
        found = value.unpack()
        return [found] if isinstance(found, torch.Tensor) else [tensor for tensor in found if tensor is not None]
    return list(_in_state(value.__getstate__()))


def _in_state(state: Any) -> Iterator[torch.Tensor]:
    """Gives a recurrent cell's two biases and the weights of its two products, which repeat the biases."""
    if isinstance(state, torch.Tensor):
        yield state
    elif isinstance(state, torch.ScriptObject):
        yield unpacked(state)[0]
    elif isinstance(state, list | tuple):
        for item in state:
            yield from _in_state(item)


_NAMES = {
    "_packed_params": ("weight", "bias"),
    "_packed_weight": ("weight",),
    "_packed_weight_ih": ("weight_ih", "bias_ih"),
    "_packed_weight_hh": ("weight_hh", "bias_hh"),
    "param": ("bias_ih", "bias_hh", "weight_ih", "weight_hh"),
}
"""What a module of torch.ao keeps under an attribute."""


def packed_params(module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Gives (local name, tensor) of what a module keeps packed."""
    if torch.ScriptObject not in map(type, vars(module).values()):
        return
    for attribute, value in vars(module).items():
        if is_packed(value):
            found = unpacked(value)
            names = _NAMES.get(attribute, ()) or tuple(f"{attribute}_{index}" for index in range(len(found)))
            yield from zip(names, found, strict=False)
