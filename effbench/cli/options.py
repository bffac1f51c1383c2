"""Options that several commands share; those that belong together reach a command as one object."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from effbench.cli.texts import import_plugins, parse_args
from effbench.report.table import Report

if TYPE_CHECKING:
    from effbench.cli.output import Say
    from effbench.measure.source import Source
    from effbench.profiles import Profile
    from effbench.records import Fact

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
FILE = click.Path(path_type=Path)


class _RecordFolder(click.Path):
    """A folder that records can be added to: one that they cannot is told before anything is measured."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Returns the folder's path.

        Raises:
            InputError: nothing can be written there.
        """
        from effbench.store import require_writable

        folder = Path(value)
        require_writable(folder)
        return folder


RECORDS = _RecordFolder(path_type=Path)


class WholeNumber(click.IntRange):
    """A whole number within bounds, called so in messages."""

    name = "whole number"


class Number(click.FloatRange):
    """A number within bounds, called so in messages."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Returns the number; NaN is within no bounds, though it compares as if it were."""
        found = super().convert(value, param, ctx)
        return self.fail(f"{value} is not a number", param, ctx) if math.isnan(found) else found


def as_one(name: str, make: Callable[..., object], *options: Decorator) -> Decorator:
    """Returns a decorator that adds options to a command and hands it what `make` makes of their values as `name`.

    The parameters of `make` are named as the options are.
    """
    taken = tuple(inspect.signature(make).parameters)

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def called(**values: Any) -> Any:
            made = make(**{key: values.pop(key) for key in taken})
            return command(**{name: made}, **values)

        wrapped: Callable[..., Any] = called
        for option in reversed(options):
            wrapped = option(wrapped)
        return wrapped

    return decorate


@dataclass(frozen=True, slots=True)
class Out:
    """Where a report goes and how: `form` is the name of its format; `plugins` are imported already."""

    form: str
    path: Path | None
    quiet: bool
    plugins: tuple[str, ...] = ()

    def emit(self, report: Report) -> None:
        """Writes the report to the file, whole or not at all, or prints it."""
        from effbench.cli.output import emit

        emit(report, self.form, self.path)

    def write(self, text: str) -> None:
        """Writes a text to the file, whole or not at all."""
        from effbench.store import write_whole

        assert self.path is not None
        write_whole(self.path, text.encode())

    def progress(self, text: str) -> AbstractContextManager[Say]:
        """Returns a context that shows what is being done; the block may replace the text."""
        from effbench.cli.output import progress

        return progress(text, self.quiet)


def _out(format: str | None, output: Path | None, quiet: bool, plugin: Sequence[str]) -> Out:
    """Returns where the report goes; plugins are imported first, since they may bring a format."""
    from effbench.cli.output import chosen_format

    import_plugins(plugin)
    return Out(chosen_format(format, output), output, quiet, tuple(plugin))


def _out_or_picture(format: str | None, output: Path | None, quiet: bool, plugin: Sequence[str]) -> Out:
    """Returns the same, where a file may also end in .svg: its form is "svg" then."""
    if format is None and output is not None and output.suffix.lower() == ".svg":
        return replace(_out("table", output, quiet, plugin), form="svg")
    return _out(format, output, quiet, plugin)


_REPORTING = (
    click.option("--format", metavar="NAME", help="table, json, csv, markdown or latex."),
    click.option("-o", "--output", metavar="FILE", type=FILE, help="Write there; its ending gives the format."),
    click.option("--quiet", is_flag=True, help="Show no progress."),
    click.option(
        "--plugin",
        metavar="MODULE",
        multiple=True,
        help="Import this first: it may register formulas, conventions, …; repeatable.",
    ),
)
reporting = as_one("out", _out, *_REPORTING)
"""What every command has; the command gets an `Out`."""

picturing = as_one("out", _out_or_picture, *_REPORTING)
"""The same for a command that also draws."""


@dataclass(frozen=True, slots=True)
class Model:
    """The model that a command is about, as its words name it."""

    spec: str
    args: Mapping[str, Any]
    inputs: tuple[str, ...]
    unsafe_load: bool

    def load(self) -> Source:
        """Returns what the spec names."""
        from effbench import api

        return api.load(self.spec, self.args, self.inputs, self.unsafe_load)

    def profiled(self, out: Out, convention: str = "macs", facts: Sequence[Fact] = ()) -> Profile:
        """Returns its profile, saying so while it lasts; an unknown convention is told before torch is loaded."""
        import effbench.judge.conventions  # noqa: F401  fills the table
        from effbench.judge.convention import conventions

        conventions.get(convention)
        with out.progress(f"profiling {self.spec}"):
            from effbench import api

            return api.profile_loaded(self.load(), convention, facts=facts)


def _model(spec: str, arg: Sequence[str], input: Sequence[str], unsafe_load: bool) -> Model:
    return Model(spec, parse_args(arg), tuple(input), unsafe_load)


one_model = as_one(
    "model",
    _model,
    click.argument(
        "spec",
        metavar="SPEC",
        help="path/to/file.py:Name, package.module:Name, torchvision:resnet50, timm:…, hf:DIR, or a .pt2, .pt, .onnx, "
        ".safetensors or .pth file; see effbench list loaders.",
    ),
    click.option("--arg", metavar="NAME=VALUE", multiple=True, help="A constructor argument; repeatable."),
    click.option(
        "--input",
        metavar="[NAME:]SHAPE[:DTYPE]",
        multiple=True,
        help="An input such as 1x3x224x224 or ids:1x128:int64; repeatable.",
    ),
    click.option(
        "--unsafe-load",
        is_flag=True,
        help="Let the file run code of its own while it is read, as a pickled model does.",
    ),
)
"""What a command about one model has; the command gets a `Model`."""

counting = click.option(
    "--convention",
    metavar="NAME",
    default="macs",
    show_default=True,
    help="How to count: see effbench list conventions.",
)
