"""Exported programs, TorchScript and ONNX exports against the same models run eagerly: totals, rows, results."""

import contextlib
import io
import json
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import counted, traced
from torch import nn

from effbench.api import profile_loaded
from effbench.errors import InputError, ModelError
from effbench.judge.count import Counts
from effbench.measure.load import load
from effbench.measure.source import Loaded, Source, Traced
from effbench.measure.trace import trace

torchvision = pytest.importorskip("torchvision")

pytestmark = [
    pytest.mark.filterwarnings("ignore:.torch.jit.(script|trace|trace_method|save). is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:You are using the legacy TorchScript-based ONNX export:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The feature will be removed:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
]


class Shared(nn.Module):
    """One weight under two names, one module called three times under two names, a buffer, control flow, a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(10, 8)
        self.head = nn.Linear(8, 10, bias=False)
        self.head.weight = self.embed.weight
        self.mix = nn.Linear(8, 8)
        self.again = self.mix
        self.act = nn.ReLU()
        self.register_buffer("scale", torch.ones(8))

    def forward(self, ids: torch.Tensor) -> dict[str, torch.Tensor]:
        x = self.embed(ids) * self.scale
        x = self.again(self.act(self.mix(x)))
        if x.shape[1] > 2:
            x = self.act(self.mix(x))
        return {"logits": self.head(x), "gram": x @ x.transpose(1, 2)}


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "mobilenet": (lambda: torchvision.models.mobilenet_v3_small(), (1, 3, 32, 32)),
    "resnet18": (lambda: torchvision.models.resnet18(), (1, 3, 32, 32)),
    "vit": (lambda: torchvision.models.VisionTransformer(32, 8, 2, 2, 32, 64), (2, 3, 32, 32)),
    "swin": (lambda: torchvision.models.SwinTransformer([4, 4], 32, [2], [2], [4, 4]), (1, 3, 32, 32)),
    "encoder": (lambda: nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), (2, 7, 16)),
    "transposed": (
        lambda: nn.Sequential(nn.ConvTranspose2d(4, 6, 3, 2, 1, groups=2), nn.GroupNorm(2, 6), nn.GELU()),
        (2, 4, 8, 8),
    ),
}


@cache
def model_of(name: str) -> nn.Module:
    torch.manual_seed(0)
    made = MODELS[name][0]().eval()
    for param in made.parameters():
        if param.ndim == 1:  # fresh norms are all alike, and exporters keep one tensor for all that are
            nn.init.uniform_(param, 0.5, 1.5)
    return made


@cache
def eager(name: str) -> tuple[Counts, Counts]:
    found = traced(model_of(name), MODELS[name][1])
    return counted(found), counted(found, "full")


def rows(counts: Counts) -> dict[str, Any]:
    return {
        layer.path: (layer.type, layer.calls, layer.params, layer.amount.value if layer.amount else 0, layer.outputs)
        for layer in counts.layers
        if layer.calls
    }


def counted_source(source: Source) -> tuple[Counts, Counts]:
    found = source.trace if isinstance(source, Traced) else trace(source)
    assert found.failed is None, found.failed
    return counted(found), counted(found, "full")


def params(counts: Counts) -> int:
    return sum(layer.params for layer in counts.layers)


def same_result(source: Source, given: torch.Tensor, expected: torch.Tensor) -> None:
    """The model that the file was turned into gives what the original gives: every op is the right one."""
    assert isinstance(source, Loaded)
    with torch.no_grad():
        torch.testing.assert_close(source.build("cpu").eval()(given), expected)


# Exported programs


def exported(folder: Path, model: nn.Module, *inputs: torch.Tensor, **options: Any) -> str:
    path = str(folder / "net.pt2")
    torch.export.save(torch.export.export(model, inputs, strict=False, **options), path)
    return path


@pytest.mark.parametrize("name", [*MODELS])
def test_an_exported_program_counts_as_its_model_row_by_row(name: str, tmp_path: Path) -> None:
    given = torch.rand(MODELS[name][1])
    source = load(exported(tmp_path, model_of(name), given))
    (macs, full), (eager_macs, eager_full) = counted_source(source), eager(name)
    assert (macs.total, params(macs), macs.activations) == (
        eager_macs.total,
        params(eager_macs),
        eager_macs.activations,
    )
    # torch.export takes attention apart where its weights are asked for, which multiplies once more by the scale.
    assert full.total is not None
    assert eager_full.total is not None
    assert full.total == eager_full.total or (
        name in ("vit", "encoder") and 0 < full.total - eager_full.total < 0.01 * full.total
    )
    known = rows(eager_macs)
    assert {path: row for path, row in known.items() if path in rows(macs)} == rows(macs)
    # What did nothing while it was exported (dropout in evaluation) has left no node.
    assert not any(amount for path, (_, _, _, amount, _) in known.items() if path not in rows(macs))
    same_result(source, given, model_of(name)(given))


def test_an_exported_program_keeps_sharing_and_open_sizes(tmp_path: Path) -> None:
    batch = torch.export.Dim("batch")
    ids = torch.zeros(4, 3, dtype=torch.int64)
    path = exported(tmp_path, Shared().eval(), ids, dynamic_shapes={"ids": {0: batch}})
    made = profile_loaded(load(path))
    assert made.params == 80 + 8 * 8 + 8
    per_row = 3 * 3 * 8 * 8 + 3 * 8 * 10 + 3 * 3 * 8
    assert made.macs == 4 * per_row
    assert {layer.path: layer.calls for layer in made.layers}["act"] == 2
    for asked in ("7x3:int64", "ids:7x3:int64"):
        assert profile_loaded(load(path, inputs=[asked])).macs == 7 * per_row
    with pytest.raises(InputError, match=r"'ids' was exported as \?×3 and cannot be 7×4"):
        load(path, inputs=["7x4:int64"])
    with pytest.raises(InputError, match="'ids' is int64 in this program, not float32"):
        load(path, inputs=["7x3:float32"])
    with pytest.raises(InputError, match="fits no open input: the program takes ids"):
        load(path, inputs=["words:7x3:int64"])


class Quiet(nn.Module):
    """A graph within a graph, and a check of a value."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            gram = x @ x.T
        n = y.item()
        torch._check(n > 2)
        return gram * 2


def test_settings_and_checks_inside_a_program(tmp_path: Path) -> None:
    path = exported(tmp_path, Quiet().train(), torch.rand(3, 5), torch.tensor(3))
    source = load(path, inputs=["3x5"])
    assert isinstance(source, Loaded)
    assert profile_loaded(source).macs == 3 * 5 * 3


def _rewritten(path: str, change: Callable[[dict[str, Any]], None]) -> str:
    """The archive with its program changed."""
    with zipfile.ZipFile(path) as archive:
        files = {item.filename: archive.read(item) for item in archive.infolist()}
    name = next(item for item in files if item.endswith("models/model.json"))
    program = json.loads(files[name])
    change(program)
    files[name] = json.dumps(program).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for item, content in files.items():
            archive.writestr(item, content)
    return path


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("torch.ops.aten.from_file.default", "its op aten::from_file is none that computes with tensors alone"),
        ("torch.ops.image.write_file.default", "its op image::write_file is none that computes with tensors alone"),
        ("torch.ops.aten.no_such_op.default", "its op aten::no_such_op is not in this torch"),
        ("os.system", "its node os.system is none that effbench runs from a file"),
        ("torch.ops.higher_order.scan", "higher_order::"),
    ],
)
def test_a_program_runs_ops_on_tensors_and_nothing_else(target: str, why: str, tmp_path: Path) -> None:
    path = exported(tmp_path, nn.ReLU(), torch.rand(2))

    def change(program: dict[str, Any]) -> None:
        program["graph_module"]["graph"]["nodes"][0]["target"] = target

    with pytest.raises(InputError, match=why):
        load(_rewritten(path, change))


