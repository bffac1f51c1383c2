"""Scores: one number for the trade between cost and error.

chosen = score_of("params_flops_exp:k=20")        # or "mnasnet:T=0.08", or "params**0.5 * latency * exp(10*error)"
terms = {"params": …, "flops": …, "error": …}     # float64 arrays of one shape, in base units
chosen.value(terms), chosen.order(terms)          # the score; what models are ordered by, lower is better
exchange_rates(chosen, terms), dead_terms(chosen, terms)
"""

from effbench.judge.scores import challenges, products  # noqa: F401  fill the table
from effbench.judge.scores.choice import score_of, value_of_one
from effbench.judge.scores.dead import DeadTerm, dead_note, dead_terms, matters_at
from effbench.judge.scores.exchange import ExchangeRate, exchange_rate, exchange_rates
from effbench.judge.scores.kinds import (
    Direction,
    Gate,
    Parameter,
    Score,
    ScoreKind,
    score,
    scores,
)
from effbench.judge.terms import COSTS, TERMS, Floats, Terms

__all__ = [
    "COSTS",
    "TERMS",
    "DeadTerm",
    "Direction",
    "ExchangeRate",
    "Floats",
    "Gate",
    "Parameter",
    "Score",
    "ScoreKind",
    "Terms",
    "dead_note",
    "dead_terms",
    "exchange_rate",
    "exchange_rates",
    "matters_at",
    "score",
    "score_of",
    "scores",
    "value_of_one",
]
