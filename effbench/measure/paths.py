"""Module paths out of names that files give: "layer1.0.conv1" for "layer1.0.conv1.weight"."""

from __future__ import annotations

from collections.abc import Iterable

from effbench.errors import InputError

DEEPEST = 32
"""Levels of modules that are shown; a name with more of them is taken as one word."""
_MOST_PATHS = 500_000


def tidy(path: str) -> str:
    """Returns a path without empty steps."""
    steps = [step for step in path.split(".") if step]
    return ".".join(steps) if len(steps) <= DEEPEST else word(path)


def word(name: str) -> str:
    """Returns a name that is one step of a path."""
    return name.replace(".", "_")


def owner(name: str) -> str:
    """Returns the module path in a tensor's dotted name, "" where there is none."""
    return tidy(name.rpartition(".")[0])


def below(path: str, local: str) -> str:
    """Returns the name of something in a module; the model itself is ""."""
    return f"{path}.{local}" if path else local


def with_parents(paths: Iterable[str]) -> list[str]:
    """Returns the paths and all above them, parents first, in order of first mention; the model itself is "".

    Raises:
        InputError: there are more than any model has.
    """
    found: dict[str, None] = {"": None}
    for path in paths:
        if path in found:
            continue
        steps = path.split(".")
        found.update((".".join(steps[: level + 1]), None) for level in range(len(steps)))
        if len(found) > _MOST_PATHS:
            raise InputError(f"it names more than {_MOST_PATHS:,} modules: no model has as many")
    return list(found)


def children_of(paths: Iterable[str]) -> dict[str, list[str]]:
    """Returns the names of each path's children, for paths that come with all above them."""
    found: dict[str, list[str]] = {path: [] for path in paths}
    for path in found:
        if path:
            above, _, step = path.rpartition(".")
            found[above].append(step)
    return found
