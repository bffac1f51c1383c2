"""Records on disk: read back exactly, written whole or not at all, merged without losing a fact."""

from __future__ import annotations

import gzip
import json
import os
import string
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers import counted, params, traced
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from effbench.errors import InputError
from effbench.records import (
    RECORD_SCHEMA,
    Attr,
    Energy,
    ErrorFigure,
    Evaluation,
    Note,
    OpCall,
    ProcessRun,
    Published,
    Record,
    Rounding,
    StopRule,
    Timing,
    TimingPlan,
    Trace,
    Value,
)
from effbench.records.environment import Cpu, Environment, Memory, System
from effbench.store import Store, Stored, merge, read_text, write_whole
from effbench.store.migrations import MIGRATIONS, migrated

FIXTURES = Path(__file__).parent / "fixtures"

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.text(string.ascii_letters + "[]/\\ .:é\x1b\n", min_size=1, max_size=12)
numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False)
plain: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | texts, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=6
)
sizes = st.lists(st.integers(0, 2**40), max_size=4).map(tuple)
figures = st.builds(ErrorFigure, st.floats(allow_nan=False), texts, texts)
notes = st.lists(st.builds(Note, texts, texts, texts), max_size=2).map(tuple)
values = st.lists(st.floats(allow_nan=False), min_size=3, max_size=3).map(tuple)
evaluations = st.builds(
    Evaluation,
    texts,
    texts,
    st.sampled_from(["lower", "higher"]),
    st.just(3),
    st.dictionaries(texts, values, max_size=2),
    st.dictionaries(texts, texts | st.integers(-9, 9), max_size=2),
    left_out=st.dictionaries(texts, st.integers(0, 9), max_size=2),
)
records = st.builds(
    Record,
    name=names,
    spec=st.none() | texts,
    errors=st.dictionaries(texts, figures, max_size=3),
    published=st.none() | st.builds(Published, params=st.none() | st.integers(0, 2**60)),
    notes=notes,
    evaluations=st.lists(evaluations, max_size=2).map(tuple),
)


def with_attrs(attrs: dict[str, Attr], shape: tuple[int, ...], noted: tuple[Note, ...]) -> Trace:
    value = Value(0, shape, (), "float32", 0, 4)
    call = OpCall("aten::x", ("pointwise",), False, (), "a.b", {"self": 0, "tensors": (0, 0)}, (0,), attrs, (0,))
    return Trace((), (value,), (call,), (), (), (), (), noted)


traces = st.builds(with_attrs, st.dictionaries(texts, plain, max_size=4), sizes, notes)


def only(store: Store) -> Stored:
    (stored,), unread = store.load()
    assert unread == ()
    return stored


# Round trips


