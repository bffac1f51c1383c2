"""How long a model is called before another one's turn comes."""

from __future__ import annotations

from dataclasses import dataclass

_ALONE_S = 0.005
"""About what a turn of the only model takes, so that what passes around it (two pipes, 0.1 ms) is a small part."""

_AMONG_OTHERS_S = 0.01
"""A turn among others keeps so long calls. On two cores and a model of 13 ms the log ratio of two turns had a robust sd
of 15 % whether one call was kept or two, and hardly any correlation with the next one: many short turns tell most."""

_COLD_S = 0.005
"""Calls in so much of the beginning of such a turn are not kept: the caches hold what the other model left there."""

_COLD_MATTERS_S = 0.05
"""Calls that take longer are all kept: refilling caches takes some tenths of a millisecond."""

_MOST_CALLS = 200


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a model.

    Attributes:
        calls: whose times are kept.
        cold_calls: before them, not kept.
        rests: whether the process is waited for until its threads sleep.
    """

    calls: int
    cold_calls: int = 0
    rests: bool = False

    @property
    def all_calls(self) -> int:
        """Returns the calls that it makes."""
        return self.cold_calls + self.calls


def turn_alone(call_s: float) -> Turn:
    """Returns the turn of the only model; a call takes `call_s` seconds."""
    return Turn(_calls(_ALONE_S, call_s))


def turn_among_others(call_s: float) -> Turn:
    """Returns the turn of one of several models; a call takes `call_s` seconds."""
    return Turn(_calls(_AMONG_OTHERS_S, call_s), 0 if call_s > _COLD_MATTERS_S else _calls(_COLD_S, call_s), True)


def _calls(seconds: float, call_s: float) -> int:
    if call_s <= 0:  # too short for the clock
        return _MOST_CALLS
    return min(_MOST_CALLS, max(1, round(seconds / call_s)))
