"""Python's collector of cyclic garbage, kept from running where it only takes time."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collection() -> Iterator[None]:
    """Keeps the collector from running until the end of the block.

    Tracing and counting make thousands of small objects that stay and next to no garbage, so every collection they
    set off is in vain: 15 % of the time of a pass, and 0.15 s where a whole one of a process that has imported torch
    falls into it.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
