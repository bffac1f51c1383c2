"""What `effbench list KIND` says of each registered name, without loading torch."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

from effbench.errors import UnknownName

Rows = Sequence[Mapping[str, str]]


def entries(kind: str) -> Rows:
    """Returns name and one line about each registered thing of a kind.

    Raises:
        UnknownName: no such kind.
    """
    listing = _LISTINGS.get(kind)
    if listing is None:
        raise UnknownName("kind", kind, _LISTINGS)
    return listing()


_SPEC = re.compile(r"(?P<spec>(?:`[^`]+`|[^`:])+): (?P<about>.+)")
"""The first line of a loader's file: how a spec is written, and what it names."""


def _first_line(item: object) -> str:
    """Returns what a docstring says first, without the "Returns" that all of them begin with."""
    return (item.__doc__ or "").strip().partition("\n")[0].removeprefix("Returns ").rstrip(".")


def _file_of(item: object) -> object:
    """Returns the module that a registered thing is written in, one file each."""
    return sys.modules[item.__module__]


def _conventions() -> Rows:
    import effbench.judge.conventions  # noqa: F401  fills the table
    from effbench.judge.convention import conventions

    return [
        {"name": name, "unit": item.unit.value, "about": f"{item.unit.value}: {item.about}"}
        for name, item in conventions.items()
    ]


def _ops() -> Rows:
    import effbench.judge.formulas  # noqa: F401  fills the table
    from effbench.judge.free import MOVES_DATA, NO_INNER_PRODUCT
    from effbench.judge.work import formulas

    rows = {name: _first_line(item.function) for name, item in formulas.items()}
    rows |= {name: f"free: {reason}" for name, reason in MOVES_DATA.items()}
    rows |= {name: f"no MACs: {reason}" for name, reason in NO_INNER_PRODUCT.items()}
    return [{"name": name, "about": about} for name, about in sorted(rows.items())]


def _loaders() -> Rows:
    import effbench.measure.loaders  # noqa: F401  fills the table
    from effbench.measure.load import loaders

    return _told(loaders.items())


def _data() -> Rows:
    import effbench.measure.data  # noqa: F401  fills the table
    from effbench.measure.data.source import data_sources

    return _told(data_sources.items())


def _told(entries: Iterable[tuple[str, object]]) -> Rows:
    """Returns what the files of registered things say of how one is written, and of what it names."""
    rows = []
    for name, item in entries:
        said = _SPEC.fullmatch(_first_line(_file_of(item)))  # of a user's loader its function is asked
        spec, about = ("", _first_line(item)) if said is None else (said["spec"].replace("`", ""), said["about"])
        rows.append({"name": name, "spec": spec, "about": about})
    return rows


def _scores() -> Rows:
    from effbench.judge.scores import scores

    return [
        {
            "name": name,
            "formula": item.formula.replace("ERROR", "error"),
            "direction": item.direction,
            "parameters": "; ".join(map(str, item.parameters)),
            "source": item.source,
            "about": item.about,
        }
        for name, item in scores.items()
    ]


def _metrics() -> Rows:
    from effbench.metrics import metrics

    return [
        {
            "name": name,
            "unit": item.unit,
            "direction": item.direction,
            "settings": "; ".join(map(str, item.settings)),
            "needs": item.needs,
            "about": f"{item.about}, in {item.unit}; {item.direction} is better",
        }
        for name, item in metrics.items()
    ]


def _formats() -> Rows:
    from effbench.report.table import renderers

    return [
        {"name": name, "about": _first_line(_file_of(item)) or _first_line(item)} for name, item in renderers.items()
    ]


def _peers() -> Rows:
    import effbench.measure.peers  # noqa: F401  fills the table
    from effbench.measure.peer import availability

    return [{"name": name, "about": about} for name, about in availability().items()]


_LISTINGS: Mapping[str, Callable[[], Rows]] = {
    "conventions": _conventions,
    "data": _data,
    "formats": _formats,
    "loaders": _loaders,
    "metrics": _metrics,
    "ops": _ops,
    "peers": _peers,
    "scores": _scores,
}
