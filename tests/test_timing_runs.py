"""What `effbench time` measures beside times: batches, joules, refusals, records; the world is faked at its seams."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from cli_runner import source

from effbench import timing_runs
from effbench.documents.time import energy_part, timing_document
from effbench.errors import InputError, ModelError
from effbench.measure.machine.interference import Disturbance
from effbench.measure.machine.nvml import GpuState
from effbench.measure.timing.candidates import ROUNDS, Confirmed
from effbench.measure.timing.entrant import Died, OutOfMemory
from effbench.measure.timing.patience import MOST_IN_VAIN
from effbench.records import Energy, EnergyWindow, NoEnergy, Note, ProcessRun, StopRule, Timing, TimingPlan
from effbench.records.environment import Cpu, Environment, Memory, System
from effbench.store import Store
from effbench.timing_runs import Wanted, best_batch_of, counter_for, energy_of, run_time
from effbench.timings import Timed, workers

HERE = Environment(Cpu("a processor"), Memory(), System())
WORKERS = workers(["net.py:Net"])


def timing(wall: float = 1.0, converged: bool = True, died: str | None = None, median_s: float = 0.01) -> Timing:
    runs = tuple(
        ProcessRun(number, 0.5, (), (median_s,) * 4, (0, 1, 2, 3), 4 * median_s * wall, None, (("resident", 9),))
        for number in range(3)
    )
    return Timing("Net", TimingPlan(), StopRule(), () if died else runs, 2, converged, died, (), 8)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Replaces what is timed by what is given."""

    def put(*timings: Timing) -> None:
        made = Timed(timings, HERE, (Note("unwatched", "steal", "…"),))
        monkeypatch.setattr(timing_runs, "time_entrants", lambda *words, **named: made)

    return put


def done(wanted: Wanted | None = None, models: Sequence[Any] = WORKERS) -> timing_runs.Done:
    return run_time(models, StopRule(), 7, wanted or Wanted(), lambda text: None)


def test_a_run_is_a_document_with_its_raw_samples(fake: Callable[..., None]) -> None:
    fake(timing())
    document = done().document()
    (model,) = document["models"]
    assert (document["schema"], document["seed"], model["spec"]) == (1, 7, "net.py:Net")
    assert model["median_s"] == pytest.approx(0.01)
    assert model["samples_per_s"] == pytest.approx(800)
    assert model["runs"][0]["samples_s"] == (0.01,) * 4
    assert model["peak_bytes"] == {"resident": 9}
    assert document["notes"] == [{"code": "unwatched", "subject": "steal", "text": "…"}]
    json.dumps(document, allow_nan=False)


def test_times_that_disagree_with_the_wall_are_refused_and_not_shown(fake: Callable[..., None]) -> None:
    fake(timing(wall=1000.0))
    found = done()
    assert "a missing synchronisation" in found.refused["Net"]
    (model,) = found.document()["models"]
    assert (model["median_s"], model["samples_per_s"], model["runs"] != []) == (None, None, True)
    assert model["refused"] == found.refused["Net"]


def test_what_did_not_converge_and_what_died_is_unfinished(fake: Callable[..., None]) -> None:
    fake(timing(converged=False))
    assert done().unfinished() == ("Net: not converged: raise --budget, --rounds or --half-width",)
    fake(timing(converged=False, died="Net: killed"))
    assert done().unfinished() == ("Net: killed",)
    fake(timing())
    assert done().unfinished() == ()


