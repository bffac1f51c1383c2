"""Files of every kind from the command line: what is printed, and how the command ends."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from cli_runner import Run, runner
from onnx_models import graph, model, node, saved, weights
from torch import nn

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.(script|save). is deprecated:FutureWarning")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


@pytest.fixture
def state_dict(tmp_path: Path) -> str:
    path = tmp_path / "net.pth"
    torch.save(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).state_dict(), path)
    return str(path)


def test_parameters_alone(run: Run, state_dict: str) -> None:
    done = run("profile", state_dict)
    assert done.code == 0
    assert "params       120" in done.out
    assert "MACs         unknown" in done.out
    assert "FLOPs        unknown" in done.out
    assert "no forward pass: nothing is counted" in done.out
    assert "MACs and FLOPs stay unknown" in done.out
    found = json.loads(run("profile", state_dict, "--format", "json").out)
    assert (found["params"]["total"], found["macs"], found["flops"]) == (120, None, None)
    strict = run("profile", state_dict, "--strict")
    assert strict.code == 3
    assert "it holds parameters and no architecture" in strict.err
    assert run("summary", state_dict).code == 2
    explained = run("explain", state_dict)
    assert explained.code == 0
    assert "unknown: its forward did not run" in explained.out


@pytest.mark.parametrize("format", ["csv", "markdown", "latex", "json", "table"])
def test_parameters_alone_in_every_format(run: Run, state_dict: str, format: str) -> None:
    assert run("profile", state_dict, "--by", "layer,type,op", "--format", format).code == 0


def test_a_graph(run: Run, tmp_path: Path) -> None:
    path = saved(tmp_path, model(graph([node("MatMul", "x w")], {"x": ["n", 3]}, weights(w=(3, 5)))))
    done = run("profile", path, "--input", "x:4x3", "--by", "layer,type,op")
    assert done.code == 0
    assert "60" in done.out
    refused = run("profile", path, "--input", "x:4x3", "--convention", "thop")
    assert (refused.code, refused.out) == (2, "")
    assert "count it by full, macs" in refused.err
    assert run("profile", path).code == 2
    assert run("audit", path, "--input", "4x3").code == 2
    assert run("summary", path, "--input", "4x3").code == 0
    assert "in·out" in run("explain", path, "--input", "4x3").out


def test_a_graph_is_profiled_without_torch(tmp_path: Path) -> None:
    path = saved(tmp_path, model(graph([node("MatMul", "x w")], {"x": [2, 3]}, weights(w=(3, 5)))))
    code = (
        "import sys; from effbench.cli import main\n"
        f"try: main(['profile', {path!r}])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_whole_model_needs_trust(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save(nn.Linear(3, 5), path)
    refused = run("profile", str(path), "--input", "2x3")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.count("\n") == 1
    assert "--unsafe-load" in refused.err
    done = run("profile", str(path), "--input", "2x3", "--unsafe-load")
    assert done.code == 0
    assert "MACs         30" in done.out


@pytest.mark.parametrize("ending", ["pth", "pt", "bin", "pt2", "onnx", "safetensors"])
def test_nonsense_ends_with_one_line_and_code_2(run: Run, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"net.{ending}"
    for content in (b"", b"nonsense", bytes(100), b"PK\x03\x04"):
        path.write_bytes(content)
        done = run("profile", str(path))
        assert (done.code, done.out) == (2, "")
        assert done.err.count("\n") == 1
        assert "fault in effbench" not in done.err


def test_rankings_take_graphs_and_name_what_has_no_cost(run: Run, tmp_path: Path, state_dict: str) -> None:
    path = saved(tmp_path, model(graph([node("MatMul", "x w")], {"x": [2, 3]}, weights(w=(3, 5)))))
    stated = ("--error-of", f"{path}=0.1:fraction", "--error-of", f"{state_dict}=0.2:fraction")
    done = run("rank", path, state_dict, *stated, "--format", "json")
    assert done.code == 0
    found = json.loads(done.out)
    assert [row["flops"] for row in found["rows"]] == [60]
    assert "it holds parameters and no architecture" in found["excluded"][0]["reason"]
    refused = run("rank", path, *stated[:2], "--convention", "thop")
    assert refused.code == 2
    assert "count it by full, macs" in refused.err


def test_every_loader_is_listed(run: Run) -> None:
    listed = run("list", "loaders").out
    for name in (
        "checkpoint",
        "export",
        "file",
        "hf",
        "module",
        "onnx",
        "safetensors",
        "script",
        "timm",
        "torchvision",
    ):
        assert f"\n{name} " in listed
