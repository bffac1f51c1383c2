"""The report's data as JSON: what programs should read."""

from __future__ import annotations

import json
import math
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
    text = _text(report.data)
    # Readers get the same characters back, terminals and encoders get none that they would obey or refuse.
    return _HIDDEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text) + "\n"


def _text(data: Mapping[str, object]) -> str:
    """Returns the data as JSON; pydantic's writer takes a fifth of the time of Python's own that indents."""
    from pydantic_core import PydanticSerializationError, to_json

    _check(data, _PLAIN_OR_FLOAT)
    try:
        text = to_json(data, indent=2, inf_nan_mode="constants").decode()
    except PydanticSerializationError:  # of plain data only a lone surrogate, from a file name that is no UTF-8
        text = json.dumps(data, indent=2, ensure_ascii=False, default=dict)
    if "NaN" in text or "Infinity" in text:  # a number, or part of a name
        _check(data, _PLAIN)
    return text


_PLAIN: frozenset[type] = frozenset((str, int, bool, type(None)))
_PLAIN_OR_FLOAT: frozenset[type] = _PLAIN | {float}
_GROUPS = (dict, list, tuple, Mapping)


def _check(value: object, passed: frozenset[type]) -> None:
    """Raises for what pydantic's writer would take all the same: NaN, a dataclass as its fields.

    Types that are passed are not looked into, nor are empty dicts: 100,000 rows hold two million values.
    """
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} has no JSON: what is unknown has to be None")
    elif isinstance(value, _GROUPS):
        items = value if isinstance(value, list | tuple) else value.values()
        if passed.issuperset(map(type, items)):
            return
        for item in items:
            if type(item) not in passed and (type(item) is not dict or item):
                _check(item, passed)
    elif not (value is None or isinstance(value, str | int)):
        raise TypeError(f"{type(value).__name__} is not plain data: {value!r}")
