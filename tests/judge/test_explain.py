"""What `explain` prints is read back as a person would, worked out, and compared with the count and with torch."""

from __future__ import annotations

import math
import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import effbench as eb
from effbench.documents import explain_document
from effbench.errors import UnknownName
from effbench.measure.source import Loaded
from effbench.profiles import Profile

MODELS = Path(__file__).parents[2] / "benchmarks" / "models"


# Reading a printed calculation, without effbench


class Printed(NamedTuple):
    name: str
    calculation: str
    result: int
    unit: str
    rest: str


_LINE = re.compile(
    r"  (?P<name>\S+): (?P<calculation>[\d⁰¹²³⁴⁵⁶⁷⁸⁹ ×+]+?) = (?P<result>[\d,]+)"
    r"(?: (?P<unit>MAC|FLOP)s)?(?:  +(?P<rest>.+))?"
)
_TOTAL = re.compile(r"  total: (?:(?P<sum>[\d, +]+) = )?(?P<total>[\d,]+)(?: (?P<unit>MAC|FLOP)s)?")
_FACTOR = re.compile(r"(?P<base>\d+)(?P<power>[⁰¹²³⁴⁵⁶⁷⁸⁹]*)")
_DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")


def evaluated(calculation: str) -> int:
    """The value of sums of products of powers, such as "3 × 11² × 64 + 64"."""
    return sum(math.prod(map(factor, term.split(" × "))) for term in calculation.split(" + "))


def factor(text: str) -> int:
    match = _FACTOR.fullmatch(text)
    assert match is not None, text
    value: int = int(match["base"]) ** int(match["power"].translate(_DIGITS) or 1)
    return value


def number(text: str) -> int:
    assert re.fullmatch(r"\d{1,3}(,\d{3})*", text), text
    return int(text.replace(",", ""))


def sections(text: str) -> dict[str, list[str]]:
    """The lines under each heading."""
    found: dict[str, list[str]] = {}
    for block in text.rstrip("\n").split("\n\n")[1:]:
        heading, *lines = block.split("\n")
        found[heading] = lines
    return found


def read(lines: list[str]) -> tuple[list[Printed], int]:
    """The calculations of a section, each worked out and found right, and its total, found to be their sum."""
    *calculations, last = lines
    printed = []
    for line in calculations:
        match = _LINE.fullmatch(line)
        assert match is not None, line
        found = Printed(
            match["name"], match["calculation"], number(match["result"]), match["unit"] or "", match["rest"] or ""
        )
        assert evaluated(found.calculation) == found.result, line
        printed.append(found)
    match = _TOTAL.fullmatch(last)
    assert match is not None, last
    total = number(match["total"])
    assert [number(part) for part in (match["sum"] or match["total"]).split(" + ")] == (
        [item.result for item in printed] or [0]
    )
    assert sum(item.result for item in printed) == total
    return printed, total


@pytest.mark.parametrize(
    ("text", "value"),
    [("3 × 11² × 64 + 64", 23296), ("9216 × 4096 + 4096", 37752832), ("2¹⁰", 1024), ("7", 7), ("0", 0), ("2³ + 1", 9)],
)
def test_the_reader_of_this_test(text: str, value: int) -> None:
    assert evaluated(text) == value


# Every layer of twelve models


