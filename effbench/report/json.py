"""The report's data as JSON: what programs should read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from effbench.report.table import Report, Terminal, renderers

_HIDDEN = re.compile("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


@renderers.register("json")
def render_json(report: Report, terminal: Terminal | None = None) -> str:
    """Returns `report.data` as indented JSON; unknown is null, integers are exact whatever their size.

    Raises:
        ValueError: a number is NaN or infinite; what is unknown has to be None.
        TypeError: a value is not plain data.
    """
    text = json.dumps(dict(report.data), indent=2, ensure_ascii=False, allow_nan=False, default=_mapping)
    # Readers get the same characters back, terminals and encoders get none that they would obey or refuse.
    return _HIDDEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text) + "\n"


def _mapping(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not plain data: {value!r}")
