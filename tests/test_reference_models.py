"""The reference models and the suite of published figures: built, run and recounted without effbench."""

import csv
import importlib.util
import inspect
import json
import math
import re
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import yaml
from torch import nn

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "benchmarks" / "models"
SUITES = ROOT / "benchmarks" / "suites"
REFERENCE = ROOT.parent / "shared" / "reference"

SUITE: dict[str, Any] = yaml.safe_load((SUITES / "published.yaml").read_text(encoding="utf-8"))
ROWS: dict[str, dict[str, Any]] = {row["name"]: row for row in SUITE["models"]}
BUILT = [name for name, row in ROWS.items() if "spec" in row]
COSTED = [name for name in BUILT if "cost" in ROWS[name]["published"]]

# thop reads torch's version through distutils and calls its own PReLU rule deprecated.
quiet_thop = [
    pytest.mark.filterwarnings("ignore:The distutils package is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:distutils Version classes are deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:This API is being deprecated:UserWarning"),
]


@cache
def load(file: str) -> ModuleType:
    """The reference file as a module; benchmarks/ is no package."""
    if file in ("efficientnet_teacher.py", "resnet18_mnist.py"):
        pytest.importorskip("torchvision")
    spec = importlib.util.spec_from_file_location(f"reference_{Path(file).stem}", MODELS / file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def build(name: str) -> nn.Module:
    row = ROWS[name]
    path, _, class_name = row["spec"].partition(":")
    assert (SUITES / path).resolve().parent == MODELS
    model = getattr(load(Path(path).name), class_name)(**row.get("args", {}))
    assert isinstance(model, nn.Module)
    return model.eval()


def shape_of(name: str) -> tuple[int, ...]:
    (text,) = ROWS[name]["inputs"]
    return tuple(int(size) for size in text.split("x"))


def params(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def skips(model: nn.Module) -> list[bool]:
    return [bool(module.skip) for module in model.modules() if hasattr(module, "skip")]


def on_meta(factory: Callable[..., nn.Module], **args: Any) -> nn.Module:
    with torch.device("meta"):
        return factory(**args).eval()


def thop_macs(model: nn.Module, shape: tuple[int, ...]) -> int:
    thop = pytest.importorskip("thop", exc_type=ImportError)
    macs, _ = thop.profile(model, (torch.zeros(shape),), verbose=False)
    assert macs == int(macs)
    return int(macs)


def same_weights(ours: nn.Module, theirs: nn.Module) -> None:
    """Give `ours` the weights of `theirs`, matched by order: names differ, order and shapes must not."""
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)))


# What the suite says


def published() -> dict[str, dict[str, Any]]:
    path = REFERENCE / "published.json"
    if not path.exists():
        pytest.skip("the reference layer is not beside this checkout")
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    return {row["id"]: row for row in rows}


def test_suite_has_all_29_rows_once() -> None:
    students = [f"mbconv-{n}-eca" for n in range(1, 8)] + ["mbconv-8-se", "mbconv-final", "teacher"]
    ciresan = ["10", "res-2fc", "res-3fc", "res-4fc", "res-5fc", "7", "7-elastic"]
    cifar = ["relu-80", "relu6-80", "relu-70", "relu6-70", "relu6-200-150", "relu6-200-200"]
    expected = ["hand-mobilenetv3s", *students, "custom-alexnet", "mnist-resnet18"]
    expected += [f"mnist-ciresan-{name}" for name in ciresan]
    expected += ["hand-v2", "hand-v3", "hand-final"] + [f"cifar-mnv2-{name}" for name in cifar]
    assert len(SUITE["models"]) == len(expected) == 29
    assert set(ROWS) == set(expected)


