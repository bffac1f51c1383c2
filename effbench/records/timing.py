"""What was asked of a clock and what it read; every statistic is derived from these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from effbench.records.energy import Energy
from effbench.records.note import Note

Precision = Literal["float32", "float16", "bfloat16", "autocast-float16", "autocast-bfloat16"]
MemoryFormat = Literal["contiguous", "channels_last"]
Pass = Literal["inference", "training"]
Until = Literal["interval", "verdict"]

INTERRUPTED = "interrupted"
"""The code of the Note on a timing that was ended from outside."""


@dataclass(frozen=True, slots=True)
class TimingPlan:
    """What is timed: everything that a time depends on and that the user may choose.

    Attributes:
        device: "cpu", "cuda", "cuda:1", "mps", … as `torch.device` reads it.
        batch: the first dimension of every input; None leaves the inputs as they are.
        threads: intra-op threads; None leaves PyTorch's own choice, which `Timing.threads` then says.
        compiled: through `torch.compile`, whose time is kept apart.
        runs: a forward pass, or forward, backward and the optimiser's step.
        captured: recorded once as a CUDA graph, and replayed.
        cold_cache: an accelerator's last-level cache is overwritten before each call, outside the time.
    """

    device: str = "cpu"
    batch: int | None = None
    precision: Precision = "float32"
    memory_format: MemoryFormat = "contiguous"
    threads: int | None = None
    compiled: bool = False
    runs: Pass = "inference"
    captured: bool = False
    cold_cache: bool = False


@dataclass(frozen=True, slots=True)
class StopRule:
    """When enough was measured.

    Attributes:
        half_width: wanted half-width of the 95 % interval, relative to the median.
        margin: relative difference below which two models are the same.
        budget_s: seconds of measuring, start-up of processes and first calls apart; a round is cut short where it ends.
        min_rounds: fresh processes per model before anything is concluded.
        max_rounds: fresh processes per model at most.
        calls: steady calls per model and round.
        round_s: seconds of measuring that one round may take; None shares the budget out among twice the fewest rounds.
        until: every model's interval is narrow enough, or every model's verdict against the first one is settled.
    """

    half_width: float = 0.01
    margin: float = 0.02
    budget_s: float = 60.0
    min_rounds: int = 6
    max_rounds: int = 40
    calls: int = 50
    until: Until = "interval"
    round_s: float | None = None


@dataclass(frozen=True, slots=True)
class ProcessRun:
    """What one fresh process measured of one model, in seconds.

    Attributes:
        round: number of the round; the processes of one round were alive together, their calls in random order.
        first_s: the first call, reported apart.
        warmup_s: the calls after it and before the steady ones.
        samples_s: the steady calls.
        order: place of each steady call among all that happened in its round: calls of all models, those at the
            beginning of a turn that are not kept, and the rest between two turns.
        wall_s: time around the steady calls of this process, each measured from outside the clock and summed.
        compile_s: the first call of a compiled model; None where nothing was compiled.
        peak_bytes: by kind ("allocated", "reserved", "process", "resident"): the most memory held.
        notes: what disturbed it.
    """

    round: int
    first_s: float
    warmup_s: tuple[float, ...]
    samples_s: tuple[float, ...]
    order: tuple[int, ...]
    wall_s: float
    compile_s: float | None = None
    peak_bytes: tuple[tuple[str, int], ...] = ()
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Timing:
    """Everything a clock read of one model under one plan.

    Attributes:
        threads: intra-op threads that it ran with.
        converged: whether the stop rule's precision was reached within its budget.
        died: one line saying how its process ended; None where it lived.
        samples: in one call, the first dimension of its inputs; None where they do not share one.
        run: names the run in which it took turns with other models: rounds of one number were alive together. Empty
            where it was timed alone, or by an effbench that did not say.
        energy: what a counter read under the same plan, after the times; None where none was asked for or there is
            no counter.
    """

    model: str
    plan: TimingPlan
    rule: StopRule
    runs: tuple[ProcessRun, ...]
    threads: int
    converged: bool
    died: str | None = None
    notes: tuple[Note, ...] = ()
    samples: int | None = None
    run: str = ""
    energy: Energy | None = None

    @property
    def interrupted(self) -> bool:
        """Returns whether it was ended from outside, perhaps for what was seen of it, and not by its rule."""
        return any(note.code == INTERRUPTED for note in self.notes)
