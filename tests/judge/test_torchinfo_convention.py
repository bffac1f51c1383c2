"""The `torchinfo` convention gives torchinfo's own integer, also where it is wrong: torchinfo is run beside it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch
from generated import Direct, First, Repeat, Shared
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune, rnn
from twins import QUIET, Twins
from zoo import ZOO, on_cpu, on_meta

import effbench.measure.peers  # noqa: F401  fills the table of peers
from effbench.units import Unit

pytestmark = QUIET


TORCHINFO = Twins("torchinfo")
counts, theirs, assert_equal = TORCHINFO.counts, TORCHINFO.theirs, TORCHINFO.assert_equal


def theirs_on_meta(model: nn.Module, *given: Tensor) -> int:
    torchinfo = pytest.importorskip("torchinfo")
    return int(torchinfo.summary(model, input_data=list(given), mode="eval", verbose=0).total_mult_adds)


@pytest.mark.parametrize("name", ZOO)
def test_zoo_model(name: str) -> None:
    """Run on meta, where torchinfo's figure is the same and the model costs nothing."""
    model, image = on_meta(name)
    found = counts(model, image).total
    assert found == theirs_on_meta(model, image)
    assert found is not None
    assert found > 10**7


def test_its_figure_does_not_depend_on_the_device() -> None:
    assert theirs(*on_cpu("mobilenet_v3_small")) == theirs_on_meta(*on_meta("mobilenet_v3_small"))


def test_vit_as_users_quote_it() -> None:
    """0.17 G: each linear layer at one of 197 tokens, and no attention."""
    found = counts(*on_meta("vit_b_16"))
    assert found.total == 173_232_616
    assert found.unit is Unit.MAC
    assert found.macs == found.total
    assert found.flops == 2 * found.total
    assert sum(layer.amount.value for layer in found.layers if layer.amount) == found.total


X = (4, 10)

MODULES = [
    # weights and bias times the batch, whatever the other dimensions
    pytest.param(nn.Linear(10, 6), X, 4 * 66, id="linear"),
    pytest.param(nn.Linear(10, 6, bias=False), X, 4 * 60, id="linear-no-bias"),
    pytest.param(nn.Linear(10, 6), (2, 50, 10), 2 * 66, id="linear-of-a-sequence"),
    # the first dimension is taken for the batch
    pytest.param(nn.Linear(10, 6), (10,), 6 * 66, id="linear-of-a-vector"),
    pytest.param(nn.Bilinear(10, 10, 6), None, 4 * 606, id="bilinear"),
    pytest.param(nn.LazyLinear(6), X, 4 * 66, id="lazy-linear"),
    pytest.param(nn.Conv1d(4, 6, 3, groups=2), (2, 4, 8), 2 * 6 * (6 * 2 * 3 + 6), id="conv1d-grouped"),
    pytest.param(nn.Conv2d(3, 8, 3), (2, 3, 8, 8), 2 * 36 * (8 * 27 + 8), id="conv2d"),
    pytest.param(nn.Conv2d(3, 8, 3), (3, 8, 8), 8 * 6 * (8 * 27 + 8), id="conv2d-unbatched"),
    pytest.param(nn.Conv2d(3, 8, 3, padding="same"), (1, 3, 8, 8), 64 * (8 * 27 + 8), id="conv2d-same"),
    pytest.param(nn.Conv3d(2, 4, 3), (1, 2, 4, 4, 4), 8 * (4 * 54 + 4), id="conv3d"),
    pytest.param(nn.LazyConv2d(8, 3), (1, 3, 4, 4), 4 * (8 * 27 + 8), id="lazy-conv"),
    pytest.param(nn.ConvTranspose2d(4, 6, 3, 2), (1, 4, 5, 5), 121 * (4 * 54 + 6), id="transposed"),
    pytest.param(nn.ConvTranspose1d(4, 6, 3, groups=2), (2, 4, 5), 2 * 7 * (4 * 9 + 6), id="transposed-grouped"),
    pytest.param(nn.BatchNorm2d(4), (2, 4, 5, 5), 2 * 8, id="batch-norm"),
    pytest.param(nn.BatchNorm1d(10, affine=False), X, 0, id="batch-norm-plain"),
    pytest.param(nn.SyncBatchNorm(4), (2, 4, 5, 5), 2 * 8, id="sync-batch-norm"),
    pytest.param(nn.LayerNorm(10), X, 4 * 20, id="layer-norm"),
    pytest.param(nn.LayerNorm(10, bias=False), X, 4 * 10, id="layer-norm-no-bias"),
    pytest.param(nn.GroupNorm(2, 4), (2, 4, 5, 5), 2 * 8, id="group-norm"),
    pytest.param(nn.InstanceNorm2d(4, affine=True), (2, 4, 5, 5), 2 * 8, id="instance-norm"),
    pytest.param(nn.RMSNorm(10), X, 4 * 10, id="rms-norm"),
    pytest.param(nn.PReLU(10), X, 4 * 10, id="prelu"),
    pytest.param(nn.Embedding(10, 4), torch.zeros(2, 3, dtype=torch.long), 2 * 40, id="embedding"),
    pytest.param(nn.EmbeddingBag(10, 4), torch.zeros(2, 3, dtype=torch.long), 2 * 40, id="embedding-bag"),
    pytest.param(nn.AdaptiveAvgPool2d(1), (2, 4, 5, 5), 0, id="pool"),
    pytest.param(nn.Upsample(scale_factor=2), (1, 3, 4, 4), 0, id="upsample"),
    pytest.param(nn.GELU(), X, 0, id="gelu"),
    # parameters by other names that hold "weight" or "bias": times the first two dimensions of the output
    pytest.param(nn.RNN(3, 5), (7, 2, 3), 14 * (15 + 25 + 10), id="rnn"),
    pytest.param(nn.GRU(3, 5, 2, bidirectional=True), (7, 2, 3), None, id="gru"),
    pytest.param(nn.LSTM(3, 5, batch_first=True), (2, 7, 3), 14 * 20 * (3 + 5 + 2), id="lstm"),
    pytest.param(nn.LSTM(3, 5, proj_size=2, bias=False), (7, 2, 3), 14 * (20 * 5 + 10), id="lstm-projected"),
    pytest.param(nn.LSTM(3, 5), (7, 3), 7 * 5 * 200, id="lstm-unbatched"),
    pytest.param(nn.RNNCell(3, 5), (4, 3), 4 * 5 * 50, id="rnn-cell"),
    pytest.param(nn.GRUCell(3, 5, bias=False), (4, 3), 4 * 5 * 120, id="gru-cell"),
    pytest.param(nn.LSTMCell(3, 5), (4, 3), 4 * 5 * 200, id="lstm-cell"),
    # it has a child, so its own parameters are nobody's; the child is used as a function
    pytest.param(First(nn.MultiheadAttention(8, 2, batch_first=True), 3), (1, 5, 8), 0, id="attention"),
    pytest.param(
        nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
        *((2, 5, 8), 2 * (8 * 16 + 16 + 16 * 8 + 8 + 4 * 8)),
        id="transformer-layer",
    ),
]


