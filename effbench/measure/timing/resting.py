"""When a process leaves the machine to others after a call."""

from __future__ import annotations

import time
from collections.abc import Callable

_LOOK_S = 0.001
_IDLE = 0.1
"""Share of a look that a process at rest may have run for: looking itself takes some microseconds."""

_MOST_S = 0.3
"""After a parallel region GNU's OpenMP spins for some milliseconds before its threads sleep, LLVM's and Intel's 200."""


def rest(
    ran_s: Callable[[], float] = time.process_time,
    now_s: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Returns once no thread of this process runs any more, after 0.3 s at the latest.

    Where two models are called in turns on all cores, the pool of the first one would still spin on a core that the
    second one wants: its first calls then take up to half as long again.

    Args:
        ran_s: CPU time of all threads of this process, in seconds.
        now_s: seconds since some fixed moment.
        sleep: what waits for so many seconds.
    """
    end_s = now_s() + _MOST_S
    while now_s() < end_s:
        before_s = ran_s()
        sleep(_LOOK_S)
        if ran_s() - before_s < _IDLE * _LOOK_S:
            return
