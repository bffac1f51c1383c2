"""Functions that are recorded as one call, whatever ops serve them: attention, and what the dispatcher cannot show.

- A recurrent layer is one call, however PyTorch runs its steps.
- Attention is one call on every device, with every kernel, and with jagged tensors one call for each sequence.
- A convolution of complex numbers is taken apart, by a trick with three real ones, before the dispatcher sees it; an
  einsum that contracts a dimension of size 1 becomes an element-wise product, and a vecdot a product and a sum.
- Higher-order ops (`flex_attention`, `cond`) take functions and have no schema.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import FunctionType
from typing import Any, Protocol

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from effbench.measure.functions import original_of


class Writer(Protocol):
    """What these functions need of the recorder."""

    def record_call(self, op: Any, args: Sequence[Any], kwargs: Mapping[str, Any], result: Any) -> None:
        """Writes down one call of an op."""

    def run_whole(self, op: Any, run: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Returns what a function gives, written down as one call of an op."""

    def muted(self) -> AbstractContextManager[None]:
        """Lets ops run unrecorded."""


_ATTENTION = torch.ops.aten.scaled_dot_product_attention.default

_RECURRENT = {getattr(torch, name): getattr(torch.ops.aten, name) for name in ("lstm", "gru", "rnn_tanh", "rnn_relu")}
"""Layers of any depth, which the dispatcher sees step by step on some devices and as one kernel on others."""


def _recurrent_form(packet: Any, args: Sequence[Any]) -> Any:
    """Returns the overload called: of a packed sequence the data, its batch sizes and the first state come first."""
    packed = isinstance(args[1 if packet is torch.ops.aten.lstm else 2], torch.Tensor)
    return packet.data if packed else packet.input


def _is_transformed() -> bool:
    """Returns whether `vmap` or a gradient is at work, which hides dimensions until the dispatcher sees the ops."""
    return torch._C._functorch.peek_interpreter_stack() is not None


def _is_complex(input: Any = None, *_: Any) -> bool:
    return isinstance(input, torch.Tensor) and input.is_complex()


def _always(*_: Any) -> bool:
    return True


def _sums_over_one(equation: Any = None, *operands: Any) -> bool:
    """Returns whether an einsum of two tensors contracts dimensions of size 1, which PyTorch multiplies instead."""
    tensors = operands[0] if len(operands) == 1 and isinstance(operands[0], list | tuple) else operands
    if not isinstance(equation, str) or "." in equation or len(tensors) != 2:
        return False
    terms, _, result = equation.replace(" ", "").partition("->")
    left, _, right = terms.partition(",")
    sizes = {**dict(zip(left, tensors[0].shape, strict=False)), **dict(zip(right, tensors[1].shape, strict=False))}
    # Without an arrow the letters that stand in one term alone are kept.
    summed = {letter for letter in left if letter in right and letter not in result}
    return bool(summed) and all(sizes[letter] == 1 for letter in summed)


_WHOLE_IF: Mapping[Any, tuple[Any, Callable[..., bool]]] = {
    torch.conv1d: (torch.ops.aten.conv1d.default, _is_complex),
    torch.conv2d: (torch.ops.aten.conv2d.default, _is_complex),
    torch.conv3d: (torch.ops.aten.conv3d.default, _is_complex),
    torch.conv_transpose1d: (torch.ops.aten.conv_transpose1d.default, _is_complex),
    torch.conv_transpose2d: (torch.ops.aten.conv_transpose2d.input, _is_complex),
    torch.conv_transpose3d: (torch.ops.aten.conv_transpose3d.input, _is_complex),
    torch.einsum: (torch.ops.aten.einsum.default, _sums_over_one),
    torch.linalg.vecdot: (torch.ops.aten.linalg_vecdot.default, _always),
}
"""The op that a function is recorded as where its arguments are such that the dispatcher would see another one."""


class _Functions(TorchFunctionMode):
    """Sees functions called under names that were imported from torch before the recording began."""

    def __init__(self, writer: Writer, attention: Any, whole: Callable[..., Any]) -> None:
        super().__init__()
        self._writer = writer
        self._attention = attention
        self._whole = whole

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is self._attention:
            return self._whole(*args, **(kwargs or {}))
        called = original_of(func) if type(func) is FunctionType else func  # what wraps one is written in Python
        asked = _WHOLE_IF.get(called)
        if asked is None:
            if called not in _RECURRENT or _is_transformed():
                return called(*args, **(kwargs or {}))
            form = _recurrent_form(_RECURRENT[called], args)
            return self._writer.run_whole(form, called, args, kwargs or {})
        if not asked[1](*args) or _is_transformed():
            return called(*args, **(kwargs or {}))
        with self._writer.muted():
            result = called(*args, **(kwargs or {}))
        tensors = args if called is not torch.einsum else (args[0], list(tree_leaves(args[1:])))
        self._writer.record_call(asked[0], tensors, kwargs or {}, result)
        return result


