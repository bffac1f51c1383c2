"""What TorchScript computes beside tensors: sizes, flags, lists, texts, done as Python does them.

Source: the operators' names and meanings in torch/csrc/jit/runtime/register_prim_ops.cpp.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch

from effbench.measure.graphs.ops import bounded

Function = Callable[..., Any]

# The numbers of c10::ScalarType, which TorchScript has in place of dtypes.
_CODES: Mapping[torch.dtype, int] = MappingProxyType(
    dict(
        zip(
            (
                *(torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
                *(torch.float16, torch.float32, torch.float64),
                *(torch.complex32, torch.complex64, torch.complex128, torch.bool),
            ),
            range(12),
            strict=True,
        )
    )
    | {torch.bfloat16: 15}
)


def _append(items: list[Any], item: Any) -> list[Any]:
    items.append(item)
    return items


def _extend(items: list[Any], more: Sequence[Any]) -> None:
    items.extend(more)


def _set(items: Any, key: Any, item: Any) -> Any:
    items[key] = item
    return items


def _contains(items: Any, item: Any) -> bool:
    return item in items


def _slice(items: Any, start: int | None = None, end: int | None = None, step: int = 1) -> Any:
    return items[start:end:step]


def _range_length(low: int, high: int, step: int) -> int:
    return len(range(low, high, step))


def _ignored(*given: Any) -> str:
    return ""


def _smallest(*given: Any) -> Any:
    return min(*given) if len(given) > 1 else min(given[0])


def _largest(*given: Any) -> Any:
    return max(*given) if len(given) > 1 else max(given[0])


def _size(tensor: torch.Tensor, dim: int | None = None) -> Any:
    return list(tensor.shape) if dim is None else tensor.shape[dim]


def _sum(left: Any, right: Any, alpha: int = 1) -> Any:
    """Returns left + alpha·right; texts and lists are joined."""
    return left + right if alpha == 1 else left + alpha * right


def _quotient(left: Any, right: Any, rounding_mode: str | None = None) -> Any:
    if rounding_mode is None:
        return left / right
    return left // right if rounding_mode == "floor" else math.trunc(left / right)


WITHOUT_TENSORS: Mapping[str, Function] = MappingProxyType(
    {
        **{
            f"aten::{name}": bounded(getattr(operator, name))
            for name in ["mul", "neg", "eq", "ne", "lt", "le", "gt", "ge", "floordiv", "pow"]
        },
        "aten::add": _sum,
        "aten::sub": lambda left, right, alpha=1: _sum(left, right, -alpha),
        "aten::rsub": lambda left, right, alpha=1: _sum(right, left, -alpha),
        "aten::slice": _slice,
        "aten::add_": operator.iadd,
        "aten::floor_divide": bounded(operator.floordiv),
        "aten::div": _quotient,
        "aten::remainder": bounded(operator.mod),
        "aten::__and__": operator.and_,
        "aten::__or__": operator.or_,
        "aten::__xor__": operator.xor,
        "aten::__not__": operator.not_,
        "aten::abs": abs,
        "aten::ceil": math.ceil,
        "aten::floor": math.floor,
        "aten::round": round,
        "aten::sqrt": math.sqrt,
        "aten::Int": int,
        "aten::IntImplicit": int,
        "aten::Float": float,
        "aten::FloatImplicit": float,
        "aten::Bool": bool,
        "aten::ScalarImplicit": operator.pos,
        "aten::all": all,
        "aten::any": any,
        "aten::sum": sum,
        "prim::min": _smallest,
        "prim::max": _largest,
        "prim::abs": abs,
        "prim::NumToTensor": operator.pos,
    }
)
"""Run where no argument is a tensor of its own: a number that the graph keeps in a tensor is a number."""

ON_ANYTHING: Mapping[str, Function] = MappingProxyType(
    {
        "aten::__is__": operator.is_,
        "aten::__isnot__": operator.is_not,
        "aten::__getitem__": operator.getitem,
        "aten::__contains__": _contains,
        "aten::__derive_index": lambda index, start, step: start + index * step,
        "aten::__range_length": _range_length,
        "aten::_set_item": _set,
        "aten::append": _append,
        "aten::clear": lambda items: items.clear(),
        "aten::copy": lambda items: items.copy(),
        "aten::dim": lambda tensor: tensor.dim(),
        "aten::element_size": lambda tensor: tensor.element_size(),
        "aten::extend": _extend,
        "aten::format": _ignored,
        "aten::get": lambda items, key, other=None: items.get(key, other),
        "aten::insert": lambda items, place, item: items.insert(place, item),
        "aten::is_autocast_enabled": lambda: False,
        "aten::is_autocast_cpu_enabled": lambda: False,
        "aten::is_complex": lambda tensor: tensor.is_complex(),
        "aten::is_contiguous": lambda tensor: tensor.is_contiguous(),
        "aten::is_floating_point": lambda tensor: tensor.is_floating_point(),
        # A pass that may need gradients takes no fused fast path, whose inside is not known.
        "aten::is_grad_enabled": lambda: True,
        "aten::items": lambda items: list(items.items()),
        "aten::keys": lambda items: list(items.keys()),
        "aten::len": len,
        "aten::list": list,
        "aten::manual_seed": _ignored,
        "aten::numel": lambda tensor: tensor.numel(),
        "aten::percentFormat": _ignored,
        "aten::pop": lambda items, *place: items.pop(*place),
        "aten::size": _size,
        "aten::sorted": sorted,
        "aten::str": str,
        "aten::stride": lambda tensor, *dim: tensor.stride(*dim) if dim else list(tensor.stride()),
        "aten::values": lambda items: list(items.values()),
        "aten::warn": _ignored,
        "prim::Print": _ignored,
        "prim::TupleIndex": operator.getitem,
        "prim::Uninitialized": lambda: None,
        "prim::data": lambda tensor: tensor,
        "prim::device": lambda tensor: tensor.device,
        "prim::dtype": lambda tensor: _CODES[tensor.dtype],
        "prim::is_cuda": lambda tensor: tensor.is_cuda,
        "prim::is_meta": lambda tensor: False,
        "prim::is_nested": lambda tensor: tensor.is_nested,
        "prim::is_quantized": lambda tensor: tensor.is_quantized,
        "prim::is_sparse": lambda tensor: tensor.is_sparse,
        "prim::layout": lambda tensor: 0,
        "prim::rangelist": lambda end: list(range(end)),
        "prim::requires_grad": lambda tensor: tensor.requires_grad,
        "prim::type": lambda device: "cpu" if device.type == "meta" else device.type,
        "prim::unchecked_cast": lambda item: item,
        "prim::unchecked_unwrap_optional": lambda item: item,
    }
)
"""Run whatever the arguments are: they ask about tensors, or handle what holds them."""
