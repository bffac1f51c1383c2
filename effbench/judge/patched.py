"""What a tool that patches public functions reads of a call: its arguments, and the module it happened in.

Such a tool replaces an attribute like `torch.Tensor.add` by a handler of its own signature and lets that look at the
arguments before the call goes on. A rule here is a function with the parameters of one handler, so that a call the
handler cannot take (an argument under another name, a list where it multiplies a tuple) fails here as it fails there.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from typing import Any, TypeVar

from effbench.judge.algebra import Expr, elements, product
from effbench.records import Argument, FunctionCall, ModuleCall, Shape, Trace, TreeNode

Result = TypeVar("Result")


class ToolRaises(Exception):
    """The reproduced tool itself raises at this call; the text says on what."""


class Size(tuple[int, ...]):
    """A torch.Size: a tuple by `isinstance` and none by `type`."""


@dataclass(frozen=True, slots=True)
class TensorShape:
    """A tensor among the arguments."""

    shape: Shape


def outcome(rule: Callable[..., Result], call: FunctionCall) -> Result:
    """Returns what a rule makes of a call.

    Raises:
        ToolRaises: the handler that the rule stands for does not take these arguments.
    """
    args = [_given(argument) for argument in call.args]
    kwargs = {name: _given(argument) for name, argument in call.kwargs.items()}
    try:
        _signature(rule).bind(*args, **kwargs)
    except TypeError as error:
        raise ToolRaises(f"its handler does not take these arguments: {error}") from None
    return rule(*args, **kwargs)


@cache
def _signature(rule: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(rule)


_CONTAINERS: Mapping[str, Callable[[Iterable[Any]], Any]] = {"list": list, "tuple": tuple, "Size": Size}


def _given(argument: Argument) -> Any:
    if argument.type == "Tensor":
        if argument.value is None:
            raise ToolRaises("a ragged tensor has no shape to count by")
        assert isinstance(argument.value, tuple)
        return TensorShape(tuple(size for size in argument.value if isinstance(size, int)))
    container = _CONTAINERS.get(argument.type)
    return container(argument.value) if container and isinstance(argument.value, tuple) else argument.value


def shape_of(value: object) -> Shape:
    """Returns a tensor's shape.

    Raises:
        ToolRaises: it is no tensor, and the handler asks it for its shape.
    """
    if not isinstance(value, TensorShape):
        raise ToolRaises(f"its handler takes {value!r} for a tensor")
    return value.shape


def size_at(shape: Shape, index: int) -> int:
    """Returns one size of a shape.

    Raises:
        ToolRaises: the shape is too short.
    """
    try:
        return shape[index]
    except IndexError:
        raise ToolRaises(f"its handler asks a tensor of {len(shape)} dimensions for size {index}") from None


def matmul_macs(left: object, right: object) -> Expr:
    """Returns the elements of the left factor times the last size of the right, whatever their dimensions."""
    return elements(shape_of(left), "left") * product(columns=size_at(shape_of(right), -1))


def aligned_left(one: object, other: object) -> Expr:
    """Returns an element-wise op's elements with both shapes aligned at their first dimension, where PyTorch
    aligns them at the last."""
    if not isinstance(one, TensorShape):
        return elements(other.shape) if isinstance(other, TensorShape) else product(n=1)
    if not isinstance(other, TensorShape):
        return elements(one.shape)
    return elements(tuple(max(pair) for pair in zip_longest(one.shape, other.shape, fillvalue=1)))


def broadcast(one: Shape, other: Shape) -> Shape:
    """Returns the shape of an element-wise result.

    Raises:
        ToolRaises: the shapes do not broadcast.
    """
    pairs = list(zip_longest(reversed(one), reversed(other), fillvalue=1))
    if any(a != b and 1 not in (a, b) for a, b in pairs):
        raise ToolRaises(f"shapes {one} and {other} do not broadcast")
    return tuple(b if a == 1 else a for a, b in reversed(pairs))


@dataclass(frozen=True, slots=True)
class Called:
    """A module call as a forward hook sees it.

    Attributes:
        args: shapes of the positional arguments, None for one that is no tensor; None where their places are not known.
        weights: shapes of the module's own parameters, by local name.
    """

    type: str
    args: tuple[Shape | None, ...]
    out: Shape | None
    attrs: Mapping[str, Any]
    weights: Mapping[str, Shape]

    @property
    def given(self) -> Shape:
        """Returns the shape of the first positional argument.

        Raises:
            ToolRaises: there is none, or it is no tensor.
        """
        if not self.args or self.args[0] is None:
            raise ToolRaises(f"its hook finds no tensor as the first positional argument of {self.type}")
        return self.args[0]

    @property
    def returned(self) -> Shape:
        """Returns the shape of the tensor returned.

        Raises:
            ToolRaises: something else was returned.
        """
        if self.out is None:
            raise ToolRaises(f"its hook takes what {self.type} returns for a tensor")
        return self.out

    def weight(self, name: str) -> Shape:
        """Returns the shape of a parameter.

        Raises:
            ToolRaises: the module has none of that name (it was re-parametrised).
        """
        if name not in self.weights:
            raise ToolRaises(f"its hook finds no parameter {name} in {self.type}")
        return self.weights[name]


def calls_of(trace: Trace) -> Iterator[tuple[ModuleCall, Called]]:
    """Gives every module call with what a forward hook would see of it."""
    shapes = {param.name: param.shape for param in trace.params}
    weights: dict[str, Mapping[str, Shape]] = {}
    for node in reversed(trace.tree):
        weights[node.path] = {local: shapes[name] for local, name in node.params}
    for call in trace.modules:
        out = trace.values[call.outputs[0]].shape if call.output_kind == "tensor" else None
        yield call, Called(call.type, _positional(call, trace), out, call.attrs, weights[call.path])


def _positional(call: ModuleCall, trace: Trace) -> tuple[Shape | None, ...]:
    """Returns the shapes by position; behind a container, whose tensors cannot be told from the next ones, None."""
    tensors = iter(call.inputs)
    found: list[Shape | None] = []
    clear = True
    for kind in call.argument_kinds:
        clear = clear and kind in ("tensor", "none")
        found.append(trace.values[next(tensors)].shape if clear and kind == "tensor" else None)
    return tuple(found)


def visits(tree: Sequence[TreeNode], closed: Callable[[TreeNode], bool] = lambda node: False) -> dict[str, int]:
    """Returns, by first path, how often a walk by `Module.children` meets each module.

    A module stands once among the children of one parent, and again below every other parent; the walk does not go
    below a closed one.
    """
    nodes = {node.path: node for node in tree}
    first = {node.identity: node.path for node in reversed(tree)}
    met: dict[str, int] = {}
    waiting = [tree[0]]
    while waiting:
        node = waiting.pop()
        met[first[node.identity]] = met.get(first[node.identity], 0) + 1
        if closed(node):
            continue
        below = (nodes.get(f"{node.path}.{name}" if node.path else name) for name in node.children)
        waiting.extend({child.identity: child for child in below if child is not None}.values())
    return met


def recurrent(called: Called, per_step: Callable[[str, Shape, Shape, int], int]) -> Expr:
    """Returns the operations of an RNN layer or cell as ptflops and those after it count them.

    The first two sizes of the input are taken for batch and length, in whatever order. A second direction doubles
    the first one's count; what it adds to the input of the next layer is in the weights' shapes.

    Args:
        called: the call. per_step: (kind, input weights, hidden weights, hidden size) → operations of a step, biases
            left out.
    """
    kind = called.type.rpartition(".")[2]
    hidden: int = called.attrs["hidden_size"]
    ends = [""] if kind.endswith("Cell") else [f"_l{layer}" for layer in range(called.attrs["num_layers"])]
    step = 0
    for end in ends:
        step += per_step(kind, called.weight(f"weight_ih{end}"), called.weight(f"weight_hh{end}"), hidden)
        if called.attrs["bias"]:
            step += called.weight(f"bias_ih{end}")[0] + called.weight(f"bias_hh{end}")[0]
    if kind.endswith("Cell"):
        size_at(called.given, 1)  # their hook reads it, and a cell may be given a single row
        return product(N=size_at(called.given, 0), cell=step)
    directions = 2 if called.attrs["bidirectional"] else 1
    return product(N=size_at(called.given, 0), T=size_at(called.given, 1), step=step, directions=directions)


def gate_arithmetic(kind: str, hidden: int) -> int:
    """Returns the element-wise operations of one step: an addition, a GRU's 7 or an LSTM's 10 per hidden unit."""
    return hidden * {"RNN": 1, "GRU": 7, "LSTM": 10}[kind.removesuffix("Cell")]


RECURRENT = frozenset(f"torch.nn.modules.rnn.{kind}{end}" for kind in ("RNN", "GRU", "LSTM") for end in ("", "Cell"))
"""Classes that the tools count by a hook; a subclass is none of them."""


def whole(number: int) -> Expr:
    """Returns a number as an expression; 0 has no terms."""
    return product(n=number) if number else Expr()


def numel(shape: Shape) -> int:
    """Returns the number of elements."""
    return math.prod(shape)
