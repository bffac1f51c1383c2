"""Shape rules of our own, for calls that PyTorch would take apart into thousands of ops to tell how they end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeAlias

import torch

from effbench.measure.layouts import Answer, Call, Fresh, Layout, Several, fresh
from effbench.measure.plain import dtype_name

Rule: TypeAlias = Callable[[Call], Answer]


def own_rule(op: Any) -> Rule | None:
    """Returns the rule that stands in for an op's own; None where it has none here."""
    return _rules().get(op)


@cache
def _rules() -> Mapping[Any, Rule]:
    names = ("lstm", "gru", "rnn_tanh", "rnn_relu")
    layers = {getattr(getattr(torch.ops.aten, name), form): _recurrent for name in names for form in ("input", "data")}
    return {**layers, torch.ops.aten.scaled_dot_product_attention.default: _attention}


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
