"""What runs each kind of TorchScript node: a function of the values known when its turn comes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NoReturn, Protocol

import torch

from effbench.errors import InputError
from effbench.measure.graphs.ops import find_op
from effbench.measure.graphs.script_ops import ON_ANYTHING, WITHOUT_TENSORS
from effbench.measure.parts import Part

Values = dict[str, Any]
Action = Callable[[Values, torch.device], None]


class NotCovered(Exception):
    """A graph does what is not run node by node: classes of its own, threads, Python calls."""


class Body(Protocol):
    """A block of nodes, ready to run."""

    def run(self, values: Values, device: torch.device) -> list[Any]:
        """Returns what the block gives back."""


class Callee(Protocol):
    """A function of the file, ready to run."""

    def call(self, given: Sequence[Any], device: torch.device) -> Any:
        """Returns what the function returns for these arguments."""


class Compiler(Protocol):
    """What a node needs to find the functions and blocks that it runs."""

    unsafe: bool

    def function(self, name: str) -> Callee:
        """Returns a function by its qualified name."""

    def block(self, block: Any) -> Body:
        """Returns the nodes inside a node."""


def action_of(node: Any, unit: Compiler) -> Action | None:
    """Returns what runs a node; None for a constant that is a function's name."""
    rule = _RULES.get(node.kind())
    if rule is not None:
        return rule(node, unit)
    return _assigned(node, _computed(node, unit))


def _assigned(node: Any, compute: Callable[[list[Any], torch.device], Any]) -> Action:
    """Returns an action that enters what is computed from the node's inputs under its outputs' names."""
    inputs = [item.debugName() for item in node.inputs()]
    outs = [item.debugName() for item in node.outputs()]

    def act(values: Values, device: torch.device) -> None:
        result = compute([values[name] for name in inputs], device)
        if len(outs) == 1:
            values[outs[0]] = result
        else:
            values.update(zip(outs, result if outs else (), strict=True))

    return act


def _constant(node: Any, unit: Compiler) -> Action | None:
    out = node.output()
    if out.type().kind() == "FunctionType":
        return None
    value = out.toIValue()
    name = out.debugName()

    def act(values: Values, device: torch.device) -> None:
        # A tensor without dimensions is a number here; it stays where it can be read.
        moves = isinstance(value, torch.Tensor) and value.ndim > 0
        values[name] = value.to(device) if moves else value

    return act


def _get(node: Any, unit: Compiler) -> Action:
    name = node.s("name")
    return _assigned(node, lambda given, device: given[0].read(name))


def _put(node: Any, unit: Compiler) -> Action:
    name = node.s("name")
    return _assigned(node, lambda given, device: given[0].write(name, given[1]))


def _method(node: Any, unit: Compiler) -> Action:
    name = node.s("name")
    function = unit.function(f"{next(node.inputs()).type()}.{name}")

    def compute(given: list[Any], device: torch.device) -> Any:
        part, *rest = given
        if not name.startswith("forward"):
            return function.call(given, device)
        return part(*rest, run=partial(_called, function, device))

    return _assigned(node, compute)


def _called(function: Callee, device: torch.device, part: Part, *given: Any) -> Any:
    return function.call([part, *given], device)


def _function(node: Any, unit: Compiler) -> Action:
    function = unit.function(str(next(node.inputs()).type()))
    inputs = [item.debugName() for item in node.inputs()][1:]
    out = node.output().debugName()

    def act(values: Values, device: torch.device) -> None:
        values[out] = function.call([values[name] for name in inputs], device)

    return act


def _branch(node: Any, unit: Compiler) -> Action:
    condition = next(node.inputs()).debugName()
    then, other = (unit.block(block) for block in node.blocks())
    outs = [item.debugName() for item in node.outputs()]

    def act(values: Values, device: torch.device) -> None:
        chosen = then if values[condition] else other
        values.update(zip(outs, chosen.run(values, device), strict=True))

    return act


