"""What rankings read of records: as the records say, from an index where one holds, anew wherever it does not."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from effbench.errors import InputError
from effbench.records import (
    Energy,
    EnergyWindow,
    ErrorFigure,
    Evaluation,
    Note,
    ProcessRun,
    Record,
    StopRule,
    Timing,
    TimingPlan,
    Trace,
)
from effbench.records.environment import Cpu, Environment, Memory, System
from effbench.stats import log_median as peer
from effbench.store import RecordView, Store, of_traces, reading, view
from effbench.store import disposable as disposable_files
from effbench.store.index import INDEX
from effbench.store.texts import read_data
from effbench.store.views import log_median

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture(autouse=True)
def any_number_is_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps an index of any folder, of files as young as any: the clock is an hour ahead of that of the files."""
    monkeypatch.setattr(reading, "INDEXED", 1)
    ahead = disposable_files.now_ns() + 3600 * 10**9
    monkeypatch.setattr(reading, "now_ns", lambda: ahead)
    monkeypatch.setattr("effbench.store.derived.now_ns", lambda: ahead)
    monkeypatch.setattr("effbench.store.derived.KEPT", 1)


def machine(name: str = "one") -> Environment:
    return Environment(Cpu(name), Memory(), System(python="3.11.1"), variables=(("A", "b"),))


def run(number: int, *samples: float) -> ProcessRun:
    peaks = (("resident", 10 + number), ("allocated", 3))
    return ProcessRun(number, 1.0, (), samples, tuple(range(len(samples))), 1.0, None, peaks)


def full(name: str, where: str = "one") -> Record:
    runs, joules = (run(0, 1, 2, 4), run(3, 2, 8)), Energy("rapl", "dram", 0.1, (EnergyWindow(5.0, 10.0, 100, 3),))
    timing = Timing(name, TimingPlan(batch=2), StopRule(), runs, 2, True, samples=2, run="0a", energy=joules)
    dead = Timing(name, TimingPlan(device="cuda"), StopRule(), (), 1, False, "killed", (Note("a", "b", "c"),))
    found = Evaluation("top1", "fraction", "higher", 2, {"hit": (1.0, 0.0)}, {"k": 1}, "data", "0a", {"NaN": 1})
    figure = ErrorFigure(0.25, "fraction", "said", 40)
    return Record(
        name,
        "x.py",
        errors={"top1": figure},
        notes=(Note("n", "", "t"),),
        timings=(timing, dead),
        environment=machine(where),
        evaluations=(found,),
    )


def filled(folder: Path, names: str = "abc") -> Store:
    store = Store(folder)
    store.save_many([full(name, "two" if name == "b" else "one") for name in names])
    return store


def alike(found: RecordView, record: Record) -> None:
    expected = view(record)
    left_out = ("source", "evaluations")
    for field in fields(RecordView):
        if field.name not in left_out:
            assert getattr(found, field.name) == getattr(expected, field.name), field.name
    assert [replace(one, values="") for one in found.evaluations] == list(expected.evaluations)
    assert found.full() == record


def test_a_view_says_what_the_record_says(tmp_path: Path) -> None:
    filled(tmp_path, "a")
    ((found,), notes) = Store(tmp_path).views()
    assert notes == ()
    timing, dead = found.timings
    # The middle one of 1, 2, 4; of 2 and 8 the mean.
    assert timing.log_medians == pytest.approx((math.log(2), math.log(5)), rel=1e-15)
    assert (timing.rounds, timing.peak_bytes) == ((0, 3), {"resident": 13, "allocated": 3})
    assert (timing.plan.batch, timing.threads, timing.samples, timing.converged) == (2, 2, 2, True)
    assert (dead.died, dead.log_medians, dead.notes) == ("killed", (), (Note("a", "b", "c"),))
    assert found.errors["top1"].n == 40
    assert found.evaluation(0).per_sample == {"hit": (1.0, 0.0)}
    alike(found, full("a"))


@given(st.lists(st.floats(1e-12, 1e6), min_size=1, max_size=9))
def test_the_log_median_is_that_of_the_statistics(samples: list[float]) -> None:
    assert log_median(samples) == pytest.approx(float(peer(np.array(samples))), rel=1e-12, abs=1e-12)


def test_a_clock_that_read_nothing_has_no_log() -> None:
    assert log_median((0.0, 0.0)) == -math.inf


# The index


def opened(store: Store, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], tuple[RecordView, ...]]:
    """The files that were opened, and the views."""
    seen: list[str] = []

    def read(path: Path) -> bytes:
        seen.append(path.name)
        return read_data(path)

    with monkeypatch.context() as patched:
        patched.setattr(reading, "read_data", read)
        views, notes = store.views()
    assert notes == ()
    return seen, views


def test_the_second_reading_opens_nothing_and_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = filled(tmp_path)
    first, views = opened(store, monkeypatch)
    assert first == ["a.json", "b.json", "c.json"]
    second, again = opened(store, monkeypatch)
    assert (second, again) == ([], views)
    for found in again:
        alike(found, full(found.name, "two" if found.name == "b" else "one"))
    # What many share is one object.
    assert again[0].environment is again[2].environment
    assert again[0].timings[0].plan is again[1].timings[0].plan


