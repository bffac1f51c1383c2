"""What one forward pass of a model did: tensors, op calls, module calls, parameters."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from typing_extensions import TypeAliasType

from effbench.records.note import Note

Shape = tuple[int, ...]
# A named alias: pydantic would follow a bare recursive one forever.
Attr = TypeAliasType("Attr", "bool | int | float | str | tuple[Attr, ...] | None")
"""A non-tensor argument or hyper-parameter: plain values and tuples of them."""

REPARAMETRISES = "reparametrises"
"""The tag of an op that computes a weight from other weights, as weight and spectral normalisation do."""

COMPUTES_IN = "computes-in:"
"""Begins the tag of an op that multiplies in another dtype than it is given, as autocast lets recurrent layers do; the
dtype follows."""

Ids = int | tuple[int, ...]
"""One value id, or those of a list of tensors."""


@dataclass(frozen=True, slots=True)
class Value:
    """One tensor seen during a forward pass.

    Tensors that share memory have the same `storage`; `nbytes` is the size of that storage in bytes.
    """

    id: int
    shape: Shape
    strides: Shape
    dtype: str
    storage: int
    nbytes: int

    @property
    def numel(self) -> int:
        """Returns the number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class OpCall:
    """One call of a dispatcher op.

    Attributes:
        op: name without overload, such as "aten::convolution".
        tags: torch's own tags of the op, such as "pointwise", and `REPARAMETRISES` and `COMPUTES_IN`.
        is_view: every output shares memory with an input by the op's schema.
        mutates: names of the arguments that the op writes to.
        module: path of the innermost module running; "" is the model itself.
        inputs: value ids by the schema's argument name; absent tensors are left out.
        outputs: value ids of the tensors returned.
        attrs: every other argument by the schema's name, defaults filled in.
        frees: storages that died after this op and before the next.
    """

    op: str
    tags: tuple[str, ...]
    is_view: bool
    mutates: tuple[str, ...]
    module: str
    inputs: Mapping[str, Ids]
    outputs: tuple[int, ...]
    attrs: Mapping[str, Attr]
    frees: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ModuleCall:
    """One call of a module, in the order in which the calls returned.

    Attributes:
        path: the module's first path in the model; "" is the model itself.
        type: fully qualified class name.
        inputs: value ids of the tensors among the positional and keyword arguments.
        outputs: value ids of the tensors returned; nested containers are flattened.
        output_kind: "tensor", "sequence" (tuple or list), "mapping", "none" or "other".
        attrs: the module's plain public attributes (hyper-parameters).
        argument_kinds: the kind of each positional argument, in the words of `output_kind`.
        nesting: what a container returned holds: a value id for a tensor, a tuple for a container (of a mapping the
            values), None for anything else; None where no container was returned.
    """

    path: str
    type: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    output_kind: str
    attrs: Mapping[str, Attr]
    argument_kinds: tuple[str, ...] = ()
    nesting: Attr = None


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a function call.

    Attributes:
        type: name of its class; "Tensor" for a tensor of any class.
        value: a tensor's shape, anything else as a plain value.
    """

    type: str
    value: Attr


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """One call of a public function by the name that tools patch, as the model wrote it.

    Attributes:
        name: the attribute called, such as "torch.Tensor.add"; `x + y` calls none.
        module: path of the innermost module running; "" is the model itself.
        args: positional arguments; a method's first is the tensor it was called on.
        kwargs: keyword arguments.
    """

    name: str
    module: str
    args: tuple[Argument, ...]
    kwargs: Mapping[str, Argument]


Origin = Literal["module", "graph", "weights"]
"""What a trace was made from: a PyTorch module that ran, a graph read from a file, or named tensors alone."""

Fact = Literal["functions", "composites", "nonzeros"]
"""A field of `Trace` that is None unless it was asked for: recording it costs time."""


@dataclass(frozen=True, slots=True)
class TreeNode:
    """One path of the module tree; a shared module stands at each of its paths with one `identity`.

    Attributes:
        bases: torch.nn classes among its ancestors, nearest first, itself included.
        params: names of its own parameters, children's left out: (local name, name in `Trace.params`).
    """

    path: str
    identity: int
    type: str
    bases: tuple[str, ...]
    children: tuple[str, ...]
    params: tuple[tuple[str, str], ...]
    attrs: Mapping[str, Attr]


@dataclass(frozen=True, slots=True)
class Param:
    """One name of a parameter; `alias_of` is the name that the same tensor was met under first."""

    name: str
    shape: Shape
    dtype: str
    trainable: bool
    nbytes: int
    alias_of: str | None = None

    @property
    def numel(self) -> int:
        """Returns the number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Buffer:
    """One registered buffer."""

    name: str
    shape: Shape
    dtype: str
    nbytes: int


@dataclass(frozen=True, slots=True)
class Input:
    """One tensor given to the model; `name` is its keyword or, in a container, its place; else None."""

    name: str | None
    shape: Shape
    dtype: str
    value: int


@dataclass(frozen=True, slots=True)
class Trace:
    """What one forward pass of a model did: the facts that every count is computed from.

    Attributes:
        failed: one line saying what raised and where, or why there is no forward pass; None for a complete pass.
        origin: what the facts are of.
        functions: calls of public functions, in order; None where they were not asked for.
        composites: the calls that PyTorch got from the model: ops it composes of others (linear, matmul, einsum)
            whole, as the graph of `torch.jit.trace` holds them; None where they were not asked for.
        nonzeros: by value id, how many elements of a weight are not zero; None where they were not asked for.
    """

    inputs: tuple[Input, ...]
    values: tuple[Value, ...]
    ops: tuple[OpCall, ...]
    modules: tuple[ModuleCall, ...]
    tree: tuple[TreeNode, ...]
    params: tuple[Param, ...]
    buffers: tuple[Buffer, ...]
    notes: tuple[Note, ...] = ()
    failed: str | None = None
    origin: Origin = "module"
    functions: tuple[FunctionCall, ...] | None = None
    composites: tuple[OpCall, ...] | None = None
    nonzeros: Mapping[int, int] | None = None

    @property
    def batch(self) -> int:
        """Returns the first dimension of the first input that has one, else 1."""
        return next((item.shape[0] for item in self.inputs if item.shape), 1)

    def digest(self) -> str:
        """Returns a name for the content: 16 hexadecimal digits, the same for equal traces."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]
