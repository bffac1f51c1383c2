"""Shape rules of our own: for calls that PyTorch would take apart into thousands of ops to tell how they end, and for
frequent ones whose rule in Python takes 0.5 to 1.8 ms, where all tensors are contiguous and of one floating dtype."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeAlias

import torch

from effbench.measure.layouts import Answer, Call, Fresh, Layout, Several, fresh
from effbench.measure.plain import dtype_name

Rule: TypeAlias = Callable[[Call], Answer | None]
"""Returns the answer; None where PyTorch's own rule has to be asked."""


def own_rule(op: Any) -> Rule | None:
    """Returns the rule that stands in for an op's own; None where it has none here."""
    return _rules().get(op)


@cache
def _rules() -> Mapping[Any, Rule]:
    names = ("lstm", "gru", "rnn_tanh", "rnn_relu")
    layers = {getattr(getattr(torch.ops.aten, name), form): _recurrent for name in names for form in ("input", "data")}
    aten = torch.ops.aten
    return {
        **layers,
        aten.scaled_dot_product_attention.default: _attention,
        aten.native_batch_norm.default: _batch_norm,
        aten.native_layer_norm.default: _layer_norm,
        **{getattr(aten, name).default: _alike for name in _POINTWISE},
        **{getattr(aten, f"{name}_").default: _itself for name in _POINTWISE},
    }


_POINTWISE = ("relu", "silu", "gelu", "hardswish", "hardsigmoid", "hardtanh", "leaky_relu", "elu", "sigmoid", "tanh")


def _simple(call: Call) -> Layout | None:
    """Returns how the first tensor lies where all are contiguous and of its floating dtype."""
    tensors = [value for _, value in call.named if isinstance(value, torch.Tensor)]
    dtype = tensors[0].dtype
    if not dtype.is_floating_point or any(item.dtype != dtype or not _is_plain(item) for item in tensors):
        return None
    return Layout(tuple(tensors[0].shape), tensors[0].stride(), dtype)


def _in_full_precision(call: Call) -> Layout | None:
    """Returns the same where statistics are saved in the input's own dtype, which they are not in half precision."""
    layout = _simple(call)
    return layout if layout is not None and layout.dtype in (torch.float32, torch.float64) else None


def _is_plain(tensor: torch.Tensor) -> bool:
    """Returns whether the strides are those of a new tensor; `is_contiguous` passes over dimensions of 1."""
    return tensor.stride() == _contiguous(tuple(tensor.shape), tensor.dtype).strides


def _alike(call: Call) -> Answer | None:
    """Returns the layout of an element-wise function's result."""
    layout = _simple(call)
    return None if layout is None else _fresh(layout)


def _itself(call: Call) -> Answer | None:
    """Returns that an element-wise function in place hands back what it was given."""
    return None if _simple(call) is None else "itself"


def _batch_norm(call: Call) -> Answer | None:
    """Returns the layouts of a batch norm by its running statistics, which meta hands back as those of the batch."""
    layout, given = _in_full_precision(call), dict(call.named)
    known = given.get("running_mean") is not None and given.get("running_var") is not None
    if layout is None or given["training"] or not known or len(layout.shape) < 2:
        return None
    saved = _fresh(_contiguous((layout.shape[1],), layout.dtype))
    return Several((_fresh(layout), saved, saved), tuple)


def _layer_norm(call: Call) -> Answer | None:
    """Returns the layouts of a layer norm and of the statistics it saves."""
    layout, given = _in_full_precision(call), dict(call.named)
    if layout is None:
        return None
    inner = len(given["normalized_shape"])
    if tuple(given["normalized_shape"]) != layout.shape[len(layout.shape) - inner :]:
        return None
    saved = _fresh(_contiguous((*layout.shape[: len(layout.shape) - inner], *(1,) * inner), layout.dtype))
    return Several((_fresh(layout), saved, saved), tuple)


def _attention(call: Call) -> Answer:
    """Returns the layout of attention's result as on the CPU, which decides whether what reads it copies.

    There the fused kernel's lies as its query does. It takes queries, keys and values of one width, whose last
    dimension is contiguous, without dropout (torch's sdp_utils_cpp.cpp); meta's own rule always gives a contiguous one.
    """
    result = torch.ops.aten.scaled_dot_product_attention.default(*call.args, **call.kwargs)
    given = dict(call.named)
    query, key, value = given["query"], given["key"], given["value"]
    alike = query.dim() in (3, 4) and key.shape[-1] == value.shape[-1] == query.shape[-1]
    contiguous = all(tensor.stride(-1) == 1 for tensor in (query, key, value))
    if alike and contiguous and not given.get("dropout_p") and result.shape == query.shape:
        result = torch.empty_like(query)
    return fresh(result) or "runs"


def _recurrent(call: Call) -> Answer:
    """Returns the layouts of the outputs at every step and of the last states, which lie as the first ones do.

    A state is (layers × directions, batch, size). Outputs are (steps, batch, directions × size), computed in that order
    also where the batch is said to come first; of a packed sequence (tokens, directions × size).
    """
    given = dict(call.named)
    states = [given["hx"]] if isinstance(given["hx"], torch.Tensor) else list(given["hx"])
    width = states[0].shape[2] * (2 if given["bidirectional"] else 1)
    tokens = given["data"] if "data" in given else given["input"]
    dtype = tokens.dtype
    if given.get("batch_first"):
        batch, steps = tokens.shape[:2]
        outputs = Layout((batch, steps, width), (width, batch * width, 1), dtype)
    else:
        outputs = _contiguous((*tokens.shape[:-1], width), dtype)
    layouts = [outputs, *(_contiguous(tuple(state.shape), dtype) for state in states)]
    return Several(tuple(_fresh(layout) for layout in layouts), tuple)


def _contiguous(shape: tuple[int, ...], dtype: torch.dtype) -> Layout:
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return Layout(shape, tuple(reversed(strides)), dtype)


def _fresh(layout: Layout) -> Fresh:
    numel = 1
    for size in layout.shape:
        numel *= size
    return Fresh(layout, dtype_name(layout.dtype), numel * layout.dtype.itemsize)
