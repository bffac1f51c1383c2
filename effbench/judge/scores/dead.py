"""Terms of a score that do not matter: the models stand in the same order without them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from effbench.judge.scores.kinds import Score
from effbench.judge.terms import Floats, Terms
from effbench.records.note import Note

LEVEL = 0.99
"""Above this rank correlation with the order without it, a term does not matter."""

FAINT = 0.1
"""Below this share of the spread of the rest, an error hardly weighs even where it swaps some models."""

FEWEST = 3
"""Models from which on a rank correlation says something."""


@dataclass(frozen=True, slots=True)
class DeadTerm:
    """A term that does not matter, or hardly does.

    Attributes:
        spearman: between the score's order and the order with the term held at its median; None for less than 3 models.
        models: how many were compared.
        constant: all models have the same value of it.
        factor: from the least to the largest value it changes the score by this factor, and the rest of the score
            changes it by `factor_of_rest`; None where the score does not separate them.
        parameter: the score's parameter that weighs the term; "" where there is none.
        matters_at: the smallest value of the parameter at which the Spearman falls to .99; None where it never does.
        balances_at: the value at which the term's spread equals that of the rest, both as max − min of what they add
            to the logarithm of the score; None where the term is constant.
    """

    term: str
    spearman: float | None
    models: int
    constant: bool = False
    factor: float | None = None
    factor_of_rest: float | None = None
    parameter: str = ""
    matters_at: float | None = None
    balances_at: float | None = None


def dead_terms(score: Score, terms: Terms) -> tuple[DeadTerm, ...]:
    """Returns the terms without which the order stays as it is: Spearman above .99 with the term held at its median.

    An error that a score weighs as e^(k·error) is also returned where its spread is less than a tenth of the rest's: it
    may swap neighbours, and still cost decides. Models without a score (gated, undefined) do not count; a term that is
    all that the score reads is never dead.

    Args:
        score: the score.
        terms: what it reads, arrays of shape (models,).
    """
    import numpy as np

    order = np.asarray(score.order(terms), dtype=np.float64)
    ranked = np.isfinite(order)
    models = int(ranked.sum())
    if models < 2:
        return ()
    shown = {name: np.broadcast_to(terms[name], order.shape)[ranked] for name in score.reads}
    found = (_judged(score, shown, order[ranked], term) for term in score.reads)
    return tuple(item for item in found if item is not None)


def _judged(score: Score, terms: Terms, order: Floats, term: str) -> DeadTerm | None:
    import numpy as np

    values = terms[term]
    spread = float(np.ptp(values))
    held = score.order({**terms, term: np.full_like(values, np.median(values))})
    # Alone it is the score: without it nothing is left that could keep the order.
    correlation = spearman(order, held) if len(order) >= FEWEST and len(score.reads) > 1 else None
    same = correlation is not None and correlation > LEVEL
    weight = score.slopes.get(term)
    if term != "error" or weight is None or not score.error_parameter:
        return DeadTerm(term, correlation, len(order), constant=spread == 0) if same else None
    # Not order − weight · error: models of one cost would differ in its last digit.
    rest = np.asarray(score.order({**terms, term: np.zeros_like(values)}), dtype=np.float64)
    of_rest = float(np.ptp(rest))
    if not same and not weight * spread < FAINT * of_rest:
        return None
    per_unit = weight / score.settings[score.error_parameter]
    threshold = matters_at(rest, values)
    return DeadTerm(
        term=term,
        spearman=correlation,
        models=len(order),
        constant=spread == 0,
        factor=_factor(weight * spread),
        factor_of_rest=_factor(of_rest),
        parameter=score.error_parameter,
        matters_at=None if threshold is None else threshold / per_unit,
        balances_at=of_rest / spread / per_unit if spread > 0 else None,
    )


def _factor(log: float) -> float:
    return math.exp(log) if log < 700 else math.inf


def spearman(one: Floats, other: Floats) -> float | None:
    """Returns Spearman's rank correlation of two arrays of one shape (n,), ties with their mean rank.

    It is Pearson's correlation of the ranks; None where one of them is constant. Two orders that are equal give 1
    exactly, also beyond doubles' digits.
    """
    return _of_ranks(mean_ranks(one), mean_ranks(other))


def mean_ranks(values: Floats) -> Floats:
    """Returns ranks from 1 for the lowest, equal values with their mean rank, without the wait for scipy's import.

    Args:
        values: shape (n,), none of them NaN.
    """
    import numpy as np

    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[places])


def _of_ranks(one: Floats, other: Floats) -> float | None:
    """Returns Pearson's correlation of ranks; None where all are one."""
    import numpy as np

    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    if np.array_equal(one, other):
        return 1.0
    a, b = one - one.mean(), other - other.mean()
    return float((a @ b) / math.sqrt(float(a @ a) * float(b @ b)))