def test_suite_keeps_every_published_figure() -> None:
    truth = published()
    assert set(ROWS) == set(truth)
    error_keys = {"accuracy_percent": "accuracy"} | {
        key: key for key in ("accuracy", "precision", "recall", "f1", "pixel_error", "loss")
    }
    for name, want in truth.items():
        row = ROWS[name]
        got = row["published"]
        assert row["document"] == want["document"], name
        assert got.get("params") == want.get("params"), name
        assert got.get("summary") == want.get("summary"), name
        assert got.get("score", {}).get("value") == want.get("score"), name
        cost = got.get("cost", {})
        key = {None: "flops_g", "GFLOP": "flops_g", "MAC": "flops"}[cost.get("unit")]
        assert cost.get("value") == want.get(key), name
        errors = {new: want[old] for old, new in error_keys.items() if want.get(old) is not None}
        assert {metric: error["value"] for metric, error in got.get("errors", {}).items()} == errors, name


def test_suite_keeps_every_published_setting() -> None:
    for name, want in published().items():
        row = ROWS[name]
        assert ("spec" in row) == ("inputs" in row) == ("input" in want), name
        assert ("note" in row) == ("spec" not in row), name
        if "input" in want:
            assert list(shape_of(name)) == want["input"], name
        if "config_t_c_n_s_fused" in want:
            assert row["args"]["config"] == want["config_t_c_n_s_fused"], name
            assert row["args"]["attention"] == want.get("attention", "eca"), name
        if "activation" in want:
            facts = ("activation", "epochs", "lr_decay_till", "starting_test_accuracy")
            assert row["published"]["conditions"] == {fact: want[fact] for fact in facts}, name
            assert row["args"]["activation"] == want["activation"].lower(), name
        if "flops_rule_source" in want:
            assert want["flops_rule_source"] in row["published"]["cost"]["note"], name
        if "pixel_error_note" in want:
            assert row["published"]["errors"]["pixel_error"]["note"] == want["pixel_error_note"], name


def test_layer_table_is_the_published_one() -> None:
    published()
    table = "mobilenet_v3_small_42_layers.csv"
    assert (SUITES / table).read_bytes() == (REFERENCE / table).read_bytes()


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if "score" in row["published"]])
def test_published_score_follows_from_the_row(name: str) -> None:
    got = ROWS[name]["published"]
    score = got["params"] / 1e6 * got["cost"]["value"] * math.exp(got["errors"]["pixel_error"]["value"])
    printed_to = 5e-5 if name == "hand-mobilenetv3s" else 1e-9  # four decimals, or all of them
    assert score == pytest.approx(got["score"]["value"], rel=0, abs=printed_to)


# Every model


@pytest.mark.parametrize("path", sorted(MODELS.glob("*.py")), ids=lambda path: str(path.stem))
def test_file_offers_one_model_and_its_input(path: Path) -> None:
    module = load(path.name)
    public = [
        name
        for name, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, nn.Module) and value.__module__ == module.__name__
        if not name.startswith("_")
    ]
    candidates = getattr(module, "__all__", public)
    assert len(candidates) == 1
    assert set(candidates) <= set(public)
    main = getattr(module, candidates[0])
    (example,) = module.example_inputs()
    on_meta(main)(example.to("meta"))  # every argument has a default, and the example fits
    published_shapes = {shape_of(name) for name in BUILT if path.name in ROWS[name]["spec"]}
    if path.name == "mobilenet_v2.py":
        published_shapes = {(1, 3, 224, 224)}  # its example is the paper's; the suite runs the CIFAR variant
    assert {tuple(example.shape)} == published_shapes


@pytest.mark.parametrize("name", BUILT)
def test_row_builds_and_runs_on_meta(name: str) -> None:
    model = on_meta(lambda: build(name))
    assert all(tensor.is_meta for tensor in model.state_dict().values())
    output = model(torch.empty(shape_of(name), device="meta"))
    logits = output[-1] if isinstance(output, tuple) else output
    sizes = {"hand": 42, "mbconv": 2, "teacher": 2, "custom": 1000, "mnist": 10, "cifar": 10}
    assert logits.shape == (1, sizes[name.split("-")[0]])


@pytest.mark.parametrize("name", COSTED)
def test_params_are_the_published(name: str) -> None:
    assert params(on_meta(lambda: build(name))) == ROWS[name]["published"]["params"]


