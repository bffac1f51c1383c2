"""`effbench selfcheck` as a pipeline: a model against itself, the machine's peaks, and what disturbs both."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from effbench.errors import InputError, Interrupted
from effbench.judge.advice import advice
from effbench.judge.disturbances import GPU_KINDS, KINDS, Disturbed, disturbances
from effbench.judge.selfcheck import SelfCheck, self_check
from effbench.judge.timings import Estimate, estimate
from effbench.judge.verdict import Comparison, compare, pair_log_ratios
from effbench.measure.timing.entrant import Died, Entrant, Now
from effbench.measure.timing.rounds import Interference
from effbench.measure.timing.run import Progress
from effbench.measure.timing.together import TIME_IS_UP, Together
from effbench.records import Note, StopRule, Timing, TimingPlan
from effbench.records.environment import Environment
from effbench.records.peaks import Peaks
from effbench.records.timing import INTERRUPTED
from effbench.timings import Timed, time_entrants, watch_here

CALL_S = 0.01
"""What a call of the built-in model takes, about."""

BUDGET_S = 180.0
FEWEST_S = 20.0
"""A smaller budget holds no two pairs of processes and a peak."""

_PEAKS = 0.15
_END = 0.03
"""Shares of the budget for the peaks, and for what follows them."""

_ROUNDS = 300
_SHARES = 20
"""A round may take a fortieth of the budget: on a busy machine it has fewer calls instead of being one of few."""

Say = Callable[[str], None]
MeasurePeaks = Callable[[float, Environment], Peaks]
"""Gives the peaks of the machine, within so many seconds."""


@dataclass(frozen=True, slots=True)
class Checked:
    """Everything that a selfcheck found.

    Attributes:
        spent_s: from its start to its end.
        model: what the built-in model's times say.
        comparison: the verdict of the series as it was measured, A against A.
        check: error rates and power; None for fewer pairs than a verdict needs.
        peaks: None where it was interrupted before they were measured.
        disturbed: what was seen during the series, kind by kind.
        notes: what is incomplete, then advice.
    """

    device: str
    threads: int
    budget_s: float
    spent_s: float
    model: Estimate
    comparison: Comparison
    check: SelfCheck | None
    peaks: Peaks | None
    disturbed: tuple[Disturbed, ...]
    environment: Environment
    notes: tuple[Note, ...]


def selfcheck(
    budget_s: float = BUDGET_S, device: str = "cpu", threads: int | None = None, say: Say = lambda text: None
) -> Checked:
    """Returns what this machine's timings are worth, within the budget.

    Args:
        budget_s: seconds for everything, start-up of processes among them.
        device: as `torch.device` reads it.
        threads: intra-op threads; None for PyTorch's own choice.
        say: told where it stands.

    Raises:
        InputError: the budget is too small, or there is no such device.
        Interrupted: somebody ended it when a pair was finished already; what was measured so far is kept.
    """
    begin_s = time.perf_counter()
    _check(budget_s)
    say("starting PyTorch")
    from effbench.measure.timing.probe import probe, repeats_for
    from effbench.measure.timing.worker import Worker

    plan = TimingPlan(device, threads=threads)
    try:
        asked = probe(repeats_for(CALL_S, plan))
    except Died as error:
        raise InputError(f"{device}: the built-in model cannot be run: {error}") from error
    entrants = [Worker(name, asked, plan, timeout_s=budget_s) for name in ("A", "A again")]
    watch, unseen = watch_here([plan])

    def peaks(seconds: float, environment: Environment) -> Peaks:
        return peaks_here(device, threads, seconds, environment, watch)

    return checked(entrants, peaks, budget_s, watch, unseen, say, time.perf_counter, begin_s)


def checked(
    entrants: Sequence[Entrant],
    peaks: MeasurePeaks,
    budget_s: float,
    watch: Interference,
    unseen: tuple[Note, ...] = (),
    say: Say = lambda text: None,
    now: Now = time.perf_counter,
    begin_s: float | None = None,
) -> Checked:
    """Returns a selfcheck of a machine, a real one or a simulated one.

    Args:
        entrants: one model twice.
        peaks: measures the machine's peaks.
        budget_s: seconds for everything since `begin_s`, which is now where it is None.
        watch: what disturbs a round.
        unseen: a Note for each kind of disturbance that the machine gives no sign of.
        say: told where it stands.
        now: the clock.

    Raises:
        Interrupted: somebody ended it when a pair was finished already; what was measured so far is kept.
    """
    start_s = now() if begin_s is None else begin_s
    together = Together(entrants, now, start_s + budget_s * (1 - _PEAKS - _END))
    last = Progress(0, 0, 0.0, 0.0, ())

    def on_round(found: Progress) -> None:
        nonlocal last
        last = found
        say(_standing(found, now() - start_s, budget_s))

    # It never converges, so that time alone ends it.
    rule = StopRule(half_width=1e-9, budget_s=budget_s, min_rounds=_SHARES, max_rounds=_ROUNDS)

    def judged(seen: Timed, found: Peaks | None) -> Checked:
        return _judged(seen, last, found, entrants[0].plan.device, budget_s, unseen, lambda: now() - start_s)

    def measured(environment: Environment) -> Peaks:
        left_s = start_s + budget_s * (1 - _END) - now()
        return peaks(max(min(left_s, budget_s * _PEAKS), 1.0), environment)

    try:
        timed = time_entrants(together.entrants, rule, 0, now, on_round, watch)
    except Interrupted as stop:
        raise Interrupted(_ended(judged(stop.kept, None)), stop) from stop
    finally:
        together.close()
    return _with_peaks(timed, measured, judged, say)


def _check(budget_s: float) -> None:
    if not budget_s >= FEWEST_S:
        raise InputError(f"--budget {budget_s:g}: two pairs of processes and the peaks need {FEWEST_S:g} s at least")


def _standing(found: Progress, spent_s: float, budget_s: float) -> str:
    ratio = found.ratios[0][1] if found.ratios else None
    shown = "" if ratio is None else f", A/A ratio {ratio.estimate:.3f} ± {ratio.half_width:.1%}"
    return f"{found.round} pairs of processes{shown}; {spent_s:.0f} of {budget_s:.0f} s"


def _with_peaks(
    timed: Timed,
    measured: Callable[[Environment], Peaks],
    judged: Callable[[Timed, Peaks | None], Checked],
    say: Say,
) -> Checked:
    """Returns what the series and the peaks say together.

    Raises:
        Interrupted: somebody ended it; the series is kept, and the peaks where they were measured.
    """
    found: Peaks | None = None
    try:
        say("measuring the peaks")
        found = measured(timed.environment)
        say("drawing labels")
        return judged(timed, found)
    except KeyboardInterrupt as stop:
        raise Interrupted(_ended(judged(timed, found)), stop) from stop


def _judged(
    timed: Timed,
    last: Progress,
    peaks: Peaks | None,
    device: str,
    budget_s: float,
    unseen: tuple[Note, ...],
    spent: Callable[[], float],
) -> Checked:
    base, again = timed.timings
    ratios = pair_log_ratios(base, again)
    rule = StopRule()
    check = self_check(ratios, last.spent_s / len(ratios), rule) if len(ratios) >= rule.min_rounds else None
    rounds = [run.notes for run in base.runs]
    seen = tuple(note for notes in rounds for note in dict.fromkeys(notes))
    told = (*_incomplete(timed.timings, len(ratios), rule), *_remembering(check), *_unsteady(timed.timings))
    on_cpu = base.threads if device == "cpu" else None
    of_peaks = peaks.notes if peaks else ()
    advised = advice(timed.environment, (*of_peaks, *seen, *unseen), peaks, on_cpu)
    limited = tuple(note for note in of_peaks if note.code not in (*KINDS, *GPU_KINDS))  # those are in the advice
    return Checked(
        device,
        base.threads,
        budget_s,
        spent(),
        estimate(base),
        compare(base, again),
        check,
        peaks,
        disturbances(rounds, unseen, device.startswith("cuda")),
        timed.environment,
        (*told, *limited, *advised),
    )


def _ended(found: Checked) -> Checked:
    """Returns what was found until an interruption, which it says."""
    pairs = found.comparison.pairs
    left = "; the peaks were not measured" if found.peaks is None else ""
    told = Note(INTERRUPTED, "A/A", f"stopped after {pairs} {'pair' if pairs == 1 else 'pairs'} of processes{left}")
    return replace(found, notes=(told, *found.notes))


def _incomplete(timings: Sequence[Timing], pairs: int, rule: StopRule) -> tuple[Note, ...]:
    deaths = [timing.died for timing in timings if timing.died not in (None, TIME_IS_UP)]
    died = tuple(Note("died", "A/A", str(death)) for death in deaths)
    if pairs >= rule.min_rounds:
        return died
    told = f"{pairs} pairs of processes were measured and a verdict needs {rule.min_rounds}"
    remedy = "" if any(timing.interrupted for timing in timings) else ": raise --budget"
    return (*died, Note("few-pairs", "A/A", told + remedy))


def _remembering(check: SelfCheck | None) -> tuple[Note, ...]:
    if check is None or check.remembered is None:
        return ()
    told = f"neighbouring pairs agree (correlation {check.remembered:.2f}): the machine changes slowly, false alarms"
    return (Note("memory", "A/A", f"{told} may be more than the draws show; close other programs and repeat"),)


def _unsteady(timings: Sequence[Timing]) -> tuple[Note, ...]:
    return tuple(note for timing in timings for note in timing.notes if note.code == "not-steady")[:1]


# The peaks


def peaks_here(
    device: str, threads: int | None, budget_s: float, environment: Environment, watch: Interference
) -> Peaks:
    """Returns the peaks of a device of this machine, on one thread and on as many as timings use."""
    import torch

    from effbench.measure.machine.bench import TorchBench, precisions_on
    from effbench.measure.machine.peaks import PeaksPlan, array_size, measure_peaks

    used = threads or torch.get_num_threads()
    cache, usable = environment.cpu.last_level_bytes, environment.memory.usable_bytes
    counts = tuple(sorted({1, used}))
    if device.startswith("cuda"):
        properties = torch.cuda.get_device_properties(torch.device(device))
        cache, usable = properties.L2_cache_size, properties.total_memory
        counts = (used,)
    size, notes = array_size(cache, usable)
    plan = PeaksPlan(budget_s, counts, precisions_on(device))
    return measure_peaks(TorchBench(device), plan, size, time.perf_counter, notes, watch)
