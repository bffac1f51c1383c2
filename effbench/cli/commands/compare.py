"""`effbench compare`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from effbench.cli.interruptions import whole_or_kept
from effbench.cli.options import FILE, Number, Out, as_one, counting, reporting
from effbench.cli.texts import parse_error
from effbench.cli.timing_options import (
    BUDGET,
    CALLS,
    ROUNDS,
    SEED,
    Models,
    Until,
    planning,
    rounds_of,
    several_models,
)
from effbench.errors import CheckFailed, Incomplete, InputError
from effbench.records import StopRule, TimingPlan

if TYPE_CHECKING:
    from effbench.cli.output import Say
    from effbench.comparisons import Compared
    from effbench.contenders import Side
    from effbench.measure.timing.run import Progress
    from effbench.measure.timing.worker import Worker

VERDICTS = ("faster", "slower", "same", "undecided")


def _until(margin: float, budget: float, rounds: str, calls: int, seed: int) -> Until:
    low, high = rounds_of(rounds)
    rule = StopRule(margin=margin / 100, budget_s=budget, min_rounds=low, max_rounds=high, calls=calls, until="verdict")
    return Until(rule, seed)


deciding = as_one(
    "until",
    _until,
    click.option(
        "--margin",
        type=Number(min=0),
        metavar="PERCENT",
        default=100 * StopRule().margin,
        show_default=True,
        help="Times that differ by less are the same.",
    ),
    *(BUDGET, ROUNDS, CALLS, SEED),
)
"""When the verdicts are settled; the command gets an `Until`."""


@dataclass(frozen=True, slots=True)
class Known:
    """Errors that are known of the models: stated ones by model, and a folder of records."""

    stated: tuple[str, ...]
    metric: str | None
    folder: Path | None


def _known(error_of: Sequence[str], error: str | None, records: Path | None) -> Known:
    return Known(tuple(error_of), error, records)


knowing = as_one(
    "known",
    _known,
    click.option("--error-of", metavar="MODEL=VALUE:UNIT", multiple=True, help="A model's known error; repeatable."),
    click.option("--error", metavar="METRIC", help="What it is called, and which error of the records to show."),
    click.option("--records", metavar="DIR", type=FILE, help="Show the errors that the models' records there hold."),
)
"""The errors to show beside the costs; the command gets a `Known`."""


def _sides(
    python_a: str | None, python_b: str | None, revision_a: str | None, revision_b: str | None
) -> tuple[Side, ...]:
    if not any((python_a, python_b, revision_a, revision_b)):
        return ()
    from effbench.contenders import Side

    return (Side(python_a, revision_a), Side(python_b, revision_b))


placing = as_one(
    "sides",
    _sides,
    click.option("--python-a", metavar="PATH", help="Run one SPEC as A in this interpreter; this one if not given."),
    click.option("--python-b", metavar="PATH", help="And as B in this one."),
    click.option("--revision-a", metavar="REV", help="Run one SPEC's file as A as it is in this git revision."),
    click.option("--revision-b", metavar="REV", help="And as B as it is in this one; as it lies here if not given."),
)
"""The places where one model is compared with itself; the command gets the sides, none where it is not asked for."""


@click.command()
@several_models
@placing
@planning
@deciding
@click.option("--no-time", is_flag=True, help="Compare costs alone.")
@click.option("--layers", is_flag=True, help="Show the layers whose time changed, measured beside the timed runs.")
@click.option("--mixed", is_flag=True, help="Compare models with different inputs all the same.")
@click.option(
    "--fail-on", metavar="VERDICT,…", default="slower", show_default=True, help="Verdicts that end with code 1."
)
@knowing
@counting
@reporting
def compare(
    models: Models,
    sides: tuple[Side, ...],
    plan: TimingPlan,
    until: Until,
    no_time: bool,
    layers: bool,
    mixed: bool,
    fail_on: str,
    known: Known,
    convention: str,
    out: Out,
) -> None:
    """Two or more models: what each costs, and whether it is faster, slower or the same as the first."""
    import effbench.judge.conventions  # noqa: F401  fills the table
    from effbench.judge.convention import conventions

    failing = _verdicts(fail_on)
    conventions.get(convention)
    stated = [parse_error(text, "--error-of") for text in known.stated]
    from effbench import comparisons
    from effbench.contenders import known_errors
    from effbench.report.compare import compare_report

    with (
        _entrants(models, sides, plan, out) as entrants,
        out.progress(f"comparing {', '.join(entrant.name for entrant in entrants)}") as say,
    ):
        errors = known_errors(entrants, stated, known.metric, known.folder)
        asked = (until.rule, not no_time, layers, convention, errors, until.seed)
        found, stop = whole_or_kept(
            lambda: comparisons.compare_entrants(entrants, *asked, on_round=_ratios_told(say), say=say, mixed=mixed)
        )
    out.emit(compare_report(found.to_dict()))
    if stop is not None:
        raise stop
    _end(found, failing)


def _ratios_told(say: Say) -> Callable[[Progress], None]:
    """Returns what tells, after each round, each later model's time over the first one's, as far as it is known."""

    def tell(seen: Progress) -> None:
        ratios = ", ".join(
            f"{name} {'?' if found is None else f'{found.estimate:.3f} × ({found.low:.3f} to {found.high:.3f})'}"
            for name, found in seen.ratios
        )
        say(f"round {seen.round} of at most {seen.rounds}, {seen.spent_s:.0f} of {seen.budget_s:g} s: {ratios}")

    return tell


@contextmanager
def _entrants(models: Models, sides: tuple[Side, ...], plan: TimingPlan, out: Out) -> Iterator[tuple[Worker, ...]]:
    """Gives the models that take part, for as long as a checkout of theirs is there.

    Raises:
        InputError: two sides of several models, or one model alone, are asked for.
    """
    if not sides:
        if len(models.specs) < 2:
            alone = "one model alone is no comparison: give two, or --revision-a REV or --python-a PATH"
            raise InputError(f"{models.specs[0]}: {alone}")
        yield models.workers(plan, out)
        return
    if len(models.specs) != 1:
        raise InputError(f"--python-* and --revision-* compare one SPEC with itself: {len(models.specs)} are given")
    from effbench.contenders import sides_of

    with sides_of(models.workers(plan, out)[0], sides) as entrants:
        yield entrants


def _verdicts(text: str) -> frozenset[str]:
    """Returns the verdicts that fail.

    Raises:
        BadParameter: one of them is none.
    """
    found = frozenset(filter(None, text.split(",")))
    wrong = sorted(found.difference(VERDICTS))
    if wrong:
        raise click.BadParameter(f"{wrong[0]!r}: write some of {', '.join(VERDICTS)}", param_hint="--fail-on")
    return found


def _end(found: Compared, failing: frozenset[str]) -> None:
    """Ends with the exit code of the verdicts.

    Raises:
        CheckFailed: one of them fails.
        Incomplete: one is undecided, or a model could not be run.
    """
    from effbench.report.compare import sentence

    documents = found.to_dict()["verdicts"]
    failed = [sentence(item) for item in documents if item["verdict"] in failing]
    if failed:
        raise CheckFailed("; ".join(failed))
    undecided = [sentence(item) for item in documents if item["verdict"] == "undecided"]
    if found.died or undecided:
        raise Incomplete("; ".join(found.died or undecided))