@pytest.mark.parametrize("name", [pytest.param(name, marks=quiet_thop) for name in COSTED])
def test_thop_returns_the_published_cost(name: str) -> None:
    cost = ROWS[name]["published"]["cost"]
    macs = thop_macs(build(name), shape_of(name))
    # Exact: both sides are the nearest double to one decimal number.
    assert cost["value"] == (macs if cost["unit"] == "MAC" else 2 * macs / 10**9)


# The two published torchsummary reports


def summary(model: nn.Module, shape: tuple[int, ...], capsys: pytest.CaptureFixture[str]) -> str:
    torchsummary = pytest.importorskip("torchsummary")
    torchsummary.summary(model, shape, device="cpu")
    return capsys.readouterr().out


@pytest.mark.parametrize("name", ["custom-alexnet", "hand-mobilenetv3s"])
def test_torchsummary_prints_the_published_report(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    want = ROWS[name]["published"]["summary"]
    if "layers" in want:
        layers = [tuple(layer) for layer in want["layers"]]
    else:
        with (SUITES / want["table"]).open(encoding="utf-8", newline="") as file:
            layers = [(r["layer"], r["output_shape"], int(r["params"])) for r in csv.DictReader(file)]
    printed = summary(build(name), shape_of(name)[1:], capsys)
    rows = re.findall(r"^ *(\w+-\d+) +(\[.*\]) +([\d,]+)$", printed, re.MULTILINE)
    assert [(layer, shape, int(count.replace(",", ""))) for layer, shape, count in rows] == layers
    assert len(rows) == want["rows"]
    sizes = [float(size) for size in re.findall(r"\(MB\): ([\d.]+)", printed)]
    assert sizes == [want[key] for key in ("input_mb", "forward_backward_mb", "params_mb", "total_mb")]
    total = ROWS[name]["published"]["params"]
    assert f"Total params: {total:,}\n" in printed
    assert total == sum(count for _, _, count in layers)


def test_alexnet_by_hand() -> None:
    weights = {
        "conv1": 3 * 11**2 * 64,
        "conv2": 64 * 5**2 * 196,
        "conv3": 196 * 3**2 * 384,
        "conv4": 384 * 3**2 * 256,
        "conv5": 256 * 3**2 * 256,
        "fc1": 256 * 6 * 6 * 4096,
        "fc2": 4096 * 1024,
        "fc3": 1024 * 1000,
    }
    positions = [55**2, 27**2, 13**2, 13**2, 13**2, 1, 1, 1]
    assert 3 * 11**2 * 64 + 64 == 23296  # Conv2d-1
    model = on_meta(load("alexnet.py").CustomAlexNet)
    assert {name: model.get_parameter(f"{name}.weight").numel() for name in weights} == weights
    assert sum(weights.values()) + (64 + 196 + 384 + 256 + 256 + 4096 + 1024 + 1000) == 45463084
    assert sum(w * p for w, p in zip(weights.values(), positions, strict=True)) == 705535424


def test_mobilenet_v3_is_torchvisions() -> None:
    models = pytest.importorskip("torchvision.models")
    torch.manual_seed(0)
    theirs = models.mobilenet_v3_small(weights=None, num_classes=42).eval()
    ours = build("hand-mobilenetv3s")
    same_weights(ours, theirs)
    x = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x))


# MobileNetV2


@pytest.mark.parametrize("width", [0.35, 0.5, 0.75, 1.0, 1.3, 1.4])
def test_mobilenet_v2_has_torchvisions_parameters(width: float) -> None:
    models = pytest.importorskip("torchvision.models")
    ours = on_meta(load("mobilenet_v2.py").MobileNetV2, width=width)
    theirs = on_meta(models.mobilenet_v2, width_mult=width)
    assert [p.shape for p in ours.parameters()] == [p.shape for p in theirs.parameters()]


