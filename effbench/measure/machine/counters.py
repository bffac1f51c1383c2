"""The energy counters that hardware has: RAPL's of processors, NVML's of GPUs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from effbench.measure.machine.energy import Counter, CounterLost
from effbench.measure.machine.nvml import Nvml
from effbench.measure.machine.procfs import read_number, read_text
from effbench.records.energy import EnergySource, NoEnergy


@dataclass(frozen=True, slots=True)
class _Zone:
    """A power zone: its name, its folder, and the reading in µJ after which it begins at 0 again."""

    name: str
    folder: Path
    range_uj: int


class Rapl:
    """The processor packages and their memory, through the kernel's power-capping files."""

    source: EnergySource = "rapl"

    def __init__(self, zones: tuple[_Zone, ...]) -> None:
        """Begins to count; between two readings a zone may go round its range once, a second time is not seen."""
        self._zones = zones
        self.covers = " + ".join(zone.name for zone in zones)
        self._last = [_microjoules(zone) for zone in zones]
        self._total_uj = 0

    def joules(self) -> float:
        """Returns the joules of all zones since the first reading."""
        for index, zone in enumerate(self._zones):
            found = _microjoules(zone)
            gone = found - self._last[index]
            self._total_uj += gone if gone >= 0 else gone + zone.range_uj
            self._last[index] = found
        return self._total_uj / 1e6


class NvmlEnergy:
    """One GPU with its memory and board."""

    source: EnergySource = "nvml"

    def __init__(self, nvml: Nvml, uuid: str, covers: str) -> None:
        """`covers` is what to call it."""
        self._nvml, self._uuid, self.covers = nvml, uuid, covers
        self._last = self._millijoules()

    def joules(self) -> float:
        """Returns the joules since the driver was loaded."""
        found = self._millijoules()
        if found < self._last:
            raise CounterLost(f"the energy counter of {self.covers} fell: its driver was loaded again")
        self._last = found
        return found / 1e3

    def _millijoules(self) -> int:
        found = self._nvml.energy_mj(self._uuid)
        if found is None:
            raise CounterLost(f"{self.covers} has no energy counter: NVML has one from the Volta generation on")
        return found


def rapl(root: Path) -> Counter | NoEnergy:
    """Returns the counter of the machine's processors, or why there is none.

    Packages are added up, and their memory where it has a zone of its own. A package's cores and graphics are part of
    it already; "psys", the whole platform, holds them all; "intel-rapl-mmio" tells the first package a second time.
    """
    folder = root / "sys/class/powercap"
    if not folder.is_dir():
        return NoEnergy("rapl", "the kernel has no power-capping files: a virtual machine, or a processor without RAPL")
    zones: list[_Zone] = []
    for path in sorted(folder.glob("intel-rapl:*")):
        name, most = read_text(path / "name") or "", read_number(path / "max_energy_range_uj")
        if name.startswith("package-") or name == "dram":
            if most is None or most <= 0:
                return NoEnergy("rapl", f"{path.name}: its max_energy_range_uj cannot be read, so it may wrap unseen")
            zones.append(_Zone(name, path, most))
    if not any(zone.name.startswith("package-") for zone in zones):
        return NoEnergy("rapl", "the power-capping files list no processor package")
    try:
        return Rapl(tuple(zones))
    except CounterLost as error:
        return NoEnergy("rapl", str(error))


def nvml_energy(nvml: Nvml | str, uuid: str, covers: str) -> Counter | NoEnergy:
    """Returns the counter of a GPU, or why there is none; `nvml` may be the reason why the library is missing."""
    if isinstance(nvml, str):
        return NoEnergy("nvml", nvml)
    try:
        return NvmlEnergy(nvml, uuid, covers)
    except CounterLost as error:
        return NoEnergy("nvml", str(error))


def _microjoules(zone: _Zone) -> int:
    path = zone.folder / "energy_uj"
    try:
        text = path.read_text(encoding="ascii").strip()
    except PermissionError:
        hint = "allow it with `sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj`"
        raise CounterLost(f"{zone.name}: only the administrator may read its counter; {hint}") from None
    except OSError as error:
        raise CounterLost(f"{zone.name}: its counter cannot be read: {error.strerror}") from None
    if not text.isdecimal():
        raise CounterLost(f"{zone.name}: its counter holds {text[:20]!r}, no number")
    return int(text)
