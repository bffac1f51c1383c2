"""The parts of effbench import only what lies below them, stay small, and touch the world where they may."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import effbench

ROOT = Path(effbench.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

LAYERS = {
    "errors": 0,
    "garbage": 0,
    "units": 0,
    "stats": 0,
    "registry": 0,
    "records": 1,
    "metrics": 2,
    "store": 2,
    "measure": 3,
    "judge": 3,
    "report": 3,
    "suites": 4,
    "api": 5,
    "profiles": 5,
    "documents": 5,
    "rankings": 5,
    "tables": 5,
    "predictions": 5,
    "evaluations": 5,
    "evaluation_runs": 5,
    "prediction_files": 5,
    "prediction_tables": 5,
    "timings": 5,
    "timing_runs": 5,
    "rooflines": 5,
    "selfchecks": 5,
    "audits": 5,
    "contenders": 5,
    "looks": 5,
    "comparisons": 5,
    "unlike": 5,
    "cli": 6,
    "__main__": 7,
}
"""design.md's order; `effbench` itself only names where each public thing lives."""

WINGS = ("measure", "judge", "report")


class Import(NamedTuple):
    file: Path
    line: int
    module: str

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line} imports {self.module}"


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def part(path: Path) -> str:
    """The part that a file belongs to: "judge" for judge/formulas/matmul.py, "api" for api.py."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[Import]:
    """Every import of a file wherever it stands: in a function, or for type checkers only."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (Import(path, node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            front_door = node.module == "effbench"
            names = [f"effbench.{alias.name}" for alias in node.names] if front_door else [str(node.module)]
            yield from (Import(path, node.lineno, name) for name in names)
        elif isinstance(node, ast.Call) and called(node) == "import_module" and part(path) != "__init__":
            (argument, *_) = node.args
            if isinstance(argument, ast.Constant):
                yield Import(path, node.lineno, str(argument.value))


def called(node: ast.Call) -> str:
    """The last name of what is called: "open" for open(…), gzip.open(…) and path.open(…)."""
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


ALL = [item for path in FILES for item in imports(path)]
OWN = [item for item in ALL if item.module.split(".")[0] == "effbench" and part(item.file) != "__init__"]


def test_the_reader_of_this_test_sees_lazy_and_typing_imports() -> None:
    seen = {(part(item.file), item.module) for item in ALL}
    assert ("api", "effbench.measure.load") in seen  # inside a function
    assert ("documents", "effbench.profiles") in seen  # for type checkers
    assert ("measure", "torchvision.models") in seen  # by name
    assert len(OWN) > 200


def test_every_file_belongs_to_a_layer() -> None:
    assert {part(path) for path in FILES} - {"__init__"} <= set(LAYERS)


def test_files_import_only_from_layers_below() -> None:
    upward = [
        str(item)
        for item in OWN
        if (target := item.module.split(".")[1:2]) and LAYERS[target[0]] > LAYERS[part(item.file)]
    ]
    assert upward == []


def test_the_three_wings_never_import_each_other() -> None:
    crossing = [
        str(item)
        for item in OWN
        if part(item.file) in WINGS and (other := item.module.split(".")[1]) in WINGS and other != part(item.file)
    ]
    assert crossing == []


def test_nothing_imports_the_package_s_front_door() -> None:
    # `from effbench import name` would hide which layer the name comes from.
    bare = [str(item) for item in OWN if item.module.split(".")[1] not in LAYERS and part(item.file) != "cli"]
    assert bare == []


TORCHLESS = {"errors", "units", "stats", "registry", "records", "store", "judge", "report", "suites", "cli"}
HEAVY = {"torch", "torchvision", "timm", "thop", "fvcore", "torchinfo", "transformers"}


def test_only_the_measuring_half_imports_torch() -> None:
    torch = [str(item) for item in ALL if part(item.file) in TORCHLESS and item.module.split(".")[0] in HEAVY]
    assert torch == []


def test_the_judges_import_nothing_that_reads_or_waits() -> None:
    worldly = {"os", "io", "pathlib", "time", "random", "subprocess", "sys", "tempfile", "gzip", "socket"}
    found = [str(item) for item in ALL if part(item.file) == "judge" and item.module.split(".")[0] in worldly]
    assert found == []


