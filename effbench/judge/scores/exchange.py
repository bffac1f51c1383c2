"""What a score trades: how much quality makes up for one doubling of a cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from effbench.judge.scores.kinds import Score
from effbench.judge.terms import COSTS, Floats, Terms
from effbench.records.note import Note

STEP = 1e-4
"""Of the numerical derivatives: relative in a cost, as a share of the quality's size or spread otherwise."""


@dataclass(frozen=True, slots=True)
class ExchangeRate:
    """What one doubling of a cost is worth.

    Attributes:
        term: the cost; of throughput it is one halving.
        quality: "error", or the quality term that the score reads instead.
        change: by how much the quality must change to leave the score as it was, in its unit: negative for an error,
            which has to fall; infinite where the quality has no weight.
        exact: whether it is the same for all models; otherwise it holds at `at`, the medians of the table.
    """

    term: str
    quality: str
    change: float
    exact: bool
    at: Mapping[str, float] = field(default_factory=dict)


def exchange_rates(score: Score, terms: Terms) -> tuple[ExchangeRate, ...]:
    """Returns the rate of each cost against each quality that the score trades it for.

    With S the score's order, one doubling of the cost c changes it by ln 2 · ∂S/∂ln c, which a change of the quality q
    by −ln 2 · (∂S/∂ln c) / (∂S/∂q) undoes. The slopes are the score's own where it states them as constants, else
    numerical ones at the median of the models that have a score.

    Args:
        score: the score.
        terms: what it reads, of all models of the table.

    Returns:
        None of them where the score reads no cost or no quality, or only gates by it.
    """
    costs = [term for term in score.reads if term in (*COSTS, "throughput")]
    gated = score.gate.term if score.gate is not None else ""
    qualities = [term for term in score.reads if term not in costs and term != gated]
    if not costs or not qualities:
        return ()
    at = _medians(score, terms)
    found = []
    for quality in qualities:
        for cost in costs:
            exact = cost in score.log_slopes and quality in score.slopes
            if exact:
                slopes = score.log_slopes[cost], score.slopes[quality]
            elif at:
                slopes = _log_slope(score, at, cost), _slope(score, at, quality, terms[quality])
            else:
                continue
            found.append(ExchangeRate(cost, quality, _change(cost, *slopes), exact, {} if exact else at))
    return tuple(found)


def _change(cost: str, per_log: float, per_unit: float) -> float:
    doubling = -math.log(2.0) if cost == "throughput" else math.log(2.0)
    if per_unit == 0:
        return math.nan if per_log == 0 else math.inf
    return -doubling * per_log / per_unit


def _medians(score: Score, terms: Terms) -> Mapping[str, float]:
    """Returns the median of each term over the models that have a score; {} where none has."""
    import numpy as np

    ranked = np.isfinite(np.asarray(score.order(terms)))
    if not ranked.any():
        return {}
    return {name: float(np.median(np.broadcast_to(terms[name], ranked.shape)[ranked])) for name in score.reads}


def _log_slope(score: Score, at: Mapping[str, float], term: str) -> float:
    """Returns ∂order/∂ln(term), by the central difference over factors e^±STEP."""
    return _difference(score, at, term, at[term] * math.exp(-STEP), at[term] * math.exp(STEP)) / (2 * STEP)


def _slope(score: Score, at: Mapping[str, float], term: str, values: Floats) -> float:
    """Returns ∂order/∂term, by the central difference over a step that suits the term's size.

    At 0 it is (4·S(h) − 3·S(0) − S(2h)) / 2h, of the same accuracy: an error is never below 0.
    """
    import numpy as np

    step = STEP * (abs(at[term]) or float(np.ptp(values)) or 1.0)
    if at[term] == 0:
        return (4 * _difference(score, at, term, 0.0, step) - _difference(score, at, term, 0.0, 2 * step)) / (2 * step)
    return _difference(score, at, term, at[term] - step, at[term] + step) / (2 * step)


def _difference(score: Score, at: Mapping[str, float], term: str, low: float, high: float) -> float:
    import numpy as np

    ends = {name: np.full(2, value) for name, value in at.items()} | {term: np.array([low, high])}
    first, last = score.order(ends).tolist()
    return float(last - first)


_UNITS = {"percent": "percentage points", "fraction": ""}
"""How a difference of such errors is called: "5 percent of an error" would be a part of it."""


def exchange_rate(score: Score, terms: Terms, error_name: str = "error", unit: str = "") -> Note:
    """Returns the exchange rate as a note, such as "one doubling of cost (params or flops) = 0.6931 pixels of error".

    Args:
        score: the score.
        terms: what it reads, of all models of the table.
        error_name: what the error is called.
        unit: the error's unit.
    """
    rates = exchange_rates(score, terms)
    if not rates:
        return Note("exchange-rate", score.name, _no_rate(score, error_name))
    lines: dict[str, list[str]] = {}
    for rate in rates:
        lines.setdefault(_worth(rate, error_name, unit), []).append(rate.term)
    told = [f"one {_step(costs)} = {worth}" for worth, costs in lines.items()]
    text = "; ".join(told)
    measured = next((rate.at for rate in rates if not rate.exact), {})
    if measured:
        place = ", ".join(f"{error_name if name == 'error' else name} {value:.4g}" for name, value in measured.items())
        text += f"; at the median model ({place}), elsewhere it may differ"
    return Note("exchange-rate", score.name, text)


def _step(costs: Sequence[str]) -> str:
    if len(costs) == 1:
        return "halving of throughput" if costs[0] == "throughput" else f"doubling of {costs[0]}"
    return f"doubling of cost ({' or '.join(costs)})"


def _worth(rate: ExchangeRate, error_name: str, unit: str) -> str:
    """Returns "0.6931 pixels of error", or what else is to be said of a rate."""
    name = error_name if rate.quality == "error" else rate.quality
    if math.isnan(rate.change):
        return f"nothing here: neither it nor {name} moves the score"
    if math.isinf(rate.change):
        return f"more than any {name}, which does not move the score here"
    shown = {"error": _UNITS.get(unit, unit), "psnr": "dB"}.get(rate.quality, "")
    amount = " ".join(part for part in (f"{abs(rate.change):.4g}", shown, "of", name) if part)
    if rate.quality == "error" and unit == "fraction":
        amount += " (as a fraction)"
    if rate.quality == "error" and rate.change > 0:
        return f"{amount} more: the score rewards one of the two, check its direction"
    return amount


def _no_rate(score: Score, error_name: str) -> str:
    if score.gate is not None:
        gate = str(score.gate).replace("error", error_name, 1)
        return f"no exchange: {gate} is a gate, beyond it no quality makes up for cost"
    if any(term in score.reads for term in (*COSTS, "throughput")):
        return "no exchange: the score reads cost alone"
    return "no exchange: the score reads no cost"
