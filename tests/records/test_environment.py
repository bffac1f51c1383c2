"""What makes two timings comparable."""

from dataclasses import replace

import pytest
from pydantic import TypeAdapter

from effbench.records.environment import (
    Cache,
    Cpu,
    Environment,
    Gpu,
    Memory,
    Revision,
    System,
    TorchBuild,
    differences,
)

HOST = Environment(
    Cpu("Xeon", "6-207-2", "x86_64", 8, 4, 8, 4, "unlimited", (Cache(3, "Unified", 2**25, 1),), "performance"),
    Memory(2**34, 2**33, "unlimited"),
    System("Example 12", "Linux 6.1.0", "3.12.4", None),
    (Gpu(0, "cuda", "A100", 2**36, "550.1", "8.0", 108), Gpu(1, "cuda", "H100", 2**36, "550.1", "9.0", 132)),
    TorchBuild(
        "2.14.1",
        "abc",
        "13.0",
        threads=8,
        settings=(("float32 matmul precision", "highest"), ("cudnn.benchmark", "False")),
    ),
    Revision("def", dirty=False),
    (("OMP_NUM_THREADS", "8"), ("OMP_PROC_BIND", "true")),
)


def differing(other: Environment, device: str = "cpu") -> tuple[str, ...]:
    return differences(HOST.fingerprint(device), other.fingerprint(device))


CPU_ONLY = [
    (replace(HOST, cpu=replace(HOST.cpu, governor="powersave")), "governor: performance ≠ powersave"),
    (replace(HOST, cpu=replace(HOST.cpu, governor=None)), "governor: performance ≠ unknown"),
    (replace(HOST, cpu=replace(HOST.cpu, quota_cores=2.5)), "quota: unlimited ≠ 2.5 cores"),
    (replace(HOST, cpu=replace(HOST.cpu, caches=())), "last-level cache: 32,768 KiB ≠ unknown"),
    (
        replace(HOST, cpu=replace(HOST.cpu, available_logical=4)),
        "available cores: 4 physical, 8 logical ≠ 4 physical, 4 logical",
    ),
    (replace(HOST, system=replace(HOST.system, on_battery=True)), "on battery: unknown ≠ yes"),
]


@pytest.mark.parametrize(("other", "expected"), CPU_ONLY)
def test_what_times_on_the_processor_depend_on(other: Environment, expected: str) -> None:
    assert differing(other) == (expected,)
    assert differing(other, "cuda") == ()


BOTH = [
    (replace(HOST, cpu=replace(HOST.cpu, model="EPYC")), "CPU: Xeon ≠ EPYC"),
    (
        replace(HOST, torch=TorchBuild("2.13.0", "abc", "13.0", settings=HOST.torch.settings if HOST.torch else ())),
        "torch: 2.14.1 ≠ 2.13.0",
    ),
    (replace(HOST, variables=()), "OMP_PROC_BIND: true ≠ not set"),
    (replace(HOST, system=replace(HOST.system, python="3.11.9")), "Python: 3.12 ≠ 3.11"),
]


@pytest.mark.parametrize(("other", "expected"), BOTH)
@pytest.mark.parametrize("device", ["cpu", "cuda:1"])
def test_what_all_times_depend_on(other: Environment, expected: str, device: str) -> None:
    assert differing(other, device) == (expected,)


@pytest.mark.parametrize(
    "other",
    [
        replace(HOST, memory=Memory(1, 2, 3)),
        replace(HOST, revision=None),
        replace(HOST, system=replace(HOST.system, kernel="Linux 6.2.7", python="3.12.9", os="Example 13")),
        replace(HOST, variables=(("OMP_PROC_BIND", "true"), ("OMP_NUM_THREADS", "4"))),  # a timing says its threads
        replace(HOST, cpu=replace(HOST.cpu, logical_cores=64, physical_cores=32)),  # beyond those it may use
    ],
)
def test_what_hardly_changes_a_time(other: Environment) -> None:
    assert differing(other) == differing(other, "cuda") == ()


def test_only_the_gpu_that_was_timed_counts() -> None:
    other = replace(HOST, gpus=(HOST.gpus[0], replace(HOST.gpus[1], driver="560.2")))
    assert differing(other, "cuda") == differing(other, "cpu") == ()
    assert differing(other, "cuda:1") == ("device driver: 550.1 ≠ 560.2",)
    assert differences(HOST.fingerprint("cuda:0"), HOST.fingerprint("cuda:1")) == (
        "device: A100 ≠ H100",
        "device capability: 8.0 ≠ 9.0",
        "device processors: 108 ≠ 132",
    )
    assert dict(HOST.fingerprint("xpu"))["device"] == "unknown"


def test_switches_of_cuda_s_libraries_do_not_part_times_on_the_processor() -> None:
    assert HOST.torch is not None
    build = replace(
        HOST.torch, settings=(("float32 matmul precision", "highest"), ("cudnn.benchmark", "True")), cuda="12.0"
    )
    other = replace(HOST, torch=build)
    assert differing(other) == ()
    assert differing(other, "cuda") == ("CUDA: 13.0 ≠ 12.0", "cudnn.benchmark: False ≠ True")


def test_every_fact_is_shown_once_and_in_words() -> None:
    facts = HOST.facts()
    names = [name for name, _ in facts]
    assert len(names) == len(set(names))
    shown = dict(facts)
    assert shown["cuda:1"] == "H100"
    assert shown["cuda:1 memory"] == "65,536 MiB"
    assert shown["caches"] == "L3 Unified 1 × 32,768 KiB"
    assert shown["git revision"] == "def"
    assert shown["boost"] == "unknown"
    assert dict(replace(HOST, revision=Revision("def", dirty=True)).facts())["git revision"] == "def + changes"


@pytest.mark.parametrize(
    ("available", "limit", "expected"),
    [(100, 50, 50), (100, 200, 100), (100, "unlimited", 100), (100, None, 100), (None, 50, None)],
)
def test_usable_memory(available: int | None, limit: object, expected: int | None) -> None:
    assert Memory(1000, available, limit).usable_bytes == expected  # type: ignore[arg-type]


def test_the_last_level_is_all_its_caches_but_no_instructions() -> None:
    caches = (Cache(1, "Data", 10, 4), Cache(2, "Unified", 100, 3), Cache(2, "Instruction", 7, 1))
    assert Cpu(caches=caches).last_level_bytes == 300
    assert Cpu(caches=(Cache(1, "Instruction", 7, 1),)).last_level_bytes is None


def test_it_goes_to_json_and_back() -> None:
    adapter = TypeAdapter(Environment)
    for one in (HOST, replace(HOST, cpu=replace(HOST.cpu, quota_cores=2.5)), Environment(Cpu(), Memory(), System())):
        assert adapter.validate_json(adapter.dump_json(one)) == one