# Who touches the world


def uses(path: Path, *names: str) -> list[str]:
    """Where a file names an attribute, as "sys.exit", or calls a function, as "print"."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.append((node.lineno, f"{node.value.id}.{node.attr}"))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found.append((node.lineno, node.func.id))
    return [f"{path.relative_to(ROOT)}:{line} {name}" for line, name in found if name in names]


def test_only_the_command_line_prints_and_exits() -> None:
    names = ("print", "input", "exit", "quit", "sys.exit", "sys.stdout", "sys.stderr", "sys.argv", "os._exit")
    found = [use for path in FILES if part(path) not in ("cli", "__main__") for use in uses(path, *names)]
    assert found == []


def test_no_text_and_no_file_is_run_as_code() -> None:
    names = ("eval", "exec", "compile", "pickle.load", "pickle.loads")
    assert [use for path in FILES for use in uses(path, *names)] == []
    unpickling = {
        str(path.relative_to(ROOT))
        for path, node in calls()
        if ast.unparse(node.func) == "torch.load" and "weights_only=True" not in ast.unparse(node)
    }
    assert unpickling <= {"measure/loaders/checkpoint.py"}  # where --unsafe-load asks for it


WRITING = {"fdopen", "write_text", "write_bytes", "mkstemp", "mkdtemp", "NamedTemporaryFile", "TemporaryFile"}
WRITING |= {"mkdir", "makedirs", "unlink", "rename", "rmdir", "touch", "symlink_to", "copyfile", "extractall"}


def calls() -> Iterator[tuple[Path, ast.Call]]:
    """Every call in every file."""
    for path in FILES:
        yield from ((path, node) for node in ast.walk(tree(path)) if isinstance(node, ast.Call))


def writes(node: ast.Call) -> bool:
    """Whether a call makes or changes a file: by its name, or an open(…) with a mode that is not reading."""
    if called(node) != "open":
        return called(node) in WRITING
    given = (*node.args, *(word.value for word in node.keywords))
    constants = [item.value for item in given if isinstance(item, ast.Constant)]
    modes = [str(value) for value in constants if re.fullmatch("[rwaxbt+]{1,3}", str(value))]
    return ast.unparse(node.func) == "os.open" or any(set(mode) & set("wax+") for mode in modes)


def test_only_the_store_writes_files() -> None:
    found = [f"{path.relative_to(ROOT)} {ast.unparse(node.func)}" for path, node in calls() if writes(node)]
    # A closed pipe's descriptor is pointed at nothing.
    assert [call for call in found if not call.startswith("store/")] == ["cli/__init__.py os.open"]
    assert "store/files.py tempfile.mkstemp" in found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("open(path)", False),
        ("open(path, 'rb')", False),
        ("open(path, 'w')", True),
        ("path.open(mode='a')", True),
        ("gzip.open(path, 'xt')", True),
        ("archive.open('data.pkl')", False),
        ("path.write_text('x')", True),
        ("os.open(path, flags)", True),
    ],
)
def test_the_reader_of_this_test_sees_writing(text: str, expected: bool) -> None:
    (node,) = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    assert writes(node) is expected


# Size


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_small(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= 300, f"{name} has {lines} lines"
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            length = node.end_lineno - node.lineno + 1
            assert length <= 50, f"{name}: {node.name} has {length} lines"


# The public names


PUBLIC = {
    "EffbenchError",
    "ErrorFigure",
    "Profile",
    "Work",
    "assert_budget",
    "audit",
    "check",
    "compare",
    "convention",
    "evaluate",
    "formula",
    "import_tables",
    "load",
    "metric",
    "product",
    "profile",
    "rank",
    "read_folder",
    "read_published",
    "record",
    "score",
    "time",
}


def test_the_public_names_are_these() -> None:
    assert set(effbench.__all__) == PUBLIC
    assert effbench.__all__ == sorted(effbench.__all__)
    assert set(dir(effbench)) >= PUBLIC


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_name_resolves_and_is_documented(name: str) -> None:
    found = getattr(effbench, name)
    assert found.__name__ == name
    assert found.__doc__


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'effbench' has no attribute 'profil'"):
        effbench.profil  # noqa: B018
