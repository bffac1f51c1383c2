"""The document of `effbench explain`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from effbench.documents.common import Document, head
from effbench.judge.explain import Line, Section
from effbench.report.table import notes_data

if TYPE_CHECKING:
    from effbench.profiles import Profile


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