@pytest.mark.parametrize("width", [pytest.param(width, marks=quiet_thop) for width in (0.35, 1.0, 1.4)])
def test_mobilenet_v2_has_torchvisions_cost(width: float) -> None:
    models = pytest.importorskip("torchvision.models")
    shape = (1, 3, 224, 224)
    ours = load("mobilenet_v2.py").MobileNetV2(width=width)
    assert thop_macs(ours, shape) == thop_macs(models.mobilenet_v2(width_mult=width), shape)


@pytest.mark.parametrize("size", [96, 224])
def test_mobilenet_v2_computes_what_torchvisions_does(size: int) -> None:
    models = pytest.importorskip("torchvision.models")
    torch.manual_seed(0)
    ours, theirs = load("mobilenet_v2.py").MobileNetV2().eval(), models.mobilenet_v2().eval()
    same_weights(ours, theirs)
    x = torch.randn(1, 3, size, size)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize(("activation", "kind"), [("relu", nn.ReLU), ("relu6", nn.ReLU6)])
def test_cifar_mobilenet_v2(activation: str, kind: type[nn.Module]) -> None:
    model = on_meta(load("mobilenet_v2.py").MobileNetV2, num_classes=10, activation=activation, variant="cifar")
    assert params(model) == 3504872 - (1280 * 1000 + 1000) + (1280 * 10 + 10)  # the ImageNet net's, but the head
    features = model.get_submodule("features")
    assert features(torch.empty(1, 3, 32, 32, device="meta")).shape == (1, 1280, 4, 4)  # 32 / (2 × 2 × 2)
    activations = [type(m) for m in features.modules() if isinstance(m, nn.ReLU | nn.ReLU6)]
    assert set(activations) == {kind}
    # one each for the stem and the last convolution, one in the block with t = 1, two in each of the other 16
    assert len(activations) == 1 + 1 + 1 + 2 * 16
    assert sum(skips(features)) == 1 + 2 + 3 + 2 + 2  # n - 1 of every stage with n > 1


# The student and its teacher


def student(config: list[list[int]], attention: str = "eca") -> nn.Module:
    return on_meta(load("mbconv_student.py").MBConvStudent, config=config, attention=attention)


def test_student_returns_features_and_logits() -> None:
    torch.manual_seed(0)
    model = load("mbconv_student.py").MBConvStudent().eval()
    with torch.no_grad():
        features, logits = model(torch.randn(2, 3, 185, 160))
    assert features.shape == (2, 128)
    assert logits.shape == (2, 2)
    torch.testing.assert_close(logits, features @ model.classifier.weight.T + model.classifier.bias)


def test_student_params_by_hand() -> None:
    def block(inputs: int, hidden: int, outputs: int) -> int:
        expand, depthwise, eca = inputs * hidden + 2 * hidden, 9 * hidden + 2 * hidden, 3 + 1
        return expand + depthwise + eca + hidden * outputs + 2 * outputs

    stem, tail, linear = 3 * 9 * 8 + 2 * 8, 16 * 128 + 2 * 128, 128 * 2 + 2
    blocks = 2 * block(8, 16, 8) + block(8, 16, 16) + block(16, 32, 16)
    assert stem + blocks + tail + linear == ROWS["mbconv-4-eca"]["published"]["params"] == 5866


def test_squeeze_excitation_and_eca_differ_by_hand() -> None:
    def se(hidden: int, squeezed: int) -> int:
        return 2 * hidden * squeezed

    # seven blocks see 8 channels (hidden 16), three see 16 (hidden 32); 8 // 4 and 16 // 4 both round up to 8
    eca, with_se = ROWS["mbconv-1-eca"]["published"], ROWS["mbconv-8-se"]["published"]
    se_params = 7 * (se(16, 8) + 8 + 16) + 3 * (se(32, 8) + 8 + 32)
    assert with_se["params"] - eca["params"] == se_params - 10 * (3 + 1) == 3576
    more_macs = 7 * (se(16, 8) - 3 * 16) + 3 * (se(32, 8) - 3 * 32)
    assert round((with_se["cost"]["value"] - eca["cost"]["value"]) * 1e9) == 2 * more_macs == 5408


