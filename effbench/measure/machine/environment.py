"""Where and with what this process measures: the machine, PyTorch as it was built, and the code's revision."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

import torch

from effbench.measure.machine.hardware import read_cpu, read_darwin, read_memory, read_on_battery
from effbench.measure.machine.procfs import read_text
from effbench.records.environment import Environment, Gpu, Named, Revision, System, TorchBuild
from effbench.records.note import Note

VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "OMP_PROC_BIND",
    "OMP_PLACES",
    "OMP_WAIT_POLICY",
    "OMP_DYNAMIC",
    "GOMP_CPU_AFFINITY",
    "GOMP_SPINCOUNT",
    "KMP_AFFINITY",
    "KMP_BLOCKTIME",
    "MKL_ENABLE_INSTRUCTIONS",
    "MKL_CBWR",
    "ONEDNN_MAX_CPU_ISA",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "ATEN_CPU_CAPABILITY",
    "NVIDIA_TF32_OVERRIDE",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_LAUNCH_BLOCKING",
    "CUDA_VISIBLE_DEVICES",
    "PYTORCH_CUDA_ALLOC_CONF",
    "PYTORCH_ALLOC_CONF",
    "MALLOC_CONF",
    "MALLOC_ARENA_MAX",
    "GLIBC_TUNABLES",
    "LD_PRELOAD",
)
"""Those that change which kernels run, on what cores, or whose allocator serves them."""

Ask = Callable[[Sequence[str]], str | None]
"""Runs a program and returns what it wrote, None where it is missing or failed."""


@dataclass(frozen=True, slots=True)
class Process:
    """What the process says of itself; `affinity` is None where the system has no such thing."""

    affinity: frozenset[int] | None
    variables: Mapping[str, str]
    kernel: str | None
    architecture: str | None
    python: str | None


def this_process() -> Process:
    """Returns what this process says of itself; the machine's own name is not asked for."""
    affinity = getattr(os, "sched_getaffinity", None)
    return Process(
        frozenset(affinity(0)) if affinity else None,
        dict(os.environ),
        " ".join((platform.system(), platform.release())).strip() or None,
        platform.machine() or None,
        platform.python_version() or None,
    )


def environment(folder: Path | None = None, ask: Ask | None = None) -> Environment:
    """Returns the environment of this process; a CUDA device that PyTorch sees is started to tell its name.

    Args:
        folder: whose git revision counts; the working directory where it is None.
        ask: runs git; None runs the real one.
    """
    ask = ask or run_program
    gpus, notes = read_gpus(torch, Path("/"))
    seen = read_machine(Path("/"), this_process(), ask)
    revision = read_revision(folder or Path.cwd(), ask)
    packages = read_packages(sys.modules)
    return replace(seen, gpus=gpus, torch=read_torch(torch), revision=revision, notes=notes, packages=packages)


def read_packages(modules: Mapping[str, object]) -> Named:
    """Returns the versions that imported packages tell of themselves, by name; those of Python and of PyTorch apart."""
    told = {name: getattr(module, "__dict__", {}).get("__version__") for name, module in list(modules.items())}
    apart = {*sys.stdlib_module_names, "torch", "effbench"}
    return tuple(
        (name, version)
        for name, version in sorted(told.items())
        if isinstance(version, str) and "." not in name and name[0] != "_" and name not in apart
    )


def read_machine(root: Path, process: Process, ask: Ask) -> Environment:
    """Returns the processor, memory, system and variables that the kernel's files below a root and a process tell."""
    if (process.kernel or "").startswith("Darwin"):
        cpu, memory = read_darwin(ask, process.architecture)
    else:
        cpu, memory = read_cpu(root, process.affinity, process.architecture), read_memory(root)
    os_name = re.search(r'^PRETTY_NAME="?([^"\n]*)', read_text(root / "etc/os-release") or "", re.MULTILINE)
    system = System(os_name[1] if os_name else None, process.kernel, process.python, read_on_battery(root))
    return Environment(cpu, memory, system, variables=relevant(process.variables))


def relevant(variables: Mapping[str, str]) -> Named:
    """Returns the variables that change a time; of preloaded libraries the names without their folders."""
    found = {name: variables[name] for name in VARIABLES if variables.get(name)}
    if "LD_PRELOAD" in found:
        found["LD_PRELOAD"] = " ".join(PurePath(path).name for path in re.split(r"[ :]+", found["LD_PRELOAD"]))
    return tuple(found.items())


