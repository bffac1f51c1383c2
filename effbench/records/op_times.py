"""How long each op of a model took, measured in passes of their own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OpTimes:
    """Seconds of every op call of a trace, pass by pass.

    Attributes:
        clock: what timed them: "perf_counter_ns", or the events of a device.
        samples_s: by pass, the seconds of each of the trace's op calls, in their order; None for a call that this
            device makes in another way.
        elsewhere_s: by pass, the seconds of all ops together that the trace does not have.
        wall_s: by pass, the seconds around it, what measures it included.
    """

    clock: str
    samples_s: tuple[tuple[float | None, ...], ...]
    elsewhere_s: tuple[float, ...]
    wall_s: tuple[float, ...]