def test_squeezed_channels_are_multiples_of_8() -> None:
    def squeezed(channels: int) -> int:
        gates = [m for m in student([[1, channels, 2, 1, 0]], "se").modules() if isinstance(m, nn.Linear)]
        return gates[2].out_features  # of the second block, whose input has `channels`

    assert [squeezed(c) for c in (16, 44, 48, 64, 80)] == [8, 8, 16, 16, 24]


def test_fused_block_has_one_convolution_for_two() -> None:
    plain, fused = student([[4, 8, 1, 1, 0]]), student([[4, 8, 1, 1, 1]])
    expand_depthwise = (8 * 32 + 2 * 32) + (9 * 32 + 2 * 32)
    assert params(plain) - params(fused) == expand_depthwise - (8 * 9 * 32 + 2 * 32)
    assert sum(isinstance(m, nn.Conv2d) for m in fused.modules()) == 2 + 2  # stem and tail; fused and project


def test_student_skips_where_shapes_allow() -> None:
    model = student([[2, 8, 2, 1, 0], [2, 16, 2, 2, 0], [2, 16, 1, 2, 1]])
    assert skips(model) == [True, True, False, True, False]
    block = load("mbconv_student.py").MBConvStudent([[2, 8, 1, 1, 0]]).eval().features[2]
    nn.init.zeros_(block.body[-1][1].weight)  # a silent branch leaves the skip alone
    x = torch.randn(1, 8, 5, 5)
    torch.testing.assert_close(block(x), x)


def test_student_convolutions_have_no_bias() -> None:
    for attention in ("eca", "se"):
        model = student([[2, 8, 2, 1, 0], [2, 16, 2, 2, 1]], attention)
        assert all(m.bias is None for m in model.modules() if isinstance(m, nn.Conv2d))
        assert all(m.bias is not None for m in model.modules() if isinstance(m, nn.Conv1d | nn.Linear))


def test_student_refuses_unknown_attention() -> None:
    with pytest.raises(ValueError, match="'eca' or 'se', not 'cbam'"):
        student([[2, 8, 1, 1, 0]], "cbam")


# The MNIST networks; no cost is published, so their parameters are added up here


def linears(first: int, layers: int) -> int:
    widths = [first, *[512] * (layers - 1), 10]
    return sum(i * o + o for i, o in pairwise(widths))


def conv5(inputs: int, outputs: int) -> int:
    return inputs * 25 * outputs + outputs


@pytest.mark.parametrize("variant", ["plain", "reduced", "residual"])
@pytest.mark.parametrize("layers", [2, 3, 4, 5])
def test_ciresan_params_by_hand(variant: str, layers: int) -> None:
    model = on_meta(load("ciresan.py").CiresanNet, variant=variant, linear_layers=layers)
    convolutions = conv5(1, 48) + conv5(48, 128) + conv5(128, 192)
    convolutions += conv5(192, 192) * (1 if variant == "reduced" else 4)
    shortcut = 48 * 192 + 192 if variant == "residual" else 0
    assert params(model) == convolutions + shortcut + linears(192 * 3 * 3, layers)
    assert sum(isinstance(m, nn.Linear) for m in model.modules()) == layers
    features = model.get_submodule("features")
    assert features(torch.empty(1, 1, 28, 28, device="meta")).shape == (1, 192, 3, 3)


def test_ciresan_blocks_add_their_input() -> None:
    features = load("ciresan.py").CiresanNet("residual").features
    block = features[4]  # after the stem's three layers and the block with the shortcut
    nn.init.zeros_(block.conv2.weight)
    nn.init.zeros_(block.conv2.bias)
    x = torch.rand(1, 192, 9, 9)
    torch.testing.assert_close(block(x), x)


def test_resnet18_differs_from_torchvisions_in_stem_and_head() -> None:
    model = on_meta(lambda: build("mnist-resnet18"))
    imagenet = 11689512
    assert params(model) == imagenet - 2 * 7**2 * 64 - (512 * 1000 + 1000) + (512 * 10 + 10)
    assert sum(isinstance(m, nn.Linear) for m in model.modules()) == 1
