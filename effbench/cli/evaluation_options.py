"""Options of `effbench evaluate` for the model, files of answers, and metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from effbench.cli.options import FILE, Out, WholeNumber, as_one
from effbench.cli.texts import parse_args
from effbench.errors import InputError, no_exit

if TYPE_CHECKING:
    from collections.abc import Callable

    from effbench.cli.data_options import Images, Reading
    from effbench.cli.output import Say
    from effbench.evaluations import Choice, Evaluated
    from effbench.measure.evaluate import Progress


@dataclass(frozen=True, slots=True)
class Model:
    """The model that answers, or whose answers are in a file; `name` overrides what tables call it."""

    spec: str | None
    args: Mapping[str, Any]
    inputs: tuple[str, ...]
    weights: str | None
    unsafe_load: bool
    name: str | None

    def evaluated(self, reading: Reading, images: Images, chosen: Sequence[Choice], say: Say) -> Evaluated:
        """Returns what its answers are worth."""
        from effbench.evaluation_runs import Asked, run
        from effbench.measure.evaluate import Pass

        assert self.spec is not None
        asked = Asked(self.spec, self.args, self.inputs, self.unsafe_load, self.weights)
        how = Pass(reading.batch, reading.limit, reading.device, reading.workers, reading.answer)
        with no_exit(self.spec):
            found = run(asked, reading.data, chosen, images.wanted(), reading.opening(), how, told(say), say)
        return found if self.name is None else replace(found, name=self.name)


def _model(
    spec: str | None, arg: Sequence[str], input: Sequence[str], weights: str | None, unsafe_load: bool, name: str | None
) -> Model:
    return Model(spec, parse_args(arg), tuple(input), weights, unsafe_load, name)


model = as_one(
    "model",
    _model,
    click.argument("spec", metavar="[SPEC]", required=False, help="The model, as for effbench profile."),
    click.option("--arg", metavar="NAME=VALUE", multiple=True, help="A constructor argument; repeatable."),
    click.option(
        "--input", metavar="SHAPE", multiple=True, help="An example input, where the model needs one to load."
    ),
    click.option(
        "--weights",
        metavar="FILE|NAME",
        help="Trained weights: a state dict (FILE:KEY picks one of several), or DEFAULT or another name of the zoo.",
    ),
    click.option("--unsafe-load", is_flag=True, help="Let the model's file run code of its own while it is read."),
    click.option("--name", metavar="TEXT", help="What tables and the record call the model."),
)


@dataclass(frozen=True, slots=True)
class Files:
    """Answers and right answers in files."""

    predictions: Path | None
    targets: Path | None
    prediction_column: str | None
    target_column: str | None

    @property
    def given(self) -> bool:
        """Returns whether answers come out of a file."""
        return self.predictions is not None or self.targets is not None

    def columns(self) -> tuple[str, ...]:
        """Returns the options for columns that were given."""
        found = {"--prediction-column": self.prediction_column, "--target-column": self.target_column}
        return tuple(name for name, value in found.items() if value)

    def evaluated(self, model: Model, chosen: Sequence[Choice], index: Mapping[str, int], out: Out) -> Evaluated:
        """Returns what the answers are worth; a SPEC says whose they are, and nothing of it is run.

        Args:
            model: whose answers they are.
            chosen: metrics with their settings.
            index: class index of each label that is a word, as far as it is stated.
            out: where progress is told.

        Raises:
            InputError: an option is missing or has nothing to act on, or the files do not fit together.
        """
        from effbench.evaluations import evaluate_files

        if self.predictions is None or self.targets is None:
            raise InputError("--predictions and --targets go together: give both")
        if model.weights is not None:
            raise InputError("--weights has nowhere to go: no model is run on --predictions")
        with out.progress(f"reading {self.predictions}"):
            name, spec = model.name, model.spec
            if spec is not None:
                from effbench.api import load

                source = load(spec, model.args, model.inputs, model.unsafe_load)
                name, spec = name or source.name, source.spec
            columns = (self.prediction_column, self.target_column)
            return evaluate_files(self.predictions, self.targets, chosen, columns, name, spec, index)


files = as_one(
    "files",
    Files,
    click.option("--predictions", metavar="FILE", type=FILE, help="Answers: .csv, .parquet, .npz, .npy or .jsonl."),
    click.option("--targets", metavar="FILE", type=FILE, help="What is right, in the same order or by id."),
    click.option("--prediction-column", metavar="NAME", help="Which column or array of them."),
    click.option("--target-column", metavar="NAME", help="The same of the targets."),
)


@dataclass(frozen=True, slots=True)
class Metrics:
    """What is measured, and how its interval is drawn."""

    names: tuple[str, ...]
    shared: Mapping[str, Any]
    seed: int
    draws: int

    def chosen(self, confusion: bool) -> tuple[Choice, ...]:
        """Returns the metrics; a confusion matrix needs one that has it, which is added where there is none.

        Raises:
            InputError: a metric or setting is unknown.
        """
        from effbench.evaluations import choices
        from effbench.metrics import metrics as known

        found = choices(self.names, self.shared)
        if confusion and all(known.get(name).table is None for name, _ in found):
            return (*found, *choices(("accuracy",)))
        return found


def _metrics(metric: Sequence[str], setting: Sequence[str], seed: int, draws: int) -> Metrics:
    return Metrics(tuple(metric), parse_args(setting, "--setting", "width=224"), seed, draws)


metrics = as_one(
    "metrics",
    _metrics,
    click.option(
        "--metric",
        metavar="NAME[:KEY=VALUE,…]",
        multiple=True,
        help="What to measure, such as top1 or pck:t=0.05; repeatable; see effbench list metrics.",
    ),
    click.option("--setting", metavar="KEY=VALUE", multiple=True, help="Of every metric that knows it; repeatable."),
    click.option(
        "--seed", type=WholeNumber(min=0), default=0, show_default=True, metavar="N", help="Of the bootstrap."
    ),
    click.option(
        "--draws", type=WholeNumber(min=1), default=1000, show_default=True, metavar="N", help="Of the bootstrap."
    ),
)


def told(say: Say) -> Callable[[Progress], None]:
    """Returns what shows how far it is: a bar, samples a second, and the values so far."""

    def tell(seen: Progress) -> None:
        share = seen.done / seen.total
        bar = "█" * round(20 * share) + "░" * (20 - round(20 * share))
        values = ", ".join(f"{name} {'?' if value is None else f'{value:.4g}'}" for name, value in seen.values)
        rate = f"{seen.samples_per_s:,.4g} samples/s"
        say(f"{bar} {share:.0%}, {seen.done:,} of {seen.total:,} samples, {rate}: {values}")

    return tell
