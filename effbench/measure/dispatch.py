"""Every op that PyTorch runs, handed to whoever writes down or times it: one way of seeing ops for both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import torch
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode, is_traceable_wrapper_subclass_type

from effbench.measure.ops import OpInfo, op_info
from effbench.measure.whole import Writer, run_higher_order

_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd


class Listener(Writer, Protocol):
    """What runs the ops of a pass."""

    @property
    def is_muted(self) -> bool:
        """Returns whether ops are the inside of a call that counts as one."""

    def run(
        self, op: Any, info: OpInfo, run: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """Returns what an op gives."""

    def run_composite(self, info: OpInfo, run: Callable[..., Any], args: Sequence[Any], kwargs: Any) -> Any:
        """Returns what an op gives that is taken apart: its parts come by themselves."""


class Ops(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Lets a listener run every op; an op that PyTorch composes of others is taken apart."""

    supports_higher_order_operators = True

    def __init__(self, listener: Listener) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._listener = listener

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Returns False: models are run as written, and the guard would import torch._dynamo, 1.2 s here."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        listener = self._listener
        if types and any(map(is_traceable_wrapper_subclass_type, types)):
            return NotImplemented  # a tensor made of tensors says itself what is done with these
        if not isinstance(func, OpOverload):
            return run_higher_order(self, listener, func, args, kwargs)
        # Under inference_mode composite ops (linear, matmul) arrive whole; elsewhere they arrive taken apart.
        # Asked of the dispatcher itself: PyTorch also has composites in Python for tracing, such as an upsampling by
        # index arithmetic, which no eager call runs.
        info = op_info(func)
        if not info.is_composite:
            return listener.run(func, info, func, args, kwargs)
        if listener.is_muted:
            return func(*args, **kwargs)
        with self:
            return listener.run_composite(info, partial(func._op_dk, _COMPOSITE), args, kwargs)
