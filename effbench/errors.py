"""The errors that effbench raises on purpose.

EffbenchError            any of them; `exit_code` is what the command line ends with
├── InputError           2  the call or an input is wrong: what, where, what to do
│   └── UnknownName      2  a name that is not registered; names near it are suggested
├── ModelError           2  the model's own code raised; says which module and how
├── CheckFailed          1  a check or a budget was not met
└── Incomplete           3  done, but something stays unknown (only where the caller asked for strictness)

Interrupted is a KeyboardInterrupt and none of these: nobody catches it by mistake.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any


class EffbenchError(Exception):
    """Base of every error raised on purpose; its text is one line for a person."""

    exit_code = 2


class InputError(EffbenchError):
    """The call or an input is wrong."""


class UnknownName(InputError):
    """A name that nothing is registered under."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        """Says what was asked for and what was near it; lists all names where none is near."""
        choices = sorted(known)
        lowered = {choice.lower(): choice for choice in choices}
        near = [lowered[found] for found in get_close_matches(name.lower(), lowered, n=3, cutoff=0.5)]
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(choices) or 'none'}"
        super().__init__(f"unknown {kind} {name!r}: {hint}")


class ModelError(EffbenchError):
    """The model's own code raised while effbench built or ran it.

    Attributes:
        trace: what was recorded until then (an `effbench.records.Trace`); None where nothing ran.
    """

    def __init__(self, message: str, trace: object = None) -> None:
        """Keeps the partial trace beside the message."""
        super().__init__(message)
        self.trace = trace


@contextmanager
def no_exit(what: str) -> Iterator[None]:
    """Runs code of others that must not end the process; an interruption by the user passes.

    Args:
        what: whose code it is, for the message.

    Raises:
        ModelError: it raised SystemExit.
    """
    try:
        yield
    except SystemExit as end:
        raise ModelError(f"{what}: its own code ended the process with {one_line(end)}; it must return") from end


class CheckFailed(EffbenchError):
    """A check or a budget was not met."""

    exit_code = 1


class Incomplete(EffbenchError):
    """The work is done, but a figure stays unknown and the caller asked for strictness."""

    exit_code = 3


class Interrupted(KeyboardInterrupt):
    """A measurement was interrupted; what it had found by then is kept.

    Attributes:
        kept: what would have been returned, as far as it was measured; its type is that of the function that raised.
        because: the interruption itself.
    """

    def __init__(self, kept: Any, because: KeyboardInterrupt) -> None:
        """Keeps both; an interruption that was kept with less before stands for the one behind it."""
        super().__init__(*because.args)
        self.kept = kept
        self.because: KeyboardInterrupt = because.because if isinstance(because, Interrupted) else because


def one_line(error: BaseException, limit: int = 300) -> str:
    """Returns type and message of an exception as one line of at most `limit` characters."""
    text = " ".join(str(error).split())
    head = type(error).__name__
    line = f"{head}: {text}" if text else head
    return line if len(line) <= limit else line[: limit - 1] + "…"
