"""What a user can do for steadier and more comparable timings, from what is known of the machine and its neighbours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from effbench.records.environment import UNKNOWN, Environment
from effbench.records.note import Note
from effbench.records.peaks import Peaks

SCALES = 0.5
"""n threads that reach less than this share of n times one thread's FLOP/s do not have n cores to themselves."""

STEADY = 0.05
"""Spread of the samples of a peak above which the machine was busy or its clock moved: alone, samples of one size
differ by one or two percent."""


def advice(
    environment: Environment, notes: Sequence[Note] = (), peaks: Peaks | None = None, threads: int | None = None
) -> tuple[Note, ...]:
    """Returns one Note per thing to change or to know, the gravest first: its text says what is and what to do.

    Args:
        environment: where the timings are taken.
        notes: what disturbed them, of all blocks.
        peaks: where they were measured.
        threads: those that timings run with; None for PyTorch's own choice.
    """
    used = threads if threads is not None else (environment.torch.threads if environment.torch else None)
    return (
        *_limits(environment, used),
        *_disturbances(notes),
        *_clock(environment),
        *_cores(environment, used),
        *_switches(environment),
        *_from_peaks(peaks),
        *_unknown(environment),
    )


def _limits(environment: Environment, threads: int | None) -> Iterator[Note]:
    cpu = environment.cpu
    quota = cpu.quota_cores
    if isinstance(quota, int | float) and cpu.available_logical is not None and quota < cpu.available_logical:
        text = f"the control group allows {quota:g} cores of the {cpu.available_logical} that are visible"
        if threads is None or threads > quota:
            text += f": time with --threads {max(1, int(quota))} or raise the limit, or whole periods will be lost"
        yield Note("quota", "cpu", text)
    if threads is not None and cpu.available_logical is not None and threads > cpu.available_logical:
        text = f"{threads} threads share {cpu.available_logical} logical cores: use --threads {cpu.available_logical}"
        yield Note("oversubscribed", "threads", text)


_REMEDIES = {
    "throttled": "raise the control group's CPU limit or use fewer threads",
    "steal": "the host is shared: ask for dedicated cores, or measure at a quieter time",
    "waiting": "stop other programs, or give the timing cores of its own (taskset, cpuset)",
    "neighbours": "stop other programs, or give the timing cores of its own (taskset, cpuset)",
    "pressure": "stop other programs, or give the timing cores of its own (taskset, cpuset)",
    "thermal": "let the processor cool down, improve its cooling, or turn boost off",
    "gpu-foreign": "stop the other processes on the GPU, or choose another one with CUDA_VISIBLE_DEVICES",
    "gpu-throttled": "improve the GPU's cooling or power supply, or lock its clocks (nvidia-smi -lgc)",
    "gpu-power-cap": "lock the clocks below the power limit (nvidia-smi -lgc) where runs differ",
    "gpu-clock": "lock the GPU's clocks (nvidia-smi -lgc)",
    "unwatched": "nothing to do, but this disturbance would go unseen",
}


def _disturbances(notes: Sequence[Note]) -> Iterator[Note]:
    """Yields one line per kind of disturbance and place, with how often it was seen and its last text."""
    counts = Counter((note.code, note.subject) for note in notes if note.code in _REMEDIES)
    last = {(note.code, note.subject): note.text for note in notes}
    for code in _REMEDIES:
        for (found, subject), count in counts.items():
            if found == code:
                times = f" ({count} times)" if count > 1 else ""
                yield Note(code, subject, f"{last[code, subject]}{times}: {_REMEDIES[code]}")


def _clock(environment: Environment) -> Iterator[Note]:
    cpu = environment.cpu
    if cpu.governor is not None and cpu.governor != "performance":
        text = f"the governor is {cpu.governor}: the clock follows the load, so short runs are slower than long ones"
        yield Note("governor", "cpu", f"{text}; sudo cpupower frequency-set -g performance")
    if cpu.boost:
        text = "boost is on: the clock depends on heat and on what the other cores do"
        switch = "intel_pstate/no_turbo: 1" if cpu.frequency_driver == "intel_pstate" else "cpufreq/boost: 0"
        yield Note("boost", "cpu", f"{text}; to compare across days, turn it off (/sys/devices/system/cpu/{switch})")
    if environment.system.on_battery:
        yield Note("battery", "power", "the machine runs on its battery, which lowers clocks: plug it in")


def _cores(environment: Environment, threads: int | None) -> Iterator[Note]:
    cpu = environment.cpu
    physical, logical = cpu.available_physical, cpu.available_logical
    if physical is not None and logical is not None and logical > physical:
        text = f"{logical} logical cores are {physical} physical ones: two threads on one share its arithmetic units"
        if threads is None or threads > physical:
            text += f"; time with --threads {physical}"
        yield Note("hyper-threads", "cpu", text)
    if cpu.numa_nodes is not None and cpu.numa_nodes > 1:
        text = f"memory is split over {cpu.numa_nodes} nodes: hold timings on one (numactl --cpunodebind=0 --membind=0)"
        yield Note("numa", "memory", text)
    if cpu.virtual:
        text = "a virtual machine: what its host does shows as stolen time at best; compare within one run only"
        yield Note("virtual", "cpu", text)


def _switches(environment: Environment) -> Iterator[Note]:
    variables = dict(environment.variables)
    if variables.get("CUDA_LAUNCH_BLOCKING", "0") != "0":
        yield Note(
            "blocking", "CUDA_LAUNCH_BLOCKING", "every kernel is waited for: unset it, or GPU times are too long"
        )
    if "LD_PRELOAD" in variables:
        text = (
            f"{variables['LD_PRELOAD']} is preloaded: an allocator of its own changes times; name it where you publish"
        )
        yield Note("preload", "LD_PRELOAD", text)
    build = environment.torch
    if build is not None and build.cpu_capability in ("DEFAULT", "NO AVX"):
        yield Note("capability", "torch", "PyTorch uses no vector instructions: unset ATEN_CPU_CAPABILITY if it is set")


def _from_peaks(peaks: Peaks | None) -> Iterator[Note]:
    if peaks is None:
        return
    if peaks.disturbed:
        text = "the machine was disturbed while they were measured: they are lower bounds, not limits; measure again"
        yield Note("disturbed-peaks", "peaks", text)
    for precision in dict.fromkeys(run.precision for run in peaks.gemms):
        best: dict[int, float] = {}
        spreads = []
        for run in (run for run in peaks.gemms if run.precision == precision):
            best[run.threads] = max(best.get(run.threads, 0.0), run.flops_per_s)
            fastest = peaks.gemm(precision, run.threads)
            spreads += [run.spread] if run is fastest and run.spread is not None else []
        if spreads and max(spreads) > STEADY:
            text = (
                f"samples of the {precision} peak spread by {max(spreads):.0%}: the machine was busy, its clock moved"
            )
            yield Note("unsteady-peak", precision, f"{text}, or both; the peak may be too low")
        few, many = min(best), max(best)
        if many > few and best[many] < SCALES * best[few] * many / few:
            text = f"{many} threads reach {best[many] / best[few]:.1f} × the FLOP/s of {few} in {precision}"
            yield Note("no-scaling", precision, f"{text}: the cores are not free, or not there")


def _unknown(environment: Environment) -> Iterator[Note]:
    names = [name for name, text in environment.facts() if text == UNKNOWN]
    if names:
        yield Note("unknown", "environment", f"this machine does not tell: {', '.join(names)}")