@contextmanager
def functions_whole(writer: Writer) -> Iterator[None]:
    """Records attention, and what `_WHOLE_IF` says, whole until the end of the block.

    The name in `torch.nn.functional` is replaced too, since a function mode does not see the calls that
    functions written in Python, such as `multi_head_attention_forward`, make inside.
    """
    original = torch.nn.functional.scaled_dot_product_attention

    def whole(*args: Any, **kwargs: Any) -> Any:
        if _is_transformed():
            return original(*args, **kwargs)
        if any(isinstance(arg, torch.Tensor) and arg.is_nested for arg in (*args, *kwargs.values())):
            return _each_sequence(writer, original, args, kwargs)
        args, kwargs = as_autocast(args, kwargs)
        return writer.run_whole(_ATTENTION, original, args, kwargs)

    torch.nn.functional.scaled_dot_product_attention = whole
    try:
        with _Functions(writer, original, whole):
            yield
    finally:
        torch.nn.functional.scaled_dot_product_attention = original


def as_autocast(args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Returns the arguments of a function as autocast hands them on: in its dtype, where it is on for their device.

    What is recorded whole is seen before autocast casts, and its dtype would be that of another amount of work.
    """
    if not torch._C._is_any_autocast_enabled():
        return tuple(args), dict(kwargs)

    def cast(value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or value.is_meta or value.dtype not in _CAST:
            return value
        kind = value.device.type
        return value.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else value

    return tuple(map(cast, args)), {name: cast(value) for name, value in kwargs.items()}


_CAST = frozenset({torch.float32, torch.float16, torch.bfloat16})


def _each_sequence(writer: Writer, attention: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> torch.Tensor:
    """Returns attention on jagged tensors, run and recorded for one sequence after the other.

    What PyTorch runs instead depends on kernels that not every machine has; on some it has none.
    """
    given, names = [*args, *kwargs.values()], tuple(kwargs)
    query: Any = next(arg for arg in given if isinstance(arg, torch.Tensor) and arg.is_nested)
    parts = []
    with writer.muted():
        columns = [arg.unbind() if isinstance(arg, torch.Tensor) and arg.is_nested else None for arg in given]
        for index in range(len(query)):
            own = [arg if column is None else column[index] for arg, column in zip(given, columns, strict=True)]
            call = own[: len(args)], dict(zip(names, own[len(args) :], strict=True))
            parts.append((*call, attention(*call[0], **call[1])))
        ragged = query._ragged_idx
        tokens = torch.cat([result.movedim(ragged - 1, 0) for *_, result in parts])
        whole = torch.nested.nested_tensor_from_jagged(tokens, query.offsets()).transpose(1, ragged)
    for given_args, named, result in parts:
        writer.record_call(_ATTENTION, given_args, named, result)
    return whole


def run_higher_order(mode: TorchDispatchMode, writer: Writer, op: Any, args: Sequence[Any], kwargs: Any) -> Any:
    """Returns what an op that takes functions gives, with what those functions do recorded.

    It runs as PyTorch's own definition of it, unseen but for the functions. `flex_attention` is a call beside what its
    `score_mod` does to the scores; its mask selects, which takes nothing. An op without a definition is unknown.
    """
    definition = op.py_kernels.get(torch._C.DispatchKey.CompositeExplicitAutograd)
    if definition is None or op.name() == "flex_attention_backward":
        result = op(*args, **kwargs)
        writer.record_call(op, (), {}, result)
        return result
    result = definition(*(_heard(mode, arg) for arg in args), **kwargs)
    if op.name() == "flex_attention":
        writer.record_call(op, args[:3], {}, result[0])
    return result


def _heard(mode: TorchDispatchMode, value: Any) -> Any:
    """Returns a function that runs under the mode, anything else as it is."""
    if not callable(value) or isinstance(value, torch.Tensor):
        return value

    def call(*args: Any, **kwargs: Any) -> Any:
        with mode:
            return value(*args, **kwargs)

    return call
