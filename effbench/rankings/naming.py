"""Records of several sources → names that tell models apart which share one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
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
    names = {id(known): name for group in groups.values() for known, name in _named(group, places)}
    return tuple([replace(one, view=replace(one.view, name=names[id(one)])) for one in found])


def _named(group: Sequence[Known], places: Mapping[str, str]) -> Iterator[tuple[Known, str]]:
    """Gives each record of one name, which thousands may share, with what to call it."""
    specs = {known.view.spec for known in group} - {None}
    beside = Counter(known.source for known in group)
    for known in group:
        name, spec, place = known.view.name, known.view.spec, places[known.source]
        if spec is not None and len(specs) == len(group) > 1:
            yield known, spec
            continue
        own = name if beside[known.source] == 1 else spec or name
        yield known, f"{own} ({place})" if len(beside) > 1 and place else own


def _short(sources: Collection[str]) -> dict[str, str]:
    """Returns for each source as many of the last parts of its path as tell it from the others."""
    parts = {source: Path(source).resolve().parts if source else () for source in sources}
    for count in range(1, max(map(len, parts.values()), default=0) + 1):
        short = {source: "/".join(own[-count:]) for source, own in parts.items()}
        if len(set(short.values())) == len(short):
            return short
    return {source: source for source in sources}
