"""A git revision of a file, checked out beside the working tree for as long as it is needed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

from effbench.errors import InputError
from effbench.measure.machine.processes import is_gone, this_process

_OURS, _TREE = "effbench-", "tree"
"""A checkout lies in such a folder: effbench-OWNER-RANDOM/tree."""


@dataclass(frozen=True, slots=True)
class Checkout:
    """Where a revision of a model's file lies.

    Attributes:
        spec: the same model, its file in the checkout.
        folder: what the working directory is in the checkout.
        path: folders that its code is imported from before any installed copy.
        commit: of the revision, in full.
    """

    spec: str
    folder: str
    path: tuple[str, ...]
    commit: str


@contextmanager
def checked_out(spec: str, revision: str) -> Iterator[Checkout]:
    """Gives a checkout of a revision for a block, a worktree of the file's own repository; it is removed at the end.

    Args:
        spec: path/to/file.py:Name, or another file that is kept in git.
        revision: a commit, a tag or a branch, as git names it.

    Raises:
        InputError: there is no git, no repository, no such revision, or the file is not in it.
    """
    file, rest = _split(spec)
    top = Path(_asked(_standing(file.parent), "rev-parse", "--show-toplevel", about=f"{file}: "))
    commit = _commit(top, revision)
    _remove_stale(top)
    with TemporaryDirectory(prefix=f"{_OURS}{this_process()}-", ignore_cleanup_errors=True) as home:
        tree = Path(home).resolve() / _TREE
        # The user's own hooks are for the user's own checkouts.
        add = ("-c", f"core.hooksPath={os.devnull}", "worktree", "add", "--detach", "--quiet", str(tree), commit)
        try:
            _asked(top, *add, about=f"revision {revision}: ")
            yield _found(tree, file.relative_to(top), rest, commit, f"{spec} at {revision}", _inside(top))
        finally:
            # Twice forced, git lets go of one that it was interrupted in making, too.
            rmtree(tree, ignore_errors=True)
            _git(top, ("worktree", "remove", "--force", "--force", str(tree)))


def _remove_stale(top: Path) -> None:
    """Removes the checkouts in a repository whose process was killed before it could."""
    listed = _git(top, ("worktree", "list", "--porcelain"))
    for line in listed.stdout.splitlines() if listed is not None else ():
        tree = Path(line.removeprefix("worktree "))
        owner = tree.parent.name.removeprefix(_OURS).rpartition("-")[0]
        if tree.name == _TREE and tree.parent.name.startswith(_OURS) and is_gone(owner):
            rmtree(tree.parent, ignore_errors=True)
            _git(top, ("worktree", "remove", "--force", "--force", str(tree)))


def _split(spec: str) -> tuple[Path, str]:
    """Returns (the file, resolved; what follows it, such as ":Name")."""
    text, dot, name = spec.partition(".py:")
    file, rest = (f"{text}.py", f":{name}") if dot else (spec, "")
    path = Path(os.path.abspath(file))  # noqa: PTH100  resolve() would follow the file itself out of the repository
    path = path.parent.resolve() / path.name
    if not (file.endswith(".py") or path.is_file()):
        raise InputError(f"{spec}: a revision is of a file in a git repository: write path/to/file.py:Name")
    return path, rest


def _standing(folder: Path) -> Path:
    """Returns the folder, or the nearest above it that is there: the file's own may be in the revision alone."""
    return next(place for place in (folder, *folder.parents) if place.is_dir())


def _commit(top: Path, revision: str) -> str:
    if revision.startswith("-"):
        raise InputError(f"revision {revision!r}: name a commit, a tag or a branch")
    try:
        return _asked(top, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    except InputError:
        raise InputError(f"revision {revision!r}: {top} has no such commit, tag or branch") from None


def _inside(top: Path) -> Path:
    """Returns the working directory from the repository's top; the top itself where it lies outside."""
    here = Path.cwd().resolve()
    return here.relative_to(top) if here.is_relative_to(top) else Path()


def _found(tree: Path, file: Path, rest: str, commit: str, what: str, inside: Path) -> Checkout:
    path = tree / file
    if not path.is_file():
        raise InputError(f"{what}: there is no {file} in {commit[:12]}")
    folder = tree / inside if (tree / inside).is_dir() else tree
    roots = [place for place in (folder, tree, tree / "src") if place.is_dir()]
    return Checkout(
        f"{os.path.relpath(path, folder)}{rest}", str(folder), tuple(dict.fromkeys(map(str, roots))), commit
    )


def _asked(folder: Path, *words: str, about: str = "") -> str:
    """Returns what git answers.

    Raises:
        InputError: there is no git, or it refuses.
    """
    done = _git(folder, words)
    if done is None:
        raise InputError(f"{about}git is not installed, and revisions are read with it")
    if done.returncode:
        told = (done.stderr.strip().splitlines() or ["it gave no reason"])[-1]
        raise InputError(f"{about}git says: {told}")
    return done.stdout.strip()


def _git(folder: Path, words: Sequence[str]) -> subprocess.CompletedProcess[str] | None:
    """Returns how git ended; an interruption from the terminal reaches this process and not git in its midst.

    Variables that a hook of git sets would point it at another repository.
    """
    variables = {name: value for name, value in os.environ.items() if name not in _OF_HOOKS}
    command = ("git", "-C", str(folder), *words)
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=False, start_new_session=True, env=variables
        )
    except FileNotFoundError:
        return None


_OF_HOOKS = frozenset({"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR"})
