"""The processor and main memory, read from the kernel's files below a root: the real one or a test's."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from effbench.measure.machine.cgroups import cpu_quota_cores, memory_limit_bytes
from effbench.measure.machine.procfs import agreed, cpu_list, numbered, read_number, read_text, words_by_key
from effbench.records.environment import Cache, Cpu, Memory

ARM_PARTS = {
    ("0x41", "0xd03"): "ARM Cortex-A53",
    ("0x41", "0xd05"): "ARM Cortex-A55",
    ("0x41", "0xd07"): "ARM Cortex-A57",
    ("0x41", "0xd08"): "ARM Cortex-A72",
    ("0x41", "0xd0b"): "ARM Cortex-A76",
    ("0x41", "0xd0c"): "ARM Neoverse-N1",
    ("0x41", "0xd40"): "ARM Neoverse-V1",
    ("0x41", "0xd41"): "ARM Cortex-A78",
    ("0x41", "0xd49"): "ARM Neoverse-N2",
    ("0x41", "0xd4f"): "ARM Neoverse-V2",
    ("0xc0", "0xac3"): "Ampere-1",
}
"""(implementer, part) of ARM's main identification register; one that is not here keeps its two numbers for a name."""


def read_cpu(root: Path, affinity: Collection[int] | None = None, architecture: str | None = None) -> Cpu:
    """Returns what the kernel says of the processor.

    Args:
        root: where `proc` and `sys` are.
        affinity: the logical processors that the process may run on; None where that is not known.
        architecture: the machine's name of its instruction set.
    """
    cpus = root / "sys/devices/system/cpu"
    entries = list(_cpuinfo(root))
    online = cpu_list(read_text(cpus / "online")) or _numbers(entries)
    allowed = None if affinity is None or online is None else frozenset(affinity) & online
    looked_at = allowed or online or frozenset()
    folders = [path for number, path in numbered(cpus, "cpu") if number in looked_at]
    maxima = [hz for path in folders if (hz := read_number(path / "cpufreq/cpuinfo_max_freq")) is not None]
    flags = next((entry["flags"].split() for entry in entries if "flags" in entry), None)
    return Cpu(
        model=agreed(_model(entry) for entry in entries),
        signature=agreed(_signature(entry) for entry in entries),
        architecture=architecture,
        logical_cores=len(online) if online else None,
        physical_cores=_physical(cpus, entries, online),
        available_logical=len(allowed) if allowed else None,
        available_physical=_physical(cpus, entries, allowed),
        quota_cores=cpu_quota_cores(root),
        caches=_caches(folders),
        governor=agreed(read_text(path / "cpufreq/scaling_governor") for path in folders),
        frequency_driver=agreed(read_text(path / "cpufreq/scaling_driver") for path in folders),
        energy_preference=agreed(read_text(path / "cpufreq/energy_performance_preference") for path in folders),
        max_hz=max(maxima) * 1000 if maxima else None,
        boost=_boost(cpus),
        virtual=None if flags is None else "hypervisor" in flags,
        numa_nodes=len(cpu_list(read_text(root / "sys/devices/system/node/online")) or ()) or None,
    )


def read_memory(root: Path) -> Memory:
    """Returns the sizes of main memory that /proc/meminfo and the control groups tell."""
    kib = {key: int(value) for key, value in words_by_key(root / "proc/meminfo").items() if value.isdecimal()}
    total, available = kib.get("MemTotal"), kib.get("MemAvailable")
    return Memory(
        None if total is None else total * 1024,
        None if available is None else available * 1024,
        memory_limit_bytes(root),
    )


def read_on_battery(root: Path) -> bool | None:
    """Returns whether every mains supply is unplugged; None where the machine lists none."""
    supplies = sorted((root / "sys/class/power_supply").glob("*"))
    mains = [read_number(path / "online") for path in supplies if read_text(path / "type") == "Mains"]
    known = [online for online in mains if online is not None]
    return not any(known) if known else None


def read_darwin(ask: Callable[[Sequence[str]], str | None], architecture: str | None = None) -> tuple[Cpu, Memory]:
    """Returns what macOS tells of processor and memory: it has no files to read, but a program to ask."""

    def number(name: str) -> int | None:
        text = (ask(("sysctl", "-n", name)) or "").strip()
        return int(text) if text.isdecimal() else None

    model = (ask(("sysctl", "-n", "machdep.cpu.brand_string")) or "").strip() or None
    logical, physical = number("hw.logicalcpu"), number("hw.physicalcpu")
    return (
        Cpu(model, architecture=architecture, logical_cores=logical, physical_cores=physical),
        Memory(number("hw.memsize")),
    )


def _cpuinfo(root: Path) -> Iterator[dict[str, str]]:
    """Yields the entries of /proc/cpuinfo that describe a logical processor."""
    for block in re.split(r"\n\s*\n", read_text(root / "proc/cpuinfo") or ""):
        pairs = (line.partition(":") for line in block.splitlines())
        entry = {key.strip(): value.strip() for key, _, value in pairs}
        if "processor" in entry:
            yield entry


def _numbers(entries: list[dict[str, str]]) -> frozenset[int] | None:
    return frozenset(int(entry["processor"]) for entry in entries if entry["processor"].isdecimal()) or None


def _model(entry: dict[str, str]) -> str | None:
    named = entry.get("model name")
    if named:
        return " ".join(named.split())
    implementer, part = entry.get("CPU implementer"), entry.get("CPU part")
    if implementer is None or part is None:
        return None
    return ARM_PARTS.get((implementer, part), f"ARM implementer {implementer} part {part}")


def _signature(entry: dict[str, str]) -> str | None:
    x86 = ("cpu family", "model", "stepping")
    arm = ("CPU implementer", "CPU part", "CPU variant", "CPU revision")
    return next(("-".join(entry[key] for key in keys) for keys in (x86, arm) if set(keys) <= set(entry)), None)


def _physical(cpus: Path, entries: list[dict[str, str]], among: Collection[int] | None) -> int | None:
    """Returns how many cores the logical processors belong to; None where the kernel does not tell of each."""
    if not among:
        return None
    places = {entry["processor"]: (entry.get("physical id"), entry.get("core id")) for entry in entries}
    cores: set[object] = set()
    for number in among:
        folder = cpus / f"cpu{number}/topology"
        siblings = read_text(folder / "core_cpus_list") or read_text(folder / "thread_siblings_list")
        place = cpu_list(siblings) or places.get(str(number), (None, None))
        if None in place:
            return None
        cores.add(place)
    return len(cores)


def _caches(folders: list[Path]) -> tuple[Cache, ...]:
    shares: dict[tuple[int, str, int], set[str]] = defaultdict(set)
    for folder in folders:
        for _, cache in numbered(folder / "cache", "index"):
            level, kind = read_number(cache / "level"), read_text(cache / "type")
            size, shared = _bytes(read_text(cache / "size")), read_text(cache / "shared_cpu_list")
            if level is not None and kind and size and shared:
                shares[level, kind, size].add(shared)
    return tuple(Cache(level, kind, size, len(seen)) for (level, kind, size), seen in sorted(shares.items()))


def _bytes(text: str | None) -> int | None:
    found = re.fullmatch(r"(\d+)([KMG]?)", text or "")
    return int(found[1]) * 1024 ** " KMG".index(found[2] or " ") if found else None


def _boost(cpus: Path) -> bool | None:
    forbidden = read_number(cpus / "intel_pstate/no_turbo")
    if forbidden is not None:
        return forbidden == 0
    allowed = read_number(cpus / "cpufreq/boost")
    return None if allowed is None else allowed == 1
