"""The torchsummary report: that tool's own output line for line, the published tables, and each of its known bugs."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import yaml
from torch import Tensor, nn

import effbench as eb

torchsummary = pytest.importorskip("torchsummary")

SUITES = Path(__file__).parents[2] / "benchmarks" / "suites"

Run = Callable[..., str]


class Read(NamedTuple):
    """A report read back: rows of (layer, output shape, parameters), totals by label, sizes in MB by label."""

    rows: list[tuple[str, str, int]]
    params: dict[str, int]
    sizes: dict[str, float]


def read(text: str) -> Read:
    rows = re.findall(r"^ *(\S+-\d+) +(\[.*\]) +([\d,]+)$", text, re.MULTILINE)
    params = re.findall(r"^(.*[Pp]arams.*): ([\d,]+)$", text, re.MULTILINE)
    sizes = re.findall(r"^(.*) \(MB\): ([\d.]+)$", text, re.MULTILINE)
    return Read(
        [(layer, shape, int(count.replace(",", ""))) for layer, shape, count in rows],
        {label: int(count.replace(",", "")) for label, count in params},
        {label: float(size) for label, size in sizes},
    )


@pytest.fixture
def theirs(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs torchsummary itself on a model and input shapes without batch; returns what it prints."""

    def run(model: nn.Module, *shapes: tuple[int, ...]) -> str:
        torchsummary.summary(model.eval(), shapes[0] if len(shapes) == 1 else list(shapes), device="cpu")
        return capsys.readouterr().out

    return run


def ours(model: nn.Module, *shapes: tuple[int, ...], batch: int = 1) -> str:
    return eb.profile(model, tuple(torch.rand(batch, *shape) for shape in shapes)).summary()


def total(model: nn.Module) -> int:
    return sum(param.numel() for param in model.parameters())


def mb(elements: int) -> float:
    """4 bytes an element, in MiB with two decimals."""
    return round(elements * 4 / 2**20, 2)


# torchsummary itself


# Whether every cell fits its column: torchsummary lets longer ones ("AdaptiveAvgPool2d-158") push the line.
ZOO = {
    "efficientnet_b0": False,
    "googlenet": False,
    "mnasnet0_5": False,
    "mobilenet_v2": True,
    "mobilenet_v3_large": False,
    "mobilenet_v3_small": False,
    "resnet18": True,
    "shufflenet_v2_x0_5": True,
    "squeezenet1_0": True,
    "squeezenet1_1": True,
    "alexnet": True,
}


def zoo(name: str) -> nn.Module:
    """A torchvision model of zeros: shapes are all that matters here."""
    models = pytest.importorskip("torchvision.models")
    options = {"init_weights": False, "aux_logits": False} if name == "googlenet" else {}
    with torch.device("meta"):
        model: nn.Module = models.get_model(name, weights=None, **options)
    model.to_empty(device="cpu").eval()
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.zero_()
    return model


@pytest.mark.parametrize("name", ZOO)
def test_the_text_is_torchsummary_s(name: str, theirs: Run) -> None:
    model = zoo(name)
    want = theirs(model, (3, 224, 224)).splitlines()
    got = ours(model, (3, 224, 224)).splitlines()
    if ZOO[name]:
        assert got == want
    # Rules are as long as the longest line.
    assert [line.strip("-=").split() for line in got] == [line.strip("-=").split() for line in want]


def test_columns_stay_aligned_where_torchsummary_s_do_not(theirs: Run) -> None:
    model, shape = zoo("mobilenet_v3_small"), (3, 32, 32)
    got, want = ({len(line) for line in text.splitlines()[3:-9]} for text in (ours(model, shape), theirs(model, shape)))
    assert len(got) == 1
    assert len(want) > 1


@pytest.mark.parametrize("batch", [2, 7])
def test_the_batch_is_the_reader_s(batch: int) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 2))
    assert ours(model, (3, 8, 8), batch=batch) == ours(model, (3, 8, 8))


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(4, 6), nn.Linear(5, 6)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        found: Tensor = self.left(x) + self.right(y)
        return found


def test_several_inputs(theirs: Run) -> None:
    want, got = theirs(TwoInputs(), (4,), (5,)), ours(TwoInputs(), (4,), (5,))
    assert read(got).rows == read(want).rows == [("Linear-1", "[-1, 6]", 30), ("Linear-2", "[-1, 6]", 36)]
    assert read(got).params == read(want).params


# The published reports