def matters_at(rest: Floats, error: Floats, level: float = LEVEL) -> float | None:
    """Returns the smallest weight at which the order by rest + weight · error has Spearman ≤ `level` with that by rest.

    As the weight grows from 0, two models swap at most once: where the cheaper has the larger error, at the weight
    (difference of rest) / (difference of error). Each swap of neighbours that stood as `rest` has them lowers
    Spearman's correlation, so it only falls, and bisection finds the weight to a relative 1e-12.

    Args:
        rest: what the score's logarithm is without the error, shape (models,).
        error: shape (models,).
        level: the correlation asked for, below 1.

    Returns:
        None where no weight does it: cost and error agree too well, or there are too few models. 0 where the least
        weight does, since it tells so many models of one `rest` apart.
    """
    import numpy as np

    spread, of_rest = float(np.ptp(error)), float(np.ptp(rest))
    if len(rest) < FEWEST or spread == 0 or of_rest == 0:
        return None
    ranks = mean_ranks(rest)

    def falls(order: Floats) -> bool:
        found = _of_ranks(ranks, mean_ranks(order))
        return found is None or found <= level

    by_rest, by_error = (np.unique(values, return_inverse=True)[1].astype(np.float64) for values in (rest, error))
    if not falls(by_error * len(rest) + by_rest):  # the order at an unlimited weight
        return None
    if falls(by_rest * len(rest) + by_error):  # at the least one
        return 0.0
    low, high = 0.0, of_rest / spread
    while not falls(rest + high * error):
        high *= 2.0
        if not math.isfinite(high * spread):  # errors that differ by less than doubles can weigh
            return None
    while high - low > 1e-12 * high:
        middle = (low + high) / 2.0
        if falls(rest + middle * error):
            high = middle
        else:
            low = middle
    return high


def dead_note(dead: DeadTerm, error_name: str = "error") -> Note:
    """Returns what a reader is told of a dead term; of an error also the weight at which it would matter."""
    name = error_name if dead.term == "error" else dead.term
    code = "dead-term"
    if dead.constant:
        return Note(code, name, f"does not matter: all {dead.models} models have the same")
    parts = []
    if dead.spearman is not None and dead.spearman > LEVEL:
        rank = f"Spearman {_shown(dead.spearman)} with the order without it, {dead.models:,} models"
        parts.append(f"does not matter: {rank}")
    else:
        parts.append("hardly matters")
    if dead.factor is not None and dead.factor_of_rest is not None:
        parts.append(
            f"from best to worst it changes the score by a factor of {dead.factor:.3g}, "
            f"cost by {dead.factor_of_rest:.3g}"
        )
    if dead.balances_at is not None:
        parts.append(_remedy(dead))
    return Note(code, name, "; ".join(parts))


def _shown(correlation: float) -> str:
    """Returns four decimals, never rounded up to 1."""
    if correlation == 1:
        return "1"
    return "above 0.9999" if correlation > 0.9999 else f"{correlation:.4f}"


def _remedy(dead: DeadTerm) -> str:
    """Returns the values of the parameter at which the term begins to matter and at which it balances the rest."""
    balances = f"spreads as widely as cost at {dead.parameter} = {dead.balances_at:.4g}"
    if dead.spearman is None or dead.spearman <= LEVEL:
        return f"it {balances}"
    if dead.matters_at is None:
        return f"it agrees with cost, so no {dead.parameter} makes an order that differs from cost alone; it {balances}"
    begins = f"it begins to matter (Spearman {LEVEL}) at {dead.parameter} = {dead.matters_at:.4g}"
    return f"{begins} and {balances}"