@pytest.mark.parametrize(("module", "shape", "known"), MODULES)
def test_module(module: nn.Module, shape: Any, known: int | None) -> None:
    """`known` is torchinfo's number by hand, None where it is long."""
    got = assert_equal(module, *((X, X) if shape is None else (shape,)))
    assert known in (None, got)


class Holder(nn.Module):
    """Parameters under given names, which forward uses in its own way."""

    def __init__(self, give: Callable[[Tensor], Any] = lambda x: x, **params: int | nn.Parameter) -> None:
        super().__init__()
        self._give = give
        for name, item in params.items():
            self.register_parameter(name, nn.Parameter(torch.rand(item)) if isinstance(item, int) else item)

    def forward(self, x: Tensor) -> Any:
        return self._give(x)


class MyConvolution(Holder):
    """Its name says Conv, and that is enough."""


class Conv2dish(nn.Linear):
    """A linear layer by a convolution's name."""


class MyLinear(nn.Linear):
    """A linear layer by another name."""


class Outer(nn.Module):
    """A parameter beside a child."""

    def __init__(self, child: nn.Module) -> None:
        super().__init__()
        self.child = child
        self.weight = nn.Parameter(torch.rand(7))

    def forward(self, x: Tensor) -> Any:
        found: Tensor = self.child(x) if not isinstance(self.child, nn.ModuleList) else x
        return found


SHARED = nn.Parameter(torch.rand(7))