def rewrite(path: Path) -> None:
    path.write_text(path.read_text().replace("0.25", "0.75"))


def in_the_same_moment(path: Path) -> None:
    """A change of neither size nor time of content."""
    seen = path.stat()
    rewrite(path)
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (seen.st_size, seen.st_mtime_ns)


def replaced(path: Path) -> None:
    other = path.with_suffix(".other")
    shutil.copy2(path, other)
    in_the_same_moment(other)
    os.utime(other, ns=(0, path.stat().st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize("change", [rewrite, in_the_same_moment, replaced])
def test_a_changed_record_is_read_anew(
    change: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = filled(tmp_path)
    store.views()
    change(tmp_path / "b.json")
    seen, views = opened(store, monkeypatch)
    assert seen == ["b.json"]
    assert [one.errors["top1"].value for one in views] == [0.25, 0.75, 0.25]
    assert opened(store, monkeypatch)[0] == []  # it is in the index now


def test_a_file_that_was_just_written_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = filled(tmp_path)
    monkeypatch.setattr(reading, "now_ns", disposable_files.now_ns)
    store.views()
    assert len(opened(store, monkeypatch)[0]) == 3  # a second change within a tick of the clock would not show


def test_added_and_removed_records_are_noticed(tmp_path: Path) -> None:
    store = filled(tmp_path)
    store.views()
    (tmp_path / "a.json").unlink()
    store.save(full("d"))
    for _ in range(2):
        assert [one.name for one in store.views()[0]] == ["b", "c", "d"]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-30] ^= 1
    path.write_bytes(data)


def of_other_code(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"disposable ", b"disposable 0", 1))


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "damage",
    [
        Path.unlink,
        cut,
        flip,
        of_other_code,
        a_folder,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"[]\n{}"),
    ],
)
def test_a_lost_torn_or_foreign_index_is_no_matter(damage: Callable[[Path], None], tmp_path: Path) -> None:
    store = filled(tmp_path)
    views, _ = store.views()
    damage(tmp_path / INDEX)
    for _ in range(2):
        assert store.views() == (views, ())


def test_a_folder_that_cannot_be_written_to_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path, data: bytes) -> None:
        raise InputError(f"{path}: cannot be written: Read-only file system")

    store = filled(tmp_path)
    monkeypatch.setattr(disposable_files, "write_whole", refused)
    assert [one.name for one in store.views()[0]] == ["a", "b", "c"]
    assert not (tmp_path / INDEX).exists()


def test_few_records_get_no_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "INDEXED", 4)
    filled(tmp_path).views()
    assert not (tmp_path / INDEX).exists()


def test_a_missing_trace_or_values_is_told_of_the_record(tmp_path: Path) -> None:
    store = filled(tmp_path)
    store.save(Record("t", trace="0123"))
    (values,) = (tmp_path / "samples").iterdir()
    values.unlink()
    for read in (store.views, store.load):
        found, notes = read()
        assert found == ()
        assert [note.subject for note in notes] == ["a.json", "b.json", "c.json", "t.json"]
        assert notes[0].text == f"{values}: missing"
        assert notes[3].text == f"{tmp_path / 'traces' / '0123.json.gz'}: missing"


def test_the_fixtures_of_every_schema_are_viewed_as_they_are_read(tmp_path: Path) -> None:
    store = Store(Path(shutil.copytree(FIXTURES, tmp_path / "fixtures")))
    stored, _ = store.load()
    views, notes = store.views()
    assert notes == ()
    assert len(views) == 4
    for found, one in zip(views, stored, strict=True):
        alike(found, one.record)


# What is derived from traces


def a_trace(name: str) -> Trace:
    return Trace((), (), (), (), (), (), (), (Note(name, "", ""),))


def test_each_trace_is_opened_once_and_again_where_it_changed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    traces = {name: a_trace(name) for name in ("aa", "bb")}
    store.save_many([Record("x", trace="aa"), Record("y", trace="bb"), Record("z", trace="aa")], traces)
    seen: list[str] = []

    def derive(trace: Trace) -> list[str]:
        seen.append(trace.notes[0].code)
        return [trace.notes[0].code]

    def found(version: str = "1") -> object:
        return of_traces(tmp_path, ["aa", "bb", "aa"], derive, "costs of/macs", version)

    assert found() == {"aa": ["aa"], "bb": ["bb"]}
    assert found() == {"aa": ["aa"], "bb": ["bb"]}
    assert seen == ["aa", "bb"]
    found("2")  # other code
    assert seen == ["aa", "bb"] * 2
    (tmp_path / "traces" / "aa.json.gz").write_bytes(b"torn")
    (torn, whole) = of_traces(tmp_path, ["aa", "bb"], derive, "costs of/macs", "2").values()
    assert isinstance(torn, InputError)
    assert "aa.json.gz: cannot be read" in str(torn)
    assert whole == ["bb"]
    assert seen == ["aa", "bb"] * 2


def test_without_a_version_nothing_is_kept(tmp_path: Path) -> None:
    Store(tmp_path).save(Record("x", trace="aa"), a_trace("aa"))
    assert of_traces(tmp_path, ["aa"], lambda trace: 1, "costs", "") == {"aa": 1}
    assert of_traces(tmp_path, ["aa"], lambda trace: 2, "costs", "") == {"aa": 2}
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
