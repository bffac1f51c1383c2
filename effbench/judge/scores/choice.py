"""What the text of `--score` names: a registered score with its parameters, or a formula of the user's own."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from difflib import get_close_matches

from effbench.errors import InputError
from effbench.judge.expression import formula_of
from effbench.judge.scores.kinds import Direction, Parameter, Score, ScoreKind, scores
from effbench.judge.terms import TERMS, Floats, Terms, digits

_NAMED = re.compile(r"\s*(?P<name>[A-Za-z_]\w*)\s*(?::(?P<settings>.*))?", re.DOTALL)
_DIRECTED = re.compile(r"\s*(?P<word>min|max)\s*:(?P<text>.*)", re.DOTALL)
DIRECTIONS: Mapping[str, Direction] = {"min": "lower", "max": "higher"}


def score_of(text: str, known: Mapping[str, str] = TERMS) -> Score:
    """Returns the score that a text names.

    A text is one of

    * a registered name: `params_flops_exp`;
    * a registered name with parameters in base units: `params_flops_exp:k=20`, `ntire_esr:t0=0.022,F0=16.7e9,P0=276e3`;
    * a formula of terms: `params**0.5 * latency * exp(10*error)`, lower is better; `max: …` says that higher is, and
      `min: …` that lower is.

    Args:
        text: as the user wrote it.
        known: terms that a formula may use and their units; a ranking adds its metrics to the standard ones.

    Raises:
        InputError: the name, a parameter or a term is unknown, a parameter is missing or impossible, or the formula
            cannot be read; the message has the column.
    """
    directed = _DIRECTED.fullmatch(text)
    if directed is not None:
        return _formula(text, directed["text"], DIRECTIONS[directed["word"]], known)
    named = _NAMED.fullmatch(text)
    if named is None:
        return _formula(text, text, "lower", known)
    name, settings = named["name"], named["settings"]
    kind = scores.find(name)
    if kind is not None:
        return _with_settings(kind, settings)
    if name in known:
        if settings is not None:
            raise InputError(f"--score {text.strip()}: {name} is a term and takes no parameters: write {name} alone")
        return _formula(text, text, "lower", known)
    raise _unknown(name, known)


def _unknown(name: str, known: Mapping[str, str]) -> InputError:
    near = get_close_matches(name, scores.names(), n=3, cutoff=0.5) or get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(scores.names())}"
    return InputError(f"unknown score {name!r}: {hint} A formula of terms can be given too, such as 'params * error'")


def value_of_one(score: Score, figures: Mapping[str, float]) -> float:
    """Returns the score of one model.

    Args:
        score: the score.
        figures: term → its value in base units.

    Raises:
        InputError: the score reads a term that is not among them.
    """
    import numpy as np

    missing = [term for term in score.reads if term not in figures]
    if missing:
        raise InputError(f"the score {score.name} reads {', '.join(missing)}, of which nothing is known")
    return float(score.value({term: np.array(figures[term], dtype=np.float64) for term in score.reads}))


# A formula


def _formula(text: str, body: str, direction: Direction, known: Mapping[str, str]) -> Score:
    """Returns the score that a user's formula is; it is ordered by its logarithm where it cannot be negative."""
    formula = formula_of(body, known, offset=len(text) - len(body), whole=text)

    def order(terms: Terms) -> Floats:
        ordered = formula.order(terms)
        return ordered if direction == "lower" else -ordered

    return Score(
        name=" ".join(text.split()),
        formula=re.sub(r"\berror\b", "ERROR", formula.text),
        reads=formula.reads,
        direction=direction,
        value=formula.value,
        order=order,
    )


# Parameters


def _with_settings(kind: ScoreKind, text: str | None) -> Score:
    """Returns a registered score with the parameters that "k=20,T=0.08" gives."""
    given = _given(kind, text)
    missing = [item for item in kind.parameters if item.default is None and item.name not in given]
    if missing:
        said = "; ".join(map(_described, missing))
        example = ",".join(f"{item.name}=…" for item in missing)
        raise InputError(f"--score {kind.name} needs {said}: write {kind.name}:{example}")
    settings = {item.name: given.get(item.name, item.default) for item in kind.parameters}
    chosen = {name: value for name, value in settings.items() if value is not None}
    changed = ",".join(f"{item.name}={digits(chosen[item.name])}" for item in kind.parameters if item.name in given)
    return kind.make(f"{kind.name}:{changed}" if changed else kind.name, chosen)


def _given(kind: ScoreKind, text: str | None) -> dict[str, float]:
    parameters = {item.name: item for item in kind.parameters}
    found: dict[str, float] = {}
    for part in (text or "").split(",") if text is not None else ():
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not name or not value:
            raise InputError(f"--score {kind.name}: {part.strip()!r} is no parameter: write {_usage(kind)}")
        if name not in parameters:
            raise _unknown_parameter(kind, name)
        if name in found:
            raise InputError(f"--score {kind.name}: {name} stands twice: give it once")
        found[name] = _number(kind, parameters[name], value)
    return found


def _described(parameter: Parameter) -> str:
    return f"{parameter.name}, {parameter.about}" if parameter.about else parameter.name


def _usage(kind: ScoreKind) -> str:
    if not kind.parameters:
        return f"{kind.name} alone, it has no parameters"
    return f"{kind.name}:" + ",".join(f"{item.name}=NUMBER" for item in kind.parameters)


def _unknown_parameter(kind: ScoreKind, name: str) -> InputError:
    known = "; ".join(map(_described, kind.parameters))
    said = f"it has {known}" if known else "it has none"
    return InputError(f"--score {kind.name}: unknown parameter {name!r}: {said}")


def _number(kind: ScoreKind, parameter: Parameter, text: str) -> float:
    """Returns a parameter's value, which must be finite and within its bounds."""
    where, wanted = f"--score {kind.name}: {parameter.name}={text}", parameter.about or "a number"
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"{where} is no number: give {wanted}") from None
    if not math.isfinite(value):
        raise InputError(f"{where} is not finite: give {wanted}")
    if parameter.above is not None and not value > parameter.above:
        raise InputError(f"{where} must be above {digits(parameter.above)}: give {wanted}")
    if parameter.below is not None and not value < parameter.below:
        raise InputError(f"{where} must be below {digits(parameter.below)}: give {wanted}")
    return value
