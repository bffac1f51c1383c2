"""The machine, the software and their limits: what two timings must share before they can be compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from effbench.records.note import Note

Unlimited = Literal["unlimited"]
Named = tuple[tuple[str, str], ...]
UNKNOWN = "unknown"
COUNT_VARIABLES = frozenset({"OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "CUDA_VISIBLE_DEVICES"})
"""What they ask for is compared by what came of it: the threads of a timing, the name of its GPU."""


@dataclass(frozen=True, slots=True)
class Cache:
    """The caches of one level and kind ("Data", "Instruction", "Unified"): bytes of one, and how many there are."""

    level: int
    kind: str
    size_bytes: int
    instances: int


@dataclass(frozen=True, slots=True)
class Cpu:
    """A processor as the process sees it; None is unknown.

    Attributes:
        signature: "family-model-stepping" on x86, "implementer-part-variant-revision" on ARM: virtual machines often
            hide the model's name but not this.
        logical_cores: hardware threads that are online, and `physical_cores` the cores they belong to.
        available_logical: those that the process may run on (its affinity), and the cores they belong to.
        quota_cores: what the control group lets it use on average; "unlimited" where it sets no limit.
        caches: those of the available cores.
        governor: of the available cores; several are joined with "+". So are the next two.
        boost: whether the clock may go beyond its nominal rate.
        virtual: whether a hypervisor runs it.
    """

    model: str | None = None
    signature: str | None = None
    architecture: str | None = None
    logical_cores: int | None = None
    physical_cores: int | None = None
    available_logical: int | None = None
    available_physical: int | None = None
    quota_cores: float | Unlimited | None = None
    caches: tuple[Cache, ...] = ()
    governor: str | None = None
    frequency_driver: str | None = None
    energy_preference: str | None = None
    max_hz: int | None = None
    boost: bool | None = None
    virtual: bool | None = None
    numa_nodes: int | None = None

    @property
    def last_level_bytes(self) -> int | None:
        """Returns the bytes of all caches of the highest level; None where none is known."""
        holding = [cache for cache in self.caches if cache.kind != "Instruction"]
        top = max((cache.level for cache in holding), default=None)
        return sum(cache.size_bytes * cache.instances for cache in holding if cache.level == top) or None


@dataclass(frozen=True, slots=True)
class Memory:
    """Main memory in bytes, and what the control group lets the process hold; None is unknown."""

    total_bytes: int | None = None
    available_bytes: int | None = None
    limit_bytes: int | Unlimited | None = None

    @property
    def usable_bytes(self) -> int | None:
        """Returns the smaller of what is available and what is allowed; None where the first is unknown."""
        if self.available_bytes is None or not isinstance(self.limit_bytes, int):
            return self.available_bytes
        return min(self.available_bytes, self.limit_bytes)


@dataclass(frozen=True, slots=True)
class Gpu:
    """An accelerator as PyTorch numbers it: `kind` is "cuda", "xpu" or "mps"; `capability` such as "9.0"."""

    index: int
    kind: str
    name: str | None = None
    memory_bytes: int | None = None
    driver: str | None = None
    capability: str | None = None
    processors: int | None = None


@dataclass(frozen=True, slots=True)
class System:
    """The operating system and Python. `kernel` begins with the system's name: "Linux 6.1.0"."""

    os: str | None = None
    kernel: str | None = None
    python: str | None = None
    on_battery: bool | None = None


@dataclass(frozen=True, slots=True)
class TorchBuild:
    """PyTorch and the libraries it was built with.

    Attributes:
        cpu_capability: the widest vector instructions its kernels use here, such as "AVX512".
        parallel: its threading backend, such as "OpenMP 201511".
        settings: switches that decide which kernels run, by name.
    """

    version: str
    git: str | None = None
    cuda: str | None = None
    cudnn: str | None = None
    hip: str | None = None
    cpu_capability: str | None = None
    parallel: str | None = None
    blas: str | None = None
    onednn: str | None = None
    threads: int | None = None
    interop_threads: int | None = None
    settings: Named = ()


@dataclass(frozen=True, slots=True)
class Revision:
    """The git commit of the working directory; `dirty` where tracked files differ from it."""

    commit: str
    dirty: bool


@dataclass(frozen=True, slots=True)
class Environment:
    """Where and with what a timing was taken. None is unknown and shown as such, never a guess.

    Attributes:
        variables: environment variables that change how long a model takes.
        packages: that were imported and tell their version, PyTorch apart, by name.
    """

    cpu: Cpu
    memory: Memory
    system: System
    gpus: tuple[Gpu, ...] = ()
    torch: TorchBuild | None = None
    revision: Revision | None = None
    variables: Named = ()
    notes: tuple[Note, ...] = ()
    packages: Named = ()

    def facts(self) -> Named:
        """Returns every fact as (name, text) in the order of a report; an unknown one reads "unknown"."""
        gpus = [pair for gpu in self.gpus for pair in _of_gpu(gpu, f"{gpu.kind}:{gpu.index}")]
        at = self.revision
        revision = None if at is None else f"{at.commit}{' + changes' if at.dirty else ''}"
        rows = (*_of_cpu(self.cpu), *_of_memory(self.memory), *gpus, *_of_system(self.system), *_of_torch(self.torch))
        packages = ", ".join(" ".join(pair) for pair in self.packages)
        more = [("packages", packages)] if packages else []
        return (*_shown(rows), *more, *self.variables, *_shown([("git revision", revision)]))

    def fingerprint(self, device: str = "cpu") -> Named:
        """Returns the facts that times on a device ("cpu", "cuda", "cuda:1", …) depend on, as (name, text).

        Two timings are comparable where these are equal; what one does not know equals only what the other does not
        know either. On an accelerator the processor counts by its name only: it feeds the device. Memory, kernel
        version and git revision are left out: they tell where a number is from but hardly change it.
        """
        kind, _, index = device.partition(":")
        python = self.system.python and ".".join(self.system.python.split(".")[:2])
        system = self.system.kernel and self.system.kernel.split()[0]
        common = [("system", system), ("Python", python), *_of_torch(self.torch, device=kind)]
        variables = [pair for pair in self.variables if pair[0] not in COUNT_VARIABLES]
        if kind == "cpu":
            own = [*_of_cpu(self.cpu, only=_DECIDES), ("on battery", _yes(self.system.on_battery))]
        else:
            gpu = next((one for one in self.gpus if (one.kind, one.index) == (kind, int(index or 0))), None)
            own = [("CPU", self.cpu.model), *_of_gpu(gpu or Gpu(0, kind), "device")]
        return (*_shown(own), *_shown(common), *variables)


