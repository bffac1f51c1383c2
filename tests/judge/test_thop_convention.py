"""The `thop` convention gives thop's own integer, also where thop is wrong: thop itself is run beside it."""

from typing import Any

import pytest
import torch
from helpers import counted, traced
from module_cases import ByKeyword, Packed, hooked_with_child
from torch import Tensor, nn
from torch.nn import functional as F
from twins import QUIET, Twins

from effbench.units import Unit

pytestmark = QUIET


THOP = Twins("thop")
assert_equal, theirs = THOP.assert_equal, THOP.theirs


def test_vit_is_counted_without_its_attention() -> None:
    """11.29 G, as users.md quotes it, where the network takes 17.56."""
    models = pytest.importorskip("torchvision.models")
    with torch.device("meta"):
        found = traced(models.get_model("vit_b_16"), torch.empty(1, 3, 224, 224))
    assert round((counted(found, "thop").total or 0) / 1e9, 2) == 11.29
    assert round((counted(found, "macs").total or 0) / 1e9, 2) == 17.56


MODULES = [
    pytest.param(nn.Linear(10, 10), (4, 10), 4 * 100, id="root-linear"),
    pytest.param(nn.Linear(10, 10, bias=False), (10,), 100, id="one-row"),
    pytest.param(nn.Conv2d(3, 8, 3), (2, 3, 8, 8), 2 * 8 * 36 * 27, id="conv"),
    pytest.param(nn.Conv1d(4, 8, 3, groups=2), (2, 4, 8), 2 * 8 * 6 * 2 * 3, id="conv1d-grouped"),
    pytest.param(nn.Conv3d(2, 4, 3, padding=1), (1, 2, 4, 4, 4), 4 * 64 * 2 * 27, id="conv3d"),
    # The output is walked, and each of its elements is given the input's channels: not what it costs.
    pytest.param(nn.ConvTranspose2d(4, 6, 3, 2), (1, 4, 5, 5), 6 * 121 * 4 * 9, id="transposed"),
    pytest.param(
        nn.ConvTranspose2d(4, 4, 3, 2, 1, 1, groups=4), (2, 4, 8, 8), 2 * 4 * 256 * 9, id="transposed-grouped"
    ),
    pytest.param(nn.ConvTranspose1d(4, 6, 3), (1, 4, 5), 6 * 7 * 4 * 3, id="transposed-1d"),
    pytest.param(nn.BatchNorm2d(4), (2, 4, 5, 5), 4 * 200, id="batch-norm"),
    pytest.param(nn.BatchNorm1d(4, affine=False), (2, 4), 2 * 8, id="batch-norm-plain"),
    pytest.param(nn.LayerNorm(8), (3, 8), 4 * 24, id="layer-norm"),
    pytest.param(nn.LayerNorm(8, elementwise_affine=False), (3, 8), 2 * 24, id="layer-norm-plain"),
    pytest.param(nn.InstanceNorm2d(4), (2, 4, 5, 5), 2 * 200, id="instance-norm"),
    pytest.param(nn.GroupNorm(2, 4), (2, 4, 5, 5), 0, id="group-norm-unknown-to-it"),
    pytest.param(nn.AdaptiveAvgPool2d(7), (1, 8, 14, 14), 8 * 49 * (4 + 1), id="adaptive-divisible"),
    # 13/6 · 13/6 + 1 per output, as a double, cut to an integer at the end
    pytest.param(nn.AdaptiveAvgPool2d(6), (1, 256, 13, 13), int((13 / 6 * 13 / 6 + 1) * 9216), id="adaptive-13-to-6"),
    pytest.param(nn.AdaptiveAvgPool1d(5), (2, 3, 12), int((12 / 5 + 1) * 30), id="adaptive-1d"),
    pytest.param(nn.AdaptiveAvgPool3d((2, 3, 1)), (1, 2, 5, 7, 3), None, id="adaptive-3d"),
    pytest.param(nn.AdaptiveAvgPool2d(3), (4, 7, 7), int((7 / 3 + 1) * 36), id="adaptive-unbatched"),
    pytest.param(nn.AvgPool2d(2), (1, 4, 6, 6), 36, id="average-pool"),
    pytest.param(nn.MaxPool2d(2), (1, 4, 6, 6), 0, id="max-pool"),
    pytest.param(nn.AdaptiveMaxPool2d(2), (1, 4, 6, 6), 0, id="adaptive-max-pool"),
    pytest.param(nn.PReLU(), (2, 5), 10, id="prelu"),
    pytest.param(nn.ReLU(), (2, 5), 0, id="relu"),
    pytest.param(nn.LeakyReLU(), (2, 5), 0, id="leaky-relu"),
    pytest.param(nn.GELU(), (2, 5), 0, id="gelu-unknown-to-it"),
    pytest.param(nn.Softmax(-1), (3, 7), 3 * (7 + 6 + 7), id="softmax"),
    pytest.param(nn.Softmax(1), (3, 7, 2), 6 * 20, id="softmax-middle"),
    pytest.param(nn.Upsample(scale_factor=2), (1, 3, 4, 4), 192, id="upsample-nearest"),
    pytest.param(nn.Upsample(scale_factor=2, mode="linear"), (1, 3, 4), 24 * 5, id="upsample-linear"),
    pytest.param(nn.Upsample(scale_factor=2, mode="bilinear"), (1, 3, 4, 4), 192 * 11, id="upsample-bilinear"),
    pytest.param(nn.Upsample(size=7, mode="bicubic"), (1, 3, 4, 4), 147 * (224 + 35), id="upsample-bicubic"),
    pytest.param(nn.Upsample(scale_factor=2, mode="trilinear"), (1, 3, 2, 2, 2), 0, id="upsample-trilinear"),
    pytest.param(nn.Upsample(scale_factor=2, mode="nearest-exact"), (1, 3, 4, 4), 0, id="upsample-exact"),
    pytest.param(nn.UpsamplingBilinear2d(scale_factor=2), (1, 3, 4, 4), 192 * 11, id="upsampling-bilinear"),
    pytest.param(nn.UpsamplingNearest2d(scale_factor=2), (1, 3, 4, 4), 192, id="upsampling-nearest"),
    pytest.param(nn.Bilinear(3, 4, 5), (2, 3), None, id="bilinear-unknown-to-it"),
    pytest.param(nn.PixelShuffle(2), (1, 4, 2, 2), 0, id="pixel-shuffle"),
    pytest.param(nn.ZeroPad2d(1), (1, 4, 2, 2), 0, id="zero-pad"),
    pytest.param(nn.Embedding(10, 4), torch.zeros(2, 3, dtype=torch.long), 0, id="embedding-unknown-to-it"),
]


