"""How long each layer takes in a training step: its forward ops, and those of its gradients.

A watch is started and stopped around each op, as in `layer_times`. Backward ops run outside of the modules, so each is
the layer's whose forward op made the node of the graph that runs it: PyTorch numbers these nodes in the order in which
the forward pass makes them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from effbench.measure.dispatch import Ops
from effbench.measure.ops import OpInfo
from effbench.measure.timing.layer_times import Call, CpuStopwatch, OpClock, Stopwatch
from effbench.measure.whole import functions_whole

LOSS, GRADIENTS, OPTIMISER = "(loss)", "(sums of gradients)", "(optimiser)"
"""What belongs to no module: the loss, putting a parameter's gradients together, and the optimiser's step."""


def step_times(
    call: Call, passes: int, watch: Stopwatch | None = None, busy: Callable[[float], None] | None = None
) -> tuple[Mapping[str, float], ...]:
    """Returns the seconds of each module path in each of so many training steps, after one that is not kept.

    Args:
        call: one training step, not compiled, in the context that it is timed in.
        passes: how many.
        watch: what times an op; by default the host's counter, which is right for a CPU alone.
        busy: keeps a device occupied for so many seconds, called before each pass with the length of the last one.
    """
    watch = watch or CpuStopwatch()
    found = [_one_step(call, watch)]
    for _ in range(passes):
        if busy is not None:
            busy(math.fsum(found[-1].values()))
        found.append(_one_step(call, watch))
    return tuple(found[1:])


def _one_step(call: Call, watch: Stopwatch) -> Mapping[str, float]:
    log = _StepClock(watch)
    watch.read()
    with log.following(), functions_whole(log), Ops(log):
        call()
    seconds = watch.read()
    sums: dict[str, list[float]] = {}
    for path, (_, place) in zip(log.paths, log.calls, strict=True):
        if place is not None:
            sums.setdefault(path, []).append(seconds[place])
    return {path: math.fsum(each) for path, each in sums.items()}


class _StepClock(OpClock):
    """The ops of a step, each with the module path that it is of.

    Attributes:
        paths: of `calls`, in their order.
    """

    def __init__(self, watch: Stopwatch) -> None:
        super().__init__(watch)
        self.paths: list[str] = []
        self._stack: list[str] = []
        self._names: Mapping[nn.Module, str] = {}
        self._by_node: dict[int, str] = {}

    def run(
        self, op: Any, info: OpInfo, run: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """Returns what an op gives, timed."""
        path = self._path()
        result = super().run(op, info, run, args, kwargs)
        self._belongs(path)
        return result

    def record_call(self, op: Any, args: Sequence[Any], kwargs: Mapping[str, Any], result: Any) -> None:
        """Writes down a call that was timed as a muted block."""
        super().record_call(op, args, kwargs, result)
        self._belongs(self._path())

    def _belongs(self, path: str) -> None:
        """Writes down whose the calls are that were added last."""
        self.paths += [path] * (len(self.calls) - len(self.paths))

    def _path(self) -> str:
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
