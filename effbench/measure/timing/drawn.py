"""Rounds of a simulated machine drawn all at once, for studies of many thousand of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from effbench.measure.timing.simulated import BETWEEN_ROUNDS_S, Machine, State
from effbench.measure.timing.turns import Turn, turn_alone, turn_among_others
from effbench.stats import Floats

REST_S = 0.005
"""What a process takes after its turn among others until its threads sleep."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """Steady calls of several models, called in turns in random order, without a runner.

    Attributes:
        log_s: log seconds, shaped (models, rounds, calls); whole turns.
        order: place of each call among all that happened in its round, of the same shape.
        turn: of each model.
    """

    log_s: Floats
    order: NDArray[np.int64]
    turn: Turn

    def log_ratios(self, base: int, other: int) -> Floats:
        """Returns each round's log ratio other/base, as `log_ratio` takes it from the calls of two processes."""
        by_turn = self.log_s.reshape(*self.log_s.shape[:2], -1, self.turn.calls)
        values = np.median(by_turn, axis=-1)
        return np.asarray(np.median(values[other] - values[base], axis=-1))


def drawn(machine: Machine, costs_s: tuple[float, ...], rounds: int, calls: int, seed: int) -> Drawn:
    """Returns the steady calls that rounds of fresh processes would have seen, at least `calls`, all drawn at once.

    Turns are those of the first model. The machine's condition is looked up where a call would begin if every call took
    its noise-free cost; `BETWEEN_ROUNDS_S` pass between rounds, `REST_S` after a turn among others.
    """
    noise = np.random.default_rng(seed)
    models = len(costs_s)
    turn = turn_alone(costs_s[0]) if models == 1 else turn_among_others(costs_s[0])
    count = math.ceil(calls / turn.calls)
    slots = noise.random((rounds, count, models)).argsort(axis=-1)  # slots[r, t, m]: place of model m in turn t
    costs = np.asarray(costs_s)
    takes = turn.all_calls * costs + (REST_S if turn.rests else 0.0)
    in_order = np.take_along_axis(np.broadcast_to(takes, slots.shape), slots.argsort(axis=-1), axis=-1)
    ends = np.cumsum(in_order.reshape(rounds, -1), axis=-1)
    starts = ends - in_order.reshape(rounds, -1) + np.arange(rounds)[:, None] * (BETWEEN_ROUNDS_S + ends[0, -1])
    of_model = np.take_along_axis(starts.reshape(rounds, count, models), slots, axis=-1)
    number = turn.cold_calls + np.arange(turn.calls)
    begins = of_model[..., None] + costs[:, None] * number  # (rounds, turns, models, calls of a turn)
    log_s = State(machine, seed).log_factor(np.asarray(begins, dtype=np.float64)) + np.log(costs)[:, None]
    log_s += machine.process_sd * noise.standard_normal((rounds, 1, models, 1))
    log_s += machine.call_sd * noise.standard_normal(log_s.shape)
    turns = slots + models * np.arange(count)[None, :, None]
    order = turns[..., None] * (turn.all_calls + 1) + number
    return Drawn(_by_model(log_s), _by_model(order), turn)


def _by_model(of_turns: NDArray[Any]) -> NDArray[Any]:
    """Returns (models, rounds, calls) of what is shaped (rounds, turns, models, calls of a turn)."""
    by_model = np.moveaxis(of_turns, 2, 0)
    return by_model.reshape(*by_model.shape[:2], -1)
