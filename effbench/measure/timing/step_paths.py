"""Whose an op of a training step is: the module path of its forward op, also where it is one of the gradients' ops.

Backward ops run outside of the modules, so each is the layer's whose forward op made the node of the graph that runs
it: PyTorch numbers these nodes in the order in which the forward pass makes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

LOSS, GRADIENTS, OPTIMISER = "(loss)", "(sums of gradients)", "(optimiser)"
"""What belongs to no module: the loss, putting a parameter's gradients together, and the optimiser's step."""


class StepPaths:
    """Which module a step is in, as far as it was followed."""

    def __init__(self) -> None:
        self._stack: list[str] = []
        self._names: Mapping[nn.Module, str] = {}
        self._by_node: dict[int, str] = {}

    def now(self) -> str:
        """Returns whose op runs now; of a forward op the node that PyTorch just made for it is remembered."""
        node: Any = torch._C._current_autograd_node()  # typed as never None
        if node is not None:
            return self._by_node.get(node._sequence_nr(), GRADIENTS)
        path = self._stack[-1] if self._stack else LOSS if torch.is_grad_enabled() else OPTIMISER
        if torch.is_grad_enabled():
            self._by_node.setdefault(torch._C._autograd._get_sequence_nr() - 1, path)
        return path

    @contextmanager
    def following(self) -> Iterator[None]:
        """Follows which module runs until the end of the block."""
        hooks = (
            register_module_forward_pre_hook(self._enter),
            register_module_forward_hook(self._leave, always_call=True),
        )
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _enter(self, module: nn.Module, args: Any) -> None:
        if not self._stack:
            self._names = {each: name for name, each in module.named_modules()}
        self._stack.append(self._names.get(module, self._stack[-1] if self._stack else ""))

    def _leave(self, module: nn.Module, args: Any, result: Any) -> None:
        self._stack.pop()
