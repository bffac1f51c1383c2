"""Energy by rule: windows, ticks, repeats, idle apart, sources, wrap-around, and what is never measured."""

from pathlib import Path

import pytest
from machines import write
from pydantic import TypeAdapter

from effbench.errors import InputError
from effbench.measure.machine.counters import NvmlEnergy, Rapl, nvml_energy, rapl
from effbench.measure.machine.energy import Counter, CounterLost, EnergyPlan, measure_energy, modelled_energy, tick_of
from effbench.measure.machine.nvml import GpuState
from effbench.records.energy import Energy, EnergySource, NoEnergy


class World:
    """A clock, a device that draws 10 W idle and 50 W while the model runs, and its counter, renewed every `tick_s`.

    A call takes `call_s`. Looking at the counter costs 20 µs.
    """

    source: EnergySource = "rapl"
    covers = "package-0"

    def __init__(self, tick_s: float = 0.001, call_s: float = 0.25, lost_at_s: float = float("inf")) -> None:
        self.now_s = self.drawn = self.shown = self.next_s = 0.0
        self.watts = 10.0
        self.reads = 0
        self._tick_s, self._call_s, self._lost_at_s = tick_s, call_s, lost_at_s

    def clock(self) -> float:
        return self.now_s

    def advance(self, seconds: float) -> None:
        """The counter shows what was drawn until its last renewal."""
        end = self.now_s + seconds
        if end >= self.next_s:
            renewals = int((end - self.next_s) / self._tick_s)
            last = self.next_s + renewals * self._tick_s
            self.shown = self.drawn + self.watts * (last - self.now_s)
            self.next_s = last + self._tick_s
        self.drawn += self.watts * seconds
        self.now_s = end

    def call(self) -> None:
        self.watts = 50.0
        self.advance(self._call_s)
        self.watts = 10.0

    def joules(self) -> float:
        if self.now_s >= self._lost_at_s:
            raise CounterLost("gone")
        self.reads += 1
        self.advance(2e-5)
        return self.shown


def measured(world: World, plan: EnergyPlan | None = None) -> Energy:
    found = measure_energy(world, world.call, world.clock, world.advance, plan)
    assert isinstance(found, Energy)
    return found


def test_the_joules_are_what_was_drawn_and_idle_is_apart() -> None:
    """40 calls of .25 s are 10 s at 50 W: 500 J, give or take a tick of .001 s at 50 W."""
    found = measured(World())
    assert (found.source, found.covers, found.ranks, found.notes) == ("rapl", "package-0", True, ())
    assert len(found.windows) == 5
    for window in found.windows:
        assert window.calls == 40
        assert window.window_s == pytest.approx(10, abs=0.001)
        assert window.joules == pytest.approx(500, abs=0.06)
    assert len(found.idle) == 2
    for window in found.idle:
        assert window.calls == 0
        assert window.joules == pytest.approx(10 * window.window_s, abs=0.06)


def test_a_window_lasts_ten_seconds_at_least() -> None:
    found = measured(World(call_s=3.0))
    assert {window.calls for window in found.windows} == {4}
    assert all(window.window_s >= 10 for window in (*found.windows, *found.idle))
    assert all(window.ticks >= 100 for window in (*found.windows, *found.idle))


def test_a_window_has_a_hundred_ticks_at_least() -> None:
    """A counter renewed every .3 s needs 30 s."""
    found = measured(World(tick_s=0.3))
    assert found.tick_s == pytest.approx(0.3, abs=0.001)
    for window in (*found.windows, *found.idle):
        assert window.window_s >= 30 - 0.1
        assert window.ticks >= 100


def test_a_tick_is_timed_where_the_looks_are_finer_and_never_found_too_short() -> None:
    for tick_s in (0.1, 0.02, 0.001):
        world = World(tick_s)
        found = tick_of(world, world.clock, world.advance, EnergyPlan())
        assert found is not None
        assert tick_s * 0.97 <= found <= tick_s + 2 * 0.00052


def test_a_counter_too_slow_for_a_window_is_refused() -> None:
    world = World(tick_s=1.5)
    found = measure_energy(world, world.call, world.clock, world.advance)
    assert isinstance(found, NoEnergy)
    assert found.reason.startswith("the counter of package-0 is too slow: 100 ticks of 1.5")
    assert world.now_s < 40


