"""Tables of models whose true order is known: true figures, what was measured of them, and draws from that."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from effbench.judge.uncertainty import PerSample, ProcessTimes, Share, draw_errors, draw_times
from effbench.records import Evaluation
from effbench.stats import Floats, typical

DRAWS = 1000


class Table(NamedTuple):
    """What models are truly ordered by, what was measured, shape (models,), and draws of that, (draws, models)."""

    truth: Floats
    nominal: Floats
    order: Floats


@dataclass(frozen=True)
class Kind:
    """A kind of table."""

    says: str
    made: Callable[[np.random.Generator, int], Table]


def shares(models: int, low: float, high: float, samples: int) -> Callable[[np.random.Generator, int], Table]:
    """Errors in percent, each of so many samples of its own."""

    def made(random: np.random.Generator, seed: int) -> Table:
        truth = random.uniform(low, high, models)
        seen = random.binomial(samples, truth) / samples
        order = draw_errors([Share(float(value), samples) for value in seen], DRAWS, seed)
        return Table(truth, seen, order)

    return made


def paired(models: int, spread: float, samples: int) -> Callable[[np.random.Generator, int], Table]:
    """Models of normal ability on the same samples of normal difficulty: right where chance puts ability above it."""

    def mean(evaluation: Evaluation, weights: Floats) -> Floats:
        return np.asarray(weights @ np.array(evaluation.per_sample["value"]) / weights.sum(axis=1))

    def made(random: np.random.Generator, seed: int) -> Table:
        ability = random.normal(1.0, spread, models)
        easier = ability[:, None] - 2 * random.standard_normal(samples)
        wrong = (random.random((models, samples)) > 1 / (1 + np.exp(-easier))).astype(float)
        known = [
            PerSample(Evaluation("wrong", "fraction", "lower", samples, {"value": tuple(row)}, digest="same"))
            for row in wrong
        ]
        return Table(-ability, wrong.mean(axis=1), draw_errors(known, DRAWS, seed, mean))

    return made


def times(models: int, spread: float, rounds: int) -> Callable[[np.random.Generator, int], Table]:
    """Log times of models that ran in turns: 5 % of noise that a round shares, 2 % of each process."""

    def made(random: np.random.Generator, seed: int) -> Table:
        truth = random.uniform(0, spread, models)
        logs = truth + 0.05 * random.standard_normal((rounds, 1)) + 0.02 * random.standard_normal((rounds, models))
        known = [ProcessTimes(tuple(row), tuple(range(rounds)), "one run") for row in logs.T]
        order = np.log(draw_times(known, DRAWS, seed))
        return Table(truth, np.array([_centre(row) for row in logs.T]), order)

    return made


def both(models: int, rounds: int) -> Callable[[np.random.Generator, int], Table]:
    """The logarithm of time · e^error, error in percent of 10,000 samples."""
    of_time, of_error = times(models, 3.0, rounds), shares(models, 0.18, 0.25, 10_000)

    def made(random: np.random.Generator, seed: int) -> Table:
        fast, wrong = of_time(random, seed), of_error(random, seed)
        return Table(*(a + 100 * b for a, b in zip(fast, wrong, strict=True)))

    return made


KINDS = {
    "20 shares, apart": Kind("errors of 15 to 35 %, 10,000 samples", shares(20, 0.15, 0.35, 10_000)),
    "20 shares, near ties": Kind("errors of 24.9 to 25.1 %, 1,000 samples", shares(20, 0.249, 0.251, 1000)),
    "100 shares, near ties": Kind("errors of 24.9 to 25.1 %, 1,000 samples", shares(100, 0.249, 0.251, 1000)),
    "2 shares, near ties": Kind("errors of 24.9 to 25.1 %, 1,000 samples", shares(2, 0.249, 0.251, 1000)),
    "200 shares, dense": Kind("errors of 15 to 35 %, 10,000 samples", shares(200, 0.15, 0.35, 10_000)),
    "20 paired": Kind("the same 1,000 samples, abilities with sd 0.2", paired(20, 0.2, 1000)),
    "20 paired, near ties": Kind("the same 1,000 samples, abilities with sd 0.01", paired(20, 0.01, 1000)),
    "20 times, 6 rounds": Kind("0 to 20 % apart", times(20, 0.2, 6)),
    "20 times, 20 rounds": Kind("0 to 20 % apart", times(20, 0.2, 20)),
    "20 times, 6 rounds, near ties": Kind("0 to 0.1 % apart", times(20, 0.001, 6)),
    "20 times, 12 rounds, near ties": Kind("0 to 0.1 % apart", times(20, 0.001, 12)),
    "50 scores": Kind("time · e^error: 6 rounds; errors of 18 to 25 %, 10,000 samples", both(50, 6)),
}


def _centre(logs: Floats) -> float:
    found = typical(logs)
    assert found is not None
    return math.log(found.estimate)
