"""Being told to end: Ctrl-C, SIGTERM and SIGHUP unwind a command alike, so that nothing of it is left behind."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from effbench.errors import Interrupted

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class Terminated(KeyboardInterrupt):
    """The process was told to end by a signal other than that of Ctrl-C.

    Attributes:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def unwinding() -> Iterator[None]:
    """Lets SIGTERM and SIGHUP raise in the block, once: a second one does not interrupt what the first one undoes.

    A signal that this process was started to ignore (`nohup`) stays ignored, and one that somebody handles is theirs.
    """
    if threading.current_thread() is not threading.main_thread():  # Python lets no other one handle signals
        yield
        return
    ours = [number for number in _SIGNALS if signal.getsignal(number) is signal.SIG_DFL]

    def end(number: int, frame: FrameType | None) -> None:
        for each in ours:
            signal.signal(each, signal.SIG_IGN)
        raise Terminated(number)

    for number in ours:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def exit_code(stop: KeyboardInterrupt) -> int:
    """Returns what a shell says of a process that the signal ended: 130 for Ctrl-C, 143 for SIGTERM."""
    cause = stop.because if isinstance(stop, Interrupted) else stop
    return 128 + (cause.number if isinstance(cause, Terminated) else signal.SIGINT)


def message(stop: KeyboardInterrupt) -> str:
    """Returns the line that a command ends with."""
    return "interrupted: what was measured by then is shown" if isinstance(stop, Interrupted) else "interrupted"


def whole_or_kept(measure: Callable[[], Any]) -> tuple[Any, Interrupted | None]:
    """Returns (what was measured, None), or what was measured until an interruption, and the interruption."""
    try:
        return measure(), None
    except Interrupted as stop:
        return stop.kept, stop