OWN_PARAMETERS = [
    pytest.param(Holder(weight=7, bias=3), X, 4 * 10, id="weight-and-bias"),
    pytest.param(Holder(scale=7, gamma=3, w=5), X, 0, id="other-names"),
    pytest.param(Holder(my_weight=7, bias_table=3, weights=5), X, 40 * 15, id="names-that-hold-weight-or-bias"),
    pytest.param(Holder(weight=SHARED, bias=SHARED), X, 4 * 7, id="one-parameter-under-two-names"),
    pytest.param(Holder(weight=SHARED, my_weight=SHARED), X, 4 * 7, id="its-first-name-says-how"),
    pytest.param(Holder(my_weight=SHARED, weight=SHARED), X, 40 * 7, id="its-first-name-says-how-2"),
    pytest.param(Holder(weight_orig=7), X, 40 * 7, id="orig-without-a-mask"),
    pytest.param(MyConvolution(weight=7), (4, 10, 3, 2), 24 * 7, id="convolution-by-name"),
    pytest.param(MyConvolution(my_weight=7), (4, 10, 3, 2), 40 * 7, id="convolution-by-name-other-parameter"),
    pytest.param(Conv2dish(10, 6), (4, 5, 10), 24 * 66, id="linear-by-a-convolution-s-name"),
    pytest.param(MyLinear(10, 6), X, 4 * 66, id="subclass"),
    pytest.param(Outer(nn.ReLU()), X, 0, id="beside-a-child"),
    pytest.param(Outer(nn.Linear(10, 6)), X, 4 * 66, id="beside-a-child-with-parameters"),
    # an empty container is false, and so no child
    pytest.param(Outer(nn.ModuleList()), X, 4 * 7, id="beside-an-empty-list"),
    pytest.param(Outer(nn.Sequential()), X, 4 * 7, id="beside-an-empty-sequence"),
    pytest.param(Outer(nn.Sequential(nn.Identity())), X, 0, id="beside-a-filled-sequence"),
]


@pytest.mark.parametrize(("module", "shape", "known"), OWN_PARAMETERS)
def test_own_parameters(module: nn.Module, shape: tuple[int, ...], known: int) -> None:
    assert assert_equal(module, shape) == known
    assert assert_equal(nn.Sequential(nn.Identity(), nn.Sequential(module)), shape) == known


def test_containers_of_parameters() -> None:
    """A list of parameters is a child, and what it holds is named by numbers."""
    outer = Outer(nn.ReLU())
    outer.child = nn.ModuleList()
    outer.listed = nn.ParameterList([nn.Parameter(torch.rand(5))])
    assert assert_equal(outer, X) == 0
    outer.listed = nn.ParameterList()
    assert assert_equal(outer, X) == 4 * 7
    outer.listed = nn.ParameterDict({"weight": nn.Parameter(torch.rand(5))})
    assert assert_equal(outer, X) == 0


class Pair(NamedTuple):
    """An output with names."""

    size: int
    value: Tensor


@dataclass
class Answer:
    """An output of a user's own class."""

    value: Tensor


OUTPUTS = [
    # (what a module with seven weights returns for (4, 10), its batch as torchinfo sees it)
    pytest.param(lambda x: x, 4, id="tensor"),
    pytest.param(lambda x: (x[:2], x), 2, id="tuple"),
    pytest.param(lambda x: [x[:3], None], 3, id="list"),
    pytest.param(lambda x: [[x[:3], x], x], 3, id="nested-list"),
    pytest.param(lambda x: ({"a": x[:3], "b": x}, x), 3, id="dict-in-a-tuple-gives-its-first"),
    pytest.param(lambda x: {"a": x[:3], "b": x[:1]}, 1, id="dict-gives-its-last"),
    pytest.param(lambda x: OrderedDict(a=x, b=(x[:2], x)), 2, id="dict-of-tuples"),
    pytest.param(lambda x: rnn.pack_padded_sequence(x[:, :3, None], torch.tensor([4, 2, 1])), 7, id="packed"),
    pytest.param(lambda x: (rnn.pack_sequence([x, x[:1]]), x), 5, id="packed-in-a-tuple"),
]


@pytest.mark.parametrize(("give", "batch"), OUTPUTS)
def test_output(give: Callable[[Tensor], Any], batch: int) -> None:
    assert assert_equal(Holder(give, weight=7), X) == 7 * batch


def test_outputs_without_a_tensor_do_not_matter_where_there_is_no_weight() -> None:
    for give in (lambda x: None, lambda x: (), lambda x: (None, x), lambda x: {"a": x, "b": 3}, torch.sum):
        assert assert_equal(nn.Sequential(Holder(give, my_weight=7, gamma=3)), X) == 7


