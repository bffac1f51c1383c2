"""The document of `effbench profile`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from effbench.documents.common import Document, head
from effbench.judge.algebra import Expr
from effbench.judge.count import Counts, Group, by_op, by_type, to_flops
from effbench.judge.liveness import memory
from effbench.judge.sparsity import Left, summed
from effbench.judge.summary import MIB
from effbench.records import Trace
from effbench.report.table import notes_data
from effbench.units import Unit

if TYPE_CHECKING:
    from effbench.profiles import Profile

_MEMORY_FIGURES = (
    *("peak_activation_bytes", "peak_op", "peak_module", "floor_bytes", "largest_op_bytes", "largest_block_bytes"),
)


def profile_document(profile: Profile) -> Document:
    """Returns the document of `effbench profile`; see design.md for its keys."""
    trace, counts = profile.trace, profile.counts
    distinct = [param for param in trace.params if param.alias_of is None]
    total = sum(param.numel for param in distinct)
    trainable = sum(param.numel for param in distinct if param.trainable)
    parameter_bytes = sum(param.nbytes for param in distinct)
    summary = profile.summarised()
    nonzeros = _nonzeros(profile.nonzero_calls, lambda call: call.module)
    types = {layer.path: layer.type for layer in counts.layers}
    of_types = _nonzeros(profile.nonzero_calls, lambda call: types[call.module])
    of_ops = _nonzeros(profile.nonzero_calls, lambda call: call.op)
    return {
        **head(profile),
        "params": {
            "total": total,
            "trainable": trainable,
            "frozen": total - trainable,
            "shared": sum(param.numel for param in trace.params if param.alias_of is not None),
            "bytes": parameter_bytes,
        },
        "buffers": {
            "total": sum(_numel(item.shape) for item in trace.buffers),
            "bytes": sum(item.nbytes for item in trace.buffers),
        },
        "macs": counts.macs,
        "flops": counts.flops,
        "activations": counts.activations if trace.failed is None else None,
        **({} if nonzeros is None else {"nonzero_macs": profile.nonzero_macs}),
        "per_sample": {
            "macs": _per_sample(counts.macs, trace.batch),
            "flops": _per_sample(counts.flops, trace.batch),
        },
        "coverage": {
            "counted": counts.coverage.counted,
            "free": counts.coverage.free,
            "unknown": dict(counts.coverage.unknown),
        },
        "memory": {
            "parameters_bytes": parameter_bytes,
            **_activations(trace),
            "forward_backward_bytes": round(summary.forward_backward_mb * MIB) if trace.failed is None else None,
            **({} if profile.allocated is None else {"measured": asdict(profile.allocated)}),
        },
        "layers": _layer_rows(counts, nonzeros),
        "types": [{**_group(group, counts.unit), **_nonzero_of(group.name, of_types)} for group in by_type(counts)],
        "ops": [{**_group(group, counts.unit), **_nonzero_of(group.name, of_ops)} for group in by_op(counts)],
        "notes": notes_data(profile.notes),
    }


def _activations(trace: Trace) -> Document:
    """Returns the figures of `judge.liveness`, the op and module at the peak named; null where inputs alone set it.

    All are null where there is no forward pass.
    """
    if trace.failed is not None:
        return dict.fromkeys(_MEMORY_FIGURES)
    found = memory(trace)
    return {
        "peak_activation_bytes": found.peak.nbytes,
        "peak_op": found.peak.op or None,
        "peak_module": found.peak.module if found.peak.op else None,
        "floor_bytes": found.floor.nbytes,
        "largest_op_bytes": found.largest_op.nbytes,
        "largest_block_bytes": found.largest_block.nbytes,
    }


def _numel(shape: Sequence[int]) -> int:
    product = 1
    for size in shape:
        product *= size
    return product


def _per_sample(amount: int | None, batch: int) -> int | float | None:
    """Returns the share of one sample: an integer where the batch divides the amount."""
    if amount is None or batch == 0:
        return None
    return amount // batch if amount % batch == 0 else amount / batch


def _amounts(amount: int | None, beside: int | None, unit: Unit) -> Document:
    return {
        "macs": amount if unit is Unit.MAC else beside,
        "flops": None if amount is None else to_flops(amount, unit),
    }


def _group(group: Group, unit: Unit) -> Document:
    return {
        "name": group.name,
        "calls": group.calls,
        "params": group.params,
        **_amounts(group.amount, group.beside, unit),
    }


Nonzeros = Mapping[str, int | None] | None
"""MACs over weights that are not zero, by a name; None where they were not asked for."""


def _nonzeros(calls: Iterable[Left] | None, name: Callable[[Left], str]) -> Nonzeros:
    """Returns the calls' MACs summed by the name that each is given."""
    if calls is None:
        return None
    groups: dict[str, list[Left]] = {}
    for call in calls:
        groups.setdefault(name(call), []).append(call)
    return {key: summed(group) for key, group in groups.items()}


def _nonzero_of(name: str, nonzeros: Nonzeros) -> Document:
    """Returns a row's entry, nothing where it was not asked for."""
    return {} if nonzeros is None else {"nonzero_macs": nonzeros.get(name, 0)}


def _layer_rows(counts: Counts, nonzeros: Nonzeros) -> list[Document]:
    sums = _subtotals(counts)
    below = None if nonzeros is None else _with_below({row.path: nonzeros.get(row.path, 0) for row in counts.layers})
    return [
        {
            "path": layer.path,
            "type": layer.type,
            "calls": layer.calls,
            "outputs": [list(shape) for shape in layer.outputs],
            "params": layer.params,
            **_amounts(_value(layer.amount), _value(layer.beside), counts.unit),
            **_nonzero_of(layer.path, nonzeros),
            "subtotal": {
                "params": params,
                **_amounts(amount, beside, counts.unit),
                **_nonzero_of(layer.path, below),
            },
        }
        for layer, (params, amount, beside) in zip(counts.layers, sums, strict=True)
    ]


def _subtotals(counts: Counts) -> list[tuple[int, int | None, int | None]]:
    """Returns (parameters, amount, second figure) of each layer with all below it; None where one is unknown."""
    params = _with_below({layer.path: layer.params for layer in counts.layers})
    amounts = _with_below({layer.path: _value(layer.amount) for layer in counts.layers})
    beside = _with_below({layer.path: _value(layer.beside) for layer in counts.layers})
    return [(params[layer.path] or 0, amounts[layer.path], beside[layer.path]) for layer in counts.layers]


def _with_below(own: Mapping[str, int | None]) -> dict[str, int | None]:
    """Returns what each path has with all below it; None where one of them is unknown."""
    sums: dict[str, int | None] = {}
    for path, amount in own.items():
        for above in _with_parents(path):
            known = sums.get(above, 0)
            sums[above] = None if known is None or amount is None else known + amount
    return sums


def _value(amount: Expr | None) -> int | None:
    return None if amount is None else amount.value


def _with_parents(path: str) -> list[str]:
    """Returns "a.b", "a" and "" for "a.b"."""
    found = [path]
    while path:
        path = path.rpartition(".")[0]
        found.append(path)
    return found
