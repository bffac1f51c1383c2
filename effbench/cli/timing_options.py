"""Options of the commands that time: what is timed, when enough was, and the models that are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from effbench.cli.options import Number, Out, WholeNumber, as_one
from effbench.cli.texts import parse_args
from effbench.records import StopRule, TimingPlan

if TYPE_CHECKING:
    from effbench.cli.output import Say
    from effbench.measure.timing.run import Progress
    from effbench.measure.timing.worker import Place, Worker

PRECISIONS = ("float32", "float16", "bfloat16", "autocast-float16", "autocast-bfloat16")
_ABOVE_0 = Number(min=0, min_open=True)
_PLAN, _RULE = TimingPlan(), StopRule()


def _plan(
    device: str,
    batch: int | None,
    precision: Any,
    channels_last: bool,
    threads: int | None,
    compile: bool,
    train: bool,
    cuda_graph: bool,
    cold_cache: bool,
) -> TimingPlan:
    return TimingPlan(
        device,
        batch,
        precision,
        "channels_last" if channels_last else "contiguous",
        threads,
        compile,
        "training" if train else "inference",
        cuda_graph,
        cold_cache,
    )


planning = as_one(
    "plan",
    _plan,
    click.option("--device", metavar="NAME", default=_PLAN.device, show_default=True, help="cpu, cuda, cuda:1, mps, …"),
    click.option("--batch", type=WholeNumber(min=1), metavar="N", help="Repeat the inputs to so many samples."),
    click.option(
        "--precision",
        type=click.Choice(PRECISIONS),
        default=_PLAN.precision,
        show_default=True,
        metavar="NAME",
        help=f"{', '.join(PRECISIONS)}.",
    ),
    click.option("--channels-last", is_flag=True, help="Weights and inputs in channels-last format."),
    click.option(
        "--threads", type=WholeNumber(min=1), metavar="N", help="Intra-op threads; PyTorch's choice if not given."
    ),
    click.option("--compile", is_flag=True, help="Through torch.compile, whose time is shown apart."),
    click.option("--train", is_flag=True, help="A training step: forward, backward and AdamW."),
    click.option("--cuda-graph", is_flag=True, help="Record once as a CUDA graph and replay it."),
    click.option("--cold-cache", is_flag=True, help="Overwrite an accelerator's last-level cache before each call."),
)
"""What is timed; the command gets a `TimingPlan`."""


@dataclass(frozen=True, slots=True)
class Until:
    """When enough was measured, and the seed of the order of processes and calls."""

    rule: StopRule
    seed: int


def _until(half_width: float, budget: float, rounds: str, calls: int, seed: int) -> Until:
    low, high = rounds_of(rounds)
    return Until(StopRule(half_width / 100, _RULE.margin, budget, low, high, calls), seed)


def rounds_of(text: str) -> tuple[int, int]:
    """Returns (fewest, most) of a text such as "6-40" or "12".

    Raises:
        BadParameter: it is neither, or they are out of order.
    """
    low, _, high = text.partition("-")
    if not (low.isdecimal() and (high or low).isdecimal() and 2 <= int(low) <= int(high or low)):
        raise click.BadParameter(
            f"{text!r}: write 6-40 for 6 to 40 fresh processes of each model, at least 2", param_hint="--rounds"
        )
    return int(low), int(high or low)


BUDGET = click.option(
    "--budget",
    type=_ABOVE_0,
    metavar="SECONDS",
    default=_RULE.budget_s,
    show_default=True,
    help="Of measuring, at most; start-up of processes apart.",
)
ROUNDS = click.option(
    "--rounds",
    metavar="MIN-MAX",
    default=f"{_RULE.min_rounds}-{_RULE.max_rounds}",
    show_default=True,
    help="Fresh processes of each model.",
)
CALLS = click.option(
    "--calls",
    type=WholeNumber(min=1),
    metavar="N",
    default=_RULE.calls,
    show_default=True,
    help="Steady calls of each process.",
)
SEED = click.option(
    "--seed", type=int, metavar="N", default=0, show_default=True, help="Of the order of processes and calls."
)

stopping = as_one(
    "until",
    _until,
    click.option(
        "--half-width",
        type=_ABOVE_0,
        metavar="PERCENT",
        default=100 * _RULE.half_width,
        show_default=True,
        help="Stop where every 95 % interval is this narrow, in percent of the median.",
    ),
    *(BUDGET, ROUNDS, CALLS, SEED),
)
"""When enough was measured; the command gets an `Until`."""


@dataclass(frozen=True, slots=True)
class Models:
    """The models that a command is about; arguments and inputs are the same for all."""

    specs: tuple[str, ...]
    args: Mapping[str, Any]
    inputs: tuple[str, ...]
    unsafe_load: bool

    def workers(self, plan: TimingPlan, out: Out, places: Sequence[Place] = ()) -> tuple[Worker, ...]:
        """Returns an entrant for each, timed in fresh processes; on a CPU its memory is read from the allocator."""
        from effbench.timings import workers

        exact = plan.device == "cpu"
        return workers(
            self.specs,
            self.args,
            self.inputs,
            plan,
            places,
            self.unsafe_load,
            out.plugins,
            memory="exact" if exact else "marks",
        )


def _models(specs: Sequence[str], arg: Sequence[str], input: Sequence[str], unsafe_load: bool) -> Models:
    return Models(tuple(specs), parse_args(arg), tuple(input), unsafe_load)


several_models = as_one(
    "models",
    _models,
    click.argument("specs", metavar="SPEC…", nargs=-1, required=True, help="Models, as for effbench profile."),
    click.option("--arg", metavar="NAME=VALUE", multiple=True, help="A constructor argument of each; repeatable."),
    click.option(
        "--input",
        metavar="[NAME:]SHAPE[:DTYPE]",
        multiple=True,
        help="An input such as 1x3x224x224 or ids:1x128:int64; repeatable.",
    ),
    click.option("--unsafe-load", is_flag=True, help="Let files run code of their own while they are read."),
)
"""What a command about one or more models has; the command gets `Models`."""


def rounds_told(say: Say) -> Callable[[Progress], None]:
    """Returns what tells, after each round, how narrow each model's interval has become."""

    def tell(seen: Progress) -> None:
        widths = ", ".join(
            f"{name} {'?' if found is None else f'±{found.half_width:.1%}'}" for name, found in seen.intervals
        )
        say(f"round {seen.round} of at most {seen.rounds}, {seen.spent_s:.0f} of {seen.budget_s:g} s: {widths}")

    return tell