def test_a_record_has_the_name_that_a_profile_gives_it(
    fake: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(source())
    fake(timing())
    done().record(tmp_path / "records")
    (file,) = (tmp_path / "records").glob("*.json")
    held = json.loads(file.read_text())
    assert (held["spec"], len(held["timings"]), held["environment"]["cpu"]["model"]) == ("net.py:Net", 1, "a processor")
    fake(timing(wall=1000.0))
    done().record(tmp_path / "other")
    assert not (tmp_path / "other").exists()


# The batch of the highest throughput


@dataclass
class Searched:
    """`Measured` with a model whose throughput saturates at batch 8 and whose memory ends at 64."""

    tried: list[int]

    def __call__(self, batch: int) -> float:
        self.tried.append(batch)
        if batch > 64:
            raise OutOfMemory("no")
        return min(batch, 8) * 100.0


def searched_with(disturbed: Callable[[int], bool], monkeypatch: pytest.MonkeyPatch) -> tuple[Searched, Confirmed]:
    """Returns (what was tried, the batch found) where the nth measurement is disturbed if `disturbed(n)`."""
    searched = Searched([])
    monkeypatch.setattr(timing_runs, "Measured", lambda *words: searched)

    class Watch:
        def restart(self) -> None: ...

        def __call__(self) -> Disturbance:
            return Disturbance((Note("steal", "cpu", "…"),) if disturbed(len(searched.tried)) else ())

    monkeypatch.setattr(timing_runs, "watch_here", lambda plans: (Watch(), ()))
    found = best_batch_of(WORKERS[0])
    assert found.best.batch == 8
    assert found.best.typical.estimate == pytest.approx(800.0)
    return searched, found


def test_a_quiet_search_tries_each_batch_once_and_the_best_once_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    searched, found = searched_with(lambda n: False, monkeypatch)
    repeated = {one.batch for one in found.repeats}
    assert len(repeated) == 4
    again = {8, 16, 32}  # the best and the two beyond it that end the doubling
    for batch in searched.tried:
        assert searched.tried.count(batch) == 1 + (batch in again) + (ROUNDS if batch in repeated else 0)


def test_a_batch_that_was_disturbed_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    searched, _ = searched_with(lambda n: n in (3, 7), monkeypatch)
    assert searched.tried[:11] == [1, 2, 4, 4, 8, 16, 32, 32, 8, 16, 32]


def test_where_everything_is_disturbed_trying_again_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    searched, _ = searched_with(lambda n: True, monkeypatch)
    assert searched.tried[:6] == [1, 1, 2, 2, 4, 8]
    assert len(searched.tried) == len(searched_with(lambda n: False, monkeypatch)[0].tried) + MOST_IN_VAIN


@pytest.mark.parametrize(
    ("death", "said"),
    [
        (OutOfMemory("batch 1 would take 9 bytes"), "Net: its best batch cannot be found: batch 1 does not fit into"),
        (
            Died("Net: its process ended with exit code 3"),
            "Net: its best batch cannot be found: its process ended with",
        ),
    ],
)
def test_a_model_that_dies_while_its_batch_is_looked_for_is_told(
    death: Died, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dying(batch: int) -> float:
        raise death

    monkeypatch.setattr(timing_runs, "Measured", lambda *words: dying)
    with pytest.raises(ModelError, match=f"^{said}"):
        best_batch_of(WORKERS[0])


def test_the_batch_found_is_the_one_that_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int | None] = []

    def timed(entrants: Sequence[Any], *words: object, **named: object) -> Timed:
        seen.extend(entrant.plan.batch for entrant in entrants)
        return Timed((timing(),), HERE)

    monkeypatch.setattr(timing_runs, "Measured", lambda *words: Searched([]))
    monkeypatch.setattr(timing_runs, "time_entrants", timed)
    (model,) = done(Wanted(throughput=True)).document()["models"]
    assert seen == [8]
    search = model["search"]
    assert (search["batch"], search["ended_by"]) == (8, "slower")
    assert search["interval_samples_per_s"] == pytest.approx([800.0, 800.0])
    assert search["within_noise"] == [9, 10, 12]  # ties go to the smaller ones
    json.dumps(search, allow_nan=False)


# Energy


class Steady:
    """A session and a counter on one fake clock: a call takes 10 ms, the machine draws 20 W, idle or not."""

    source: Any = "rapl"
    covers = "package-0"

    def __init__(self) -> None:
        self.now_s = 0.0
        self.closed = False

    def call(self, times: int) -> None:
        self.now_s += 0.01 * times

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def joules(self) -> float:
        return 20 * round(self.now_s, 3)

    def start(self, number: int) -> Steady:
        return self

    def close(self) -> None:
        self.closed = True


def test_energy_is_that_of_one_call_with_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    steady = Steady()
    monkeypatch.setattr("effbench.timing_runs.time.perf_counter", lambda: steady.now_s)
    monkeypatch.setattr("effbench.timing_runs.time.sleep", steady.sleep)
    model: Any = steady
    found = energy_of(model, steady, 0.01)
    assert isinstance(found, Energy)
    assert steady.closed
    part = energy_part(found)["energy"]
    assert (part["source"], part["covers"], part["unavailable"]) == ("rapl", "package-0", None)
    assert part["joules"] == pytest.approx(0.2, rel=0.001)  # 20 W for 10 ms
    assert part["above_idle_joules"] == pytest.approx(0, abs=0.001)


def test_a_model_that_dies_while_its_energy_is_read_keeps_its_times(
    fake: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dying(Steady):
        def call(self, times: int) -> None:
            raise Died("Net: its process ended with exit code 3")

    session: Any = Dying()
    found = energy_of(session, session, 0.01)
    assert found == NoEnergy("rapl", "Net: its process ended with exit code 3")
    assert session.closed
    fake(timing())
    monkeypatch.setattr(timing_runs, "counter_for", lambda plan: session)
    monkeypatch.setattr("effbench.measure.timing.worker.Worker.start", lambda worker, number: session)
    (model,) = done(Wanted(energy=True)).document()["models"]
    assert model["median_s"] == pytest.approx(0.01)
    assert model["energy"]["unavailable"] == found.reason


def test_a_roofline_that_cannot_be_had_leaves_the_times(
    fake: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*words: object) -> None:
        raise InputError("net.py: the model cannot be traced")

    fake(timing())
    monkeypatch.setattr(timing_runs, "_peaks", lambda *words: None)
    monkeypatch.setattr(timing_runs, "_roofline", fails)
    found = done(Wanted(roofline=True))
    assert found.document()["models"][0]["median_s"] == pytest.approx(0.01)
    assert found.notes[-1] == Note("no-roofline", "Net", "net.py: the model cannot be traced")
    assert found.unfinished() == ("Net: no roofline",)


def test_joules_are_kept_in_the_record(
    fake: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(source())
    fake(timing())
    read = Energy("rapl", "package-0", 0.001, (EnergyWindow(5.0, 10.0, 1000, 50),))
    monkeypatch.setattr(timing_runs, "energy_of", lambda *words: read)
    done(Wanted(energy=True)).record(tmp_path / "records")
    ((stored,), _) = Store(tmp_path / "records").load()
    assert stored.record.timings[0].energy == read
    monkeypatch.setattr(timing_runs, "energy_of", lambda *words: NoEnergy("rapl", "a virtual machine"))
    done(Wanted(energy=True)).record(tmp_path / "others")
    ((stored,), _) = Store(tmp_path / "others").load()
    assert stored.record.timings[0].energy is None


def test_without_a_counter_the_reason_is_the_answer() -> None:
    reason = NoEnergy("rapl", "a virtual machine")
    assert energy_of(WORKERS[0], reason, 0.01) is reason
    assert energy_part(reason) == {"energy": {"source": "rapl", "unavailable": "a virtual machine"}}


def test_of_several_gpus_none_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Two:
        def states(self) -> tuple[GpuState, ...]:
            return GpuState("GPU-a"), GpuState("GPU-b")

    monkeypatch.setattr(timing_runs, "open_nvml", Two)
    found = counter_for(TimingPlan("cuda:1"))
    assert isinstance(found, NoEnergy)
    assert "2 GPUs" in found.reason
    monkeypatch.setattr(timing_runs, "open_nvml", lambda: "pynvml is not installed")
    assert counter_for(TimingPlan("cuda")) == NoEnergy("nvml", "pynvml is not installed")
    assert isinstance(counter_for(TimingPlan("mps")), NoEnergy)


def test_a_window_without_calls_has_no_joules_a_call() -> None:
    part = energy_part(Energy("nvml", "the GPU", 0.1, (EnergyWindow(1.0, 10.0, 100),)))["energy"]
    assert (part["joules"], part["interval_joules"]) == (None, None)


def test_a_step_s_macs_stand_beside_its_time(
    fake: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(source())
    fake(timing())
    training = (replace(WORKERS[0], plan=TimingPlan(runs="training")),)
    (model,) = done(models=training).document()["models"]
    forward = 6 * 6 * 4 * 27
    assert model["training"]["macs"] == 2 * forward  # no gradient of the image
    assert model["training"]["macs_per_s"] == pytest.approx(2 * forward / 0.01)


def test_a_spec_that_names_nothing_is_told_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"net\.py: no such file"):
        done()


def test_an_infinite_interval_is_unknown_in_json() -> None:
    runs = tuple(ProcessRun(n, 1.0, (), (10.0 ** (200 * n - 100),), (0,), 1.0) for n in range(2))
    made = Timed((replace(timing(), runs=runs),), HERE)
    document = timing_document(made, ["x"], 0)
    json.dumps(document, allow_nan=False)