def read_torch(module: Any) -> TorchBuild:
    """Returns how PyTorch was built and which of its switches are set; `module` is torch."""
    return parsed_torch(
        module.__config__.show(),
        module.__config__.parallel_info(),
        TorchBuild(
            version=str(module.__version__),
            git=module.version.git_version,
            cuda=module.version.cuda,
            cudnn=_text(module.backends.cudnn.version() if module.version.cuda else None),
            hip=module.version.hip,
            cpu_capability=module.backends.cpu.get_cpu_capability(),
            threads=module.get_num_threads(),
            interop_threads=module.get_num_interop_threads(),
            settings=_settings(module),
        ),
    )


def parsed_torch(config: str, parallel: str, known: TorchBuild) -> TorchBuild:
    """Returns the build with what the texts of `torch.__config__` add: threading, BLAS and oneDNN."""
    backend = re.search(r"ATen parallel backend: (.+)", parallel)
    openmp = re.search(r"^\s*-?\s*OpenMP (\d+)", config, re.MULTILINE)
    blas = re.search(r"BLAS_INFO=(\w+)", config)
    mkl = re.search(r"Math Kernel Library Version (\S+)", config)
    onednn = re.search(r"MKL-DNN (v\S+)", config)
    threading = backend and (f"OpenMP {openmp[1]}" if openmp and backend[1].strip() == "OpenMP" else backend[1].strip())
    library = blas and (f"mkl {mkl[1]}" if mkl and blas[1] == "mkl" else blas[1])
    return replace(
        known,
        parallel=threading or None,
        blas=library or None,
        onednn=onednn[1] if onednn else None,
    )


def _settings(module: Any) -> Named:
    """Returns the switches that decide which kernels run."""
    cudnn = module.backends.cudnn
    return (
        ("float32 matmul precision", module.get_float32_matmul_precision()),
        ("deterministic algorithms", str(module.are_deterministic_algorithms_enabled())),
        ("oneDNN enabled", str(module.backends.mkldnn.enabled)),
        ("cuda.matmul float32", str(module.backends.cuda.matmul.fp32_precision)),
        ("cudnn.conv float32", str(cudnn.conv.fp32_precision)),
        ("cudnn.benchmark", str(cudnn.benchmark)),
        ("cudnn.deterministic", str(cudnn.deterministic)),
    )


def read_gpus(module: Any, root: Path) -> tuple[tuple[Gpu, ...], tuple[Note, ...]]:
    """Returns the accelerators that PyTorch sees, and a Note where one does not tell what it is; `module` is torch."""
    if not module.accelerator.is_available():
        return (), ()
    kind = module.accelerator.current_accelerator().type
    asked = getattr(module.get_device_module(kind), "get_device_properties", None)
    found: list[Gpu] = []
    notes: list[Note] = []
    for index in range(module.accelerator.device_count()):
        if asked is None:
            found.append(Gpu(index, kind))
            notes.append(Note("unknown-device", f"{kind}:{index}", "PyTorch does not tell this device's name"))
            continue
        properties = asked(index)
        found.append(_gpu(index, kind, properties, read_driver(root) if kind == "cuda" else None))
    return tuple(found), tuple(notes)


def _gpu(index: int, kind: str, properties: Any, driver: str | None) -> Gpu:
    major, minor = getattr(properties, "major", None), getattr(properties, "minor", None)
    return Gpu(
        index,
        kind,
        getattr(properties, "name", None),
        getattr(properties, "total_memory", None),
        driver or _text(getattr(properties, "driver_version", None)),
        None if None in (major, minor) else f"{major}.{minor}",
        getattr(properties, "multi_processor_count", None),
    )


def read_driver(root: Path) -> str | None:
    """Returns the version of NVIDIA's kernel module; None where it is not loaded."""
    found = re.search(r"Kernel Module\b.*?\s(\d+(?:\.\d+)+)", read_text(root / "proc/driver/nvidia/version") or "")
    return found[1] if found else None


def read_revision(folder: Path, ask: Ask) -> Revision | None:
    """Returns the commit that a folder is at; None where git is missing or the folder is in no repository.

    As with `git describe --dirty`, files that git does not track do not make it dirty.
    """
    # Without the option, asking for the state would write to the repository's index.
    git = ("git", "--no-optional-locks", "-C", str(folder))
    commit = ask((*git, "rev-parse", "HEAD"))
    changes = ask((*git, "status", "--porcelain", "--untracked-files=no")) if commit else None
    return Revision(commit.strip(), bool(changes.strip())) if commit and changes is not None else None


def run_program(command: Sequence[str]) -> str | None:
    """Returns what a program wrote; None where it is missing, failed, or took longer than 10 s."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _text(found: object) -> str | None:
    return None if found is None else str(found)