def test_a_counter_that_stands_still_is_no_counter() -> None:
    world = World(tick_s=1e9)
    world.next_s = 1e9
    found = measure_energy(world, world.call, world.clock, world.advance)
    assert found == NoEnergy("rapl", "the counter of package-0 did not move for 5 s")


def test_a_counter_that_is_lost_on_the_way_leaves_no_joules() -> None:
    world = World(lost_at_s=25)
    assert measure_energy(world, world.call, world.clock, world.advance) == NoEnergy("rapl", "gone")


def test_within_a_window_the_counter_is_watched_but_not_at_every_call() -> None:
    """Ten thousand calls of 1 ms, looked at about once a second, at the ends, and while its tick was timed."""
    world = World(call_s=0.001)
    measured(world)
    assert 7 * 10 <= world.reads <= 7 * 13 + 50


@pytest.mark.parametrize("fields", [{"window_s": 9.9}, {"ticks": 99}, {"repeats": 4}])
def test_plans_below_the_rules_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(InputError, match="at least 10 s and 100 counter ticks, and 5 repeats"):
        EnergyPlan(**fields)  # type: ignore[arg-type]


def test_a_modelled_joule_is_marked_and_never_ranks() -> None:
    found = modelled_energy(65, 2.0, 4, "the data sheet")
    assert (found.source, found.ranks) == ("modelled", False)
    assert (found.windows[0].joules, found.windows[0].ticks, found.tick_s) == (130, 0, None)
    assert [note.code for note in found.notes] == ["modelled-energy"]
    assert found.notes[0].text == "65 W as stated by the data sheet, times the time: not measured"


def test_it_goes_to_json_and_back() -> None:
    adapter: TypeAdapter[Energy | NoEnergy] = TypeAdapter(Energy | NoEnergy)
    for one in (measured(World()), modelled_energy(65, 2.0, 4, "the data sheet"), NoEnergy("nvml", "none")):
        assert adapter.validate_json(adapter.dump_json(one)) == one


@pytest.mark.parametrize("watts", [0.0, -5.0, float("nan"), float("inf")])
def test_a_modelled_power_must_be_a_power(watts: float) -> None:
    with pytest.raises(InputError, match="is no power"):
        modelled_energy(watts, 2.0, 4, "nobody")


# RAPL


def zone(name: str, energy_uj: int, range_uj: int = 1_000_000) -> dict[str, str]:
    return {"name": name, "energy_uj": str(energy_uj), "max_energy_range_uj": str(range_uj)}


def powercap(root: Path, zones: dict[str, dict[str, str]]) -> Path:
    folder = "sys/class/powercap"
    return write(root, {f"{folder}/{z}/{file}": text for z, files in zones.items() for file, text in files.items()})


SERVER = {
    "intel-rapl:0": zone("package-0", 100),
    "intel-rapl:0:0": zone("core", 50),
    "intel-rapl:0:1": zone("dram", 10),
    "intel-rapl:1": zone("package-1", 999_000),
    "intel-rapl:2": zone("psys", 5),
    "intel-rapl-mmio:0": zone("package-0", 100),
}


def counter(found: Counter | NoEnergy) -> Counter:
    assert not isinstance(found, NoEnergy), found.reason
    return found


def test_packages_and_memory_are_added_and_nothing_is_counted_twice(tmp_path: Path) -> None:
    """400,100 − 100 and 200,010 − 10 µJ; cores, the platform and the second view of package 0 moved too."""
    found = counter(rapl(powercap(tmp_path, SERVER)))
    assert found.covers == "package-0 + dram + package-1"
    assert found.joules() == 0
    changed = {
        "intel-rapl:0": zone("package-0", 400_100),
        "intel-rapl:0:0": zone("core", 300_050),
        "intel-rapl:0:1": zone("dram", 200_010),
        "intel-rapl:2": zone("psys", 900_000),
        "intel-rapl-mmio:0": zone("package-0", 400_100),
    }
    powercap(tmp_path, changed)
    assert found.joules() == pytest.approx(0.6)


def test_a_counter_goes_round_at_its_range(tmp_path: Path) -> None:
    """From 999,000 to 1,000,000 and on to 500: 1,500 µJ; then round again to 400, that is 999,900 more."""
    found = counter(rapl(powercap(tmp_path, SERVER)))
    powercap(tmp_path, {"intel-rapl:1": zone("package-1", 500)})
    assert found.joules() == pytest.approx(0.0015)
    powercap(tmp_path, {"intel-rapl:1": zone("package-1", 400)})
    assert found.joules() == pytest.approx(0.0015 + 0.9999)
    assert found.joules() == pytest.approx(0.0015 + 0.9999)


