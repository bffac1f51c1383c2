"""What a metric is: what it needs of one sample, how any resample's value follows, and what it refuses."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from effbench.errors import InputError, UnknownName
from effbench.metrics.arrays import any_in
from effbench.metrics.sums import mean
from effbench.records.evaluation import Direction
from effbench.registry import Registry

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from effbench.stats import Floats

    Statistics = Mapping[str, Floats]
    PerSample = Callable[[NDArray[Any], NDArray[Any], "Settings"], Statistics]
    Aggregate = Callable[[Statistics, Floats | None, "Settings"], Floats]
    Check = Callable[[NDArray[Any], NDArray[Any], "Settings"], "Checked"]
    Table = Callable[[Statistics, "Settings"], NDArray[Any]]

Value = str | int | float
Settings = Mapping[str, Value]

NOT_FINITE = "prediction not finite"
TARGET_NOT_FINITE = "target not finite"


@dataclass(frozen=True, slots=True)
class Setting:
    """Something that a metric's value depends on besides predictions and targets.

    Attributes:
        about: what it means, in a few words.
        default: None where there is none: the setting is then left out unless it is given.
        required: must be given, since any default would change what the number means.
        required_with: another setting and its value with which this one must be given.
        choices: the only values it may have; empty for any.
        above: it must be greater than this.
    """

    name: str
    kind: type[int] | type[float] | type[str]
    about: str
    default: Value | None = None
    required: bool = False
    choices: tuple[Value, ...] = ()
    above: float | None = None
    required_with: tuple[str, Value] | None = None

    def __str__(self) -> str:
        """Returns "t (needed): the share of …" or "average = macro: …"."""
        value = " (needed)" if self.required else "" if self.default is None else f" = {self.default}"
        return f"{self.name}{value}: {self.about}"

    def lacks(self, given: Mapping[str, object]) -> bool:
        """Returns whether it must be given besides these, and is not."""
        if self.required_with is not None:
            other, value = self.required_with
            needed = str(given.get(other)) == str(value)
        else:
            needed = self.required
        return needed and given.get(self.name) is None


@dataclass(frozen=True, slots=True)
class Checked:
    """What looking at a batch showed: the settings, completed by it, and what hinders which samples.

    Attributes:
        settings: those given and what the batch's shapes add to them, such as the number of classes.
        obstacles: by reason, a mask of shape (n,) that is true where a sample cannot be used.
    """

    settings: Settings
    obstacles: Mapping[str, NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric.

    Attributes:
        unit: of its value: "fraction", "pixels", "dB", …
        direction: which values are better.
        about: one line: what it measures.
        needs: what predictions and targets look like.
        per_sample: (predictions, targets, settings) to sufficient statistics by name, each of shape (n,) and finite;
            a sample's statistics may depend on nothing but that sample, so that any batch split gives the same.
        aggregate: (statistics, weights of shape (draws, n) or None, settings) to values of shape (draws,); a weight
            says how often a sample counts, None is once each and gives shape (1,).
        check: looks at a batch before `per_sample` sees it; refuses it, or names samples that cannot be used.
        settings: what else the value depends on.
        table: (statistics, settings) to a matrix that says more than the value does.
        error: the registered metric that is 1 minus this one.
        binomial: each sample counts whole or not at all, so that a value stated of n samples has a binomial spread.
    """

    name: str
    unit: str
    direction: Direction
    about: str
    needs: str
    per_sample: PerSample
    aggregate: Aggregate
    check: Check
    settings: tuple[Setting, ...] = ()
    table: Table | None = None
    error: str = ""
    binomial: bool = False

    def __post_init__(self) -> None:
        """Raises InputError for a metric without unit, or whose better direction is not said."""
        if not self.unit:
            raise InputError(f"metric {self.name!r} has no unit: a number needs one")
        if self.direction not in ("lower", "higher"):
            raise InputError(f"metric {self.name!r}: direction must be lower or higher, not {self.direction!r}")


metrics: Registry[Metric] = Registry("metric")


def finite(predictions: NDArray[Any], targets: NDArray[Any], settings: Settings) -> Checked:
    """Returns the settings as given; samples with a NaN or an infinity in them cannot be used."""
    return Checked(settings, {NOT_FINITE: odd_samples(predictions), TARGET_NOT_FINITE: odd_samples(targets)})


def odd_samples(values: NDArray[Any]) -> NDArray[Any]:
    """Returns a mask of shape (n,): the samples in which something is NaN or infinite."""
    import numpy as np

    return any_in(~np.isfinite(values))


