"""Judgements as plain data: what `--format json` prints and every other format is rendered from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from effbench.judge.convention import conventions
from effbench.judge.count import Counts, Group, by_op, by_type, to_flops
from effbench.judge.explain import Line, Section
from effbench.judge.liveness import peak_activation_bytes
from effbench.judge.rank import Ranking
from effbench.judge.summary import BYTES_PER_ELEMENT, MIB
from effbench.records import SCHEMA, Note
from effbench.report.table import notes_data
from effbench.suites.published import Verdict
from effbench.units import Unit

if TYPE_CHECKING:
    from effbench.profiles import Profile

Document = dict[str, Any]


def _head(profile: Profile) -> Document:
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
        **_head(profile),
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
        "activations": counts.activations,
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
            "peak_activation_bytes": peak_activation_bytes(trace),
            "forward_backward_bytes": round(summary.forward_backward_mb * MIB),
        },
        "layers": _layer_rows(counts),
        "types": [_group(group, counts.unit) for group in by_type(counts)],
        "ops": [_group(group, counts.unit) for group in by_op(counts)],
        "notes": notes_data(profile.notes),
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


def _amounts(amount: int | None, unit: Unit) -> Document:
    return {
        "macs": amount if unit is Unit.MAC else None,
        "flops": None if amount is None else to_flops(amount, unit),
    }


def _group(group: Group, unit: Unit) -> Document:
    return {"name": group.name, "calls": group.calls, "params": group.params, **_amounts(group.amount, unit)}


def _layer_rows(counts: Counts) -> list[Document]:
    sums = _subtotals(counts)
    return [
        {
            "path": layer.path,
            "type": layer.type,
            "calls": layer.calls,
            "outputs": [list(shape) for shape in layer.outputs],
            "params": layer.params,
            **_amounts(None if layer.amount is None else layer.amount.value, counts.unit),
            "subtotal": {"params": params, **_amounts(amount, counts.unit)},
        }
        for layer, (params, amount) in zip(counts.layers, sums, strict=True)
    ]


def _subtotals(counts: Counts) -> list[tuple[int, int | None]]:
    """Returns (parameters, amount) of each layer with all below it; None where one of them is unknown."""
    params: dict[str, int] = {}
    amounts: dict[str, int] = {}
    unknown: set[str] = set()
    for layer in counts.layers:
        for path in _with_parents(layer.path):
            params[path] = params.get(path, 0) + layer.params
            if layer.amount is None:
                unknown.add(path)
            else:
                amounts[path] = amounts.get(path, 0) + layer.amount.value
    return [
        (params[layer.path], None if layer.path in unknown else amounts.get(layer.path, 0)) for layer in counts.layers
    ]


def _with_parents(path: str) -> list[str]:
    """Returns "a.b", "a" and "" for "a.b"."""
    found = [path]
    while path:
        path = path.rpartition(".")[0]
        found.append(path)
    return found


def summary_document(profile: Profile) -> Document:
    """Returns the document of `effbench summary`."""
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
        **_head(profile),
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


def ranking_document(ranking: Ranking, convention: str, notes: Sequence[Note] = ()) -> Document:
    """Returns the document of `effbench rank`; a score that overflowed is null, its logarithm is not."""
    return {
        "schema": SCHEMA,
        "score": ranking.score.name,
        "formula": ranking.score.formula.replace("ERROR", ranking.error_name),
        "metric": ranking.metric,
        "unit": ranking.unit,
        "convention": convention,
        "flops_per_count": 2 if conventions.get(convention).unit is Unit.MAC else 1,
        "rows": [
            {
                "rank": row.rank,
                "model": row.name,
                "params": row.params,
                "flops": row.flops,
                "error": row.error,
                "score": row.score if row.score != float("inf") else None,
                "ln_score": row.log_score,
                "source": row.source,
                "break_even": row.break_even,
                "lead": row.lead,
            }
            for row in ranking.rows
        ],
        "excluded": [{"model": item.name, "reason": item.reason} for item in ranking.excluded],
        "notes": notes_data((*ranking.notes, *notes)),
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
