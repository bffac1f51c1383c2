"""Calls of public functions, seen by wrapping the attributes that function-patching tools wrap.

ptflops, calflops and DeepSpeed replace attributes such as `torch.nn.functional.relu` and `torch.Tensor.add`, and so
count what the model looks up by that name while it runs: `x.add(y)` but not `x + y`, `F.relu` but no `relu` that was
imported from it before. The same attributes are wrapped here, to write down each call and run the original.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from types import FrameType
from typing import Any, NamedTuple

import torch
from torch.overrides import _get_current_function_mode_stack

from effbench.measure.plain import plain
from effbench.records import Argument, Attr, FunctionCall

_ORIGINAL = "_effbench_original"

_DIMENSIONS = ("1d", "2d", "3d")
_FUNCTIONAL = (
    "linear",
    *(f"{name}{d}" for name in ("conv", "conv_transpose", "avg_pool", "max_pool") for d in _DIMENSIONS),
    *(f"adaptive_{kind}_pool{d}" for kind in ("avg", "max") for d in _DIMENSIONS),
    *("relu", "prelu", "elu", "leaky_relu", "relu6", "silu", "gelu", "softmax"),
    *("batch_norm", "layer_norm", "instance_norm", "group_norm"),
    *("upsample", "interpolate", "embedding", "scaled_dot_product_attention"),
)
_TORCH = ("matmul", "mm", "bmm", "addmm", "baddbmm", "mul", "add", "einsum")
_TENSOR = ("matmul", "__matmul__", "mm", "bmm", "addmm", "mul", "add")


class _Place(NamedTuple):
    """An attribute that tools patch: `name` is how a record calls it."""

    holder: Any
    attribute: str
    name: str


def _places() -> tuple[_Place, ...]:
    """Returns the attributes that tools patch; einops is looked at only where something has imported it."""
    functional = (_Place(torch.nn.functional, name, f"torch.nn.functional.{name}") for name in _FUNCTIONAL)
    plain_torch = (_Place(torch, name, f"torch.{name}") for name in _TORCH)
    methods = (_Place(torch.Tensor, name, f"torch.Tensor.{name}") for name in _TENSOR)
    einops = sys.modules.get("einops")
    beside = () if einops is None else (_Place(einops, "einsum", "einops.einsum"),)
    return (*functional, *plain_torch, *methods, *beside)


@contextmanager
def functions_kept() -> Iterator[None]:
    """Puts every attribute that tools patch back at the end; they leave theirs behind when they raise."""
    places = _places()
    saved = [(place, _own(place), getattr(place.holder, place.attribute)) for place in places]
    try:
        yield
    finally:
        for place, own, value in saved:
            if own:
                setattr(place.holder, place.attribute, value)
            elif _own(place):  # a method inherited from TensorBase, by now hidden
                delattr(place.holder, place.attribute)


@contextmanager
def as_documented() -> Iterator[None]:
    """Runs a function-patching tool under the condition of its convention, and takes its patches away at the end.

    Gradients are off, and so is the fused path of attention layers, which no_grad alone would open.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with functions_kept(), torch.no_grad():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def _own(place: _Place) -> bool:
    return place.attribute in vars(place.holder)


@contextmanager
def functions_recorded(module: Callable[[], str]) -> Iterator[list[FunctionCall]]:
    """Records calls until the end of the block, between the modes that are on at its start and the model.

    Args:
        module: returns the path of the innermost module running.
    """
    calls: list[FunctionCall] = []
    dispatch_modes = torch._C._len_torch_dispatch_stack()
    function_modes: list[object] = _get_current_function_mode_stack()  # type: ignore[no-untyped-call]

    def note(name: str, caller: FrameType, args: Iterable[Any], kwargs: dict[str, Any]) -> None:
        # Inside an op a mode is off; what the rules of meta tensors, written in Python, call there is not the model's.
        if torch._C._len_torch_dispatch_stack() < dispatch_modes or _is_second_sight(caller, function_modes):
            return
        given = {key: _argument(value) for key, value in kwargs.items()}
        calls.append(FunctionCall(name, module(), tuple(map(_argument, args)), given))

    with functions_kept():
        for place in _places():
            setattr(place.holder, place.attribute, _noting(getattr(place.holder, place.attribute), place.name, note))
        yield calls


def _is_second_sight(caller: FrameType, modes: Iterable[object]) -> bool:
    """Returns whether a function mode that was on before the model ran makes the call, such as a default device.

    While one is on, PyTorch looks a function up again by its public name and hands that to the mode, also for an
    operator. A tool run without the mode sees nothing of it; one that the model itself puts on, it sees as here.
    """
    if caller.f_code.co_name != "__torch_function__":
        return False
    return any(caller.f_locals.get("self") is mode for mode in modes)


def _noting(original: Callable[..., Any], name: str, note: Callable[..., None]) -> Callable[..., Any]:
    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        note(name, sys._getframe(1), args, kwargs)
        return original(*args, **kwargs)

    setattr(wrapper, _ORIGINAL, original)
    return wrapper


def original_of(function: Any) -> Any:
    """Returns what a wrapper of this module wraps, anything else as it is; function modes are handed wrappers."""
    return getattr(function, _ORIGINAL, function)


def _argument(value: object) -> Argument:
    if isinstance(value, torch.Tensor):
        return Argument("Tensor", _shape(value))
    return Argument(type(value).__name__, _number(value))


def _shape(tensor: torch.Tensor) -> Attr:
    """Returns the shape; None for a ragged tensor, which has no shape of whole numbers."""
    return None if tensor.is_nested else tuple(int(size) for size in tensor.shape)


def _number(value: object) -> Attr:
    """Returns a plain value; numpy's numbers become Python's."""
    if isinstance(value, tuple | list):
        return tuple(_number(item) for item in value)
    known = plain(value)
    if known is value or isinstance(value, torch.SymInt):
        return known
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else known
