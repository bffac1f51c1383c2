"""Options of `effbench evaluate` for the data, how it is read, and what is done to images."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from effbench.cli.options import FILE, WholeNumber, as_one
from effbench.cli.texts import parse_args
from effbench.errors import InputError

if TYPE_CHECKING:
    from effbench.evaluation_runs import Opening
    from effbench.measure.data.chosen import Wanted


@dataclass(frozen=True, slots=True)
class Reading:
    """Which data, and how it is run through the model."""

    data: str | None
    root: Path | None
    split: str | None
    download: bool
    args: Mapping[str, Any]
    class_index: Path | None
    limit: int | None
    batch: int
    device: str
    workers: int
    answer: str | None

    def opening(self) -> Opening:
        """Returns how the data set is found."""
        from effbench.evaluation_runs import Opening

        return Opening(self.root, self.split, self.download, self.args, self.index())

    def index(self) -> dict[str, int]:
        """Returns the model's index of each class, as far as it is stated."""
        return {} if self.class_index is None else read_class_index(self.class_index)

    def given(self) -> tuple[str, ...]:
        """Returns the options that were given and mean nothing without a data set."""
        found = {
            "--data": self.data,
            "--root": self.root,
            "--split": self.split,
            "--download": self.download,
            "--data-arg": self.args,
            "--limit": self.limit,
            "--answer": self.answer,
        }
        return tuple(name for name, value in found.items() if value)


def _reading(
    data: str | None,
    root: Path | None,
    split: str | None,
    download: bool,
    data_arg: Sequence[str],
    class_index: Path | None,
    limit: int | None,
    batch: int,
    device: str,
    workers: int,
    answer: str | None,
) -> Reading:
    args = parse_args(data_arg, "--data-arg", "label=class")
    return Reading(data, root, split, download, args, class_index, limit, batch, device, workers, answer)


reading = as_one(
    "reading",
    _reading,
    click.option(
        "--data",
        metavar="PATH",
        help="A folder of class folders, a .csv of images (path,label or path,x0,y0,v0,…), an .npz (x, y), "
        "torchvision:NAME, or file.py:Name of a Dataset.",
    ),
    click.option("--root", metavar="DIR", type=FILE, help="Where torchvision's data sets lie."),
    click.option("--split", metavar="NAME", help="Of a torchvision data set; its held-out part if not given."),
    click.option("--download", is_flag=True, help="Let torchvision fetch the data set."),
    click.option("--data-arg", metavar="NAME=VALUE", multiple=True, help="An argument of the data set; repeatable."),
    click.option(
        "--class-index", metavar="FILE", type=FILE, help="CSV of name,index: the model's index of each class or label."
    ),
    click.option("--limit", type=WholeNumber(min=1), metavar="N", help="The first N samples only."),
    click.option(
        "--batch", type=WholeNumber(min=1), metavar="N", default=32, show_default=True, help="Samples a call."
    ),
    click.option("--device", metavar="NAME", default="cpu", show_default=True, help="cpu, cuda, cuda:1, mps, …"),
    click.option(
        "--workers", type=WholeNumber(min=0), metavar="N", default=0, show_default=True, help="Processes that read."
    ),
    click.option("--answer", metavar="KEY", help="Which of several outputs of the model is its answer."),
)


@dataclass(frozen=True, slots=True)
class Images:
    """What is done to images, as the words say it."""

    preprocess: str | None
    resize: tuple[int, ...]
    crop: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str | None
    channels: int | None

    def wanted(self) -> Wanted:
        """Returns what is asked for."""
        from effbench.measure.data.chosen import Wanted

        return Wanted(self.preprocess, self.resize, self.crop, self.mean, self.std, self.interpolation, self.channels)

    def given(self) -> tuple[str, ...]:
        """Returns the options that were given."""
        return tuple(f"--{name}" for name in self.__dataclass_fields__ if getattr(self, name))


def _images(
    preprocess: str | None,
    resize: str | None,
    crop: str | None,
    mean: str | None,
    std: str | None,
    interpolation: str | None,
    channels: int | None,
) -> Images:
    sides, window = _size(resize, "--resize"), _size(crop, "--crop")
    if len(window) == 1:
        window = window * 2
    return Images(preprocess, sides, window, _numbers(mean, "--mean"), _numbers(std, "--std"), interpolation, channels)


images = as_one(
    "images",
    _images,
    click.option(
        "--preprocess",
        metavar="NAME",
        help="weights (where the model is a zoo's: the default), none, or file.py:function.",
    ),
    click.option("--resize", metavar="N|HxW", help="Shorter side to N pixels, or height by width."),
    click.option("--crop", metavar="N|HxW", help="Around the centre."),
    click.option("--mean", metavar="R,G,B", help="Subtracted, in parts of full brightness."),
    click.option("--std", metavar="R,G,B", help="Divided by."),
    click.option("--interpolation", metavar="NAME", help="bilinear, bicubic or nearest."),
    click.option("--channels", type=WholeNumber(min=1), metavar="N", help="1 makes images grey, 3 coloured."),
)


def _size(text: str | None, option: str) -> tuple[int, ...]:
    """Returns (pixels,) or (height, width); nothing of nothing."""
    if text is None:
        return ()
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) > 2 or not all(part.isdecimal() and int(part) for part in parts):
        raise InputError(f"{option} {text}: write pixels, as 224, or height and width, as 192x256")
    return tuple(map(int, parts))


def _numbers(text: str | None, option: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise InputError(f"{option} {text}: write a number for each channel, as 0.485,0.456,0.406") from None


def read_class_index(file: Path) -> dict[str, int]:
    """Returns the model's index of each class, from a CSV of name and index with or without a header.

    Raises:
        InputError: the file is missing, or a line is not a name and a whole number.
    """
    from effbench.store import read_text

    found: dict[str, int] = {}
    for line, row in enumerate(csv.reader(read_text(file, "CSV of name,index").splitlines()), 1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or (line == 1 and cells == ["name", "index"]):
            continue
        if len(cells) != 2 or not cells[0] or not cells[1].isdecimal():
            raise InputError(f"{file}:{line}: write a class's name and its index in the model, as cat,281")
        if cells[0] in found:
            raise InputError(f"{file}:{line}: {cells[0]} stands twice")
        found[cells[0]] = int(cells[1])
    return found
