"""Every way of summing gives one total, which does not depend on how, where or in what format a model runs."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from helpers import MIXED_SHAPE, Call, Mixed, counted, expect, macs, traced, traced_for_real
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from effbench.judge.count import Counts, by_op, by_type
from effbench.records import Trace

CONVENTIONS = ("macs", "full", "thop")


# Sums


def assert_sums(counts: Counts, found: Trace) -> None:
    assert counts.total is not None
    assert sum(layer.amount.value for layer in counts.layers if layer.amount is not None) == counts.total
    assert sum(group.amount or 0 for group in by_op(counts)) == counts.total
    assert sum(group.amount or 0 for group in by_type(counts)) == counts.total
    assert sum(cost.amount.value for cost in counts.costs if cost.amount is not None) == counts.total
    calls = len(found.modules) if counts.convention == "thop" else len(found.ops)
    assert counts.coverage.counted + counts.coverage.free == calls == sum(g.calls for g in by_op(counts))
    own = sum(param.numel for param in found.params if param.alias_of is None)
    assert sum(layer.params for layer in counts.layers) == sum(g.params for g in by_type(counts)) == own


class Shared(nn.Module):
    """One block under two parents, called once below each and once directly."""

    def __init__(self) -> None:
        super().__init__()
        block = nn.Sequential(nn.Linear(6, 6), nn.LayerNorm(6))
        self.left, self.right, self.block = nn.Sequential(block), nn.Sequential(block), block

    def forward(self, x: Tensor) -> Tensor:
        return self.left(x) + self.right(x) @ self.block(x).mT  # type: ignore[no-any-return]


SUMMED = [
    pytest.param(Mixed(), MIXED_SHAPE, id="mixed"),
    pytest.param(Shared(), (6, 6), id="shared"),
    pytest.param(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (2, 5, 8), id="encoder-layer"),
    pytest.param(nn.Linear(4, 4), (3, 4), id="root"),
]


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize(("model", "shape"), SUMMED)
def test_rows_by_layer_type_and_op_sum_to_the_total(model: nn.Module, shape: tuple[int, ...], convention: str) -> None:
    found = traced(model, shape)
    assert_sums(counted(found, convention), found)


def test_a_shared_module_has_one_row_with_all_its_calls() -> None:
    counts = counted(traced(Shared(), (6, 6)))
    linears = [layer for layer in counts.layers if layer.type.endswith("Linear")]
    rows = [(row.path, row.calls, row.params, row.amount.value if row.amount else 0) for row in linears]
    assert rows == [("left.0.0", 3, 42, 3 * 216), ("right.0.0", 0, 0, 0), ("block.0", 0, 0, 0)]
    assert counts.total == 3 * 216 + 216


def test_dearest_first() -> None:
    amounts = [group.amount or 0 for group in by_type(counted(traced(Mixed(), MIXED_SHAPE)))]
    assert amounts == sorted(amounts, reverse=True)


def test_activations_are_the_elements_that_convolutions_and_products_output() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 5))
    counts = counted(traced(net, (2, 3, 6, 6)))
    assert counts.activations == 2 * 4 * 16 + 2 * 5
    assert [layer.activations for layer in counts.layers] == [0, 128, 0, 0, 10]


# Independence


def test_integers_beyond_a_double_are_exact() -> None:
    n, k, m = 1_000_003, 1_000_033, 1_000_037
    with torch.device("meta"):
        tensors = torch.empty(n, k), torch.empty(k, m)
    total = macs(torch.mm, *tensors)
    assert total == n * k * m
    assert int(float(n * k * m)) != n * k * m
    assert counted(traced(torch.mm, *tensors), "full").total == 2 * n * k * m


def test_one_network_written_four_ways() -> None:
    """A 1×1 convolution of 3 to 8 channels on 4×4 pixels, then 128 features to 10."""
    convolution, linear = nn.Conv2d(3, 8, 1, bias=False), nn.Linear(128, 10, bias=False)
    kernel, weight = convolution.weight.data, linear.weight.data
    matrix = kernel[:, :, 0, 0]
    ways: dict[str, nn.Module | Callable[[Tensor], Tensor]] = {
        "modules": nn.Sequential(convolution, nn.Flatten(), linear),
        "functions": lambda x: F.linear(F.conv2d(x, kernel).flatten(1), weight),
        "@": lambda x: (matrix @ x.flatten(2)).flatten(1) @ weight.T,
        "einsum": lambda x: torch.einsum("bf,of->bo", torch.einsum("bchw,oc->bohw", x, matrix).flatten(1), weight),
        "tensordot": lambda x: torch.tensordot(
            torch.tensordot(x, matrix, ([1], [1])).movedim(-1, 1).flatten(1), weight, ([1], [1])
        ),
    }
    x = torch.rand(2, 3, 4, 4)
    results, totals = [], {}
    for name, way in ways.items():
        model = way if isinstance(way, nn.Module) else Call(way)
        with torch.no_grad():
            results.append(model(x))
        totals[name] = counted(traced_for_real(model, x)).total
    assert set(totals.values()) == {2 * (16 * 3 * 8 + 128 * 10)}
    for result in results:
        torch.testing.assert_close(result, results[0])


NETWORKS = [
    pytest.param(Mixed(), MIXED_SHAPE, id="mixed"),
    pytest.param(
        nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2), (2, 5, 8), id="encoder"
    ),
    pytest.param(
        nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, bias=False),
            nn.GroupNorm(2, 8),
            nn.GELU(),
            nn.MaxPool2d(2),
            nn.Upsample(scale_factor=2, mode="bilinear"),
            nn.Upsample(scale_factor=2),
            nn.ConvTranspose2d(8, 4, 2, 2),
            nn.InstanceNorm2d(4),
            nn.Hardswish(),
            nn.AdaptiveAvgPool2d(5),
            nn.Flatten(2),
            nn.LayerNorm(25),
            nn.RMSNorm(25),
            nn.Softmax(-1),
        ),
        (2, 3, 8, 8),
        id="many-layers",
    ),
]


@pytest.mark.parametrize("convention", ["macs", "full"])
@pytest.mark.parametrize(("model", "shape"), NETWORKS)
def test_with_data_and_without_it_the_count_is_one(model: nn.Module, shape: tuple[int, ...], convention: str) -> None:
    hollow, real = traced(model, shape), traced_for_real(model, shape)
    assert counted(hollow, convention).total == counted(real, convention).total is not None


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "efficientnet_b0", "shufflenet_v2_x0_5", "swin_t"])
def test_zoo_networks_with_data_and_without(name: str) -> None:
    models = pytest.importorskip("torchvision.models")
    model = models.get_model(name)
    hollow, real = traced(model, (1, 3, 64, 64)), traced_for_real(model, (1, 3, 64, 64))
    for convention in ("macs", "full"):
        assert counted(hollow, convention).total == counted(real, convention).total is not None


@pytest.mark.parametrize(("model", "shape"), NETWORKS)
def test_the_number_format_does_not_matter(model: nn.Module, shape: tuple[int, ...]) -> None:
    totals = set()
    for dtype in (torch.float32, torch.float16, torch.bfloat16, torch.float64):
        found = traced(model.to(dtype), torch.zeros(shape, dtype=dtype))
        totals.add((counted(found).total, counted(found, "full").total))
    model.to(torch.float32)
    assert len(totals) == 1


@pytest.mark.parametrize(("model", "shape"), NETWORKS)
def test_training_and_inference_mode_have_the_same_macs(model: nn.Module, shape: tuple[int, ...]) -> None:
    def inference(x: Tensor) -> Any:
        with torch.inference_mode():
            return model(x)

    plain = macs(model, shape)
    assert macs(model, shape, mode="train") == plain
    wrapped = Call(inference)
    wrapped.model = model
    assert macs(wrapped, shape) == plain


def test_a_compiled_model_counts_as_written() -> None:
    net = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6))
    assert macs(torch.compile(net), (2, 6)) == macs(net, (2, 6)) == 2 * 2 * 36


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize(("model", "shape"), NETWORKS)
def test_counting_twice_gives_one_answer(model: nn.Module, shape: tuple[int, ...], convention: str) -> None:
    found = traced(model, shape)
    assert counted(found, convention) == counted(found, convention) == counted(traced(model, shape), convention)


# Random networks

SIZES = st.integers(1, 4)


@st.composite
def networks(draw: st.DrawFn) -> nn.Sequential:
    """A few convolutions, norms, activations and poolings on 3×9×9, then a linear layer."""
    channels, layers = 3, list[nn.Module]()
    for _ in range(draw(st.integers(1, 4))):
        groups = draw(st.sampled_from([size for size in (1, 2, 3) if channels % size == 0]))
        after = groups * draw(SIZES)
        kind = draw(st.sampled_from(["conv", "conv", "transposed", "norm", "activation", "pool"]))
        if kind == "conv":
            kernel = draw(st.sampled_from([1, 3]))
            stride = draw(st.integers(1, 2))
            padding = kernel // 2 + 1  # keeps 2×2 pixels, of which a group norm needs more than one
            bias = draw(st.booleans())
            layers.append(nn.Conv2d(channels, after, kernel, stride, padding, groups=groups, bias=bias))
            channels = after
        elif kind == "transposed":
            layers.append(nn.ConvTranspose2d(channels, after, 2, draw(st.integers(1, 2)), groups=groups))
            channels = after
        elif kind == "norm":
            layers.append(draw(st.sampled_from([nn.BatchNorm2d(channels), nn.GroupNorm(groups, channels)])))
        elif kind == "activation":
            layers.append(draw(st.sampled_from([nn.ReLU, nn.SiLU, nn.GELU, nn.Hardswish]))())
        else:
            layers.append(nn.AdaptiveAvgPool2d(draw(st.integers(2, 4))))
    layers += [nn.AdaptiveMaxPool2d(2), nn.Flatten(), nn.Linear(channels * 4, draw(SIZES))]
    return nn.Sequential(*layers)


@given(networks(), st.integers(2, 5))
@settings(max_examples=40, deadline=None)
def test_random_networks(net: nn.Sequential, batch: int) -> None:
    """Rows sum to totals, a batch costs its size times one sample, and a second pass counts the same."""
    one, many, again = traced(net, (1, 3, 9, 9)), traced(net, (batch, 3, 9, 9)), traced(net, (batch, 3, 9, 9))
    for convention in CONVENTIONS:
        counts = counted(many, convention)
        assert_sums(counts, many)
        if convention != "thop":  # which cuts off the fraction of an average over windows of unequal sizes
            assert counts.total == batch * (counted(one, convention).total or 0)
        assert counts == counted(again, convention)
    assert many.batch == batch
    assert many.digest() == again.digest()


@given(st.lists(st.integers(1, 5), min_size=2, max_size=4), st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_random_stacks_of_linear_layers(widths: list[int], rows: int) -> None:
    """Σ rows·in·out MACs and, under `full`, Σ rows·out for the biases."""
    pairs = list(pairwise(widths))
    net = nn.Sequential(*(nn.Linear(a, b) for a, b in pairs))
    mac = sum(rows * a * b for a, b in pairs)
    expect(net, (rows, widths[0]), mac=mac, other=sum(rows * b for _, b in pairs))