@given(records, traces)
@settings(max_examples=50, deadline=None)
def test_what_is_saved_is_loaded(record: Record, trace: Trace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        record = replace(record, trace=trace.digest())
        Store(Path(folder)).save(record, trace)
        stored = only(Store(Path(folder)))
    assert stored == Stored(record, trace)
    assert stored.trace is not None
    # Equal is not enough: 1, 1.0 and True are equal, and only one of them was stored.
    assert stored.trace.digest() == record.trace


class Masked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(4, 4, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.out(x)
        return scores.masked_fill(x > 0, float("-inf")).softmax(-1)


def test_a_real_trace_counts_the_same_after_reading(tmp_path: Path) -> None:
    trace = traced(nn.Sequential(nn.Conv2d(3, 4, 3, groups=1), nn.Flatten(2), Masked()), (1, 3, 4, 4))
    Store(tmp_path).save(Record("net", trace=trace.digest()), trace)
    read = only(Store(tmp_path)).trace
    assert read == trace
    assert counted(read, "full") == counted(trace, "full")


def test_equal_traces_are_stored_once(tmp_path: Path) -> None:
    trace = traced(nn.Linear(3, 2), (1, 3))
    for name in ("a", "b"):
        Store(tmp_path).save(Record(name, trace=trace.digest()), trace)
    assert [path.name for path in (tmp_path / "traces").iterdir()] == [f"{trace.digest()}.json.gz"]
    assert [stored.trace for stored in Store(tmp_path).load()[0]] == [trace, trace]


def test_a_record_of_schema_1_stays_readable() -> None:
    stored, unread = Store(FIXTURES).load()
    (record,) = [entry for entry in stored if entry.record.name == "Fixture net"]
    assert unread == ()
    assert record.record.errors == {"pixel_error": ErrorFigure(6.85640465, "pixels", "sum over 1000 images")}
    published = record.record.published
    assert published is not None
    assert published.cost is not None
    assert (published.params, published.cost.unit, published.cost.convention) == (112, "GMAC", "thop")
    assert published.conditions == {"epochs": 150, "activation": "ReLU"}
    assert record.trace is not None
    assert params(record.trace) == 3 * 3**2 * 4 + 4
    assert counted(record.trace).total == 6 * 6 * 4 * 3 * 3**2


def test_timings_of_schema_1_stay_readable() -> None:
    stored, _ = Store(FIXTURES).load()
    (record,) = [entry.record for entry in stored if entry.record.name == "Timed fixture"]
    first, died = record.timings
    assert [run.samples_s for run in first.runs] == [(0.01, 0.0101, 0.0099), (0.0102, 0.0104)]
    assert first.plan == TimingPlan(batch=4, threads=2)
    assert (died.plan.device, died.runs, died.died) == ("cuda", (), "killed by signal 9")
    assert record.environment is not None
    assert record.environment.cpu.caches[1].size_bytes == 8 * 2**20
    assert record.environment.gpus[0].capability == "9.0"
    assert record.published is not None
    assert record.published.speed is not None
    assert (record.published.speed.seconds, record.published.speed.batch) == (0.002, 64)
    assert record.schema == RECORD_SCHEMA


def test_evaluations_of_schema_2_stay_readable() -> None:
    stored, _ = Store(FIXTURES).load()
    (record,) = [entry.record for entry in stored if entry.record.name == "Evaluated fixture"]
    (found,) = record.evaluations
    assert found.per_sample == {"hit": (1, 0, 1), "margin": (0.1, -0.25, float("inf"))}
    assert (found.settings, found.left_out) == ({"k": 1}, {"did not decode": 1})


def test_energy_and_run_of_schema_3_stay_readable() -> None:
    stored, _ = Store(FIXTURES).load()
    (record,) = [entry.record for entry in stored if entry.record.name == "Metered fixture"]
    (timing,) = record.timings
    assert timing.run == "5b1d0c2e9f3a4876"
    assert timing.energy is not None
    assert record.published is not None
    assert record.published.rounded["params"] == Rounding(10_000.0, "results.csv, line 7, column param_count")
    assert (timing.energy.source, timing.energy.windows[0].joules, timing.energy.idle[0].calls) == ("rapl", 412.5, 0)


def test_every_older_schema_has_a_way_to_the_next() -> None:
    assert set(MIGRATIONS) == set(range(1, RECORD_SCHEMA))
    assert migrated({"name": "n"}, "x") == {"name": "n", "schema": RECORD_SCHEMA}


def test_the_values_of_an_evaluation_lie_beside_the_record_once(tmp_path: Path) -> None:
    values = {"distance": tuple(number / 7 for number in range(50_000)), "weight": (1.0,) * 50_000}
    for name in ("a", "b"):
        Store(tmp_path).save(Record(name, evaluations=(Evaluation("error", "pixels", "lower", 50_000, values),)))
    (file,) = (tmp_path / "samples").iterdir()
    assert (tmp_path / "a.json").stat().st_size < 1000
    assert json.loads(gzip.decompress(file.read_bytes()))["distance"][1] == 1 / 7
    assert [entry.record.evaluations[0].per_sample for entry in Store(tmp_path).load()[0]] == [values, values]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"torn", "cannot be read"),
        (gzip.compress(b"{", mtime=0), "not the values of an evaluation"),
        (gzip.compress(b"[]", mtime=0), "holds no mapping"),
        (gzip.compress(b'{"v": [1, 2]}', mtime=0), "evaluations.0: 2 values of v for 1 samples"),
        (gzip.compress(b'{"v": "text"}', mtime=0), "evaluations.0.per_sample.v"),
    ],
)
def test_damaged_values_are_named_and_their_record_left_out(content: bytes, said: str, tmp_path: Path) -> None:
    Store(tmp_path).save(Record("net", evaluations=(Evaluation("m", "x", "lower", 1, {"v": (1.0,)}),)))
    (file,) = (tmp_path / "samples").iterdir()
    file.write_bytes(content)
    stored, (note,) = Store(tmp_path).load()
    assert stored == ()
    assert said in note.text
    assert note.subject == "net.json"