def _loop(node: Any, unit: Compiler) -> Action:
    most, start, *carried = (item.debugName() for item in node.inputs())
    (inner,) = node.blocks()
    body = unit.block(inner)
    index, *names = (item.debugName() for item in inner.inputs())
    outs = [item.debugName() for item in node.outputs()]

    def act(values: Values, device: torch.device) -> None:
        state = [values[name] for name in carried]
        turn, go = 0, values[start]
        while go and turn < values[most]:
            values.update(zip(names, state, strict=True), **{index: turn})
            go, *state = body.run(values, device)
            turn += 1
        values.update(zip(outs, state, strict=True))

    return act


def _raising(node: Any, unit: Compiler) -> Action:
    def act(values: Values, device: torch.device) -> NoReturn:
        raise RuntimeError("the file's own code raises here")

    return act


def _listed(kind: Callable[[list[Any]], Any]) -> Callable[[Any, Compiler], Action]:
    return lambda node, unit: _assigned(node, lambda given, device: kind(given))


def _as_dict(given: list[Any]) -> dict[Any, Any]:
    return dict(zip(given[::2], given[1::2], strict=True))


def _unpacked(node: Any, unit: Compiler) -> Action:
    outs = [item.debugName() for item in node.outputs()]
    source = next(node.inputs()).debugName()

    def act(values: Values, device: torch.device) -> None:
        values.update(zip(outs, values[source], strict=True))

    return act


_RULES: Mapping[str, Callable[[Any, Compiler], Action | None]] = {
    "prim::Constant": _constant,
    "prim::GetAttr": _get,
    "prim::SetAttr": _put,
    "prim::CallMethod": _method,
    "prim::CallFunction": _function,
    "prim::If": _branch,
    "prim::Loop": _loop,
    "prim::RaiseException": _raising,
    "prim::ListConstruct": _listed(list),
    "prim::TupleConstruct": _listed(tuple),
    "prim::DictConstruct": _listed(_as_dict),
    "prim::ListUnpack": _unpacked,
    "prim::TupleUnpack": _unpacked,
}


def _computed(node: Any, unit: Compiler) -> Callable[[list[Any], torch.device], Any]:
    """Returns what computes a node's result: Python on what is no tensor, else torch's op."""
    name = node.kind()
    if name in ON_ANYTHING:
        function = ON_ANYTHING[name]
        return lambda given, device: function(*given)
    plain = WITHOUT_TENSORS.get(name)
    schema = node.schema()
    if schema == "(no schema)":
        raise NotCovered(f"{name} is not run node by node")
    op = _op(name, schema, unit) if not name.startswith("prim::") else None
    if op is None and plain is None:
        raise NotCovered(f"{name} is not run node by node")
    place = _device_place(schema)

    def compute(given: list[Any], device: torch.device) -> Any:
        if plain is not None and not any(map(_has_tensor, given)):
            return plain(*(item.item() if isinstance(item, torch.Tensor) else item for item in given))
        if place is not None and (given[place] is not None or not any(map(_has_tensor, given))):
            given[place] = device
        assert op is not None
        return op(*given)

    return compute


def _op(name: str, schema: str, unit: Compiler) -> Callable[..., Any] | None:
    if name == "aten::scaled_dot_product_attention":
        # By its public name, under which the recorder sees it whole.
        return lambda *given: torch.nn.functional.scaled_dot_product_attention(*given[:5], **_by_name(given[5:]))
    overload = re.match(r"[\w:]+\.(\w+)\(", schema)
    try:
        op = find_op(name, overload[1] if overload else "", unit.unsafe)
    except InputError as error:
        raise NotCovered(str(error)) from None
    arguments = op._schema.arguments
    first = next((index for index, item in enumerate(arguments) if item.kwarg_only), len(arguments))
    names = [item.name for item in arguments[first:]]
    return lambda *given: op(*given[:first], **dict(zip(names, given[first:], strict=False)))


def _by_name(given: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(("is_causal", "scale", "enable_gqa"), given, strict=False))


def _device_place(schema: str) -> int | None:
    """Returns where the device stands among an op's arguments, None where it takes none."""
    names = [item.name for item in torch._C.parse_schema(schema).arguments]
    return names.index("device") if "device" in names else None


def _has_tensor(item: Any) -> bool:
    """Returns whether a tensor of data is among the arguments; one without dimensions that can be read is a number."""
    if isinstance(item, torch.Tensor):
        return item.ndim > 0 or item.device.type == "meta"
    return isinstance(item, list | tuple) and any(map(_has_tensor, item))
