"""What a score is, what it can be told, and the table that scores are registered in."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from effbench.errors import InputError
from effbench.judge.blame import is_theirs, raised, wrong
from effbench.judge.terms import TERMS, Floats, Terms, digits
from effbench.registry import Registry

Direction = Literal["lower", "higher"]


@dataclass(frozen=True, slots=True)
class Gate:
    """A demand that a model meets or has no score.

    Attributes:
        limit: in the term's base unit.
        better: "higher" asks for at least `limit`, "lower" for at most.
    """

    term: str
    limit: float
    better: Direction

    def passed(self, terms: Terms) -> Any:
        """Returns a boolean array of the terms' shape: True where a model meets the demand."""
        return terms[self.term] >= self.limit if self.better == "higher" else terms[self.term] <= self.limit

    def __str__(self) -> str:
        return f"{self.term} {'≥' if self.better == 'higher' else '≤'} {digits(self.limit)}"


@dataclass(frozen=True, slots=True)
class Score:
    """One number for the trade between cost and error, its parameters set.

    Attributes:
        name: as `score_of` reads it: "params_flops_exp:k=20", or the user's formula.
        formula: as people write it, "ERROR" standing for the error's name.
        reads: the terms that it needs.
        value: terms → the score itself; infinite where it overflows, NaN where it is undefined.
        order: terms → what the models are ordered by, lower is better: a logarithm of the score, or minus it. It never
            overflows; +inf where a gate is not passed, NaN where the score is undefined.
        error_unit: the unit that `error` must have; None takes any.
        log_slopes: d order / d ln(term), where it is a constant.
        slopes: d order / d term, where it is a constant.
        gate: which models have a score at all.
        settings: the parameters and their values, in base units.
        error_parameter: the parameter that `slopes["error"]` is proportional to; "" where there is none.
    """

    name: str
    formula: str
    reads: tuple[str, ...]
    direction: Direction
    value: Callable[[Terms], Floats]
    order: Callable[[Terms], Floats]
    error_unit: str | None = None
    log_slopes: Mapping[str, float] = field(default_factory=dict)
    slopes: Mapping[str, float] = field(default_factory=dict)
    gate: Gate | None = None
    settings: Mapping[str, float] = field(default_factory=dict)
    error_parameter: str = ""


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a score can be told.

    Attributes:
        about: what it is, with its unit.
        default: None demands a value.
        above: it must be greater than this; None is no bound.
        below: it must be less than this.
    """

    name: str
    about: str
    default: float | None = None
    above: float | None = None
    below: float | None = None

    def __str__(self) -> str:
        """Returns "k = 1: what it is", or "T (needed): what it is"."""
        given = " (needed)" if self.default is None else f" = {digits(self.default)}"
        return f"{self.name}{given}" + (f": {self.about}" if self.about else "")


Settings: TypeAlias = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ScoreKind:
    """A registered score, its parameters still open; `formula` has their names, `source` says where it comes from."""

    name: str
    formula: str
    reads: tuple[str, ...]
    direction: Direction
    parameters: tuple[Parameter, ...]
    source: str
    make: Callable[[str, Settings], Score]

    @property
    def about(self) -> str:
        """Returns formula, direction, parameters and source in one text."""
        parameters = "; ".join(map(str, self.parameters))
        parts = (self.formula.replace("ERROR", "error"), f"{self.direction} is better", parameters, self.source)
        return "; ".join(part for part in parts if part)


scores: Registry[ScoreKind] = Registry("score")


def register(
    name: str,
    formula: str,
    reads: Sequence[str],
    direction: Direction,
    source: str,
    parameters: Sequence[Parameter] = (),
) -> Callable[[Callable[[ScoreKind, str, Settings], Score]], Callable[[ScoreKind, str, Settings], Score]]:
    """Returns a decorator that enters a built-in score: a function of its kind, its name and its settings."""

    def enter(make: Callable[[ScoreKind, str, Settings], Score]) -> Callable[[ScoreKind, str, Settings], Score]:
        def made(label: str, settings: Settings) -> Score:
            return make(kind, label, settings)

        kind = ScoreKind(name, formula, tuple(reads), direction, tuple(parameters), source, made)
        scores.add(name, kind)
        return make

    return enter


Function: TypeAlias = Callable[..., Floats]


def score(
    name: str,
    formula: str,
    reads: Sequence[str],
    direction: Direction = "lower",
    parameters: Sequence[Parameter] | None = None,
    source: str = "",
    error_unit: str | None = None,
) -> Callable[[Function], Function]:
    """Returns a decorator that registers a function as a score.

    The function is called with the terms, arrays of one shape in base units, and each parameter by its name; it returns
    the score of each model as an array of that shape.

    Args:
        name: an identifier; `effbench rank --score NAME` asks for it.
        formula: as people write it, "ERROR" standing for the error's name.
        reads: the terms that the function reads, such as "latency" and "error".
        direction: which values are better.
        parameters: what `--score NAME:PARAMETER=VALUE` can set; None takes the function's own after the terms, with
            their defaults: one without is needed.
        source: where the formula comes from.
        error_unit: the unit that the error must have, where the formula demands one.

    Raises:
        InputError: the name is taken or cannot be written in `--score`, or the direction is neither.
    """
    _refuse_unusable(name, direction)
    read = tuple(reads)

    def enter(function: Function) -> Function:
        def made(label: str, settings: Settings) -> Score:
            value = _checked(name, function, read, settings)
            return Score(
                name=label,
                formula=formula,
                reads=read,
                direction=direction,
                value=value,
                order=value if direction == "lower" else lambda terms: -value(terms),
                error_unit=error_unit,
                settings=settings,
            )

        taken = _parameters_of(function) if parameters is None else tuple(parameters)
        scores.add(name, ScoreKind(name, formula, read, direction, taken, source, made))
        return function

    return enter


def _refuse_unusable(name: str, direction: str) -> None:
    if not name.isidentifier() or name in ("min", "max") or name in TERMS:
        raise InputError(f"score {name!r}: choose a name of letters, digits and _ that is no term, min or max")
    if direction not in ("lower", "higher"):
        raise InputError(f"score {name}: direction {direction!r} is neither 'lower' nor 'higher'")


def _parameters_of(function: Function) -> tuple[Parameter, ...]:
    """Returns what a function takes beside the terms."""
    _, *others = inspect.signature(function).parameters.values()
    return tuple(Parameter(item.name, "", None if item.default is item.empty else item.default) for item in others)


def _checked(name: str, function: Function, reads: Sequence[str], settings: Settings) -> Callable[[Terms], Floats]:
    """Returns a user's function of the terms that it reads; where it raises or gives no such array, that is told."""

    def value(terms: Terms) -> Floats:
        import numpy as np

        what = f"the function of score {name}"
        given = {term: terms[term] for term in reads}
        try:
            with np.errstate(all="ignore"):
                result = function(given, **settings)
                found = np.asarray(result, dtype=np.float64)
        except Exception as error:
            if not is_theirs(function, error):
                raise
            raise raised(what, function, error) from error
        shape = np.broadcast_shapes(*(np.shape(term) for term in given.values()))
        if found.shape != shape:
            raise wrong(what, function, result, f"an array of shape {shape}")
        return found

    return value
