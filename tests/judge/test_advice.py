"""Every line of advice appears where its reason is there, and only there."""

from dataclasses import replace
from typing import Any

import pytest

from effbench.judge.advice import advice
from effbench.records import Note
from effbench.records.environment import Cache, Cpu, Environment, Memory, Revision, System, TorchBuild
from effbench.records.peaks import GemmRun, Peaks

GOOD = Environment(
    Cpu(
        "Xeon",
        "6-207-2",
        "x86_64",
        logical_cores=4,
        physical_cores=4,
        available_logical=4,
        available_physical=4,
        quota_cores="unlimited",
        caches=(Cache(3, "Unified", 2**25, 1),),
        governor="performance",
        frequency_driver="acpi-cpufreq",
        energy_preference="performance",
        max_hz=3_000_000_000,
        boost=False,
        virtual=False,
        numa_nodes=1,
    ),
    Memory(2**34, 2**33, "unlimited"),
    System("Example 12", "Linux 6.1.0", "3.12.4", on_battery=False),
    (),
    TorchBuild("2.14", "abc", "13.0", "9", "none", "AVX512", "OpenMP", "mkl", "v3", 4, 4),
    Revision("def", dirty=False),
)


def cpu(**changes: Any) -> Environment:
    return replace(GOOD, cpu=replace(GOOD.cpu, **changes))


def system(**changes: Any) -> Environment:
    return replace(GOOD, system=replace(GOOD.system, **changes))


def test_a_good_machine_needs_no_advice() -> None:
    assert advice(GOOD) == ()


ADVICE = [
    (cpu(governor="powersave"), "governor", "the governor is powersave"),
    (cpu(boost=True), "boost", "turn it off (/sys/devices/system/cpu/cpufreq/boost: 0)"),
    (cpu(boost=True, frequency_driver="intel_pstate"), "boost", "intel_pstate/no_turbo: 1"),
    (system(on_battery=True), "battery", "plug it in"),
    (cpu(quota_cores=2.5), "quota", "allows 2.5 cores of the 4 that are visible: time with --threads 2"),
    (cpu(quota_cores=0.5), "quota", "time with --threads 1"),
    (cpu(available_physical=2), "hyper-threads", "4 logical cores are 2 physical ones"),
    (cpu(available_physical=2), "hyper-threads", "time with --threads 2"),
    (cpu(numa_nodes=2), "numa", "split over 2 nodes"),
    (cpu(virtual=True), "virtual", "a virtual machine"),
    (replace(GOOD, variables=(("CUDA_LAUNCH_BLOCKING", "1"),)), "blocking", "every kernel is waited for"),
    (replace(GOOD, variables=(("LD_PRELOAD", "libjemalloc.so.2"),)), "preload", "libjemalloc.so.2 is preloaded"),
    (replace(GOOD, torch=TorchBuild("2", "a", "1", "9", "n", "DEFAULT", "O", "m", "v", 4, 4)), "capability", "vector"),
    (cpu(governor=None, boost=None), "unknown", "this machine does not tell: governor, boost"),
]


@pytest.mark.parametrize(("environment", "code", "text"), ADVICE)
def test_one_thing_is_wrong(environment: Environment, code: str, text: str) -> None:
    (note,) = advice(environment)
    assert note.code == code
    assert text in note.text


def test_threads_that_were_chosen_well_are_not_corrected() -> None:
    (note,) = advice(cpu(quota_cores=2.5), threads=2)
    assert note.text == "the control group allows 2.5 cores of the 4 that are visible"
    (note,) = advice(cpu(available_physical=2), threads=2)
    assert "--threads" not in note.text
    assert [note.code for note in advice(GOOD, threads=9)] == ["oversubscribed"]


def test_a_quota_of_all_cores_is_none() -> None:
    assert advice(cpu(quota_cores=4.0)) == ()


def test_disturbances_are_told_once_each_with_their_remedy_and_how_often() -> None:
    notes = [
        Note("waiting", "cpu", "waited 3%"),
        Note("steal", "cpu", "stole 2%"),
        Note("steal", "cpu", "stole 4%"),
        Note("gpu-foreign", "GPU-a", "others: [8]"),
        Note("fast-path-off", "net", "not about the machine"),
    ]
    found = advice(GOOD, notes)
    assert [(note.code, note.subject) for note in found] == [
        ("steal", "cpu"),
        ("waiting", "cpu"),
        ("gpu-foreign", "GPU-a"),
    ]
    assert (
        found[0].text == "stole 4% (2 times): the host is shared: ask for dedicated cores, or measure at a quieter time"
    )
    assert found[1].text.startswith("waited 3%: stop other programs")


def gemm(threads: int, *samples_s: float) -> GemmRun:
    return GemmRun("float32", threads, 10, 1, samples_s)


def peaks(*runs: GemmRun) -> Peaks:
    return Peaks("cpu", runs, (), 1.0)


def test_peaks_that_are_steady_and_scale_are_silent() -> None:
    """Four threads in a third of the time, samples 2 % apart."""
    assert advice(GOOD, peaks=peaks(gemm(1, 3.0, 3.03), gemm(4, 1.0, 1.02))) == ()


def test_peaks_of_a_disturbed_machine_are_no_limits() -> None:
    (note,) = advice(GOOD, peaks=replace(peaks(gemm(1, 3.0, 3.03)), disturbed=True))
    assert note.code == "disturbed-peaks"


def test_an_unsteady_peak() -> None:
    """1, 1.1 and 1.2 s: quartiles 1.05 and 1.15, spread .1 / 1.1 = 9 %."""
    (note,) = advice(GOOD, peaks=peaks(gemm(1, 1.0, 1.1, 1.2)))
    assert (note.code, note.subject) == ("unsteady-peak", "float32")
    assert "spread by 9%" in note.text


def test_threads_that_do_not_scale() -> None:
    """Four threads in 1/1.9 of the time are below half of four; in 1/2.1 they are not."""
    (note,) = advice(GOOD, peaks=peaks(gemm(1, 1.9), gemm(4, 1.0)))
    assert note.code == "no-scaling"
    assert note.text.startswith("4 threads reach 1.9 × the FLOP/s of 1 in float32")
    assert advice(GOOD, peaks=peaks(gemm(1, 2.1), gemm(4, 1.0))) == ()


def test_the_gravest_comes_first() -> None:
    bad = replace(cpu(quota_cores=1.0, governor="powersave", virtual=True, boost=None))
    found = [note.code for note in advice(bad, [Note("steal", "cpu", "x")])]
    assert found == ["quota", "steal", "governor", "virtual", "unknown"]
