"""What the texts of options mean: constructor arguments, stated errors, modules to import."""

from __future__ import annotations

import ast
import importlib
import json
import math
import sys
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from typing import Any

from effbench.errors import EffbenchError, InputError, one_line
from effbench.records import ErrorFigure


def parse_args(texts: Iterable[str], option: str = "--arg", example: str = "num_classes=42") -> dict[str, Any]:
    """Returns arguments of an option by name; a value is read as a Python or JSON literal, else as text.

    Raises:
        InputError: a text is not NAME=VALUE, or a name stands twice.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise InputError(f"{option} {text!r}: write NAME=VALUE, such as {example}")
        if name in found:
            raise InputError(f"{option} {name} stands twice: give it once")
        found[name] = _literal(value)
    return found


def _literal(text: str) -> Any:
    for read in (ast.literal_eval, json.loads):
        try:
            return read(text)
        except (ValueError, SyntaxError):
            continue
    return text


def parse_error(text: str, option: str) -> tuple[str, ErrorFigure]:
    """Returns (name, figure) of a text such as "pixel_error=6.86:pixels".

    Raises:
        InputError: a part is missing, or the value is no number that such an error can have.
    """
    # The name may hold an equals sign or a colon (a path on disk, a spec), so the value is split off the end.
    name, equals, rest = text.rpartition("=")
    number, colon, unit = rest.partition(":")
    if not (name and equals and colon and unit):
        raise InputError(
            f"{option} {text!r}: write NAME=VALUE:UNIT, such as pixel_error=6.86:pixels or accuracy=0.93:fraction"
        )
    try:
        value = float(number)
    except ValueError:
        raise InputError(f"{option} {text!r}: {number!r} is no number") from None
    most = {"fraction": 1.0, "percent": 100.0}.get(unit, math.inf)
    if not 0 <= value <= most or math.isinf(value):
        raise InputError(f"{option} {text!r}: {number} is no possible error in {unit}: give 0 to {most:g}")
    return name, ErrorFigure(value, unit)


def import_plugins(names: Sequence[str]) -> None:
    """Imports the user's modules, which register what they add.

    Raises:
        InputError: one does not import.
    """
    if names:  # effbench's own come first, so that it is the second entry under a name that is refused
        import effbench.judge.conventions  # noqa: F401
    for name in names:
        try:
            with redirect_stdout(sys.stderr):
                importlib.import_module(name)
        except EffbenchError as error:
            raise InputError(f"--plugin {name}: {error}") from error
        except (Exception, SystemExit) as error:
            raise InputError(f"--plugin {name}: importing it raised {one_line(error)}") from error
