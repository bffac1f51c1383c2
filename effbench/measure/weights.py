"""A bag of named tensors → what can be said without the architecture: parameters, and nothing of their cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from effbench.errors import InputError
from effbench.measure.paths import below, children_of, owner, with_parents
from effbench.measure.source import Traced
from effbench.records import Buffer, Note, Param, Shape, Trace, TreeNode

# What torch's own normalisations register as buffers (torch.nn.modules.batchnorm).
_MEASURED = frozenset({"running_mean", "running_var", "num_batches_tracked"})
_WEIGHTS = frozenset({"weight", "bias"})

NO_FORWARD = (
    "it holds parameters and no architecture, so MACs and FLOPs stay unknown: profile the model's code instead, "
    "for example net.py:Net"
)
_HOW_BUFFERS_ARE_TOLD = (
    "a state dict does not say which tensors are parameters: the statistics of batch norms and integer tensors other "
    "than a weight or bias count as buffers, all others as parameters"
)


class Weight(NamedTuple):
    """One named tensor; `storage` is the same for names of one tensor, None where the file cannot tell."""

    name: str
    shape: Shape
    dtype: str
    nbytes: int
    storage: object = None


def weights_only(name: str, spec: str, weights: Sequence[Weight], notes: Iterable[Note] = ()) -> Traced:
    """Returns what a bag of named tensors says of a model: parameters by module path, no cost.

    Raises:
        InputError: there are no tensors, or more module paths than any model has.
    """
    if not weights:
        raise InputError(f"{spec}: holds no tensors")
    params = tuple(_params(weights))
    buffers = tuple(
        Buffer(item.name, item.shape, item.dtype, item.nbytes) for item in weights if not _is_parameter(item)
    )
    try:
        tree = _tree(params)
    except InputError as error:
        raise InputError(f"{spec}: {error}") from None
    told = (
        Note("parameters-only", name, NO_FORWARD),
        *([Note("buffers", name, _HOW_BUFFERS_ARE_TOLD)] if buffers else []),
        *notes,
    )
    return Traced(name, spec, Trace((), (), (), (), tree, params, buffers, told, failed=NO_FORWARD, origin="weights"))


def _is_parameter(weight: Weight) -> bool:
    local = weight.name.rpartition(".")[2]
    is_floating = weight.dtype.startswith(("float", "bfloat", "complex"))
    return local not in _MEASURED and (is_floating or local in _WEIGHTS)


def _params(weights: Iterable[Weight]) -> Iterable[Param]:
    """Gives the parameters under names whose path is that of their module; a second name points to the first."""
    first: dict[object, str] = {}
    for item in weights:
        if _is_parameter(item):
            label = below(owner(item.name), item.name.rpartition(".")[2])
            known = label if item.storage is None else first.setdefault(item.storage, label)
            yield Param(label, item.shape, item.dtype, True, item.nbytes, None if known == label else known)


def _tree(params: Sequence[Param]) -> tuple[TreeNode, ...]:
    paths = with_parents(owner(param.name) for param in params)
    own: dict[str, list[tuple[str, str]]] = {}
    for param in params:
        own.setdefault(owner(param.name), []).append((param.name.rpartition(".")[2], param.alias_of or param.name))
    children = children_of(paths)
    return tuple(
        TreeNode(path, number, "unknown", (), tuple(children[path]), tuple(own.get(path, ())), {})
        for number, path in enumerate(paths)
    )