def differences(one: Named, other: Named) -> tuple[str, ...]:
    """Returns what differs between two fingerprints, such as "governor: performance ≠ powersave"."""
    a, b = dict(one), dict(other)
    names = dict.fromkeys((*a, *b))
    return tuple(f"{n}: {a.get(n, 'not set')} ≠ {b.get(n, 'not set')}" for n in names if a.get(n) != b.get(n))


_Rows = list[tuple[str, str | None]]
_DECIDES = ("CPU", "CPU signature", "architecture", "available cores", "quota", "last-level cache", "governor", "boost")


def _of_cpu(cpu: Cpu, only: Sequence[str] = ()) -> _Rows:
    quota = f"{cpu.quota_cores:g} cores" if isinstance(cpu.quota_cores, int | float) else cpu.quota_cores
    caches = ", ".join(f"L{c.level} {c.kind} {c.instances} × {_kib(c.size_bytes)}" for c in cpu.caches)
    rows = [
        ("CPU", cpu.model),
        ("CPU signature", cpu.signature),
        ("architecture", cpu.architecture),
        ("cores", _cores(cpu.physical_cores, cpu.logical_cores)),
        ("available cores", _cores(cpu.available_physical, cpu.available_logical)),
        ("quota", quota),
        ("caches", caches or None),
        ("last-level cache", _kib(cpu.last_level_bytes)),
        ("governor", cpu.governor),
        ("frequency driver", cpu.frequency_driver),
        ("energy preference", cpu.energy_preference),
        ("maximum clock", None if cpu.max_hz is None else f"{cpu.max_hz / 1e6:g} MHz"),
        ("boost", _yes(cpu.boost)),
        ("virtual machine", _yes(cpu.virtual)),
        ("NUMA nodes", _text(cpu.numa_nodes)),
    ]
    return [row for row in rows if not only or row[0] in only]


def _of_memory(memory: Memory) -> _Rows:
    limit = memory.limit_bytes if isinstance(memory.limit_bytes, str) else _mib(memory.limit_bytes)
    rows = (("memory", _mib(memory.total_bytes)), ("memory available", _mib(memory.available_bytes)))
    return [*rows, ("memory limit", limit)]


def _of_gpu(gpu: Gpu, label: str) -> _Rows:
    rows = (("", gpu.name), (" memory", _mib(gpu.memory_bytes)), (" driver", gpu.driver))
    more = ((" capability", gpu.capability), (" processors", _text(gpu.processors)))
    return [(f"{label}{name}", text) for name, text in (*rows, *more)]


def _of_system(system: System) -> _Rows:
    rows = (("operating system", system.os), ("kernel", system.kernel), ("Python", system.python))
    return [*rows, ("on battery", _yes(system.on_battery))]


def _of_torch(build: TorchBuild | None, device: str | None = None) -> _Rows:
    """Returns the build's rows: all of them, or those that times on a device depend on."""
    if build is None:
        return [("torch", None)]
    rows = [("torch", build.version), ("torch commit", build.git)]
    if device != "cpu":
        rows += [("CUDA", build.cuda or "none"), ("cuDNN", build.cudnn or "none"), ("HIP", build.hip or "none")]
    if device in (None, "cpu"):
        rows += [("vector instructions", build.cpu_capability), ("threading", build.parallel)]
        rows += [("BLAS", build.blas), ("oneDNN", build.onednn)]
    if device is None:
        rows += [("threads", _text(build.threads)), ("inter-op threads", _text(build.interop_threads))]
    return [*rows, *(pair for pair in build.settings if device != "cpu" or not pair[0].startswith(("cuda", "cudnn")))]


def _shown(rows: Iterable[tuple[str, str | None]]) -> Named:
    return tuple((name, UNKNOWN if text is None else text) for name, text in rows)


def _cores(physical: int | None, logical: int | None) -> str | None:
    if physical is None and logical is None:
        return None
    return f"{physical or UNKNOWN} physical, {logical or UNKNOWN} logical"


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)


def _yes(fact: bool | None) -> str | None:
    return None if fact is None else "yes" if fact else "no"


def _kib(size: int | None) -> str | None:
    return None if size is None else f"{size / 2**10:,g} KiB"


def _mib(size: int | None) -> str | None:
    return None if size is None else f"{size / 2**20:,.0f} MiB"
