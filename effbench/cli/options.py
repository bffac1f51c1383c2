"""Options that several commands share, and what their texts mean."""

from __future__ import annotations

import ast
import importlib
import json
import math
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, Any

import typer

from effbench.errors import InputError, one_line
from effbench.records import ErrorFigure

Spec = Annotated[
    str,
    typer.Argument(
        metavar="SPEC",
        help="path/to/file.py:Name, package.module:Name, torchvision:resnet50, timm:…, hf:DIR, or a .pt2, .pt, .onnx, "
        ".safetensors or .pth file",
    ),
]
Arg = Annotated[
    list[str] | None, typer.Option("--arg", metavar="NAME=VALUE", help="A constructor argument; repeatable.")
]
Input = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="[NAME:]SHAPE[:DTYPE]",
        help="An input such as 1x3x224x224 or ids:1x128:int64; repeatable.",
    ),
]
Convention = Annotated[
    str, typer.Option("--convention", metavar="NAME", help="How to count: see effbench list conventions.")
]
Format = Annotated[str | None, typer.Option("--format", metavar="NAME", help="table, json, csv, markdown or latex.")]
Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="FILE", help="Write there; its ending gives the format."),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]
Plugin = Annotated[
    list[str] | None,
    typer.Option(
        "--plugin",
        metavar="MODULE",
        help="Import this first: it may register formulas, conventions, …; repeatable.",
    ),
]
UnsafeLoad = Annotated[
    bool,
    typer.Option("--unsafe-load", help="Let the file run code of its own while it is read, as a pickled model does."),
]
Strict = Annotated[bool, typer.Option("--strict", help="End with code 3 where an op has no formula.")]


def parse_args(texts: Sequence[str] | None) -> dict[str, Any]:
    """Returns constructor arguments by name; a value is read as a Python or JSON literal, else as text.

    Raises:
        InputError: a text is not NAME=VALUE, or a name stands twice.
    """
    found: dict[str, Any] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise InputError(f"--arg {text!r}: write NAME=VALUE, such as num_classes=42")
        if name in found:
            raise InputError(f"--arg {name} stands twice: give it once")
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


def parse_errors(texts: Sequence[str] | None, option: str) -> dict[str, ErrorFigure]:
    """Returns stated errors by name."""
    return dict(parse_error(text, option) for text in texts or ())


def import_plugins(names: Sequence[str] | None) -> None:
    """Imports the user's modules, which register what they add.

    Raises:
        InputError: one does not import.
    """
    for name in names or ():
        try:
            with redirect_stdout(sys.stderr):
                importlib.import_module(name)
        except Exception as error:
            raise InputError(f"--plugin {name}: importing it raised {one_line(error)}") from error