@pytest.mark.parametrize("expression", ["__import__('os').system('touch PWNED')", "9**9**9**9"])
def test_expressions_in_a_program_are_not_evaluated(
    expression: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch.export.load hands them to sympy, which evaluates them."""
    monkeypatch.chdir(tmp_path)
    batch = torch.export.Dim("batch")
    path = exported(tmp_path, nn.Linear(3, 5), torch.rand(4, 3), dynamic_shapes=({0: batch},))

    def change(program: dict[str, Any]) -> None:
        text = json.dumps(program["graph_module"]["graph"]["tensor_values"])
        for value in program["graph_module"]["graph"]["tensor_values"].values():
            for size in value["sizes"]:
                if "as_expr" in size:
                    size["as_expr"]["expr_str"] = expression
        assert "as_expr" in text

    assert profile_loaded(load(_rewritten(path, change))).macs == 4 * 3 * 5
    assert not (tmp_path / "PWNED").exists()


class Doubled(nn.Module):
    """Computes with a size that is left open."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(x.shape[0] * 2, -1)


def test_sizes_that_grow_without_end_are_stopped(tmp_path: Path) -> None:
    """A program may square a size as often as it likes: 8 is beyond 64 bits after five times."""
    batch = torch.export.Dim("batch")
    path = exported(tmp_path, Doubled(), torch.rand(4, 6), dynamic_shapes=({0: batch},))

    def change(program: dict[str, Any]) -> None:
        nodes = program["graph_module"]["graph"]["nodes"]
        (place,) = (index for index, node in enumerate(nodes) if node["target"] == "_operator.mul")
        made = {"as_sym_int": {"as_name": nodes[place]["outputs"][0]["as_sym_int"]["as_name"]}}
        squared = {**nodes[place], "inputs": [{"name": name, "arg": made, "kind": 1} for name in "ab"]}
        nodes[place + 1 : place + 1] = [squared] * 60

    with pytest.raises(ModelError, match="a size is beyond any tensor"):
        profile_loaded(load(_rewritten(path, change)))


# TorchScript


def scripted(folder: Path, model: nn.Module, given: torch.Tensor, how: str) -> str:
    path = str(folder / "net.pt")
    jit: Any = torch.jit
    made = jit.script(model) if how == "script" else jit.trace(model, given, check_trace=False)
    torch.jit.save(made, path)
    return path


@pytest.mark.parametrize("how", ["script", "trace"])
@pytest.mark.parametrize("name", [*MODELS])
def test_torchscript_counts_as_its_model_row_by_row(name: str, how: str, tmp_path: Path) -> None:
    shape = MODELS[name][1]
    given = torch.rand(shape)
    if how == "trace" and name in ("vit", "encoder"):
        # Tracing in evaluation takes the fused fast path, an op that has no formula.
        with _without_fast_path():
            path = scripted(tmp_path, model_of(name), given, how)
    else:
        path = scripted(tmp_path, model_of(name), given, how)
    source = load(path, inputs=["x".join(map(str, shape))])
    assert source.name == "net"
    assert isinstance(source, Loaded)
    assert source.notes == ()
    (macs, full), (eager_macs, eager_full) = counted_source(source), eager(name)
    assert (macs.total, full.total, params(macs)) == (eager_macs.total, eager_full.total, params(eager_macs))
    # Tracing keeps no output of a module whose forward did nothing.
    idle = {path for path, (_, _, _, amount, outputs) in rows(macs).items() if not amount and not outputs}
    known, found = rows(eager_macs), rows(macs)
    assert {path: row for path, row in found.items() if path not in idle} == {
        path: row for path, row in known.items() if path not in idle
    }
    same_result(source, given, model_of(name)(given))


@contextlib.contextmanager
def _without_fast_path() -> Any:
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(True)


def test_scripted_control_flow_follows_the_input(tmp_path: Path) -> None:
    path = scripted(tmp_path, Shared().eval(), torch.zeros(1), "script")
    short, long = (profile_loaded(load(path, inputs=[f"1x{length}:int64"])) for length in (2, 3))
    assert short.params == long.params == 80 + 72
    assert short.macs == 2 * (2 * 64 + 80) + 2 * 2 * 8
    assert long.macs == 3 * (3 * 64 + 80) + 3 * 3 * 8
    assert {layer.path: layer.calls for layer in long.layers}["act"] == 2


fork: Any = torch.jit.fork
wait: Any = torch.jit.wait


class Threaded(nn.Module):
    """Does what only torch's own interpreter can."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = wait(fork(self.fc, x))
        return made


def test_what_cannot_be_run_node_by_node_is_run_whole_and_noted(tmp_path: Path) -> None:
    path = scripted(tmp_path, Threaded().eval(), torch.zeros(1), "script")
    made = profile_loaded(load(path, inputs=["2x3"]))
    assert (made.macs, made.params) == (2 * 3 * 5, 3 * 5 + 5)
    assert made.layers[0].amount is not None
    assert made.layers[0].amount.value == 30
    (note,) = [note for note in made.notes if note.code == "script-whole"]
    assert "one row" in note.text
    assert "prim::fork" in note.text


def test_torchscript_needs_inputs_and_takes_them_by_name(tmp_path: Path) -> None:
    path = scripted(tmp_path, nn.Linear(3, 5), torch.rand(2, 3), "script")
    with pytest.raises(InputError, match="does not say what its inputs input are; pass the input's shape"):
        load(path)
    assert profile_loaded(load(path, inputs=["input:7x3"])).macs == 105


def test_other_tools_conventions_are_refused(tmp_path: Path) -> None:
    source = load(scripted(tmp_path, nn.Linear(3, 5), torch.rand(2, 3), "script"), inputs=["2x3"])
    with pytest.raises(InputError, match="count it by full, macs"):
        profile_loaded(source, "torchinfo")


# ONNX, as torch writes it


def onnx_file(folder: Path, model: nn.Module, given: torch.Tensor, **options: Any) -> str:
    path = folder / "net.onnx"
    with contextlib.redirect_stdout(io.StringIO()):
        torch.onnx.export(model, (given,), str(path), **options)
    return str(path)


@pytest.mark.parametrize("name", ["mobilenet", "resnet18", "vit", "swin", "transposed"])
def test_an_onnx_export_counts_as_its_model(name: str, tmp_path: Path) -> None:
    given = torch.rand(MODELS[name][1])
    source = load(onnx_file(tmp_path, model_of(name), given, dynamo=False, opset_version=17))
    macs, full = counted_source(source)
    assert (macs.total, macs.activations) == (eager(name)[0].total, eager(name)[0].activations)
    assert full.coverage.unknown == {}
    if name == "resnet18":  # its batch norms are folded into the convolutions, each of which then has a bias
        assert params(macs) == params(eager(name)[0]) - sum(
            item.num_features for item in model_of(name).modules() if isinstance(item, nn.BatchNorm2d)
        )


def test_an_onnx_export_of_today_names_its_modules(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Sequential(nn.Linear(5, 7)))
    path = onnx_file(tmp_path, net.eval(), torch.rand(2, 3), dynamo=True, verbose=False)
    macs, _ = counted_source(load(path))
    found = {layer.path: (layer.type, layer.params, layer.amount.value if layer.amount else 0) for layer in macs.layers}
    assert found["0"] == ("torch.nn.modules.linear.Linear", 20, 30)
    assert found["1"] == ("torch.nn.modules.activation.ReLU", 0, 0)
    assert found["2.0"] == ("torch.nn.modules.linear.Linear", 42, 70)
