"""Judgements as plain data: what `--format json` prints and every other format is rendered from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from effbench.errors import InputError
from effbench.judge.algebra import Expr
from effbench.judge.convention import conventions
from effbench.judge.count import Counts, Group, by_op, by_type, to_flops
from effbench.judge.explain import Line, Section
from effbench.judge.liveness import memory
from effbench.judge.summary import BYTES_PER_ELEMENT, MIB
from effbench.records import SCHEMA, Trace
from effbench.report.table import notes_data
from effbench.suites.published import Verdict
from effbench.units import Unit

if TYPE_CHECKING:
    from effbench.profiles import Profile

Document = dict[str, Any]
_MEMORY_FIGURES = (
    *("peak_activation_bytes", "peak_op", "peak_module", "floor_bytes", "largest_op_bytes", "largest_block_bytes"),
)


def head(profile: Profile) -> Document:
    """Returns what every document about one model starts with."""
    return {
        "schema": SCHEMA,
        "name": profile.name,
        "spec": profile.spec,
        "convention": profile.convention,
        "unit": conventions.get(profile.convention).unit.value,
        "inputs": [
            {"name": item.name, "shape": list(item.shape), "dtype": item.dtype} for item in profile.trace.inputs
        ],
    }


def profile_document(profile: Profile) -> Document:
    """Returns the document of `effbench profile`; see design.md for its keys."""
    trace, counts = profile.trace, profile.counts
    distinct = [param for param in trace.params if param.alias_of is None]
    total = sum(param.numel for param in distinct)
    trainable = sum(param.numel for param in distinct if param.trainable)
    parameter_bytes = sum(param.nbytes for param in distinct)
    summary = profile.summarised()
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
        **({} if trace.nonzeros is None else {"nonzero_macs": profile.nonzero_macs}),
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
        },
        "layers": _layer_rows(counts),
        "types": [_group(group, counts.unit) for group in by_type(counts)],
        "ops": [_group(group, counts.unit) for group in by_op(counts)],
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


def _layer_rows(counts: Counts) -> list[Document]:
    sums = _subtotals(counts)
    return [
        {
            "path": layer.path,
            "type": layer.type,
            "calls": layer.calls,
            "outputs": [list(shape) for shape in layer.outputs],
            "params": layer.params,
            **_amounts(_value(layer.amount), _value(layer.beside), counts.unit),
            "subtotal": {"params": params, **_amounts(amount, beside, counts.unit)},
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


def summary_document(profile: Profile) -> Document:
    """Returns the document of `effbench summary`.

    Raises:
        InputError: there is no forward pass, so that no layer has an output.
    """
    if profile.trace.failed is not None:
        raise InputError(f"{profile.name}: no summary can be made: {profile.trace.failed}")
    summary = profile.summarised()
    return {
        "schema": SCHEMA,
        "name": profile.name,
        "spec": profile.spec,
        "layers": [
            {"layer": row.layer, "output_shape": row.output_shape, "params": row.params} for row in summary.rows
        ],
        "params": {
            "total": summary.total,
            "trainable": summary.trainable,
            "frozen": summary.total - summary.trainable,
            "outside_table": summary.outside,
        },
        "memory": {
            "input_mb": summary.input_mb,
            "forward_backward_mb": summary.forward_backward_mb,
            "params_mb": summary.params_mb,
            "total_mb": summary.total_mb,
            "bytes_per_element": BYTES_PER_ELEMENT,
        },
        "notes": notes_data(profile.trace.notes),
    }


def explain_document(profile: Profile, layer: str | None = None) -> Document:
    """Returns the document of `effbench explain`."""
    explanation = profile.explained(layer)
    return {
        **head(profile),
        "layer": layer,
        "params": _section(explanation.params),
        "cost": _section(explanation.cost),
        "separable": [
            {
                "path": item.path,
                "macs": _line(item.macs),
                "macs_separable": _line(item.macs_separable),
                "params": _line(item.params),
                "params_separable": _line(item.params_separable),
                "ratio": {**_line(item.ratio), "result": item.ratio_value},
            }
            for item in explanation.separable
        ],
        "notes": notes_data(profile.notes),
    }


def _section(section: Section) -> Document:
    return {
        "lines": [_line(line) for line in section.lines],
        "sum": section.sum_text,
        "total": section.total,
    }


def _line(line: Line) -> Document:
    return {
        "path": line.path,
        "type": line.type,
        "formula": line.formula,
        "calculation": line.calculation,
        "result": line.result,
        "remark": line.remark,
    }


def check_document(suite: str, verdicts: Sequence[Verdict]) -> Document:
    """Returns the document of `effbench check`."""
    tally = {kind: sum(item.verdict == kind for item in verdicts) for kind in ("equal", "differs", "stated")}
    return {
        "schema": SCHEMA,
        "suite": suite,
        "figures": [
            {
                "model": item.model,
                "figure": item.figure,
                "published": item.published,
                "recomputed": item.recomputed or None,
                "verdict": item.verdict,
                "reason": item.reason,
            }
            for item in verdicts
        ],
        **tally,
        "notes": [],
    }


def listing_document(kind: str, rows: Sequence[Mapping[str, str]]) -> Document:
    """Returns the document of `effbench list`."""
    return {"schema": SCHEMA, "kind": kind, "entries": [dict(row) for row in rows], "notes": []}
