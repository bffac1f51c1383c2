"""TorchScript modules, whose tensors and flags lie in C++ and cannot be swapped: lent as they are, then put back.

Weights in a layout of oneDNN's own are left out: they are constants of a graph for inference.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def scripted_kept(among: Iterable[nn.Module], training: bool) -> Iterator[None]:
    """Gives TorchScript modules the training flag; restores it and all of their tensors' data at the end."""
    modules = [module for module in among if isinstance(module, torch.jit.ScriptModule)]
    flags = [(module, module.training) for module in modules if hasattr(module, "training")]  # a frozen one has none
    tensors = {id(tensor): tensor for module in modules for tensor in (*module.parameters(), *module.buffers())}
    saved = [(tensor, tensor.detach().clone()) for tensor in tensors.values() if tensor.layout is torch.strided]
    try:
        for module, _ in flags:
            module.training = training
        yield
    finally:
        with torch.no_grad():
            for tensor, data in saved:
                if not tensor.is_meta and not torch.equal(tensor, data):
                    tensor.copy_(data)
        for module, flag in flags:
            module.training = flag
