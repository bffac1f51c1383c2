"""What the kernel's control groups let this process use: CPU time, memory, and how often they held it back.

Both versions are read: in the second a group's limit is `cpu.max`, in the first `cpu.cfs_quota_us`. A limit of any
group above also holds, as far up as the process can see; a container hides what lies above its own root.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from effbench.measure.machine.procfs import read_number, read_text, words_by_key
from effbench.records.environment import Unlimited


@dataclass(frozen=True, slots=True)
class Throttling:
    """How often the control groups stopped this process since they exist, and for how long in total."""

    times: int
    seconds: float


def cpu_quota_cores(root: Path) -> float | Unlimited | None:
    """Returns the CPU time per time that the tightest group allows; None where no group can be found."""
    return _tightest(root, "cpu", {2: _quota_v2, 1: _quota_v1})


def memory_limit_bytes(root: Path) -> int | Unlimited | None:
    """Returns the bytes that the tightest group allows; None where no group can be found."""
    limit = _tightest(root, "memory", {2: _memory_v2, 1: _memory_v1})
    return int(limit) if isinstance(limit, float) else limit


def throttling(root: Path) -> Throttling | None:
    """Returns how the CPU limits held this process back, summed over its groups; None where no group counts that."""
    found = _groups(root, "cpu")
    if found is None:
        return None
    seen = [one for folder in found[1] if (one := _throttled(folder)) is not None]
    return Throttling(sum(one.times for one in seen), sum(one.seconds for one in seen)) if seen else None


def _tightest(
    root: Path, controller: str, readers: dict[int, Callable[[Path], float | None]]
) -> float | Unlimited | None:
    found = _groups(root, controller)
    if found is None:
        return None
    version, folders = found
    limits = [limit for folder in folders if (limit := readers[version](folder)) is not None]
    return min(limits, default="unlimited")


def _quota_v2(folder: Path) -> float | None:
    quota, period = (*(read_text(folder / "cpu.max") or "").split(), "", "")[:2]
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None


def _quota_v1(folder: Path) -> float | None:
    quota, period = read_number(folder / "cpu.cfs_quota_us"), read_number(folder / "cpu.cfs_period_us")
    return quota / period if quota is not None and period and quota > 0 else None


def _memory_v2(folder: Path) -> float | None:
    limit = read_number(folder / "memory.max")  # "max" is no number
    return None if limit is None else float(limit)


def _memory_v1(folder: Path) -> float | None:
    limit = read_number(folder / "memory.limit_in_bytes")
    # "No limit" is the largest multiple of a page below 2**63, whatever the page.
    return None if limit is None or limit >= 2**62 else float(limit)


def _throttled(folder: Path) -> Throttling | None:
    fields = {key: int(value) for key, value in words_by_key(folder / "cpu.stat").items() if value.isdigit()}
    times = fields.get("nr_throttled")
    if times is None:
        return None
    if "throttled_usec" in fields:
        return Throttling(times, fields["throttled_usec"] / 1e6)
    return Throttling(times, fields.get("throttled_time", 0) / 1e9)


def _groups(root: Path, controller: str) -> tuple[int, list[Path]] | None:
    """Returns the version that has the controller, and the folders of the process's group and those above it."""
    mounts = list(_mounts(root))
    memberships = list(_memberships(root))
    for version, wanted in ((1, controller), (2, "")):  # where both are mounted, a controller belongs to one
        mount = next((one for one in mounts if one.version == version and wanted in one.controllers), None)
        path = next((path for names, path in memberships if wanted in names), None)
        if mount is not None and path is not None:
            folders = list(_upwards(root, mount, path))
            return (version, folders) if folders else None
    return None


@dataclass(frozen=True, slots=True)
class _Mount:
    version: int
    controllers: tuple[str, ...]
    shown: PurePosixPath
    point: PurePosixPath


def _mounts(root: Path) -> Iterator[_Mount]:
    """Yields the mounted hierarchies; `shown` is which of its groups appears at the mount point."""
    for line in (read_text(root / "proc/self/mountinfo") or "").splitlines():
        left, _, right = line.partition(" - ")
        fields, kind = left.split(), right.split()
        if len(fields) < 5 or len(kind) < 3 or kind[0] not in ("cgroup", "cgroup2"):
            continue
        version = 2 if kind[0] == "cgroup2" else 1
        controllers = ("",) if version == 2 else tuple(kind[2].split(","))
        yield _Mount(version, controllers, PurePosixPath(fields[3]), PurePosixPath(fields[4]))


def _memberships(root: Path) -> Iterator[tuple[tuple[str, ...], PurePosixPath]]:
    """Yields (controllers, path of the process's group); the second version's controllers read ""."""
    for line in (read_text(root / "proc/self/cgroup") or "").splitlines():
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        yield tuple(controllers.split(",")), PurePosixPath(path)


def _upwards(root: Path, mount: _Mount, path: PurePosixPath) -> Iterator[Path]:
    """Yields the folders from the process's group up to the mount point."""
    below = path.relative_to(mount.shown) if path.is_relative_to(mount.shown) else PurePosixPath()
    if ".." in below.parts:
        below = PurePosixPath()
    for inner in (below, *below.parents):
        folder = root / str(mount.point).lstrip("/") / inner
        if folder.is_dir():
            yield folder
        if inner == PurePosixPath():
            return
