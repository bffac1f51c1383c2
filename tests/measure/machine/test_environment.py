"""The machine as the kernel's files tell it, for machines that were written by hand (`machines.py`)."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from machines import arm_server, container, laptop, old_container, write

from effbench.measure.machine.cgroups import Throttling, cpu_quota_cores, memory_limit_bytes, throttling
from effbench.measure.machine.environment import (
    Process,
    environment,
    parsed_torch,
    read_driver,
    read_gpus,
    read_machine,
    read_revision,
    read_torch,
    relevant,
    run_program,
    this_process,
)
from effbench.measure.machine.hardware import read_cpu, read_memory, read_on_battery
from effbench.measure.machine.procfs import cpu_list
from effbench.records.environment import Cache, Cpu, Environment, Gpu, Memory, Revision, TorchBuild

MIB = 2**20


def nobody(command: Sequence[str]) -> str | None:
    return None


def process(affinity: frozenset[int] | None = None, **variables: str) -> Process:
    return Process(affinity, variables, "Linux 6.1.0", "x86_64", "3.12.4")


def test_a_laptop(tmp_path: Path) -> None:
    seen = read_machine(write(tmp_path, laptop()), process(frozenset(range(8))), nobody)
    assert seen.cpu == Cpu(
        model="Intel(R) Core(TM) i7-8565U CPU @ 1.80GHz",
        signature="6-142-12",
        architecture="x86_64",
        logical_cores=8,
        physical_cores=4,
        available_logical=8,
        available_physical=4,
        quota_cores="unlimited",
        caches=(
            Cache(1, "Data", 32 * 1024, 4),
            Cache(1, "Instruction", 32 * 1024, 4),
            Cache(2, "Unified", 256 * 1024, 4),
            Cache(3, "Unified", 8 * MIB, 1),
        ),
        governor="powersave",
        frequency_driver="intel_pstate",
        energy_preference="balance_power",
        max_hz=4_600_000_000,
        boost=True,
        virtual=False,
        numa_nodes=1,
    )
    assert seen.cpu.last_level_bytes == 8 * MIB
    assert seen.memory == Memory(16_000_000 * 1024, 8_000_000 * 1024, "unlimited")
    assert (seen.system.os, seen.system.kernel, seen.system.on_battery) == ("Example OS 12", "Linux 6.1.0", True)


def test_affinity_counts_threads_and_the_cores_they_share(tmp_path: Path) -> None:
    """0 and 4 are one core; 1 is another: three logical, two physical."""
    cpu = read_cpu(write(tmp_path, laptop()), frozenset({0, 4, 1, 99}))
    assert (cpu.logical_cores, cpu.physical_cores) == (8, 4)
    assert (cpu.available_logical, cpu.available_physical) == (3, 2)


def test_an_arm_server(tmp_path: Path) -> None:
    cpu = read_cpu(write(tmp_path, arm_server()), frozenset(range(4)), "aarch64")
    assert (cpu.model, cpu.signature) == ("ARM Neoverse-N1", "0x41-0xd0c-0x3-1")
    assert (cpu.physical_cores, cpu.available_physical, cpu.numa_nodes) == (4, 4, 2)
    assert cpu.quota_cores == 150_000 / 50_000
    assert cpu.caches == (Cache(1, "Data", 65536, 4), Cache(2, "Unified", MIB, 4))
    assert cpu.last_level_bytes == 4 * MIB  # four of a megabyte each
    # Nothing says whether a hypervisor is there, which governor rules, or whether the clock may rise.
    assert (cpu.virtual, cpu.governor, cpu.boost, cpu.max_hz) == (None, None, None, None)
    assert memory_limit_bytes(tmp_path) == "unlimited"  # the first version writes a huge number for it
    assert throttling(tmp_path) == Throttling(7, 0.25)
    assert read_on_battery(tmp_path) is None


def test_an_unknown_arm_part_keeps_its_numbers_and_two_kinds_are_both_named(tmp_path: Path) -> None:
    parts = [("0x41", "0xd0b"), ("0x99", "0x001")]
    lines = [f"processor: {n}\nCPU implementer: {i}\nCPU part: {p}" for n, (i, p) in enumerate(parts)]
    cpu = read_cpu(write(tmp_path, {"proc/cpuinfo": "\n\n".join(lines)}))
    assert cpu.model == "ARM Cortex-A76+ARM implementer 0x99 part 0x001"
    assert cpu.logical_cores == 2  # counted in /proc/cpuinfo where /sys is missing
    assert (cpu.physical_cores, cpu.signature) == (None, None)


def test_a_container(tmp_path: Path) -> None:
    cpu = read_cpu(write(tmp_path, container()), frozenset(range(4)))
    assert (cpu.quota_cores, cpu.virtual, cpu.available_logical) == (2.5, True, 4)
    assert cpu.physical_cores is None  # no topology, and /proc/cpuinfo lacks "core id"
    memory = read_memory(tmp_path)
    assert (memory.limit_bytes, memory.usable_bytes) == (4 * 2**30, 4 * 2**30)
    assert throttling(tmp_path) == Throttling(3, 0.12)


def test_cores_are_told_by_proc_cpuinfo_where_sys_has_no_topology(tmp_path: Path) -> None:
    """Packages 0 and 1, each with cores 0 and 1: four cores; a second thread on the first makes five processors."""
    places = [(0, 0), (0, 1), (1, 0), (1, 1), (0, 0)]
    lines = [f"processor: {n}\nphysical id: {p}\ncore id: {c}" for n, (p, c) in enumerate(places)]
    cpu = read_cpu(write(tmp_path, {"proc/cpuinfo": "\n\n".join(lines)}), frozenset({0, 4}))
    assert (cpu.logical_cores, cpu.physical_cores) == (5, 4)
    assert (cpu.available_logical, cpu.available_physical) == (2, 1)


def test_the_tightest_group_counts(tmp_path: Path) -> None:
    root = write(tmp_path, laptop())
    group = "sys/fs/cgroup/user.slice"
    write(root, {f"{group}/cpu.max": "300000 100000", f"{group}/session-2.scope/cpu.max": "400000 100000"})
    assert cpu_quota_cores(root) == 3
    write(root, {f"{group}/session-2.scope/cpu.max": "20000 100000"})
    assert cpu_quota_cores(root) == 0.2


def test_an_old_container_sees_its_host_s_path(tmp_path: Path) -> None:
    assert cpu_quota_cores(write(tmp_path, old_container())) == 0.5
    assert memory_limit_bytes(tmp_path) is None  # no memory controller is mounted: nobody knows


def test_nothing_there_is_unknown_not_a_guess(tmp_path: Path) -> None:
    seen = read_machine(tmp_path, Process(None, {}, None, None, None), nobody)
    assert seen == Environment(Cpu(), Memory(), seen.system)
    assert (seen.cpu.last_level_bytes, seen.memory.usable_bytes) == (None, None)
    shown = dict(seen.facts())
    assert set(shown.values()) == {"unknown"}
    assert {"CPU", "quota", "governor", "memory", "memory limit", "torch", "git revision"} <= set(shown)


def test_garbage_in_the_kernel_s_files_is_unknown(tmp_path: Path) -> None:
    files = dict.fromkeys(laptop(), "\x00 : garbage - 1,2-x ::")
    seen = read_machine(write(tmp_path, files), process(frozenset({0})), nobody)
    assert (seen.cpu.logical_cores, seen.cpu.boost, seen.cpu.caches) == (None, None, ())
    assert seen.memory.total_bytes is None


def test_macos_is_asked() -> None:
    answers = {"machdep.cpu.brand_string": "Apple M2\n", "hw.logicalcpu": "8\n", "hw.memsize": "17179869184\n"}
    host = Process(None, {}, "Darwin 23.1.0", "arm64", "3.12.4")
    seen = read_machine(Path("/nowhere"), host, lambda command: answers.get(command[-1]))
    assert seen.cpu == Cpu("Apple M2", architecture="arm64", logical_cores=8, physical_cores=None)
    assert seen.memory.total_bytes == 16 * 2**30


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0-3,8", {0, 1, 2, 3, 8}), ("5", {5}), ("", None), (None, None), ("0-", None), ("a", None), ("1,b-2", None)],
)
def test_lists_of_processors(text: str | None, expected: set[int] | None) -> None:
    assert cpu_list(text) == expected


def test_only_variables_that_change_a_time_are_kept_and_no_folder_is_told() -> None:
    given = {
        "HOME": "/home/a",
        "LD_PRELOAD": "/opt/x/libjemalloc.so.2:libfoo.so",
        "OMP_NUM_THREADS": "4",
        "MKL_CBWR": "",
    }
    assert relevant(given) == (("OMP_NUM_THREADS", "4"), ("LD_PRELOAD", "libjemalloc.so.2 libfoo.so"))


CONFIG = """PyTorch built with:
  - GCC 13.3
  - Intel(R) oneAPI Math Kernel Library Version 2024.2-Product Build 20240605 for Intel(R) 64
  - Intel(R) MKL-DNN v3.12.0 (Git Hash 80afa7)
  - OpenMP 201511 (a.k.a. OpenMP 4.5)
  - Build settings: BLAS_INFO=mkl, BUILD_TYPE=Release