@pytest.mark.parametrize("name", ["custom-alexnet", "hand-mobilenetv3s"])
def test_the_published_report(name: str) -> None:
    suite = yaml.safe_load((SUITES / "published.yaml").read_text(encoding="utf-8"))
    (row,) = [row for row in suite["models"] if row["name"] == name]
    want = row["published"]["summary"]
    if "layers" in want:
        layers = [tuple(layer) for layer in want["layers"]]
    else:
        with (SUITES / want["table"]).open(encoding="utf-8", newline="") as file:
            layers = [(r["layer"], r["output_shape"], int(r["params"])) for r in csv.DictReader(file)]
    path, _, model = row["spec"].partition(":")
    text = eb.profile(eb.load(f"{SUITES / path}:{model}", row["args"], row["inputs"])).summary()
    got = read(text)
    assert got.rows == layers
    assert len(got.rows) == want["rows"]
    assert got.params == {
        "Total params": row["published"]["params"],
        "Trainable params": row["published"]["params"],
        "Non-trainable params": 0,
    }
    assert got.sizes == {
        "Input size": want["input_mb"],
        "Forward/backward pass size": want["forward_backward_mb"],
        "Params size": want["params_mb"],
        "Estimated Total Size": want["total_mb"],
    }


# Known bugs of torchsummary: what it prints, and what is right


def compare(model: nn.Module, shape: tuple[int, ...], theirs: Run) -> tuple[Read, Read]:
    """The two reports of one model, ours with the right total."""
    got = read(ours(model, shape))
    assert got.params["Total params"] == total(model)
    return got, read(theirs(model, shape))


class CalledTwice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(10, 10)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.layer(self.layer(x))
        return found


def test_bug_a_module_called_twice_is_counted_twice(theirs: Run) -> None:
    got, want = compare(CalledTwice(), (10,), theirs)
    assert got.rows == [("Linear-1", "[-1, 10]", 110), ("Linear-2", "[-1, 10]", 0)]
    assert want.rows == [("Linear-1", "[-1, 10]", 110), ("Linear-2", "[-1, 10]", 110)]
    assert want.params["Total params"] == 220
    assert got.sizes["Forward/backward pass size"] == want.sizes["Forward/backward pass size"]


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Linear(4, 4, bias=False), nn.Linear(4, 4)
        self.decoder.weight = self.encoder.weight

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.decoder(self.encoder(x))
        return found


def test_bug_a_shared_weight_is_counted_twice(theirs: Run) -> None:
    got, want = compare(Tied(), (4,), theirs)
    assert [row[2] for row in got.rows] == [16, 4]
    assert [row[2] for row in want.rows] == [16, 20]


class TwoPaths(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(4, 4)
        self.other = nn.Sequential(self.one, nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.other(x)
        return found


def test_bug_a_module_at_two_paths_has_two_rows_a_call(theirs: Run) -> None:
    got, want = compare(TwoPaths(), (4,), theirs)
    assert got.rows == [("Linear-1", "[-1, 4]", 20), ("ReLU-2", "[-1, 4]", 0)]
    assert [row[0] for row in want.rows] == ["Linear-1", "Linear-2", "ReLU-3"]


class OwnParameter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1024))
        self.conv = nn.Conv2d(3, 6, 3)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.conv(x) * self.scale.sum()
        return found


def test_bug_a_plain_parameter_of_the_model_is_left_out(theirs: Run) -> None:
    got, want = compare(OwnParameter(), (3, 8, 8), theirs)
    assert got.params["Total params"] == 1192
    assert want.params["Total params"] == 168
    assert got.params["Params of the model itself or of modules that never ran"] == 1024
    assert sum(row[2] for row in got.rows) == 168


def test_bug_a_plain_parameter_of_a_child_is_left_out(theirs: Run) -> None:
    got, want = compare(nn.Sequential(OwnParameter()), (3, 8, 8), theirs)
    assert [(row[0], row[2]) for row in got.rows] == [("Conv2d-1", 168), ("OwnParameter-2", 1024)]
    assert [(row[0], row[2]) for row in want.rows] == [("Conv2d-1", 168), ("OwnParameter-2", 0)]


