"""A roofline as plain data: what JSON prints and every picture is drawn from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from effbench.judge.roofline import OpRoof, Roofline
from effbench.judge.roofline_layers import LayerRoof, by_layer
from effbench.records import Note

Document = dict[str, Any]


def roofline_document(found: Roofline, name: str, notes: Iterable[Note] = ()) -> Document:
    """Returns the document of a model's roofline; seconds, bytes and FLOPs throughout, None where not known."""
    ceilings = found.ceilings
    used = sorted({op.dtype for op in found.ops if op.dtype in ceilings.flops_per_s and op.flops and op.flops.count})
    return {
        "name": name,
        "ceilings": {
            "bytes_per_s": ceilings.bytes_per_s,
            "flops_per_s": {dtype: ceilings.flops_per_s[dtype] for dtype in used},
            "ridge_flops_per_byte": {dtype: ceilings.ridge(dtype) for dtype in used},
        },
        "latency_s": found.latency_s,
        "measured_s": found.measured_s,
        "bound_s": found.bound_s,
        "at_least_s": found.at_least_s,
        "achieved": found.achieved,
        "achieved_at_least": found.achieved_at_least,
        "seconds_by_bound": dict(found.seconds_by_bound),
        "unknown": dict(found.unknown),
        "layers": [_layer(layer) for layer in by_layer(found)],
        "ops": [_op(op) for op in found.ops],
        "notes": [{"code": note.code, "subject": note.subject, "text": note.text} for note in notes],
    }


def _op(op: OpRoof) -> Document:
    return {
        "index": op.index,
        "op": op.op,
        "path": op.module,
        "dtype": op.dtype,
        "flops": None if op.flops is None else op.flops.count,
        "read_bytes": None if op.traffic is None else op.traffic.read,
        "written_bytes": None if op.traffic is None else op.traffic.written,
        "intensity": op.intensity,
        "attainable_s": op.attainable_s,
        "at_least_s": op.at_least_s,
        "bound": op.bound,
        "measured_s": op.measured_s,
        "utilisation": op.utilisation,
    }


def _layer(layer: LayerRoof) -> Document:
    return {
        "path": layer.path,
        "calls": layer.calls,
        "flops": None if layer.flops is None else layer.flops.count,
        "bytes": layer.nbytes,
        "attainable_s": layer.attainable_s,
        "measured_s": layer.measured_s,
    }
