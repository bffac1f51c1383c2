"""Weights that are computed from other tensors whenever they are asked for: norms, pruning masks, user's own.

That work is done once for any number of inputs, so it is not the model's cost: ops are tagged and a Note says so.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from torch import nn
from torch.nn.utils.parametrize import ParametrizationList

from effbench.records import Note, TreeNode

_OLD_STYLE = (
    ("torch.nn.utils.spectral_norm", "SpectralNorm"),
    ("torch.nn.utils.weight_norm", "WeightNorm"),
    ("torch.nn.utils.prune", "BasePruningMethod"),
)
"""Hooks that compute a weight before forward, of the time before `torch.nn.utils.parametrize`."""


def is_reparametrisation(module: nn.Module) -> bool:
    """Returns whether a module computes another one's weight."""
    return isinstance(module, ParametrizationList)


def reparametrised(nodes: Mapping[nn.Module, TreeNode]) -> Iterator[Note]:
    """Gives a Note naming the modules whose weights are computed at every call."""
    old = _old_style_classes()
    names = [
        node.path or type(module).__name__
        for module, node in nodes.items()
        if "parametrizations" in module._modules
        or any(isinstance(hook, old) for hook in module._forward_pre_hooks.values())
    ]
    if names:
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        text = "compute their weights from other tensors at every call; that is not counted as the model's cost"
        yield Note("reparametrised", shown, text)


@contextmanager
def old_style_hooks(
    modules: Iterable[nn.Module], inside: Callable[[nn.Module], AbstractContextManager[None]]
) -> Iterator[None]:
    """Lets `inside` know, until the end of the block, while a hook computes a module's weight."""
    present = {type(hook) for module in modules for hook in module._forward_pre_hooks.values()}
    held: list[tuple[Any, Any]] = []
    for kind in _old_style_classes():
        if any(issubclass(one, kind) for one in present):
            held.append((kind, vars(kind)["__call__"]))
            kind.__call__ = _announced(vars(kind)["__call__"], inside)
    try:
        yield
    finally:
        for kind, original in held:
            kind.__call__ = original


def _announced(original: Any, inside: Callable[[nn.Module], AbstractContextManager[None]]) -> Any:
    def call(self: Any, module: nn.Module, inputs: Any) -> Any:
        with inside(module):
            return original(self, module, inputs)

    return call


def _old_style_classes() -> tuple[Any, ...]:
    return tuple(getattr(sys.modules[home], name) for home, name in _OLD_STYLE if home in sys.modules)