@pytest.mark.parametrize(("module", "given", "known"), MODULES)
def test_module(module: nn.Module, given: Any, known: int | None) -> None:
    """`known` is thop's number by hand, None where it is long."""
    inputs = (given, (2, 4)) if isinstance(module, nn.Bilinear) else (given,)
    got = assert_equal(module, *inputs)
    assert known in (None, got)


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bias": False},
        {"batch_first": True},
        {"bidirectional": True},
        {"num_layers": 3},
        {"num_layers": 2, "bidirectional": True, "batch_first": True, "bias": False},
    ],
    ids=lambda options: "-".join(options) or "plain",
)
def test_recurrent_layer(kind: type[nn.RNN | nn.GRU | nn.LSTM], options: dict[str, Any]) -> None:
    assert assert_equal(kind(3, 5, **options), (7, 2, 3)) > 0


def test_recurrent_layer_without_a_batch_takes_its_features_for_one() -> None:
    assert assert_equal(nn.LSTM(3, 5), (7, 3)) == 3 * assert_equal(nn.LSTM(3, 5), (7, 1, 3))


@pytest.mark.parametrize("kind", [nn.RNNCell, nn.GRUCell, nn.LSTMCell])
@pytest.mark.parametrize("bias", [True, False])
def test_recurrent_cell(kind: type[nn.RNNCell | nn.GRUCell | nn.LSTMCell], bias: bool) -> None:
    assert assert_equal(kind(3, 5, bias=bias), (4, 3)) > 0


def test_an_lstm_by_hand() -> None:
    """Per step 4 gates of (3 + 5)·5 + 5 + 2·5 and 4·5 for the state; 7 steps of 2."""
    assert assert_equal(nn.LSTM(3, 5), (7, 2, 3)) == 7 * 2 * (4 * ((3 + 5) * 5 + 5 + 10) + 20)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_a_packed_sequence_counts_as_long_as_its_longest(batch_first: bool, bidirectional: bool) -> None:
    layer = nn.GRU(6, 5, batch_first=batch_first, bidirectional=bidirectional)
    cell = 3 * ((6 + 5) * 5 + 5 + 10) + 4 * 5
    assert assert_equal(Packed(layer), (4, 3, 6)) == 4 * 3 * cell * (1 + bidirectional)


def test_an_input_by_name_makes_its_rules_raise_save_those_that_read_the_output() -> None:
    assert assert_equal(ByKeyword(linear()), (4, 10)) == LAYER
    assert assert_equal(ByKeyword(nn.AvgPool2d(2)), (1, 4, 6, 6)) == 36
    assert assert_equal(ByKeyword(nn.MaxPool2d(2)), (1, 4, 6, 6)) == 0
    for layer, shape in ((nn.Conv2d(3, 4, 1), (1, 3, 5, 5)), (nn.BatchNorm2d(3), (1, 3, 5, 5))):
        counts = THOP.counts(ByKeyword(layer), shape)
        assert counts.total is None
        assert "thop itself raises" in next(iter(counts.reasons.values()))
        with pytest.raises(IndexError):
            theirs(ByKeyword(layer), shape)


