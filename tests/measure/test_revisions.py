"""Checkouts of revisions in a repository made for the test: found, used, and gone again whatever happens."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from effbench.errors import InputError
from effbench.measure.machine.processes import is_gone, this_process
from effbench.measure.revisions import checked_out


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
    return subprocess.run(
        ("git", "-C", str(folder), *who, *words), check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """models/net.py says 1 at tag v1 and 2 at v2, and lies here as 3; models/new.py came with v2."""
    top = tmp_path / "a repository"
    (top / "models").mkdir(parents=True)
    git(top, "init", "--quiet", "--initial-branch=main")
    file = top / "models" / "net.py"
    for number in (1, 2):
        file.write_text(f"NUMBER = {number}\n", encoding="utf-8")
        if number == 2:
            (top / "models" / "new.py").write_text("", encoding="utf-8")
        git(top, "add", ".")
        git(top, "commit", "--quiet", "-m", f"v{number}")
        git(top, "tag", f"v{number}")
    file.write_text("NUMBER = 3\n", encoding="utf-8")
    monkeypatch.chdir(top)
    return top


def left_over(top: Path) -> list[str]:
    """What is there beside the repository's own tree: worktrees that git knows of."""
    return git(top, "worktree", "list").splitlines()[1:]


def test_two_revisions_lie_beside_each_other_and_are_removed(repository: Path) -> None:
    with checked_out("models/net.py:Net", "v1") as one, checked_out("models/net.py:Net", "v2") as two:
        assert one.spec == two.spec == "models/net.py:Net"
        texts = [Path(each.folder, "models/net.py").read_text(encoding="utf-8") for each in (one, two)]
        assert texts == ["NUMBER = 1\n", "NUMBER = 2\n"]
        assert one.commit == git(repository, "rev-parse", "v1")
        assert one.path == (one.folder,)
        assert len(left_over(repository)) == 2
    assert left_over(repository) == []
    assert not Path(one.folder).exists()
    assert (repository / "models" / "net.py").read_text(encoding="utf-8") == "NUMBER = 3\n"


def test_from_a_folder_within_the_file_is_found_by_its_way_from_there(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository / "models")
    with checked_out("net.py", "v1") as found:
        assert found.spec == "net.py"
        assert Path(found.folder).name == "models"
        assert found.path == (found.folder, str(Path(found.folder).parent))


def test_from_outside_by_its_full_path(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with checked_out(f"{repository}/models/net.py:Net", "v1") as found:
        assert found.spec == "models/net.py:Net"
        assert (Path(found.folder) / "models" / "net.py").is_file()


def test_code_below_src_is_imported_from_the_checkout(repository: Path) -> None:
    (repository / "src").mkdir()
    (repository / "src" / "layers.py").write_text("", encoding="utf-8")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "-m", "src")
    with checked_out("models/net.py", "main") as found:
        assert found.path == (found.folder, f"{found.folder}/src")


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_error_in_the_block_leaves_nothing(repository: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), checked_out("models/net.py", "v1"):
        raise error
    assert left_over(repository) == []


def test_an_interruption_while_git_checks_out_leaves_nothing(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = subprocess.run

    def interrupted(command: tuple[str, ...], **more: object) -> object:
        done = run(command, **more)  # type: ignore[call-overload]
        if "add" in command:
            raise KeyboardInterrupt
        return done

    monkeypatch.setattr(subprocess, "run", interrupted)
    with pytest.raises(KeyboardInterrupt), checked_out("models/net.py", "v1"):
        pass
    monkeypatch.undo()
    assert left_over(repository) == []


def test_the_users_hooks_do_not_run(repository: Path) -> None:
    hook = repository / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch '{repository}/ran'\n", encoding="utf-8")
    hook.chmod(0o755)
    with checked_out("models/net.py", "v1"):
        pass
    assert not (repository / "ran").exists()


def test_in_a_hook_of_git_the_files_repository_is_meant(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", str(repository.parent / "elsewhere"))
    with checked_out("models/net.py", "v1") as found:
        assert Path(found.folder, "models/net.py").is_file()
    monkeypatch.delenv("GIT_DIR")
    assert left_over(repository) == []


@pytest.mark.parametrize(
    ("spec", "revision", "says"),
    [
        ("models/net.py", "v3", "revision 'v3': .* has no such commit, tag or branch"),
        ("models/net.py", "--all", "name a commit"),
        ("models/new.py", "v1", "there is no models/new.py in"),
        ("torchvision:resnet18", "v1", "write path/to/file.py:Name"),
        ("../net.py", "v1", "git says: .*not a git repository"),
    ],
)
def test_what_is_not_there_is_one_line(repository: Path, spec: str, revision: str, says: str) -> None:
    with pytest.raises(InputError, match=says), checked_out(spec, revision):
        pass
    assert left_over(repository) == []


def test_without_git_it_is_said(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="git is not installed"), checked_out("models/net.py", "v1"):
        pass


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_uses_is_not(
    repository: Path, tmp_path: Path
) -> None:
    gone = this_process().replace(f"-{os.getpid()}-", "-4194303-")  # no kernel gives such a high number
    foreign = "00000000-4194303-1"
    places = [tmp_path / f"effbench-{owner}-abcdef" / "tree" for owner in (gone, this_process(), foreign, "x")]
    for place in places:
        git(repository, "worktree", "add", "--detach", "--quiet", str(place), "v1")
    with checked_out("models/net.py", "v2"):
        pass
    assert [place.exists() for place in places] == [False, True, True, True]
    assert not places[0].parent.exists()
    assert len(left_over(repository)) == 3


def test_a_process_is_known_by_when_it_began(tmp_path: Path) -> None:
    name = this_process()
    assert not is_gone(name)
    assert is_gone(f"{name}1")  # the same number, begun later
    stat = tmp_path / f"proc/{os.getpid()}/stat"
    stat.parent.mkdir(parents=True)
    stat.write_text(f"{os.getpid()} (a ) b) S {' '.join(map(str, range(18)))} 777 0\n", encoding="ascii")
    assert this_process(tmp_path).endswith("-777")
    assert not is_gone(this_process(tmp_path), tmp_path)
    assert not is_gone("nothing of ours")