def test_a_record_can_be_read_by_people(tmp_path: Path) -> None:
    runs = tuple(ProcessRun(number, 1.5, (), (0.1,) * 40, tuple(range(40)), 4) for number in range(2))
    found = Record("Nét", timings=(Timing("net", TimingPlan(), StopRule(), runs, 1, True),))
    lines = Store(tmp_path).save(found).read_text(encoding="utf-8").splitlines()
    assert lines[1] == '  "name": "Nét",'
    assert sum(line.count("0.1, 0.1") > 0 for line in lines) == 2  # the calls of a process are a line
    assert only(Store(tmp_path)).record == found


# One file a model


def test_merge_keeps_the_facts_that_the_new_record_lacks() -> None:
    figure, better = ErrorFigure(0.2, "fraction"), ErrorFigure(0.1, "fraction")
    note, other = Note("a", "", "x"), Note("b", "", "y")
    old = Record("net", "net.py", "d1", {"top1": figure, "loss": figure}, Published(params=1), (note,))
    new = Record("net", None, None, {"top1": better}, None, (note, other))
    assert merge(old, new) == Record(
        "net", "net.py", "d1", {"top1": better, "loss": figure}, Published(params=1), (note, other)
    )
    assert merge(old, replace(new, trace="d2", spec="net.py")).trace == "d2"


