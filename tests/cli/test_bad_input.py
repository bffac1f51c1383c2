"""Bad input is told in one line, with code 2, and leaves nothing behind; names are printed and never obeyed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from cli_runner import Run, run_apart, source

FORMATS = ("table", "json", "csv", "markdown", "latex")

FILES: dict[str, str | bytes] = {
    "net.py": source(),
    "empty.py": "x = 1\n",
    "two.py": source() + "\n\nclass Other(Net):\n    pass\n",
    "needs.py": source(arguments=", width, depth=3"),
    "no_example.py": source().replace("example_inputs", "inputs"),
    "syntax.py": "def (\n",
    "imports.py": "import no_such_package\n",
    "import_raises.py": source(head="raise RuntimeError('boom')"),
    "import_exits.py": source(head="raise SystemExit(0)"),
    "init_raises.py": source(init="raise ValueError('no weights')"),
    "init_exits.py": source(init="raise SystemExit('bye')"),
    "forward_raises.py": source(forward="raise ValueError('two\\nlines and \\x1b[31mred')"),
    "forward_exits.py": source(forward="raise SystemExit(0)"),
    "forward_long.py": source(forward="raise ValueError('x' * 10**6)"),
    "example_raises.py": source(example="raise KeyError('key')"),
    "example_exits.py": source(example="raise SystemExit(0)"),
    "example_nothing.py": source(example="return None"),
    "factory.py": "def make():\n    return 3\n\n" + source(),
    "latin.py": "# \xe9".encode("latin-1"),
    "one.yaml": "suite: s\nmodels: []\n",
    "bad_plugin.py": "raise RuntimeError('boom')\n",
    "exit_plugin.py": "raise SystemExit(0)\n",
    "twice_plugin.py": "import effbench as eb\neb.formula('aten::mm')(lambda out: 0)\n",
    "bare_plugin.py": "import effbench as eb\neb.formula('mm')\n",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    (tmp_path / "dir.py").mkdir()
    return tmp_path


def everything(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def check_refused(done: Any, *said: str, code: int = 2) -> None:
    assert done.code == code, done.err
    assert done.out == ""
    assert done.err.startswith("effbench: ")
    assert done.err.endswith("\n")
    assert done.err.count("\n") == 1
    assert "Traceback" not in done.err
    assert "fault in effbench" not in done.err
    assert len(done.err) < 600
    assert re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", done.err) is None
    for part in said:
        assert part in done.err


PROFILE = [
    # Files
    ("missing.py", "missing.py: no such file"),
    ("missing.py:Net", "missing.py: no such file"),
    ("dir.py", "dir.py: no such file"),
    ("missing", "'missing' names no model: write path/to/file.py:Name, "),
    (".", "'.' names no model"),
    ("", "'' names no model"),
    ("model.xyz", "'model.xyz' names no model"),
    ("empty.py", "empty.py: no model in this file", "empty.py:name"),
    ("latin.py", "latin.py: "),
    ("two.py", "two.py: several models in this file: Net, Other; say which, as two.py:Other"),
    ("net.py:Nett", "unknown name in net.py 'Nett': did you mean Net?"),
    ("net.py:torch", "net.py:torch is a module, not a model"),
    ("factory.py:make", "returned a int, not a model"),
    ("no_such_module:Net --input 1", "no_such_module: importing it raised ModuleNotFoundError"),
    ("torchvision:resnet5", "unknown torchvision model 'resnet5': did you mean resnet"),
    ("syntax.py", "syntax.py: running the file raised SyntaxError"),
    ("imports.py", "imports.py: running the file raised ModuleNotFoundError: No module named 'no_such_package'"),
    ("import_raises.py", "import_raises.py: running the file raised RuntimeError: boom"),
    ("import_exits.py", "import_exits.py: its own code ended the process with SystemExit: 0; it must return"),
    # Constructors
    ("needs.py", "needs.py:Net needs width: pass --arg width=…"),
    ("needs.py --arg widht=3", "needs.py:Net has no argument 'widht': it takes width, depth"),
    ("net.py --arg width=3", "net.py:Net has no argument 'width': it takes none"),
    ("net.py --arg width", "--arg 'width': write NAME=VALUE"),
    ("net.py --arg =3", "--arg '=3': write NAME=VALUE"),
    ("needs.py --arg width=3 --arg width=4", "--arg width stands twice"),
    ("init_raises.py", "building the model raised ValueError: no weights"),
    ("init_exits.py", "Net: its own code ended the process with SystemExit: bye; it must return"),
    # Inputs
    ("no_example.py", "no_example.py:Net: the file has no example_inputs(); pass the input's shape", "--input 1x3x"),
    ("example_raises.py", "example_raises.py:Net: example_inputs() raised KeyError: 'key'"),
    ("example_exits.py", "example_exits.py: its own code ended the process with SystemExit: 0"),
    ("example_nothing.py", "conv (Conv2d) raised TypeError", "--input"),
    ("net.py --input 1x4x8x8", "conv (Conv2d) raised RuntimeError", "(input 1×4×8×8 float32", "--input"),
    ("net.py --input 1x3x2x2", "conv (Conv2d) raised RuntimeError"),
    ("net.py --input 8", "conv (Conv2d) raised RuntimeError"),
    ("net.py --input 1x3x8x8:int64", "conv (Conv2d) raised RuntimeError", "(input 1×3×8×8 int64"),
    ("net.py --input 1x3x8x8:float64", "conv (Conv2d) raised RuntimeError", "(input 1×3×8×8 float64"),
    ("net.py --input 1x3x8x8 --input 1", "forward of Net raised TypeError"),
    ("net.py --input y:1x3x8x8", "forward of Net raised TypeError", "unexpected keyword argument 'y'"),
    ("net.py --input 1x3xq", "--input '1x3xq': write [NAME:]SHAPE[:DTYPE], such as 1x3x224x224"),
    ("net.py --input 1,3,8,8", "--input '1,3,8,8': write [NAME:]SHAPE[:DTYPE]"),
    ("net.py --input -1x3x8x8", "--input"),
    ("net.py --input 1x3x8x8:floaty", "'floaty' is no dtype of torch: write float32"),
    ("net.py --input 1x3x8x8:nn", "'nn' is no dtype of torch"),
    # Forward
    ("forward_raises.py", "forward of Net raised ValueError: two lines and \\x1b[31mred"),
    ("forward_exits.py", "Net: its own code ended the process with SystemExit: 0"),
    ("forward_long.py", "forward of Net raised ValueError: xxx", "…"),
    # Names
    ("net.py --convention mac", "unknown convention 'mac': did you mean macs?"),
    ("net.py --convention zzzz", "unknown convention 'zzzz': known: ", "macs"),
    ("net.py --by layers", "unknown grouping 'layers': did you mean layer?"),
    ("net.py --by layer,ops", "unknown grouping 'ops': did you mean op?"),
    ("net.py --depth -1", "--depth"),
    ("net.py --depth deep", "--depth"),
    ("net.py --depth 1 --by type,op", "--depth folds the table of layers, which --by type,op leaves out"),
    # Errors
    ("net.py --error loss=1:none", "--error states what a record keeps: say which with --record DIR"),
    ("net.py --record r --error loss=nan:none", "--error 'loss=nan:none': nan is no possible error"),
    ("net.py --record r --error loss=inf:none", "inf is no possible error"),
    ("net.py --record r --error loss=-1:none", "-1 is no possible error"),
    ("net.py --record r --error accuracy=93:fraction", "93 is no possible error in fraction: give 0 to 1"),
    ("net.py --record r --error accuracy=193:percent", "193 is no possible error in percent: give 0 to 100"),
    ("net.py --record r --error loss=1", "--error 'loss=1': write NAME=VALUE:UNIT, such as "),
    ("net.py --record r --error loss=:none", "'' is no number"),
    ("net.py --record r --error loss=low:none", "'low' is no number"),
    ("net.py --record r --error loss", "--error 'loss': write NAME=VALUE:UNIT"),
    ("net.py --record r --error =1:none", "--error '=1:none': write NAME=VALUE:UNIT"),
    # Plugins
    ("net.py --plugin no_such_plugin", "--plugin no_such_plugin: importing it raised ModuleNotFoundError"),
    ("net.py --plugin bad_plugin", "--plugin bad_plugin: importing it raised RuntimeError: boom"),
    ("net.py --plugin exit_plugin", "--plugin exit_plugin: importing it raised SystemExit: 0"),
    ("net.py --plugin twice_plugin", "--plugin twice_plugin: op formula 'aten::mm' is registered already"),
    ("net.py --plugin bare_plugin", "--plugin bare_plugin: op 'mm' lacks its namespace", "aten::mm"),
    # The call
    ("net.py --record net.py/results", "net.py/results: cannot be written: net.py is no folder"),
    ("net.py --record one.yaml", "one.yaml: cannot be written: it is no folder"),
    ("", "names no model"),
    ("net.py extra", "extra"),
    ("net.py --depht 2", "No such option '--depht'", "--depth", "see effbench profile --help"),
]
OTHERS = [
    # Told before the model is even built: what was measured by then would be lost
    ("time init_raises.py --record net.py", "net.py: cannot be written: it is no folder"),
    (
        "evaluate init_raises.py --metric top1 --data dir.py --record net.py",
        "net.py: cannot be written: it is no folder",
    ),
    ("summary missing.py", "missing.py: no such file"),
    ("summary forward_raises.py", "forward of Net raised ValueError"),
    ("summary net.py --convention macs", "No such option '--convention'"),
    ("explain net.py --layer conv2", "unknown layer 'conv2': did you mean conv?"),
    ("explain net.py --convention tophat", "unknown convention 'tophat'"),
    ("rank missing", "missing: no such folder of records; a suite ends in .yaml, a model is path/to/file.py:Name"),
    ("rank missing.yaml", "missing.yaml: no such suite"),
    ("rank missing.py --error-of missing=1:px", "missing.py: no such file"),
    ("rank .", ".: no record there: "),
    ("rank one.yaml", "one.yaml: no record there"),
    ("rank net.py", "no record states an error: give one with --error-of MODEL=VALUE:UNIT"),
    ("rank net.py --error-of net=1", "--error-of 'net=1': write NAME=VALUE:UNIT"),
    ("rank net.py --max-error nan", "Invalid value for '--max-error': nan is not a number"),
    ("rank net.py --error-of net=nan:px", "nan is no possible error in px"),
    ("rank net.py --error-of net=-0.5:px", "-0.5 is no possible error in px"),
    ("rank net.py --error-of net=93:fraction", "93 is no possible error in fraction: give 0 to 1"),
    ("rank net.py --error-of ten=1:px", "--error-of 'ten' names no model of this ranking: Net"),
    ("rank net.py net.py --error-of net=1:px", "net.py: the same as net.py, which stands before it: name it once"),
    ("rank net.py --error-of net=1:px --score params_flop", "unknown score 'params_flop': did you mean params_flops"),
    ("rank net.py --error-of net=1:px --convention thopp", "unknown convention 'thopp': did you mean thop"),
    ("rank forward_raises.py --error-of forward_raises=1:px", "forward of Net raised ValueError"),
    ("check missing.yaml", "missing.yaml: no such suite"),
    ("check .", ".: cannot be read as a suite"),
    ("list op", "unknown kind 'op': did you mean ops?"),
    ("list zzz", "unknown kind 'zzz': known: ", "conventions"),
]
WRITERS = ["profile net.py", "summary net.py", "explain net.py", "list ops", "check one.yaml"]
EVERY = [(f"profile {words}", said) for words, *said in PROFILE if words] + [(words, said) for words, *said in OTHERS]


@pytest.mark.parametrize(("words", "said"), EVERY, ids=[words for words, _ in EVERY])
def test_bad_input_is_one_line_and_leaves_nothing(words: str, said: list[str], run: Run, folder: Path) -> None:
    before = everything(folder)
    check_refused(run(*words.split(), "-o", "report.json"), *said)
    assert everything(folder) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["profile", ""], "'' names no model"),
        (["profile"], "Missing argument 'SPEC'"),
        (["rank"], "Missing argument 'SOURCE"),
        (["check"], "Missing argument 'SUITE.yaml'"),
        (["list"], "Missing argument 'KIND'"),
        (["profil", "net.py"], "No such command 'profil'. Did you mean 'profile'?"),
        (["--colour"], "No such option '--colour'"),
        (["profile", "net.py", "--arg"], "--arg"),
    ],
)
def test_a_wrong_call_is_one_line(words: list[str], said: str, run: Run, folder: Path) -> None:
    check_refused(run(*words), said)


@pytest.mark.parametrize(
    "command", ["profile net.py", "summary net.py", "explain net.py", "list ops", "check one.yaml"]
)
@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("none/report.json", "none/report.json: there is no folder none: make it first"),
        ("net.py/report.json", "net.py/report.json: there is no folder net.py"),
        ("dir.py", "dir.py: is a folder: name a file in it"),
        ("report.pdf", "unknown file ending '.pdf': known: .csv, .json, .md, .tex, .txt"),
        ("report", "unknown file ending '': known: .csv, .json, .md, .tex, .txt"),
    ],
)
def test_an_output_that_cannot_be_is_one_line(command: str, output: str, said: str, run: Run, folder: Path) -> None:
    before = everything(folder)
    check_refused(run(*command.split(), "-o", output), said)
    assert everything(folder) == before


@pytest.mark.parametrize(
    "command", ["profile net.py", "summary net.py", "explain net.py", "list ops", "check one.yaml"]
)
def test_an_unknown_format_suggests_near_ones(command: str, run: Run, folder: Path) -> None:
    check_refused(run(*command.split(), "--format", "markdwn"), "unknown format 'markdwn': did you mean markdown?")


def test_a_full_disk_leaves_the_old_report(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    assert run("profile", "net.py", "-o", "report.json").code == 0
    before = everything(folder)
    monkeypatch.setattr("os.fsync", full)
    check_refused(run("profile", "net.py", "-o", "report.json"), "report.json: cannot be written: No space left")
    check_refused(run("profile", "net.py", "--record", "results"), "cannot be written: No space left")
    assert everything(folder) == before


@pytest.mark.parametrize("words", ["profile forward_raises.py", "check missing.yaml", "profil", "list op"])
@pytest.mark.parametrize("place", [0, -1])
def test_debug_shows_the_traceback_before_the_same_line(words: str, place: int, run: Run, folder: Path) -> None:
    plain = run(*words.split())
    with_debug = words.split()
    with_debug.insert(place if place == 0 else len(with_debug), "--debug")
    done = run(*with_debug)
    assert (done.code, done.out) == (2, "")
    assert "Traceback (most recent call last)" in done.err
    assert done.err.endswith(plain.err)


def test_the_failing_module_is_named_with_its_path(run: Run, folder: Path) -> None:
    init = "self.a = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(7, 2))"
    (folder / "deep.py").write_text(source(init=init, forward="return self.a(x)"))
    check_refused(run("profile", "deep.py"), "Net: a.1 (Linear) raised RuntimeError")


@pytest.mark.parametrize(
    ("words", "python"),
    [
        ("profile import_exits.py", False),
        ("profile forward_raises.py", True),
        ("check missing.yaml", False),
        ("x", True),
    ],
)
def test_the_installed_command_does_the_same(words: str, python: bool, folder: Path) -> None:
    check_refused(run_apart(folder, *words.split(), python=python))


# Names are printed literally


NAMES = ("[bold red]x[/bold red]", "\x1b[31mred\x1b[0m", "two\nlines", ":smile:", "\u202eevil", "<b>&amp;", "#a,b")
SHOWN = ("[bold red]x[/bold red]", "\\x1b[31mred\\x1b[0m", "two\\nlines", ":smile:", "\\u202eevil", "<b>&amp;", "#a,b")


@pytest.fixture
def named(folder: Path) -> Path:
    """A model whose layers have hostile names, and a suite with rows of those names."""
    init = f"self.names = {NAMES!r}; [self.add_module(name, nn.Conv2d(3, 3, 1)) for name in self.names]"
    forward = "\n        ".join(["for name in self.names:", "    x = getattr(self, name)(x)", "return x"])
    (folder / "named.py").write_text(source(init=init, forward=forward))
    cost = {"value": 1.0, "unit": "GFLOP", "convention": "macs"}
    figures = {"params": 1, "cost": cost, "errors": {"loss": {"value": 1.0, "unit": "none"}}}
    rows = [{"name": name, "published": figures} for name in NAMES]
    (folder / "named.yaml").write_text(yaml.safe_dump({"suite": "[bold]s[/bold]", "models": rows}))
    return folder


COMMANDS = ("profile named.py", "explain named.py", "rank named.yaml --error loss", "check named.yaml")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("screen", [False, True])
def test_names_are_printed_literally(
    command: str, screen: bool, run: Run, named: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if screen:
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.setenv("NO_COLOR", "1")
    done = run(*command.split())
    assert (done.code, done.err) == (0, "")
    assert re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", done.out) is None
    for name in SHOWN:
        assert name in done.out


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("form", ["json", "markdown", "latex"])
def test_no_format_lets_a_control_character_through(command: str, form: str, run: Run, named: Path) -> None:
    done = run(*command.split(), "--format", form)
    assert (done.code, done.err) == (0, "")
    assert re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", done.out) is None
    if form == "json":
        text = json.dumps(json.loads(done.out), ensure_ascii=False)
        assert all(json.dumps(name, ensure_ascii=False)[1:-1] in text for name in NAMES)


def test_a_layer_is_found_by_its_hostile_name(run: Run, named: Path) -> None:
    for name, shown in zip(NAMES, SHOWN, strict=True):
        done = run("explain", "named.py", "--layer", name)
        assert done.code == 0
        assert f"{shown}: 3 × 3 + 3 = 12" in done.out


@pytest.mark.parametrize("name", ["[bold]x.py", "\x1b[31mred.py", "two\nlines.py", "\udc80.py"])
def test_a_hostile_name_in_an_error_is_one_harmless_line(name: str, run: Run, folder: Path) -> None:
    check_refused(run("profile", name), "no such file")
    check_refused(run("check", name.replace(".py", ".yaml")), "no such suite")


def test_an_error_text_with_markup_is_printed_literally(run: Run, folder: Path) -> None:
    (folder / "markup.py").write_text(source(forward="raise ValueError('[bold]no[/bold] [/red]')"))
    check_refused(run("profile", "markup.py"), "ValueError: [bold]no[/bold] [/red]")
