"""Which models may stand in one leaderboard: those whose figures were taken under the same conditions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Conditions: TypeAlias = tuple[tuple[str, str], ...]
"""What a figure depends on beside its model, as (name, text); a condition that nobody stated is not in it."""

Under: TypeAlias = Mapping[str, Conditions]
"""The conditions of one model's figures, by term."""

NAMED = 3
"""Models, values and conditions that one line names before it counts the rest."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A condition that is not the same for all models.

    Attributes:
        condition: "batch", "device", "convention", …
        values: what it is, and the models it is so for; the most frequent first.
        unstated: models that do not state it, while others do.
    """

    condition: str
    values: tuple[tuple[str, tuple[str, ...]], ...]
    unstated: tuple[str, ...] = ()


def conditions_of(models: Sequence[tuple[str, Under]], terms: Iterable[str]) -> tuple[Difference, ...]:
    """Returns every condition that any of the terms states, with its values over the models.

    Args:
        models: each with the conditions of its figures.
        terms: those that count; a model without such a term says nothing.
    """
    read = tuple(dict.fromkeys(terms))
    sets: dict[tuple[Conditions, ...], list[str]] = {}
    for name, under in models:  # many models share few sets of conditions: only these are taken apart
        sets.setdefault(tuple([under.get(term, ()) for term in read]), []).append(name)
    values: dict[str, dict[str, list[str]]] = {}
    for found, names in sets.items():
        for condition, text in dict.fromkeys(pair for one in found for pair in one):
            values.setdefault(condition, {}).setdefault(text, []).extend(names)
    everyone = [name for name, _ in models]
    return tuple(_difference(condition, groups, everyone) for condition, groups in values.items())


def _difference(condition: str, groups: Mapping[str, Sequence[str]], everyone: Sequence[str]) -> Difference:
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    stated = {name for names in groups.values() for name in names}
    unstated = () if len(stated) == len(everyone) else tuple(name for name in everyone if name not in stated)
    return Difference(condition, tuple((text, tuple(names)) for text, names in ordered), unstated)


def differing(found: Iterable[Difference]) -> tuple[Difference, ...]:
    """Returns the conditions with more than one value."""
    return tuple(one for one in found if len(one.values) > 1)


def not_stated(found: Iterable[Difference]) -> tuple[Difference, ...]:
    """Returns the conditions that some models state and others do not: whether those are alike cannot be known."""
    return tuple(one for one in found if one.unstated)


def told(found: Sequence[Difference], counted: int = 0) -> str:
    """Returns what differs in one line: "batch differs: 64 (a, b), 256 (c); threads differs: 1 (a, b), 2 (c)".

    Args:
        found: the differences.
        counted: groups of more models than this are counted, not named; 0 names some of each.
    """
    lines = [
        f"{one.condition} differs: {listed([_value(text, names, counted) for text, names in one.values])}"
        for one in found[:NAMED]
    ]
    rest = [one.condition for one in found[NAMED:]]
    return "; ".join([*lines, *([f"so do {listed(rest)}"] if rest else [])])


def _value(text: str, names: Sequence[str], counted: int) -> str:
    return f"{text} ({len(names):,} models)" if 0 < counted < len(names) else f"{text} ({listed(names)})"


def listed(names: Sequence[str], most: int = NAMED) -> str:
    """Returns the first names and how many follow: "a, b, c and 12 more"."""
    more = len(names) - most
    return ", ".join(names) if more <= 0 else f"{', '.join(names[:most])} and {more:,} more"


def remedy(found: Sequence[Difference]) -> str:
    """Returns what to do about models that differ; a filter reads numbers alone."""
    first = found[0]
    filtered = (
        " or --filter" if first.condition.isidentifier() and all(_is_number(text) for text, _ in first.values) else ""
    )
    by = first.condition if " " not in first.condition else f"'{first.condition}'"
    return f"rank those apart with --by {by}{filtered}, or together with --mixed"


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()
