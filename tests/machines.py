"""Machines as the kernel's files describe them, written by hand: a laptop, a server, containers, and nothing at all."""

from collections.abc import Mapping
from pathlib import Path

Files = Mapping[str, str]

CPU = "sys/devices/system/cpu"


def write(root: Path, files: Files) -> Path:
    """Returns the root after writing the files below it."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


def _entry(number: int, lines: Files) -> str:
    return "\n".join([f"processor\t: {number}", *(f"{key}\t: {value}" for key, value in lines.items())])


def _cpuinfo(count: int, lines: Files) -> str:
    return "\n\n".join(_entry(number, lines) for number in range(count))


def _cache(cpu: int, index: int, level: int, kind: str, size: str, shared: str) -> Files:
    folder = f"{CPU}/cpu{cpu}/cache/index{index}"
    return {f"{folder}/{name}": text for name, text in _pairs(level, kind, size, shared)}


def _pairs(level: int, kind: str, size: str, shared: str) -> list[tuple[str, str]]:
    return [("level", str(level)), ("type", kind), ("size", size), ("shared_cpu_list", shared)]


def laptop() -> Files:
    """An x86 laptop on its battery: 4 cores with 2 threads each, cores are {n, n + 4}; second version of cgroups."""
    files: dict[str, str] = {
        "proc/cpuinfo": _cpuinfo(
            8,
            {
                "vendor_id": "GenuineIntel",
                "cpu family": "6",
                "model": "142",
                "model name": "Intel(R) Core(TM) i7-8565U   CPU @ 1.80GHz",
                "stepping": "12",
                "flags": "fpu vme avx2",
            },
        ),
        "proc/meminfo": "MemTotal:       16000000 kB\nMemFree: 1 kB\nMemAvailable:    8000000 kB",
        "etc/os-release": 'NAME="Example"\nPRETTY_NAME="Example OS 12"\nID=example',
        f"{CPU}/online": "0-7",
        f"{CPU}/intel_pstate/no_turbo": "0",
        "sys/devices/system/node/online": "0",
        "sys/class/power_supply/AC/type": "Mains",
        "sys/class/power_supply/AC/online": "0",
        "sys/class/power_supply/BAT0/type": "Battery",
        "proc/self/cgroup": "0::/user.slice/session-2.scope",
        "proc/self/mountinfo": "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate",
        "sys/fs/cgroup/user.slice/session-2.scope/cpu.max": "max 100000",
        "sys/fs/cgroup/user.slice/memory.max": "max",
    }
    for number in range(8):
        core = number % 4
        files |= {
            f"{CPU}/cpu{number}/topology/core_cpus_list": f"{core},{core + 4}",
            f"{CPU}/cpu{number}/cpufreq/scaling_governor": "powersave",
            f"{CPU}/cpu{number}/cpufreq/scaling_driver": "intel_pstate",
            f"{CPU}/cpu{number}/cpufreq/energy_performance_preference": "balance_power",
            f"{CPU}/cpu{number}/cpufreq/cpuinfo_max_freq": "4600000",
            **_cache(number, 0, 1, "Data", "32K", f"{core},{core + 4}"),
            **_cache(number, 1, 1, "Instruction", "32K", f"{core},{core + 4}"),
            **_cache(number, 2, 2, "Unified", "256K", f"{core},{core + 4}"),
            **_cache(number, 3, 3, "Unified", "8192K", "0-7"),
        }
    return files


def arm_server() -> Files:
    """An ARM server without model names, governors or power supplies; one thread a core; first version of cgroups."""
    files: dict[str, str] = {
        "proc/cpuinfo": _cpuinfo(
            4,
            {
                "BogoMIPS": "50.00",
                "Features": "fp asimd",
                "CPU implementer": "0x41",
                "CPU architecture": "8",
                "CPU variant": "0x3",
                "CPU part": "0xd0c",
                "CPU revision": "1",
            },
        ),
        "proc/meminfo": "MemTotal: 64000000 kB\nMemAvailable: 60000000 kB",
        f"{CPU}/online": "0-3",
        "sys/devices/system/node/online": "0-1",
        "proc/self/cgroup": "4:memory:/job\n3:cpuacct,cpu:/job\n0::/job",
        "proc/self/mountinfo": (
            "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
            "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
            "33 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
            "34 31 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw"
        ),
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
        "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us": "150000",
        "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "50000",
        "sys/fs/cgroup/cpu,cpuacct/job/cpu.stat": "nr_periods 900\nnr_throttled 7\nthrottled_time 250000000",
        "sys/fs/cgroup/memory/job/memory.limit_in_bytes": "9223372036854771712",
        "sys/fs/cgroup/unified/job/cgroup.procs": "1",
    }
    for number in range(4):
        files |= {
            f"{CPU}/cpu{number}/topology/thread_siblings_list": str(number),
            **_cache(number, 0, 1, "Data", "64K", str(number)),
            **_cache(number, 1, 2, "Unified", "1M", str(number)),
        }
    return files


def container() -> Files:
    """A container on a virtual machine of 8 processors: 2.5 cores and 4 GiB for it, 1.5 cores for what is inside."""
    return {
        "proc/cpuinfo": _cpuinfo(
            8,
            {
                "cpu family": "25",
                "model": "17",
                "model name": "AMD EPYC 9R14",
                "stepping": "1",
                "physical id": "0",
                "flags": "fpu hypervisor avx512f",
            },
        ),
        "proc/meminfo": "MemTotal: 32000000 kB\nMemAvailable: 30000000 kB",
        f"{CPU}/online": "0-7",
        "proc/self/cgroup": "0::/init",
        "proc/self/mountinfo": (
            "700 690 0:25 /kubepods/pod1/c1 /sys/fs/cgroup ro master:4 - cgroup2 cgroup rw\n"
            "701 690 0:26 / /proc rw - proc proc rw"
        ),
        "sys/fs/cgroup/cpu.max": "250000 100000",
        "sys/fs/cgroup/cpu.stat": "usage_usec 5\nnr_periods 10\nnr_throttled 3\nthrottled_usec 120000",
        "sys/fs/cgroup/memory.max": str(4 * 2**30),
    }


def old_container() -> Files:
    """A container of the first version of cgroups that sees its path on the host, with half a core."""
    folder = "sys/fs/cgroup/cpu"
    return {
        "proc/self/cgroup": "2:cpu,cpuacct:/docker/abc",
        "proc/self/mountinfo": "90 80 0:29 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu,cpuacct",
        f"{folder}/cpu.cfs_quota_us": "50000",
        f"{folder}/cpu.cfs_period_us": "100000",
    }
