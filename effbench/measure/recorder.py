"""The recorder: what the dispatcher and the modules do, written down as they do it.

One `TorchDispatchMode` sees every aten op below autograd; global module hooks tell which module runs, without
touching the model; storages are followed by weak references, so that recording keeps no tensor alive.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

from torch import nn
from torch.nn.modules.module import (
    _global_forward_hooks_with_kwargs,
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack, _pop_mode

from effbench.measure.composites import arriving_whole
from effbench.measure.dispatch import Ops
from effbench.measure.frames import Frames
from effbench.measure.ops import OpLog, as_call
from effbench.measure.tensors import Tensors
from effbench.measure.whole import functions_whole
from effbench.records import Fact, ModuleCall, OpCall, TreeNode, Value


class Recorder:
    """What happened so far: values, op calls and module calls."""

    def __init__(self, nodes: Mapping[nn.Module, TreeNode], facts: Collection[Fact] = ()) -> None:
        """`nodes` names the modules whose calls are recorded; `facts` what else: "composites", "nonzeros"."""
        self.tensors = Tensors(self._on_death)
        self.frames = Frames(nodes, self.tensors)
        self.log = OpLog(self.tensors, self.frames, "composites" in facts, "nonzeros" in facts)
        self._open = False

    @property
    def values(self) -> tuple[Value, ...]:
        """Returns the tensors seen so far, by id."""
        return tuple(self.tensors.values)

    @property
    def calls(self) -> tuple[ModuleCall, ...]:
        """Returns the module calls so far, in the order in which they returned."""
        return tuple(self.frames.calls)

    @property
    def ops(self) -> tuple[OpCall, ...]:
        """Returns the op calls so far, in order."""
        return tuple(map(as_call, self.log.ops))

    @property
    def composites(self) -> tuple[OpCall, ...] | None:
        """Returns the calls that are part of no other, composite ones whole; None where nobody asked for them."""
        asked = self.log.composites
        return None if asked is None else tuple(map(as_call, asked.calls()))

    @property
    def nonzeros(self) -> Mapping[int, int] | None:
        """Returns how many elements are not zero, by value id of weights; None where nobody asked for them."""
        return None if self.log.nonzeros is None else self.log.nonzeros.counts

    def entering(self, module: nn.Module) -> AbstractContextManager[None] | None:
        """Returns None where a module was called and its forward now starts; else a context in which it runs."""
        return None if self.log.is_muted else self.frames.entering(module)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Records until the end of the block; then takes every hook and mode away again."""
        hooks = (
            register_module_forward_pre_hook(self.frames.enter),
            register_module_forward_hook(self.frames.leave, with_kwargs=True),
        )
        self._open = True
        modes = len(_get_current_dispatch_mode_stack())
        try:
            asked = self.log.composites
            whole = nullcontext() if asked is None else arriving_whole(asked.one_call)
            with functions_whole(self.log), whole, Ops(self.log):
                yield
        finally:
            self._open = False
            # Where a model recursed without end, a mode had no room on the stack to leave by itself.
            while len(_get_current_dispatch_mode_stack()) > modes:
                _pop_mode()
            for hook in hooks:
                hook.remove()
                _global_forward_hooks_with_kwargs.pop(hook.id, None)  # which PyTorch forgets

    def _on_death(self, storage: int) -> None:
        if self._open and self.log.ops:  # what dies when the pass is over was not freed by the model
            self.log.ops[-1][-1].append(storage)