"""


@pytest.mark.parametrize(
    ("config", "parallel", "expected"),
    [
        (CONFIG, "ATen parallel backend: OpenMP\n", ("OpenMP 201511", "mkl 2024.2-Product", "v3.12.0")),
        (
            "  - Build settings: BLAS_INFO=open",
            "ATen parallel backend: native thread pool",
            ("native thread pool", "open", None),
        ),
        ("", "", (None, None, None)),
    ],
)
def test_the_libraries_of_a_build(config: str, parallel: str, expected: tuple[str | None, ...]) -> None:
    build = parsed_torch(config, parallel, TorchBuild("2.0", threads=3))
    assert (build.parallel, build.blas, build.onednn) == expected
    assert (build.version, build.threads) == ("2.0", 3)


def test_this_torch() -> None:
    build = read_torch(torch)
    assert build.version == torch.__version__
    assert build.git == torch.version.git_version
    assert build.threads == torch.get_num_threads()
    assert dict(build.settings)["float32 matmul precision"] == torch.get_float32_matmul_precision()


class Accelerators:
    """The part of torch that tells of accelerators, with two GPUs."""

    def __init__(self, kind: str | None, properties: Any = None) -> None:
        self.accelerator = SimpleNamespace(
            is_available=lambda: kind is not None,
            current_accelerator=lambda: SimpleNamespace(type=kind),
            device_count=lambda: 2,
        )
        self._properties = properties

    def get_device_module(self, kind: str) -> Any:
        return SimpleNamespace(get_device_properties=self._properties) if self._properties else SimpleNamespace()


def test_gpus(tmp_path: Path) -> None:
    version = (
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.14  Release Build\nGCC version: gcc 12.3.0"
    )
    root = write(tmp_path, {"proc/driver/nvidia/version": version})
    card = SimpleNamespace(name="Card", total_memory=8 * 2**30, major=9, minor=0, multi_processor_count=132)
    found, notes = read_gpus(Accelerators("cuda", lambda index: card), root)
    assert found[1] == Gpu(1, "cuda", "Card", 8 * 2**30, "550.54.14", "9.0", 132)
    assert (len(found), notes) == (2, ())
    found, notes = read_gpus(Accelerators("mps"), root)
    assert found == (Gpu(0, "mps"), Gpu(1, "mps"))
    assert [note.code for note in notes] == ["unknown-device"] * 2
    assert read_gpus(Accelerators(None), root) == ((), ())


def test_the_closed_driver_s_version_and_none(tmp_path: Path) -> None:
    assert read_driver(tmp_path) is None
    text = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023"
    assert read_driver(write(tmp_path, {"proc/driver/nvidia/version": text})) == "535.104.05"


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"rev-parse": "abc\n", "status": ""}, Revision("abc", dirty=False)),
        ({"rev-parse": "abc\n", "status": " M a.py\n"}, Revision("abc", dirty=True)),
        ({"rev-parse": "abc\n"}, None),
        ({}, None),
    ],
)
def test_revisions(answers: Mapping[str, str], expected: Revision | None) -> None:
    def git(command: Sequence[str]) -> str | None:
        assert command[:4] == ("git", "--no-optional-locks", "-C", "folder")
        return answers.get(command[4])

    assert read_revision(Path("folder"), git) == expected


def test_a_real_repository(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
        command = ["git", "-C", str(tmp_path), *identity, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    assert read_revision(tmp_path, run_program) is None
    git("init", "-q")
    write(tmp_path, {"a": "1"})
    git("add", "a")
    git("commit", "-q", "-m", "one")
    commit = git("rev-parse", "HEAD")
    write(tmp_path, {"untracked": "1"})
    assert read_revision(tmp_path, run_program) == Revision(commit, dirty=False)
    write(tmp_path, {"a": "2"})
    assert read_revision(tmp_path, run_program) == Revision(commit, dirty=True)


def test_a_program_that_is_missing_or_fails_says_nothing() -> None:
    assert run_program(("no-such-program-anywhere",)) is None
    assert run_program(("git", "no-such-verb")) is None


def test_this_machine_is_read_without_its_name() -> None:
    seen = environment(ask=nobody)
    assert seen.cpu.architecture
    assert seen.revision is None
    assert seen.torch is not None
    assert seen.torch.version == torch.__version__
    assert seen.system.python == this_process().python
    assert environment(ask=nobody).fingerprint() == seen.fingerprint()