def test_saving_again_adds_to_the_model_s_file(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = store.save(Record("net", "net.py", errors={"loss": ErrorFigure(2, "none")}))
    assert store.save(Record("net", "net.py", errors={"top1": ErrorFigure(0.1, "fraction")})) == first
    assert set(only(store).record.errors) == {"loss", "top1"}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Record("net", "a.py:Net"), Record("net", "b.py:Net")),  # one class name, two files
        (Record("a/b"), Record("a b")),  # one file name
        (Record("..", "a.py"), Record("...", "a.py")),
    ],
)
def test_models_never_share_a_file(first: Record, second: Record, tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = replace(first, errors={"top1": ErrorFigure(0.1, "fraction")})
    for record in (first, second, first, second):
        assert store.save(record).parent == tmp_path
    stored, unread = store.load()
    assert unread == ()
    assert sorted((item.record for item in stored), key=str) == sorted([first, second], key=str)


# Files that are no records


GOOD = {"name": "good", "schema": RECORD_SCHEMA}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a record of effbench"),
        (b'{"name": "torn', "not a record of effbench"),
        (b"\xff\xfe\x00", "not a record of effbench"),
        (b"[]", "not a record of effbench"),
        (b'{"layers": []}', "not a record of effbench: name"),
        (b'{"name": 5}', "not a record of effbench: name"),
        (b'{"name": "n", "errors": {"top1": {"value": 0.1}}}', "errors.top1.unit"),
        (b'{"name": "n", "errors": {"top1": {"value": 0.1, "unit": "fraction", "nit": 1}}}', "errors.top1.nit"),
        (b'{"name": "n", "trace": "0123"}', "traces/0123.json.gz: missing"),
        (b'{"name": "n", "errors": {"top1": {"value": NaN, "unit": 1}}}', "errors.top1.unit"),
        (b'{"name": "n", "schema": "1"}', "schema: '1' is no whole number from 1 up"),
        (b'{"name": "n", "schema": 0}', "schema: 0 is no whole number"),
        (b'{"name": "n", "schema": true}', "schema: True is no whole number"),
        (b'{"name": "n", "evaluations": 5}', "evaluations"),
        (b'{"name": "n", "evaluations": [5]}', "evaluations.0"),
        (b'{"name": "n", "environment": {}}', "environment"),
        (b"[" * 5000, "not a record of effbench"),
        # A newer schema is told from a damaged file, also where it does not fit this one.
        (b'{"name": {"text": "n"}, "errors": [], "schema": 99}', "schema 99 is newer"),
        (b'{"name": "n", "schema": 4}', "schema 4 is newer"),
    ],
)
def test_a_foreign_file_is_named_and_left_out(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "a_foreign.json").write_bytes(content)
    (tmp_path / "good.json").write_text(json.dumps(GOOD))
    stored, (note,) = Store(tmp_path).load()
    assert [item.record.name for item in stored] == ["good"]
    assert (note.code, note.subject) == ("skipped-file", "a_foreign.json")
    assert said in note.text
    assert "\n" not in note.text


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: data[:12] + bytes([data[12] ^ 255]) + data[13:],  # inside the compressed stream
        lambda data: data[:-5] + bytes([data[-5] ^ 255]) + data[-4:],  # its check sum
        lambda data: b"no gzip",
        lambda data: gzip.compress(b"{}", mtime=0),
    ],
)
def test_a_damaged_trace_is_named_and_its_record_left_out(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    trace = traced(nn.Linear(3, 2), (1, 3))
    Store(tmp_path).save(Record("net", trace=trace.digest()), trace)
    (file,) = (tmp_path / "traces").iterdir()
    file.write_bytes(damage(file.read_bytes()))
    stored, (note,) = Store(tmp_path).load()
    assert stored == ()
    assert str(file) in note.text
    assert "\n" not in note.text


@pytest.mark.parametrize("content", ['{"name": "net', '{"name": "net", "schema": 99, "novelty": 1}'])
def test_a_file_that_cannot_be_merged_is_not_overwritten(content: str, tmp_path: Path) -> None:
    (tmp_path / "net.json").write_text(content)
    with pytest.raises(InputError, match="net"):
        Store(tmp_path).save(Record("net"))
    assert (tmp_path / "net.json").read_text() == content
    assert [path.name for path in tmp_path.iterdir()] == ["net.json"]


def a_folder(path: Path) -> None:
    path.mkdir()


def a_loop(path: Path) -> None:
    path.symlink_to(path)


def a_dead_link(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("make", [a_folder, a_loop, a_dead_link, a_pipe])
def test_what_is_no_file_is_named_and_left_out(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "odd.json")
    (tmp_path / "good.json").write_text(json.dumps(GOOD))
    for read in (Store(tmp_path).load, Store(tmp_path).views):
        found, (note,) = read()
        assert len(found) == 1
        assert (note.code, note.subject) == ("skipped-file", "odd.json")
        assert note.text.startswith(f"{tmp_path / 'odd.json'}: cannot be read: ")
    if make is not a_dead_link:  # what is written to one makes the file that it names
        with pytest.raises(InputError, match="odd"):
            Store(tmp_path).save(Record("odd"))


def test_hidden_files_are_nobody_s_records(tmp_path: Path) -> None:
    (tmp_path / "._good.json").write_bytes(b"\x00\x05\x16\x07")
    assert Store(tmp_path).load() == ((), ())


@pytest.mark.parametrize("sample", ["NaN", "Infinity", "-0.5"])
def test_a_time_that_is_none_is_named(sample: str, tmp_path: Path) -> None:
    text = Store(tmp_path).save(timed(timing(seconds=0.25))).read_text()
    (tmp_path / "net.json").write_text(text.replace("0.25, 0.25", f"0.25, {sample}", 1))
    for read in (Store(tmp_path).load, Store(tmp_path).views):
        found, (note,) = read()
        assert found == ()
        assert "timings.0.runs.0.samples_s: a time is a number from 0 up" in note.text


def test_of_two_files_of_one_model_that_named_after_it_is_kept(tmp_path: Path) -> None:
    Store(tmp_path).save(Record("net", "net.py"))
    for copy in ("a copy.json", "z.json"):
        (tmp_path / copy).write_bytes((tmp_path / "net.json").read_bytes())
    for read in (Store(tmp_path).load, Store(tmp_path).views):
        found, notes = read()
        assert len(found) == 1
        assert [note.subject for note in notes] == ["a copy.json", "z.json"]
        assert notes[1].text == f"{tmp_path / 'z.json'}: holds the same model as net.json, net: remove one of them"


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none: no such folder of records"):
        Store(tmp_path / "none").load()


# Written whole or not at all


def failing(*args: object, **kwargs: object) -> None:
    raise OSError(28, "No space left on device")


def interrupted(*args: object, **kwargs: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("step", ["os.fsync", "os.fdopen", "pathlib.Path.chmod", "pathlib.Path.replace"])
@pytest.mark.parametrize("before", [b"old", None])
@pytest.mark.parametrize("failure", [failing, interrupted])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    step: str, before: bytes | None, failure: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.json"
    if before is not None:
        path.write_bytes(before)
    with monkeypatch.context() as patched:
        patched.setattr(step, failure)
        with pytest.raises(InputError if failure is failing else KeyboardInterrupt) as caught:
            write_whole(path, b"new")
    if failure is failing:
        assert str(caught.value) == f"{path}: cannot be written: No space left on device"
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == ({"report.json": before} if before else {})
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"


def test_content_is_synced_before_it_is_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    fsync, rename = os.fsync, Path.replace

    def synced(handle: int) -> None:
        assert os.fstat(handle).st_size == 3
        steps.append("sync")
        fsync(handle)

    def renamed(self: Path, target: Path) -> Path:
        steps.append("rename")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    write_whole(tmp_path / "x", b"new")
    assert steps == ["sync", "rename"]


def test_a_new_file_has_the_user_s_usual_permissions(tmp_path: Path) -> None:
    write_whole(tmp_path / "ours", b"")
    (tmp_path / "theirs").touch()
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "theirs").stat().st_mode


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    write_whole(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"


def test_a_device_is_written_to_and_never_replaced() -> None:
    write_whole(Path(os.devnull), b"new")
    assert Path(os.devnull).is_char_device()


@pytest.mark.parametrize("below", ["", "/deeper"])
def test_a_folder_that_cannot_be_is_one_line(below: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(InputError, match=r"cannot be written: [^\n]+$"):
        write_whole(Path(f"{tmp_path}/file{below}/report.json"), b"")
    with pytest.raises(InputError, match=r"cannot be written: [^\n]+$"):
        Store(Path(f"{tmp_path}/file{below}")).save(Record("net"))
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match=r"cannot be written: Permission denied$"):
        Store(tmp_path).save(Record("net"))


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (lambda path: None, "no such suite"),
        (lambda path: path.mkdir(), "cannot be read as a suite"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "cannot be read as a suite"),
    ],
)
def test_a_text_that_cannot_be_read_is_one_line(prepare: Callable[[Path], object], said: str, tmp_path: Path) -> None:
    prepare(tmp_path / "suite.yaml")
    with pytest.raises(InputError, match=rf"suite.yaml: {said}[^\n]*$"):
        read_text(tmp_path / "suite.yaml", "suite")


# Timings


def timing(batch: int | None = None, seconds: float = 0.01) -> Timing:
    run = ProcessRun(0, 0.5, (0.02,), (seconds,) * 2, (0, 1), 2 * seconds, None, (("resident", 9),))
    plan = TimingPlan(batch=batch)
    return Timing("net", plan, StopRule(), (run,), 2, True, None, (Note("a", "b", "c"),), batch)


def machine(name: str) -> Environment:
    return Environment(Cpu(name), Memory(), System(python="3.11.1"), variables=(("OMP_PROC_BIND", "true"),))


def timed(*timings: Timing, where: str = "one") -> Record:
    return Record("net", "net.py", timings=timings, environment=machine(where))


def test_timings_are_read_back_with_their_machine(tmp_path: Path) -> None:
    Store(tmp_path).save(timed(timing(), timing(4)))
    assert only(Store(tmp_path)).record == timed(timing(), timing(4))


def test_a_record_from_before_timings_has_none_and_takes_some(tmp_path: Path) -> None:
    old = json.loads((FIXTURES / "record_v1.json").read_text())
    assert "timings" not in old
    (tmp_path / "old.json").write_text(json.dumps({**old, "trace": None}))
    record = only(Store(tmp_path)).record
    assert (record.timings, record.environment) == ((), None)
    assert merge(record, timed(timing())) == replace(
        record, name="net", spec="net.py", timings=(timing(),), environment=machine("one")
    )


def test_a_new_timing_takes_the_place_of_the_same_plan_and_stands_beside_others() -> None:
    found = merge(timed(timing(), timing(4)), timed(timing(seconds=0.02)))
    assert found.timings == (timing(4), timing(seconds=0.02))
    assert found.notes == ()


def test_a_profile_leaves_timings_alone() -> None:
    assert merge(timed(timing()), Record("net", "net.py", "d1")).timings == (timing(),)


def test_joules_of_times_that_were_taken_again_are_dropped_and_that_is_said() -> None:
    metered = replace(timing(), energy=Energy("rapl", "package-0", 0.001, ()))
    found = merge(timed(metered, timing(4)), timed(timing()))
    assert [one.energy for one in found.timings] == [None, None]
    assert [note.code for note in found.notes] == ["dropped-energy"]
    assert merge(timed(metered), timed(metered)).notes == merge(timed(timing()), timed(metered)).notes == ()


def test_timings_of_another_machine_are_dropped_and_that_is_said() -> None:
    found = merge(timed(timing(), timing(4)), timed(timing(), where="other"))
    assert (found.timings, found.environment) == ((timing(),), machine("other"))
    assert found.notes == (
        Note("dropped-timings", "net", "1 older timings were dropped, taken elsewhere (CPU: one ≠ other)"),
    )