class Transposed(nn.Module):
    """A decoder: transposed convolutions of one to three dimensions, grouped and not."""

    def __init__(self) -> None:
        super().__init__()
        self.up1 = nn.ConvTranspose1d(4, 6, 3, stride=2)
        self.up2 = nn.ConvTranspose2d(6, 4, (2, 3), stride=2, groups=2, bias=False)
        self.up3 = nn.ConvTranspose3d(1, 2, 2)
        self.norm = nn.BatchNorm3d(2)
        self.scale = nn.Parameter(torch.ones(2, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        wide = self.up2(self.up1(x)[..., None])
        scaled: Tensor = self.norm(self.up3(wide[:, None])) * self.scale
        return scaled


REFERENCE = [path.name for path in sorted(MODELS.glob("*.py"))]
ZOO = ["vit_b_16", "swin_t", "resnext50_32x4d", "shufflenet_v2_x0_5"]
NAMES = [*REFERENCE, *ZOO, "transposed"]
CONVENTIONS = ("macs", "full", "thop")


@cache
def profile(name: str) -> tuple[Profile, nn.Module]:
    """A model's profile and the model itself, on meta."""
    if name == "transposed":
        with torch.device("meta"):
            model: nn.Module = Transposed()
        return eb.profile(model, torch.rand(2, 4, 5)), model
    loaded = eb.load(str(MODELS / name) if name.endswith(".py") else f"torchvision:{name}")
    assert isinstance(loaded, Loaded)
    return eb.profile(loaded), loaded.build("meta")


def explained(name: str, convention: str) -> dict[str, list[str]]:
    made = profile(name)[0]
    return sections(Profile(made.name, made.spec, made.trace, convention).explain())


def label(path: str) -> str:
    return path or "(model)"


@pytest.mark.parametrize("name", NAMES)
def test_parameters_of_every_layer(name: str) -> None:
    model = profile(name)[1]
    own: dict[str, int] = {}
    for full, param in model.named_parameters():
        path = label(full.rpartition(".")[0])
        own[path] = own.get(path, 0) + param.numel()
    printed, total = read(explained(name, "macs")["Parameters"])
    assert {line.name: line.result for line in printed} == own
    assert len(printed) == len(own)
    assert total == sum(own.values())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_cost_of_every_layer(name: str, convention: str) -> None:
    counts = profile(name)[0].count(convention)
    unit = counts.unit.value
    printed, total = read(explained(name, convention)[f"{unit}s by convention {convention}"])
    worth = {label(layer.path): layer.amount.value for layer in counts.layers if layer.amount}
    assert {line.name: line.result for line in printed} == worth
    assert {line.unit for line in printed} == {unit}
    assert total == counts.total
    for line in printed:  # the formula has as many terms as the numbers put into it
        assert line.rest.count(" + ") == line.calculation.count(" + ")


def by_hand(module: nn.Module, given: Any, made: Any) -> int:
    """The MACs of one call of a convolution or linear layer, from its tensors."""
    if isinstance(module, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d):
        return int(given[0].numel() * module.out_channels // module.groups * math.prod(module.kernel_size))
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        return int(made.numel() * module.in_channels // module.groups * math.prod(module.kernel_size))
    assert isinstance(module, nn.Linear)
    return int(given[0].numel() * module.out_features)


@pytest.mark.parametrize("name", NAMES)
def test_macs_of_every_convolution_and_linear_layer_by_hand(name: str) -> None:
    made, model = profile(name)
    called: dict[str, int] = {}

    def listen(path: str, module: nn.Module) -> None:
        def hook(module: nn.Module, given: Any, result: Any) -> None:
            called[path] = called.get(path, 0) + by_hand(module, given, result)

        module.register_forward_hook(hook)

    for path, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.modules.conv._ConvNd):
            listen(path, module)
    with torch.no_grad():
        model.eval()(*(torch.empty(item.shape, device="meta") for item in made.trace.inputs))
    printed, _ = read(explained(name, "macs")["MACs by convention macs"])
    assert called
    assert called.items() <= {line.name: line.result for line in printed}.items()


# Lines as the issue writes them


def test_the_lines_that_were_asked_for() -> None:
    text = profile("alexnet.py")[0].explain()
    assert "  conv1: 3 × 11² × 64 + 64 = 23,296 " in text
    assert "  fc1: 9216 × 4096 + 4096 = 37,752,832 " in text
    assert "  conv1: 55 × 55 × 64 × 3 × 11² = 70,276,800 MACs " in text
    parameters = sections(text)["Parameters"]
    assert parameters[-1].endswith(" = 45,463,084")
    assert read(parameters)[1] == 45463084
    assert read(sections(text)["MACs by convention macs"])[1] == 705535424


def lines_of(module: nn.Module, *inputs: Any) -> tuple[str, str]:
    """The calculations of parameters and of MACs of one layer."""
    found = sections(eb.profile(nn.Sequential(module), inputs).explain())
    (params,), _ = read(found["Parameters"])
    (macs,), _ = read(found["MACs by convention macs"])
    return params.calculation, macs.calculation


IMAGE = (1, 4, 12, 12)
BASE = ("4 × 3² × 8 + 8", "10 × 10 × 8 × 4 × 3²")


@pytest.mark.parametrize(
    ("changed", "params", "macs"),
    [
        ({}, *BASE),
        ({"in_channels": 6}, "6 × 3² × 8 + 8", "10 × 10 × 8 × 6 × 3²"),
        ({"out_channels": 16}, "4 × 3² × 16 + 16", "10 × 10 × 16 × 4 × 3²"),
        ({"kernel_size": 5}, "4 × 5² × 8 + 8", "8 × 8 × 8 × 4 × 5²"),
        ({"kernel_size": (3, 5)}, "4 × 3 × 5 × 8 + 8", "10 × 8 × 8 × 4 × 3 × 5"),
        ({"kernel_size": 1}, "4 × 8 + 8", "12 × 12 × 8 × 4"),
        ({"groups": 2}, "2 × 3² × 8 + 8", "10 × 10 × 8 × 2 × 3²"),
        ({"groups": 4}, "3² × 8 + 8", "10 × 10 × 8 × 3²"),
        ({"bias": False}, "4 × 3² × 8", BASE[1]),
        ({"stride": 2}, BASE[0], "5 × 5 × 8 × 4 × 3²"),
        ({"stride": (1, 2)}, BASE[0], "10 × 5 × 8 × 4 × 3²"),
        ({"padding": 1}, BASE[0], "12 × 12 × 8 × 4 × 3²"),
        ({"dilation": 2}, BASE[0], "8 × 8 × 8 × 4 × 3²"),
        ({"batch": 3}, BASE[0], "3 × 10 × 10 × 8 × 4 × 3²"),
    ],
)
def test_a_changed_hyper_parameter_of_a_convolution_changes_its_line(
    changed: dict[str, Any], params: str, macs: str
) -> None:
    options = {"in_channels": 4, "out_channels": 8, "kernel_size": 3, "batch": 1, **changed}
    batch = options.pop("batch")
    assert lines_of(nn.Conv2d(**options), torch.rand(batch, options["in_channels"], 12, 12)) == (params, macs)
    assert not changed or (params, macs) != BASE


@pytest.mark.parametrize(
    ("options", "params", "macs"),
    [
        ((6, 5, True), "6 × 5 + 5", "6 × 5"),
        ((7, 5, True), "7 × 5 + 5", "7 × 5"),
        ((6, 9, True), "6 × 9 + 9", "6 × 9"),
        ((6, 5, False), "6 × 5", "6 × 5"),
    ],
)
def test_a_changed_feature_count_of_a_linear_layer_changes_its_line(
    options: tuple[int, int, bool], params: str, macs: str
) -> None:
    assert lines_of(nn.Linear(*options), torch.rand(1, options[0])) == (params, macs)


@pytest.mark.parametrize(
    ("changed", "params", "macs"),
    [
        ({}, "4 × 2² × 6 + 6", "5 × 5 × 4 × 6 × 2²"),  # over the input's positions
        ({"stride": 2}, "4 × 2² × 6 + 6", "5 × 5 × 4 × 6 × 2²"),
        ({"groups": 2}, "4 × 2² × 3 + 6", "5 × 5 × 4 × 3 × 2²"),
        ({"kernel_size": 3, "bias": False}, "4 × 3² × 6", "5 × 5 × 4 × 6 × 3²"),
    ],
)
def test_transposed_convolutions_by_hand(changed: dict[str, Any], params: str, macs: str) -> None:
    options = {"in_channels": 4, "out_channels": 6, "kernel_size": 2, **changed}
    assert lines_of(nn.ConvTranspose2d(**options), torch.rand(1, 4, 5, 5)) == (params, macs)


def test_bias_costs_an_addition_under_full_only() -> None:
    with_bias, without = (
        eb.profile(nn.Sequential(nn.Conv2d(4, 8, 3, bias=bias)), torch.rand(IMAGE), convention="full")
        for bias in (True, False)
    )
    assert "  0: 2 × 10 × 10 × 8 × 4 × 3² + 8 × 10 × 10 = 58,400 FLOPs " in with_bias.explain()
    assert "  0: 2 × 10 × 10 × 8 × 4 × 3² = 57,600 FLOPs " in without.explain()


# Depth-wise separable


def test_separable_alexnet_by_hand() -> None:
    block = "\n".join(sections(profile("alexnet.py")[0].explain())[SEPARABLE])
    first = [re.split(r" {2,}", line.strip()) for line in block.split("\n  conv2")[0].split("\n")[1:]]
    assert first == [
        ["MACs", f"11² × 3 × 64 × 55² = {11**2 * 3 * 64 * 55**2:,}", "k²·M·N·F²"],
        ["separable", f"(11² + 64) × 3 × 55² = {(11**2 + 64) * 3 * 55**2:,}", "(k² + N)·M·F²"],
        ["params", f"11² × 3 × 64 = {11**2 * 3 * 64:,}", "k²·M·N"],
        ["separable", f"(11² + 64) × 3 = {(11**2 + 64) * 3:,}", "(k² + N)·M"],
        ["ratio", f"1/64 + 1/11² = {1 / 64 + 1 / 121:.4f}", "1/N + 1/k²"],
    ]


SEPARABLE = "If these convolutions were depth-wise separable (per sample, without bias)"


@pytest.mark.parametrize("kernel", [1, 3, 5, (1, 7)])
@pytest.mark.parametrize(("inputs", "outputs"), [(4, 8), (8, 4), (1, 1)])
def test_the_separable_figures_are_those_of_a_separable_model(
    kernel: int | tuple[int, int], inputs: int, outputs: int
) -> None:
    image = torch.rand(2, inputs, 12, 9)
    regular = nn.Sequential(nn.Conv2d(inputs, outputs, kernel))
    separable = nn.Sequential(
        nn.Conv2d(inputs, inputs, kernel, groups=inputs, bias=False), nn.Conv2d(inputs, outputs, 1, bias=False)
    )
    bare = nn.Sequential(nn.Conv2d(inputs, outputs, kernel, bias=False))
    (item,) = explain_document(eb.profile(regular, image))["separable"]
    want, plain = eb.profile(separable, image[:1]), eb.profile(bare, image[:1])
    results = {key: item[key]["result"] for key in ("macs", "params", "macs_separable", "params_separable")}
    assert results == {
        "macs": plain.macs,
        "params": plain.params,
        "macs_separable": want.macs,
        "params_separable": want.params,
    }
    assert evaluated(item["macs"]["calculation"]) == plain.macs
    assert evaluated(item["params"]["calculation"]) == plain.params
    assert want.macs is not None
    assert plain.macs is not None
    assert item["ratio"]["result"] == pytest.approx(want.macs / plain.macs, rel=1e-12)
    assert item["ratio"]["result"] == pytest.approx(want.params / plain.params, rel=1e-12)


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Conv2d(4, 4, 3, groups=4), IMAGE),
        (nn.Conv2d(4, 8, 3, groups=2), IMAGE),
        (nn.ConvTranspose2d(4, 8, 3), IMAGE),
        (nn.Linear(12, 3), IMAGE),
    ],
)
def test_only_a_regular_convolution_could_be_separable(module: nn.Module, shape: tuple[int, ...]) -> None:
    assert SEPARABLE not in eb.profile(nn.Sequential(module), torch.rand(shape)).explain()


