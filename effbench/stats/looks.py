"""Tests that may be looked at after every new value: how much error each look may spend."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from effbench.stats.student import ERROR, Floats


@dataclass(frozen=True, slots=True)
class Looks:
    """When a growing series is looked at: after `first` values, then after each one, `last` at most."""

    first: int
    last: int

    def __post_init__(self) -> None:
        """Refuses looks before there is a spread, or an end before the start."""
        if not 2 <= self.first <= self.last:
            raise ValueError(f"looks from {self.first} to {self.last} values: needs 2 ≤ first ≤ last")


@dataclass(frozen=True, slots=True)
class Spending:
    """How looks at a growing series share the error that they may make together.

    Attributes:
        error: two-sided, of a single look.
        share: of it that several looks spend together. Boundaries come from normal walks while the values' spread is
            estimated, which costs a little; below 1 makes up for it.
        power: after a share t of the looks, t^power of the error is spent.
    """

    error: float
    share: float
    power: float


DIFFERENT = Spending(ERROR, 0.8, 3.0)
"""Equal models called different where 12, 40 and 100 values are the most and each from the sixth on is looked at: 4.5,
4.5 and 4.2 % (200,000 runs of normal values; 5.6, 5.5 and 5.2 % with share 1). 3 % at sd 5 % is found within 40 values
with probability .923 after 25.9 on average; with power 1 it would be .885 after 23.7, with power 2 .914 after 24.7."""

SAME = Spending(2 * ERROR, 0.95, 3.0)
"""Two one-sided tests at 5 %: models at the margin are called the same in 5 % at most."""

TYPICAL = Spending(ERROR, 0.85, 1.0)
"""A run that stops where an interval is narrow gains from narrow early ones: at a spread of 1 % between processes ±1 %
is reached after 13.2 of 40 on average, with power 3 after 16.2; all looks together cover 95 to 96 % either way."""


def nominal_error(looks: Looks, count: int, final: bool, spending: Spending) -> float:
    """Returns the two-sided error that a test at this look may have so that all looks together keep to the spending.

    Error spending: Lan and DeMets, Biometrika 70 (1983), with the power family of Kim and DeMets, Biometrika 74 (1987).
    A look before `looks.first`, or an only one, has the whole error.
    """
    if count < looks.first or looks.first == looks.last:
        return spending.error
    if count > looks.last:
        raise ValueError(f"a look after {count} values: {looks.last} were planned at most")
    going, ending = _boundaries(looks, spending)
    return ending[count - looks.first] if final else going[count - looks.first]


@lru_cache(maxsize=64)
def _boundaries(looks: Looks, spending: Spending) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Returns the nominal errors of each look where the series may go on, and of each where it ends there.

    Armitage, McPherson and Rowe, JRSS A 132 (1969): the walk's density among those not stopped yet, on a grid.
    """
    first, last, error = looks.first, looks.last, spending.share * spending.error
    step = 0.1
    edge = int(8 * math.sqrt(last) / step)
    grid = np.arange(-edge, edge + 1, dtype=np.float64) * step
    kernel = _normal_density(grid[np.abs(grid) < 8], 1.0) * step
    mass = _normal_density(grid, math.sqrt(first)) * step
    spent, going, ending = 0.0, [], []
    for count in range(first, last + 1):
        mass = np.convolve(mass, kernel, "same") if count > first else mass
        due = error * (count / last) ** spending.power
        limit = _upper_tail(grid, mass, (due - spent) / 2)
        going.append(_two_sided(limit / math.sqrt(count)))
        ending.append(_two_sided(_upper_tail(grid, mass, (error - spent) / 2) / math.sqrt(count)))
        mass = mass * np.clip((limit - np.abs(grid)) / step + 0.5, 0, 1)
        spent = due
    return tuple(going), tuple(ending)


def _upper_tail(grid: Floats, mass: Floats, tail: float) -> float:
    """Returns the point beyond which the mass, spread evenly over each cell, is `tail`."""
    step = grid[1] - grid[0]
    beyond = np.cumsum(mass[::-1])
    return float(np.interp(tail, beyond, grid[::-1] - step / 2))


def _normal_density(at: Floats, sd: float) -> Floats:
    return np.asarray(np.exp(-0.5 * (at / sd) ** 2) / (sd * math.sqrt(2 * math.pi)))


def _two_sided(z: float) -> float:
    return math.erfc(z / math.sqrt(2))