def test_its_figure_is_whole_before_it_is_cut() -> None:
    """It sums doubles; 13/6 of a window is no whole number, and is cut by its rule and not by us."""
    thop = pytest.importorskip("thop", exc_type=ImportError)
    total, _ = thop.profile(nn.AdaptiveAvgPool2d(6), (torch.rand(1, 256, 13, 13),), verbose=False)
    assert total == int(total)


class MyConv(nn.Conv2d):
    """A class that thop's table does not name."""


class MyBlock(nn.Sequential):
    """A container that thop's table does not name."""


class Net(nn.Module):
    """Parts called in order, each as often as told."""

    def __init__(self, times: int = 1, **parts: nn.Module) -> None:
        super().__init__()
        self.times = times
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x: Tensor) -> Tensor:
        for part in self.children():
            for _ in range(self.times):
                x = part(x)
        return x


LAYER = 4 * 10 * 10  # one Linear(10, 10) on four rows


def linear() -> nn.Linear:
    return nn.Linear(10, 10)


def test_a_subclass_counts_nothing() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), MyConv(4, 4, 1))
    assert assert_equal(net, (1, 3, 5, 5)) == 4 * 25 * 3


def test_sequentials_in_sequentials() -> None:
    net = nn.Sequential(linear(), nn.Sequential(linear(), MyBlock(linear(), nn.ReLU())), Net(inner=linear()))
    assert assert_equal(net, (4, 10)) == 4 * LAYER


def test_a_module_list_is_looked_into() -> None:
    net: Any = Net(one=linear(), several=nn.ModuleList([linear()]))
    net.forward = lambda x: net.several[0](net.one(x))
    assert assert_equal(net, (4, 10)) == 2 * LAYER


def test_a_module_called_twice_counts_twice() -> None:
    assert assert_equal(Net(times=2, layer=linear()), (4, 10)) == 2 * LAYER


def test_a_module_under_two_names_of_one_parent_is_met_once() -> None:
    layer = linear()
    assert assert_equal(nn.Sequential(layer, nn.ReLU(), layer), (4, 10)) == 2 * LAYER


def test_a_module_under_two_parents_counts_every_call_four_times() -> None:
    """It is hooked once per parent and its sum is added once per parent."""
    layer = linear()
    assert assert_equal(nn.Sequential(nn.Sequential(layer), nn.Sequential(layer)), (4, 10)) == 2 * 4 * LAYER


def test_a_block_under_two_parents_counts_its_layers_four_times() -> None:
    block = nn.Sequential(linear(), nn.Sequential(linear()))
    net = Net(first=Net(block=block), second=Net(block=block))
    assert assert_equal(net, (4, 10)) == 2 * (4 * LAYER + 4 * LAYER)


def test_a_module_beside_the_container_it_is_in() -> None:
    layer = linear()
    assert assert_equal(Net(layer=layer, box=nn.Sequential(layer)), (4, 10)) == 2 * 4 * LAYER


def test_what_hangs_below_a_counted_module_is_not_added() -> None:
    assert assert_equal(hooked_with_child(10), (4, 10)) == LAYER


def test_what_hangs_below_a_counted_root_is_added() -> None:
    root: Any = linear()
    root.add_module("below", linear())
    root.forward = lambda x: root.below(F.linear(x, root.weight))
    assert assert_equal(root, (4, 10)) == 2 * LAYER


def test_functional_calls_and_operators_are_invisible() -> None:
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = linear()

        def forward(self, x: Tensor) -> Tensor:
            return F.linear(self.layer(x), self.layer.weight) @ self.layer.weight

    found = traced(Functional(), (4, 10))
    assert counted(found, "thop").total == theirs(Functional(), (4, 10)) == LAYER
    assert counted(found, "macs").total == 3 * LAYER


def test_attention_s_projection_out_is_no_module_call() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    # two linear layers and two norms; thop's own run takes the fast path unless it is told not to
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        assert assert_equal(layer, (1, 5, 8)) == 2 * 5 * 8 * 16 + 2 * 4 * 40
    finally:
        torch.backends.mha.set_fastpath_enabled(True)


def test_its_unit_is_the_mac_and_nothing_is_unknown() -> None:
    counts = counted(traced(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), (1, 3, 6, 6)), "thop")
    assert counts.unit is Unit.MAC
    assert counts.coverage.unknown == {}
    assert counts.total == 4 * 16 * 27 + 4 * 64
    assert counts.flops == 2 * counts.total
    assert [layer.amount.value for layer in counts.layers if layer.amount] == [4 * 16 * 27, 4 * 64]