def test_no_files_no_package_no_range_no_number(tmp_path: Path) -> None:
    assert "virtual machine" in reason(rapl(tmp_path))
    powercap(tmp_path, {"intel-rapl:0": zone("psys", 1)})
    assert reason(rapl(tmp_path)) == "the power-capping files list no processor package"
    powercap(tmp_path, {"intel-rapl:0": {"name": "package-0", "max_energy_range_uj": "x"}})
    assert "may wrap unseen" in reason(rapl(tmp_path))
    powercap(tmp_path, {"intel-rapl:0": {**zone("package-0", 1), "energy_uj": "-3"}})
    assert reason(rapl(tmp_path)) == "package-0: its counter holds '-3', no number"


def reason(found: Counter | NoEnergy) -> str:
    assert isinstance(found, NoEnergy)
    return found.reason


def test_a_missing_permission_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    powercap(tmp_path, SERVER)
    read_text = Path.read_text

    def refused(path: Path, *args: str, **keywords: str) -> str:
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied")
        return read_text(path, *args, **keywords)

    monkeypatch.setattr(Path, "read_text", refused)  # the administrator, who may run the tests, may read everything
    found = reason(rapl(tmp_path))
    assert found.startswith("package-0: only the administrator may read its counter; allow it with `sudo chmod a+r ")


def test_a_zone_that_vanishes_is_lost(tmp_path: Path) -> None:
    found = counter(rapl(powercap(tmp_path, SERVER)))
    (tmp_path / "sys/class/powercap/intel-rapl:0/energy_uj").unlink()
    with pytest.raises(CounterLost, match=r"^package-0: its counter cannot be read: No such file"):
        found.joules()


def test_rapl_is_measured_end_to_end(tmp_path: Path) -> None:
    """A package that draws 20 W and wraps every 50 s, memory at 5 W: 25 W whatever the model does."""
    now_s = 0.0
    range_uj = 1_000_000_000
    zones = {"intel-rapl:0": zone("package-0", 0, range_uj), "intel-rapl:0:0": zone("dram", 0, range_uj)}
    powercap(tmp_path, zones)

    def advance(seconds: float) -> None:
        nonlocal now_s
        now_s += seconds
        for path, watts in (("intel-rapl:0", 20), ("intel-rapl:0:0", 5)):
            powercap(tmp_path, {path: {"energy_uj": str(int(watts * now_s * 1e6) % range_uj)}})

    source = counter(rapl(tmp_path))
    assert isinstance(source, Rapl)
    found = measure_energy(source, lambda: advance(0.5), lambda: now_s, advance)
    assert isinstance(found, Energy)
    assert now_s > 70  # so it wrapped
    for window in (*found.windows, *found.idle):
        assert window.joules == pytest.approx(25 * window.window_s)


# NVML


class Gpu:
    """A library with one GPU whose counter reads what it is told."""

    def __init__(self, *readings: int | None) -> None:
        self._readings = iter(readings)

    def driver(self) -> str | None:
        return None

    def states(self) -> tuple[GpuState, ...]:
        return ()

    def energy_mj(self, uuid: str) -> int | None:
        assert uuid == "GPU-a"
        return next(self._readings)


def test_nvml_counts_millijoules() -> None:
    found = counter(nvml_energy(Gpu(1000, 1500, 4000), "GPU-a", "Card 0"))
    assert isinstance(found, NvmlEnergy)
    assert (found.source, found.covers) == ("nvml", "Card 0")
    assert [found.joules(), found.joules()] == [1.5, 4.0]


def test_why_a_gpu_has_no_joules() -> None:
    assert reason(nvml_energy("pynvml is not installed", "GPU-a", "Card 0")) == "pynvml is not installed"
    assert reason(nvml_energy(Gpu(None), "GPU-a", "Card 0")).startswith("Card 0 has no energy counter")


def test_a_counter_that_falls_is_not_believed() -> None:
    found = counter(nvml_energy(Gpu(1000, 10), "GPU-a", "Card 0"))
    with pytest.raises(CounterLost, match="fell: its driver was loaded again"):
        found.joules()