# One layer, shared layers, unknown layers


def test_layer_picks_a_subtree() -> None:
    made = profile("resnet18_mnist.py")[0]
    paths = [node.path for node in made.trace.tree]
    layer = next(path for path in paths if path.endswith("layer1"))
    found = sections(made.explain(layer))
    for heading in ("Parameters", "MACs by convention macs"):
        printed, total = read(found[heading])
        whole, _ = read(sections(made.explain())[heading])
        assert printed == [line for line in whole if line.name.startswith(f"{layer}.")]
        assert 0 < total < sum(line.result for line in whole)


def test_layer_is_a_path_and_not_a_prefix() -> None:
    made = eb.profile(nn.Sequential(*(nn.Linear(2, 2) for _ in range(11))), torch.rand(1, 2))
    printed, total = read(sections(made.explain("1"))["Parameters"])
    assert [line.name for line in printed] == ["1"]
    assert total == 6


def test_an_unknown_layer_suggests_near_ones() -> None:
    with pytest.raises(UnknownName, match="unknown layer 'conv9': did you mean conv"):
        profile("alexnet.py")[0].explain("conv9")


class Sharing(nn.Module):
    """A module at two paths, a weight in two modules, a parameter under two names, and a twin of equal size."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.tied = nn.Linear(4, 4)
        self.tied.weight = self.first.weight
        self.again = self.first
        self.scale = nn.Parameter(torch.ones(3, 1))
        self.also = self.scale

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.again(self.tied(self.first(x))) * self.scale.sum()
        return found


def test_shared_parameters_count_once_and_it_is_said_where() -> None:
    made = eb.profile(Sharing(), torch.rand(1, 4))
    printed, total = read(sections(made.explain())["Parameters"])
    assert total == made.params == (4 * 4 + 4) + 4 + 3
    shown = {line.name: (line.calculation, line.rest) for line in printed}
    assert list(shown) == ["(model)", "first", "tied"]
    assert shown["(model)"][0] == "3"
    assert "also is scale, counted there" in shown["(model)"][1]
    assert shown["first"][0] == "4 × 4 + 4"
    assert shown["tied"][0] == "4"
    assert "weight is first.weight, counted there" in shown["tied"][1]
    macs, _ = read(sections(made.explain())["MACs by convention macs"])
    assert [(line.name, line.calculation) for line in macs] == [("first", "2 × 4 × 4"), ("tied", "4 × 4")]


def test_a_layer_counted_elsewhere_says_so() -> None:
    found = sections(eb.profile(Sharing(), torch.rand(1, 4)).explain("again"))
    for heading, said in (
        ("Parameters", "weight is first.weight, counted there"),
        ("MACs by convention macs", "the same module as first, counted there"),
    ):
        (line,), total = read(found[heading])
        assert (line.name, line.result, total) == ("again", 0, 0)
        assert said in line.rest


class Distances(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        embedded = self.embed(x)
        return torch.cdist(embedded, functional.relu(embedded))


def test_an_unknown_op_is_named_and_the_total_is_unknown() -> None:
    found = sections(eb.profile(Distances(), torch.rand(2, 4)).explain())
    *lines, total = found["MACs by convention macs"]
    assert any(re.fullmatch(r"  \(model\): unknown: no formula for aten::_?\w*cdist\w*", line) for line in lines)
    assert any(line.startswith("  embed: 2 × 4 × 3 = 24 MACs") for line in lines)
    assert total.endswith("= unknown")
    assert read(found["Parameters"])[1] == 4 * 3 + 3


@pytest.mark.parametrize(
    ("module", "formula"),
    [
        (nn.Conv2d(8, 8, 2), "Cin·k²·Cout + bias"),
        (nn.Linear(2, 2), "in·out + bias"),
        (nn.BatchNorm2d(8), "weight + bias"),
    ],
)
def test_a_parameter_formula_has_a_term_for_each_parameter(module: nn.Module, formula: str) -> None:
    ((line,), _) = read(sections(eb.profile(nn.Sequential(module), torch.rand(1, 8, 4, 2)).explain())["Parameters"])
    assert line.rest == formula
