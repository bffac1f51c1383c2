"""Code that a user registered: where it fails, the failure is told as theirs, with the place it is written at."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from effbench.errors import EffbenchError, InputError, one_line

Code = Callable[..., Any]


def is_users(function: Code) -> bool:
    """Returns whether a registered function is none of effbench's own."""
    return not str(getattr(function, "__module__", "")).startswith("effbench.")


def place(function: Code) -> str:
    """Returns "folder/file.py:12", where a function is written; of what has no code of its own its type."""
    while isinstance(function, partial):
        function = function.func
    written = inspect.unwrap(function)
    code = getattr(written, "__code__", None) or getattr(type(written).__call__, "__code__", None)
    return f"a {type(written).__name__}" if code is None else f"{code.co_filename}:{code.co_firstlineno}"


def is_theirs(function: Code, error: Exception) -> bool:
    """Returns whether what a registered function raised is the fault of its writer: effbench's own faults are not."""
    return is_users(function) and not isinstance(error, EffbenchError)


def raised(what: str, function: Code, error: Exception, given: str = "") -> InputError:
    """Returns the error that says so: `what` is what the function is, `given` what it was called with."""
    called = f", called with {given}" if given else ""
    return InputError(f"{what} ({place(function)}) raised {one_line(error)}{called}")


def wrong(what: str, function: Code, result: object, wanted: str) -> InputError:
    """Returns the error that says what a registered function returned and what it should have."""
    shown = repr(result)
    shown = shown if len(shown) <= 80 else shown[:79] + "…"
    return InputError(f"{what} ({place(function)}) returned {shown}: it must return {wanted}")
