"""The document of `effbench summary`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from effbench.documents.common import Document
from effbench.errors import InputError
from effbench.judge.summary import BYTES_PER_ELEMENT
from effbench.records import SCHEMA
from effbench.report.table import notes_data

if TYPE_CHECKING:
    from effbench.profiles import Profile


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