RAISES = [
    pytest.param(Holder(lambda x: None, weight=7), "no dimension", id="none"),
    pytest.param(Holder(torch.sum, bias=7), "no dimension", id="scalar"),
    pytest.param(Holder(lambda x: (None, x), weight=7), "no dimension", id="tuple-that-starts-with-none"),
    pytest.param(Holder(lambda x: (), weight=7), "no dimension", id="empty-tuple"),
    pytest.param(Holder(lambda x: {"a": x, "b": 3}, weight=7), "no dimension", id="dict-that-ends-in-a-number"),
    pytest.param(Holder(lambda x: {}), "empty dict", id="empty-dict"),
    pytest.param(Holder(Answer), "unknown kind", id="dataclass"),
    pytest.param(Holder(lambda x: 3), "unknown kind", id="number"),
]


@pytest.mark.parametrize(("module", "why"), RAISES)
def test_where_torchinfo_raises_the_call_is_unknown(module: nn.Module, why: str) -> None:
    found = counts(module, X)
    assert found.total is None
    assert [why in cost.why for cost in found.costs if cost.amount is None] == [True]
    with pytest.raises(RuntimeError, match="Failed to run torchinfo"):
        theirs(module, X)


def test_a_kernel_size_that_is_none_makes_it_raise() -> None:
    idle = nn.Identity()
    idle.kernel_size = None  # type: ignore[assignment]
    net = nn.Sequential(nn.Linear(10, 6))
    net.idle = nn.ModuleList([idle])
    net.forward = lambda x: net[0](x)  # type: ignore[method-assign]
    assert counts(net, X).total is None
    with pytest.raises(TypeError, match="kernel_size"):
        theirs(net, X)


def test_a_convolution_by_name_with_no_output_counts_once() -> None:
    assert assert_equal(MyConvolution(torch.sum, weight=7), X) == 7


def test_pruned_weights_are_unknown_from_shapes() -> None:
    """It counts the ones in the mask, which a trace does not hold."""
    layer = prune.l1_unstructured(nn.Linear(10, 6), "weight", 15)  # type: ignore[no-untyped-call]
    assert theirs(layer, X) == 4 * (60 - 15 + 6)
    found = counts(layer, X)
    assert found.total is None
    assert ["mask" in cost.why for cost in found.costs if cost.amount is None] == [True]


def test_parametrised_weights_are_nobodys() -> None:
    assert assert_equal(parametrizations.spectral_norm(nn.Linear(10, 6)), X) == 0


NESTED = [
    pytest.param(Repeat(nn.Linear(10, 10)), 3 * 440, id="called-three-times"),
    pytest.param(Shared(nn.Linear(10, 10)), 2 * 440, id="two-places"),
    pytest.param(Direct(nn.Linear(10, 10)), 0, id="forward-called-directly"),
    pytest.param(nn.Sequential(nn.Linear(10, 8), nn.Sequential(nn.Linear(8, 2))), 4 * (88 + 18), id="nested"),
    pytest.param(nn.ModuleDict({"idle": nn.Linear(10, 10)}), None, id="container"),
]


@pytest.mark.parametrize(("module", "known"), NESTED)
def test_nested(module: nn.Module, known: int | None) -> None:
    if known is None:
        module.forward = lambda x: x
    assert assert_equal(module, X) == (known or 0)


def test_functions_and_operators_are_invisible() -> None:
    w = torch.rand(10, 6)
    for function in (lambda x: F.linear(x, w.t()), lambda x: x @ w, lambda x: torch.einsum("nd,do->no", x, w)):
        assert assert_equal(function, X) == 0


def test_the_fast_path_is_left_because_there_are_hooks() -> None:
    """Under no_grad on the CPU an encoder layer would not call its linear layers; its hooks make it."""
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
    assert assert_equal(encoder, (2, 5, 8)) == 2 * 2 * (8 * 16 + 16 + 16 * 8 + 8 + 4 * 8)


class Masked(nn.Module):
    """An encoder of sequences of which the second is shorter."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 1)

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        found: Tensor = self.encoder(x, src_key_padding_mask=padding)
        return found


def test_a_padding_mask_makes_the_encoder_raise_there() -> None:
    """It makes nested tensors of the sequences, whose sizes torchinfo cannot read; effbench runs it without."""
    given = (torch.zeros(2, 5, 8), torch.tensor([[False] * 5, [False] * 3 + [True] * 2]))
    assert counts(Masked(), *given).total == 2 * (8 * 16 + 16 + 16 * 8 + 8 + 4 * 8)
    with pytest.raises(RuntimeError, match="Failed to run torchinfo"):
        theirs(Masked(), *given)


def test_several_inputs() -> None:
    layer = nn.Bilinear(3, 4, 5)
    assert assert_equal(layer, (2, 3), (2, 4)) == 2 * 65
