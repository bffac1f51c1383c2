"""How often the timer's verdict is wrong, right and missing on a simulated machine: one rule, all of it together.

A verdict that is always "undecided" makes no error, and one that is never undecided makes many: false alarms, power and
the share of undecided only mean something side by side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np

from effbench.measure.timing.drawn import drawn
from effbench.measure.timing.simulated import BETWEEN_ROUNDS_S, Machine
from effbench.records.timing import StopRule
from effbench.stats import Floats, Looks, Settled, settled, typical

_COST_S = 0.01


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of many runs that compare a model with one that is slower by `difference`.

    Attributes:
        margin, pairs_allowed: of the rule.
        slower, faster, same, undecided: shares of the runs; they sum to 1.
        pairs_used: on average until the verdict, or the most that the rule allows.
        spread: standard deviation of a pair's log ratio.
    """

    machine: str
    difference: float
    margin: float
    pairs_allowed: int
    runs: int
    slower: float
    faster: float
    same: float
    undecided: float
    pairs_used: float
    spread: float


def outcome(machine: Machine, difference: float, rule: StopRule, runs: int, seed: int) -> Outcome:
    """Returns the verdicts of so many runs, each looked at after every pair and stopped when it is settled.

    Args:
        difference: relative, of the second model's noise-free cost; 0 compares a model with itself.
        rule: its rounds, calls and margin; the budget never ends these runs.
    """
    costs = (_COST_S, _COST_S * (1 + difference))
    ratios = np.empty((runs, rule.max_rounds))
    # Every row of a table is drawn for itself: with common seeds one unlucky draw would show in all of them.
    first = crc32(f"{machine.name} {difference} {rule.max_rounds} {seed}".encode())
    for run in range(runs):
        ratios[run] = drawn(machine, costs, rule.max_rounds, rule.calls, first + run).log_ratios(0, 1)
    return outcome_of(machine.name, difference, rule, ratios)


def outcome_of(machine: str, difference: float, rule: StopRule, ratios: Floats) -> Outcome:
    """Returns the verdicts on log ratios shaped (runs, rule.max_rounds)."""
    verdicts, pairs = verdicts_of(ratios, rule)
    slower, faster, same, undecided = (float(np.mean(verdicts == kind)) for kind in (1, -1, 2, 0))
    runs, allowed = ratios.shape
    sd = float(ratios.std(axis=-1, ddof=1).mean())
    return Outcome(
        machine,
        difference,
        rule.margin,
        allowed,
        runs,
        slower,
        faster,
        same,
        undecided,
        float(pairs.mean()),
        sd,
    )


def verdicts_of(ratios: Floats, rule: StopRule) -> Settled:
    """Returns each run's verdict (1 slower, −1 faster, 2 same, 0 undecided) and the pairs it took."""
    return settled(ratios, Looks(rule.min_rounds, ratios.shape[1]), math.log1p(rule.margin))


def operating_point(
    machine: Machine, rule: StopRule | None = None, runs: int = 200, seed: int = 0
) -> tuple[Outcome, ...]:
    """Returns the verdicts on 0, the margin, 3 % and 10 % under the rule, and on 0 and 1 % under a finer one.

    1 % is within the default margin of 2 %: who wants to find it says so, here with a margin of 0.5 % and 300 pairs.
    """
    usual = rule or StopRule()
    finer = replace(usual, margin=0.005, max_rounds=300)
    return (
        *(outcome(machine, difference, usual, runs, seed) for difference in (0.0, usual.margin, 0.03, 0.10)),
        *(outcome(machine, difference, finer, runs, seed) for difference in (0.0, 0.01)),
    )


@dataclass(frozen=True, slots=True)
class Coverage:
    """How often the 95 % interval of one model's median holds the truth.

    Attributes:
        rounds: processes in each run.
        truth_s: what a run of 4,000 processes comes to; on a machine that drifts, at the middle of the run.
        held: share of the runs whose interval holds it.
        half_width: on average, relative.
    """

    machine: str
    rounds: int
    runs: int
    truth_s: float
    held: float
    half_width: float


def coverage(machine: Machine, rounds: int, calls: int = 50, runs: int = 1000, seed: int = 0) -> Coverage:
    """Returns how often the interval of a run of so many rounds holds the truth."""
    truth_s = typical_s(machine, rounds, calls)
    first = crc32(f"{machine.name} {rounds} {seed}".encode())
    found = [typical(_log_medians(machine, rounds, calls, first + run)) for run in range(runs)]
    intervals = [each for each in found if each is not None]
    held = sum(each.low <= truth_s <= each.high for each in intervals) / runs
    width = sum(each.half_width for each in intervals) / runs
    return Coverage(machine.name, rounds, runs, truth_s, held, width)


def typical_s(machine: Machine, rounds: int, calls: int = 50) -> float:
    """Returns the median call of a typical process of a model that costs 10 ms, in a run of so many rounds.

    Where a machine has slow states, that depends on how a process's calls fall into them, so it is read off 4,000
    processes; a drift adds what it has done by the middle of the run.
    """
    still = replace(machine, drift_per_minute=0.0)
    logs = _log_medians(still, 4000, calls, crc32(f"truth {machine.name}".encode()))
    found = typical(logs)
    assert found is not None
    middle_s = (rounds * calls * _COST_S + (rounds - 1) * BETWEEN_ROUNDS_S) / 2
    return found.estimate * math.exp(math.log1p(machine.drift_per_minute) * middle_s / 60)


def _log_medians(machine: Machine, rounds: int, calls: int, seed: int) -> Floats:
    return np.asarray(np.median(drawn(machine, (_COST_S,), rounds, calls, seed).log_s[0], axis=-1))
