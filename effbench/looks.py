"""Looks at several models at once, each in a process of its own where its spec is known."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from effbench.measure.timing.entrant import Died
from effbench.measure.timing.look import Look, LookSession
from effbench.measure.timing.worker import Worker
from effbench.records import Fact

if TYPE_CHECKING:
    from effbench.measure.timing.live import InProcess


@contextmanager
def looks_at(entrants: Sequence[Worker | InProcess], needs: Collection[Fact] = ()) -> Iterator[tuple[Look | Died, ...]]:
    """Gives a look at each model for a block, all alive at once; `Died` for one that could not be run.

    Raises:
        InputError: a spec names no model.
    """
    with ExitStack() as stack:
        begun: list[Look | Died] = []
        for entrant in entrants:
            begun.append(_begun(entrant, needs))
            stack.callback(getattr(begun[-1], "close", lambda: None))
        yield tuple(map(_finished, begun))


def _begun(entrant: Worker | InProcess, needs: Collection[Fact]) -> Look | Died:
    """Returns a look that may not have its trace yet: processes load side by side."""
    if isinstance(entrant, Worker):
        return LookSession(entrant, needs)
    from effbench.measure.timing.live import copied, died
    from effbench.measure.timing.looker import Looker

    try:
        with died(entrant.name, "loading"):
            return Looker(replace(entrant.loaded, build=copied(entrant.loaded)), entrant.plan, needs)
    except Died as death:
        return death


def _finished(look: Look | Died) -> Look | Died:
    try:
        if isinstance(look, LookSession):
            look.ready()
    except Died as death:
        return death
    if isinstance(look, Died):
        return look
    trace = look.trace
    failed = trace.failed if trace.origin != "weights" else None
    return look if failed is None else Died(f"{look.name}: {failed}")
