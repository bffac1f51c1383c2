"""Several writers of one folder, real processes: nothing is lost, whoever is ended wherever."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from effbench.errors import InputError
from effbench.records import ErrorFigure, Evaluation, Note, Record
from effbench.store import Store, files, imports

ROOT = Path(__file__).parents[1]
HEAD = """
import os, sys
from pathlib import Path
from effbench.records import ErrorFigure, Evaluation, Record
from effbench.store import Store, imports
folder = Store(Path(sys.argv[1]))
"""


def process(script: str, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HEAD + script, *words]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def output(running: subprocess.Popen[str]) -> Iterator[str]:
    assert running.stdout is not None
    yield from running.stdout


def end(running: subprocess.Popen[str]) -> int:
    code = running.wait()
    assert running.stdout is not None
    running.stdout.close()
    return code


def only(folder: Path) -> Record:
    (stored,), unread = Store(folder).load()
    assert unread == ()
    return stored.record


def errors(*values: float) -> dict[str, ErrorFigure]:
    return {f"e{number}": ErrorFigure(value, "pixels") for number, value in enumerate(values)}


ADD = """
for number in range(20):
    name = f"{sys.argv[2]}-{number}"
    folder.save(Record("net", "net.py", errors={name: ErrorFigure(number, "pixels")}))
    folder.save(Record("net", "net.py", evaluations=(Evaluation(name, "x", "lower", 1, {"v": (number,)}),)))
"""


def test_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    writers = [process(ADD, str(tmp_path), name) for name in "abc"]
    assert [end(one) for one in writers] == [0, 0, 0]
    record = only(tmp_path)
    expected = {f"{name}-{number}" for name in "abc" for number in range(20)}
    assert set(record.errors) == expected
    assert {one.metric for one in record.evaluations} == expected
    assert [path.name for path in tmp_path.iterdir() if not path.is_dir()] == ["net.json"]  # no lock is left


ENDLESS = """
for number in range(10_000):
    folder.save(Record("net", errors={f"e{number}": ErrorFigure(number, "pixels")}))
    print(number, flush=True)
"""


def test_what_was_saved_before_a_writer_was_killed_is_there_and_whole(tmp_path: Path) -> None:
    for kept in (1, 2, 7):
        running = process(ENDLESS, str(tmp_path))
        said = [line for line, _ in zip(output(running), range(kept), strict=False)]
        running.kill()
        end(running)
        assert len(said) == kept
        assert {f"e{number}" for number in range(kept)} <= set(only(tmp_path).errors)
    Store(tmp_path).save(Record("net", errors={"last": ErrorFigure(1, "pixels")}))  # the lock went with its holder
    assert "last" in only(tmp_path).errors


# Many at once


def test_many_are_saved_as_one_by_one(tmp_path: Path) -> None:
    records = [
        Record("a", "a.py", errors=errors(1)),
        Record("b/c", "b.py"),
        Record("b c", "c.py"),  # the same file name: it gets one of its own
        Record("a", "a.py", errors={"more": ErrorFigure(2, "pixels")}),
    ]
    Store(tmp_path / "one").save(Record("a", notes=(Note("x", "y", "z"),)))
    Store(tmp_path / "many").save(Record("a", notes=(Note("x", "y", "z"),)))
    one = [Store(tmp_path / "one").save(record) for record in records]
    many = Store(tmp_path / "many").save_many(records)
    assert [path.name for path in many] == [path.name for path in one]
    assert Store(tmp_path / "many").load() == Store(tmp_path / "one").load()
    assert {path.name for path in (tmp_path / "many").iterdir()} == {path.name for path in one}


def test_a_foreign_file_in_the_way_stops_all_of_them(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text("no record")
    with pytest.raises(InputError, match=r"b\.json: not a record"):
        Store(tmp_path).save_many([Record("a"), Record("b")])
    assert [path.name for path in tmp_path.iterdir()] == ["b.json"]


def test_a_full_disk_stops_all_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(imports, "_on_disk", full)
    with pytest.raises(InputError, match="cannot be written: No space left on device"):
        Store(tmp_path).save_many([Record("a"), Record("b")])
    assert list(tmp_path.iterdir()) == []


MANY = """
def ended(*words):
    os._exit(9)

if sys.argv[2] == "before":
    imports._on_disk = ended
else:
    move, moved = Path.replace, []
    def replaced(self, target):
        if moved:
            ended()
        moved.append(target)
        return move(self, target)
    Path.replace = replaced
folder.save_many([Record(name, errors={"new": ErrorFigure(1, "pixels")}) for name in "abc"])
"""


@pytest.mark.parametrize(("moment", "present"), [("before", []), ("after", ["a", "b", "c"])])
def test_many_are_all_there_or_none_where_the_writer_was_ended(moment: str, present: list[str], tmp_path: Path) -> None:
    old = Record("b", errors={"old": ErrorFigure(1, "pixels")})
    Store(tmp_path).save(old)
    assert end(process(MANY, str(tmp_path), moment)) == 9
    moved = sorted(path.name for path in tmp_path.glob("*.json"))
    assert moved == (["b.json"] if moment == "before" else ["a.json", "b.json"])  # in the midst of it
    stored, unread = Store(tmp_path).load()
    assert unread == ()
    assert [item.record.name for item in stored if "new" in item.record.errors] == present
    assert all("old" in item.record.errors for item in stored if item.record.name == "b")
    Store(tmp_path).save(old)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]  # what was left is gone


# Locks


def test_a_folder_that_cannot_be_locked_is_locked_by_a_file_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = files._locked_handle

    def refused(path: Path, flags: int) -> int:
        if path == tmp_path:
            raise OSError(9, "Bad file descriptor")  # what NFS says
        return lock(path, flags)

    monkeypatch.setattr(files, "_locked_handle", refused)
    Store(tmp_path).save(Record("net", evaluations=(Evaluation("m", "x", "lower", 1, {"v": (1.0,)}),)))
    assert (tmp_path / files.LOCK_FILE).exists()
    assert only(tmp_path).name == "net"
