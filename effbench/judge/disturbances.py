"""What disturbed the rounds of a run, kind by kind: how often each was seen, and what cannot be seen here at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from effbench.records.note import Note

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "steal": "CPU time taken by the host",
        "throttled": "CPU limit of the control group",
        "waiting": "waiting for a core",
        "neighbours": "other programs on the cores",
        "pressure": "queue for the cores",
        "switches": "involuntary switches",
        "thermal": "throttling by heat",
    }
)
"""Codes of `measure.machine.interference` and what each means."""

GPU_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "gpu-foreign": "other processes on the GPU",
        "gpu-processes": "unknown processes on the GPU",
        "gpu-throttled": "GPU clocks held down",
        "gpu-power-cap": "GPU at its power limit",
        "gpu-clock": "GPU clock fell",
    }
)

_NEEDS = {
    "steal": {"steal"},
    "throttled": {"cgroup"},
    "waiting": {"scheduler"},
    "neighbours": {"steal", "scheduler"},
    "pressure": {"pressure"},
    "switches": {"scheduler"},
    "thermal": {"thermal"},
}
"""The subjects of "unwatched" notes that make a kind invisible; those of a GPU need "gpu"."""


@dataclass(frozen=True, slots=True)
class Disturbed:
    """How often one kind was seen.

    Attributes:
        kind: the code of its notes; `means` says it in words.
        rounds: in which it was seen; None where the machine gives no sign of it.
        of: all rounds.
        last: what its last note said; "" where it was not seen.
    """

    kind: str
    means: str
    rounds: int | None
    of: int
    last: str


def disturbances(
    rounds: Sequence[Sequence[Note]], unwatched: Sequence[Note] = (), gpu: bool = False
) -> tuple[Disturbed, ...]:
    """Returns a row for each kind.

    Args:
        rounds: the notes of each round.
        unwatched: what this machine gives no sign of.
        gpu: whether a GPU was timed.
    """
    blind = {note.subject for note in unwatched if note.code == "unwatched"}
    kinds = {**KINDS, **(GPU_KINDS if gpu else {})}
    return tuple(_row(kind, means, rounds, blind) for kind, means in kinds.items())


def _row(kind: str, means: str, rounds: Sequence[Sequence[Note]], blind: set[str]) -> Disturbed:
    texts = [[note.text for note in notes if note.code == kind] for notes in rounds]
    seen = [found for found in texts if found]
    if not seen and _NEEDS.get(kind, {"gpu"}) & blind:
        return Disturbed(kind, means, None, len(rounds), "")
    return Disturbed(kind, means, len(seen), len(rounds), seen[-1][-1] if seen else "")