def metric(
    name: str,
    *,
    unit: str,
    direction: Direction,
    needs: str = "predictions and targets of one length",
    about: str = "",
    aggregate: Aggregate = mean,
    check: Check = finite,
    settings: Sequence[Setting] = (),
    table: Table | None = None,
    error: str = "",
) -> Callable[[PerSample], PerSample]:
    """Returns a decorator that registers a function of predictions, targets and settings as a metric.

    The function returns what its metric keeps of every sample: `{"value": array of n}` where the metric is the mean of
    a value, else any statistics that `aggregate` computes it from. `about` is the first line of its docstring where it
    is not given.

    Raises:
        InputError: the name is taken, the unit is missing or the direction is neither lower nor higher.
    """

    def enter(function: PerSample) -> PerSample:
        told = about or (function.__doc__ or "").strip().partition("\n")[0].rstrip(".")
        entry = Metric(name, unit, direction, told, needs, function, aggregate, check, tuple(settings), table, error)
        metrics.add(name, entry)
        return function

    return enter


def settled(chosen: Metric, given: Mapping[str, object]) -> Settings:
    """Returns a metric's settings, checked, with their defaults; text is read as the setting's type.

    Raises:
        InputError: one is unknown, missing, or not what it must be; the message says what it means.
    """
    known = {item.name: item for item in chosen.settings}
    for name in given:
        if name not in known:
            raise UnknownName(f"setting of {chosen.name}", name, known)
    refuse_missing([(chosen, given)])
    found: dict[str, Value] = {}
    for name, item in known.items():
        value = given.get(name)
        if value is not None:
            found[name] = _read(chosen.name, item, value)
        elif item.default is not None:
            found[name] = item.default
    return found


def refuse_missing(chosen: Sequence[tuple[Metric, Mapping[str, object]]], way_out: str = "") -> None:
    """Refuses metrics that lack settings, all that are missing in one line, with the words that give them.

    Args:
        chosen: metrics, each with what was given for it.
        way_out: what gives some of them in another way, to be told too.

    Raises:
        InputError: a metric lacks one that it needs.
    """
    missing: dict[str, Setting] = {}
    lacking: dict[str, None] = {}
    for one, given in chosen:
        for item in one.settings:
            if item.lacks(given):
                missing[item.name] = item
                lacking[one.name] = None
    if missing:
        words = " ".join(f"--setting {item.name}={'NAME' if item.kind is str else 'N'}" for item in missing.values())
        abouts: dict[str, list[str]] = {}
        for item in missing.values():
            abouts.setdefault(item.about, []).append(item.name)
        about = ", ".join(f"{' and '.join(names)} ({text})" for text, names in abouts.items())
        raise InputError(f"{', '.join(lacking)}: settings are missing: add {words}: {about}{way_out}")


def _read(name: str, item: Setting, value: object) -> Value:
    where = f"{name}: setting {item.name}"
    read = _typed(where, item, value)
    if item.choices and read not in item.choices:
        raise InputError(f"{where} must be one of {', '.join(map(str, item.choices))}, not {value!r}: {item.about}")
    if item.above is not None and not float(read) > item.above:
        raise InputError(f"{where} must be above {item.above:g}, not {value!r}: {item.about}")
    return read


_SWITCHES = {"true": "1", "false": "0", "yes": "1", "no": "0"}


def _typed(where: str, item: Setting, value: object) -> Value:
    """Returns a given value as the setting's type; whole floats are integers, true and false are 1 and 0."""
    if item.kind is str:
        return str(value)
    text = str(value).strip().lower()
    try:
        number = float(_SWITCHES.get(text, text))
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or (item.kind is int and number != int(number)):
        kind = "a whole number" if item.kind is int else "a number"
        raise InputError(f"{where} must be {kind}, not {value!r}: {item.about}")
    return int(number) if item.kind is int else number


def shared_settings(chosen: Sequence[Metric], given: Mapping[str, object]) -> tuple[Settings, ...]:
    """Returns each metric's settings out of one table for all; a metric takes those that it knows.

    Raises:
        InputError: no metric knows one of them, or one is missing or not what it must be.
    """
    known = {item.name for one in chosen for item in one.settings}
    for name in given:
        if name not in known:
            raise UnknownName(f"setting of {', '.join(one.name for one in chosen)}", name, known)
    own = [(one, {item.name: given[item.name] for item in one.settings if item.name in given}) for one in chosen]
    refuse_missing(own)
    return tuple(settled(one, kept) for one, kept in own)