class Attending(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.attention(x, x, x, need_weights=False)[0]
        return found


@pytest.mark.filterwarnings("ignore")
def test_bug_the_projections_of_attention_are_left_out() -> None:
    # It crashes on the None beside the output; its own sum of `weight` and `bias` would be 0.
    with pytest.raises(AttributeError):
        torchsummary.summary(Attending().eval(), (5, 8), device="cpu")
    got = read(ours(Attending(), (5, 8)))
    assert got.rows == [("MultiheadAttention-1", "[[-1, 5, 8]]", 4 * 8 * 8 + 4 * 8)]
    assert got.params["Total params"] == 4 * 8 * 8 + 4 * 8


class Returning(nn.Module):
    """A child whose output is whatever `pack` makes of its features."""

    class Child(nn.Module):
        def __init__(self, pack: Callable[[Tensor], Any]) -> None:
            super().__init__()
            self.pack = pack

        def forward(self, x: Tensor) -> Any:
            return self.pack(x)

    def __init__(self, pack: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.child, self.out = self.Child(pack), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        self.child(x)
        found: Tensor = self.out(x)
        return found


@pytest.mark.parametrize(
    ("pack", "shape"),
    [
        (lambda x: {"a": x, "b": x[:, :3]}, "[[-1, 4], [-1, 3]]"),
        (lambda x: None, "[]"),
        (lambda x: (x, (x[:, :3], [x[:, :2]])), "[[-1, 4], [-1, 3], [-1, 2]]"),
        (lambda x: (x, None), "[[-1, 4]]"),
        (lambda x: x.sum(), "[]"),
        (lambda x: 3, "[]"),
    ],
)
def test_bug_outputs_that_are_no_tensor_crash(pack: Callable[[Tensor], Any], shape: str, theirs: Run) -> None:
    with pytest.raises((AttributeError, IndexError, TypeError)):
        theirs(Returning(pack), (4,))
    assert read(ours(Returning(pack), (4,))).rows == [("Child-1", shape, 0), ("Linear-2", "[-1, 2]", 10)]


def test_bug_a_list_as_input_crashes() -> None:
    # densenet's layers hand lists to each other.
    with pytest.raises(AttributeError):
        torchsummary.summary(zoo("densenet121"), (3, 64, 64), device="cpu")
    assert read(ours(zoo("densenet121"), (3, 64, 64))).params["Total params"] == 7978856


def test_bug_a_crash_leaves_hooks_on_the_model() -> None:
    crashed, whole = Returning(lambda x: None), Returning(lambda x: None)
    with pytest.raises(AttributeError):
        torchsummary.summary(crashed.eval(), (4,), device="cpu")
    assert crashed.out._forward_hooks
    ours(whole, (4,))
    assert not whole.out._forward_hooks


def test_bug_ids_as_input_crash(theirs: Run) -> None:
    model = nn.Sequential(nn.Embedding(10, 4))
    with pytest.raises(RuntimeError):
        theirs(model, (3,))
    ids = torch.zeros(1, 3, dtype=torch.int64)
    assert read(eb.profile(model, ids).summary()).rows == [("Embedding-1", "[-1, 3, 4]", 40)]


def test_bug_sizes_of_several_outputs_are_multiplied(theirs: Run) -> None:
    model = Returning(lambda x: (x.repeat(1, 1000), x.repeat(1, 500)))
    got, want = compare(model, (4,), theirs)
    assert got.rows == want.rows
    assert got.sizes["Forward/backward pass size"] == mb(2 * (4000 + 2000 + 2))
    assert want.sizes["Forward/backward pass size"] == mb(2 * (4000 * 2000 - 2))


class HalfFrozen(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.frozen, self.bias_only = nn.Linear(4, 4), nn.Linear(4, 4)
        self.bias_frozen = nn.Linear(4, 4)
        self.frozen.requires_grad_(False)
        self.bias_only.weight.requires_grad_(False)
        self.bias_frozen.bias.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.bias_frozen(self.bias_only(self.frozen(x)))
        return found


def test_bug_a_bias_is_taken_to_be_as_trainable_as_its_weight(theirs: Run) -> None:
    got, want = compare(HalfFrozen(), (4,), theirs)
    assert got.params == {"Total params": 60, "Trainable params": 4 + 16, "Non-trainable params": 20 + 16 + 4}
    assert want.params == {"Total params": 60, "Trainable params": 20, "Non-trainable params": 40}


def test_frozen_layers_agree(theirs: Run) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    model[0].requires_grad_(False)
    got, want = compare(model, (4,), theirs)
    assert got == want
    assert got.params["Non-trainable params"] == 20


# Where there is nothing to compare with


class Idle(nn.Module):
    """Holds a layer that never runs, and one that runs as a function."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.idle, self.borrowed = nn.Linear(4, 4), nn.Linear(4, 5), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(self.used(x), self.borrowed.weight)


def test_parameters_of_modules_that_never_ran_are_in_the_total() -> None:
    got = read(ours(Idle(), (4,)))
    assert got.rows == [("Linear-1", "[-1, 4]", 20)]
    assert got.params["Total params"] == 20 + 25 + 20
    assert got.params["Params of the model itself or of modules that never ran"] == 25 + 20


def test_a_model_that_is_one_layer_has_no_rows() -> None:
    got = read(ours(nn.Linear(4, 2), (4,)))
    assert got.rows == []
    assert got.params["Total params"] == 10
