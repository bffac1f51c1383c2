"""Modules that stand for those of a graph: a file that says what a model does knows their paths and classes.

The recorder learns from `nn.Module` calls where an op belongs. A graph read from a file has none, so each module it
names gets a `Part`, and the ops that belong to it are run inside a call of that part.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from torch import nn

from effbench.measure.paths import with_parents

P = TypeVar("P", bound="Part")
Run = Callable[..., Any]
"""Runs the ops of one call of a module; gets what the call is given."""


class Part(nn.Module):
    """A module of a graph; calling it runs what it is told to."""

    def forward(self, *given: Any, run: Run) -> Any:
        """Returns what the ops of this call return."""
        return run(self, *given)


def part_class(name: str, base: type[P]) -> type[P]:
    """Returns a class that calls itself by a qualified name; the class of that name is neither looked up nor run."""
    module, _, local = name.rpartition(".")
    tidy = re.sub(r"\W", "_", local)[:100] or "Module"
    return type(tidy, (base,), {"__module__": module[:500] or "unknown", "__qualname__": tidy})


def hang(table: dict[str, Any], name: str, item: Any) -> None:
    """Enters a child, parameter or buffer under any name: a file may call one "forward", or as our own attributes."""
    table[name] = item


def build_parts(root: P, classes: Mapping[str, str], base: type[P]) -> dict[str, P]:
    """Returns the modules by path after hanging a part for each path, and for those above it, below the root."""
    parts: dict[str, P] = {"": root}
    for path in with_parents(classes):
        if path:
            above, _, name = path.rpartition(".")
            parts[path] = part_class(classes.get(path, "unknown"), base)()
            hang(parts[above]._modules, name, parts[path])
    return parts
