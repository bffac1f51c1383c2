"""An exported program's nodes → steps: arguments decoded, ops found, settings' graphs made callable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch

from effbench.errors import InputError
from effbench.measure.graphs.ops import ON_SIZES, find_op
from effbench.measure.graphs.program import DTYPES, Json, frames_of
from effbench.measure.graphs.steps import Device, Ref, Step, Values, filled, refs, with_drops

_LAYOUTS = (None, *["sparse_coo", "sparse_csr", "sparse_csc", "sparse_bsr", "sparse_bsc", "_mkldnn", "strided"])
_MEMORY_FORMATS = (None, *["contiguous_format", "channels_last", "channels_last_3d", "preserve_format"])
_WRAPPERS: Mapping[str, int] = MappingProxyType(
    {
        "torch.ops.higher_order.wrap_with_set_grad_enabled": 1,
        "torch.ops.higher_order.wrap_with_autocast": 4,
    }
)
"""Ops that run a graph under a setting, by how many arguments stand before the graph."""
_ATTENTION = frozenset({torch.ops.aten.scaled_dot_product_attention.default})
_CHECKS = frozenset(
    f"torch.ops.aten.{name}.default"
    for name in (
        *("_assert_scalar", "_assert_tensor_metadata", "_assert_async", "sym_constrain_range"),
        "sym_constrain_range_for_size",
    )
)
"""Checks of values, which are no part of the network."""
_DEEPEST = 8
"""Graphs within graphs."""


def compile_graph(graph: Json, unsafe: bool, depth: int = 0) -> tuple[tuple[Step, ...], tuple[Any, ...]]:
    """Returns (the steps of a graph, what it returns).

    Raises:
        InputError: a node runs what effbench does not run from a file.
    """
    if depth > _DEEPEST:
        raise InputError(f"its graphs are nested more than {_DEEPEST} deep")
    steps = [_step(node, unsafe, depth) for node in graph["nodes"] if node["target"] not in _CHECKS]
    outputs = tuple(decoded(item) for item in graph["outputs"])
    kept = frozenset(name for item in outputs for name in refs(item))
    return with_drops(steps, kept), outputs


def _step(node: Json, unsafe: bool, depth: int) -> Step:
    target, inputs = node["target"], node["inputs"]
    outs = tuple(_out(item) for item in node["outputs"])
    frames = frames_of(node) or None
    if target in _WRAPPERS:
        place = _WRAPPERS[target]
        call = _inner(inputs[place]["arg"]["as_graph"]["graph"], unsafe, depth)
        return Step(call, tuple(decoded(item["arg"]) for item in inputs[place + 1 :]), {}, outs, frames)
    if target in ON_SIZES:
        return Step(ON_SIZES[target], tuple(decoded(item["arg"]) for item in inputs), {}, outs, frames)
    prefix, _, name = target.partition("torch.ops.")
    namespace, _, rest = name.partition(".")
    if prefix or not rest:
        raise InputError(f"its node {target[:80]} is none that effbench runs from a file")
    op = find_op(f"{namespace}::{rest.rpartition('.')[0]}", rest.rpartition(".")[2], unsafe)
    kwargs = {item["name"]: decoded(item["arg"]) for item in inputs}
    if kwargs.get("device") is None and any(item.name == "device" for item in op._schema.arguments):
        kwargs["device"] = Device()
    return Step(_attention if op in _ATTENTION else op, (), kwargs, outs, frames)


def _attention(**given: Any) -> Any:
    """Returns attention by its public name, under which the recorder sees it whole."""
    return torch.nn.functional.scaled_dot_product_attention(**given)


def _inner(graph: Json, unsafe: bool, depth: int) -> Callable[..., Any]:
    """Returns a graph inside a node as a function of its inputs."""
    steps, outputs = compile_graph(graph, unsafe, depth + 1)
    names = [_out(item) for item in graph["inputs"]]

    def call(*given: Any) -> tuple[Any, ...]:
        values: Values = dict(zip(names, given, strict=True))
        device = next((item.device for item in given if isinstance(item, torch.Tensor)), torch.device("cpu"))
        for step in steps:
            step.run(values, device)
        return tuple(filled(item, values, device) for item in outputs)

    return call


def decoded(arg: Json) -> Any:
    """Returns an argument of a node in Python's and torch's own terms.

    Raises:
        InputError: it is of a kind that effbench does not run.
    """
    ((form, given),) = arg.items()
    rule = _DECODERS.get(form)
    if rule is None:
        raise InputError(f"its nodes take an argument {form}, which effbench does not cover")
    return rule(given)


def _symbol(given: Json) -> Any:
    """Returns a size, number or flag that may have a name."""
    ((form, value),) = given.items()
    return Ref(value) if form == "as_name" else value


def _optional(given: Json) -> Any:
    return Ref(given["as_tensor"]["name"]) if "as_tensor" in given else None


def _each(rule: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda given: [rule(item) for item in given]


def _same(given: Any) -> Any:
    return given


def _tensor(given: Json) -> Ref:
    return Ref(given["name"])


_DECODERS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "as_none": lambda given: None,
        "as_tensor": _tensor,
        "as_tensors": _each(_tensor),
        "as_nested_tensors": _each(_each(_tensor)),
        "as_optional_tensor": _optional,
        "as_optional_tensors": _each(_optional),
        "as_sym_int": _symbol,
        "as_sym_ints": _each(_symbol),
        "as_sym_float": _symbol,
        "as_sym_floats": _each(_symbol),
        "as_sym_bool": _symbol,
        "as_sym_bools": _each(_symbol),
        **dict.fromkeys(
            [
                *("as_int", "as_ints", "as_int_lists", "as_float", "as_floats", "as_float_lists"),
                *("as_bool", "as_bools", "as_string", "as_strings"),
            ],
            _same,
        ),
        "as_complex": lambda given: complex(given["real"], given["imag"]),
        "as_scalar_type": lambda given: getattr(torch, DTYPES[given]),
        "as_layout": lambda given: getattr(torch, str(_LAYOUTS[given])),
        "as_memory_format": lambda given: getattr(torch, str(_MEMORY_FORMATS[given])),
        "as_device": lambda given: Device(),
    }
)


def _out(arg: Json) -> Any:
    """Returns the name that an output is known by, a tuple of names for a list, None for none."""
    item = decoded(arg)
    if isinstance(item, list):
        return tuple(part.name if isinstance(part, Ref) else None for part in item)
    return item.name if isinstance(item, Ref) else None
