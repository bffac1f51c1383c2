"""Records of several sources → names that tell models apart which share one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from effbench.rankings.candidates import Known


def told_apart(found: Sequence[Known]) -> tuple[Known, ...]:
    """Returns the records; those that share a name are called by their specs where these differ, else by their source.

    "resnet50" of two folders is "resnet50 (zoo-cpu)" and "resnet50 (zoo-gpu)".
    """
    groups: dict[str, list[Known]] = defaultdict(list)
    for known in found:
        groups[known.view.name].append(known)
    if len(groups) == len(found):
        return tuple(found)
    places = _short({known.source for known in found})
    names = [_name(known, groups[known.view.name], places) for known in found]
    return tuple([replace(one, view=replace(one.view, name=name)) for one, name in zip(found, names, strict=True)])


def _name(known: Known, group: Sequence[Known], places: Mapping[str, str]) -> str:
    name, spec = known.view.name, known.view.spec
    if len(group) == 1:
        return name
    if spec is not None and len({one.view.spec for one in group} - {None}) == len(group):
        return spec
    beside = [one for one in group if one.source == known.source]
    own = name if len(beside) == 1 else spec or name
    return f"{own} ({places[known.source]})" if len(beside) < len(group) and places[known.source] else own


def _short(sources: Collection[str]) -> dict[str, str]:
    """Returns for each source as many of the last parts of its path as tell it from the others."""
    parts = {source: Path(source).resolve().parts if source else () for source in sources}
    for count in range(1, max(map(len, parts.values()), default=0) + 1):
        short = {source: "/".join(own[-count:]) for source, own in parts.items()}
        if len(set(short.values())) == len(short):
            return short
    return {source: source for source in sources}
