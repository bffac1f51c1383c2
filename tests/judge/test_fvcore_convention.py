"""The `fvcore` convention gives fvcore's own integer, also where fvcore is wrong: fvcore itself is run beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from generated import Direct, First, Repeat, Shared
from helpers import counted, load, traced
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.functional import linear as imported_linear
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint
from twins import QUIET, Twins
from zoo import on_meta

import effbench.measure.peers  # noqa: F401  fills the table of peers
from effbench.errors import InputError
from effbench.measure.trace import trace
from effbench.units import Unit

pytestmark = QUIET


FVCORE = Twins("fvcore")
counts, theirs, assert_equal = FVCORE.counts, FVCORE.theirs, FVCORE.assert_equal


class With(nn.Module):
    """A function of a layer and the inputs: torch.jit refuses to trace weights that no module holds."""

    def __init__(self, layer: nn.Module, function: Callable[..., Any]) -> None:
        super().__init__()
        self.layer = layer
        self._function = function

    def forward(self, *inputs: Tensor) -> Any:
        return self._function(self.layer, *inputs)


def test_vit_as_users_quote_it() -> None:
    """16.87 G: the projections and no attention."""
    found = counts(*on_meta("vit_b_16"))
    assert found.total == 16_867_412_736
    assert found.unit is Unit.MAC
    assert found.macs == found.total
    assert found.flops == 2 * found.total
    assert sum(layer.amount.value for layer in found.layers if layer.amount) == found.total


N = 4 * 10  # elements of a (4, 10)

MODULES = [
    pytest.param(nn.Linear(10, 6), (4, 10), 240, id="linear"),
    pytest.param(nn.Linear(10, 6, bias=False), (10,), 60, id="linear-of-a-vector"),
    pytest.param(nn.Linear(10, 6), (2, 3, 10), 360, id="linear-of-a-sequence"),
    pytest.param(nn.Bilinear(10, 10, 6), None, 0, id="bilinear"),
    pytest.param(nn.Conv1d(4, 6, 3, groups=2), (2, 4, 8), 2 * 6 * 2 * 3 * 6, id="conv1d"),
    pytest.param(nn.Conv2d(3, 8, 3, stride=2), (2, 3, 9, 9), 2 * 8 * 27 * 16, id="conv2d"),
    pytest.param(nn.Conv2d(3, 8, 3, dilation=2), (3, 9, 9), 8 * 27 * 25, id="conv2d-unbatched"),
    pytest.param(nn.Conv2d(3, 8, 3, padding=1, padding_mode="circular"), (1, 3, 4, 4), 8 * 27 * 16, id="circular"),
    pytest.param(nn.Conv2d(3, 8, 3, padding="same"), (1, 3, 4, 4), 0, id="padding-in-words"),
    pytest.param(nn.Conv2d(3, 8, 3, padding="valid"), (1, 3, 4, 4), 0, id="padding-valid"),
    pytest.param(nn.Conv3d(2, 4, 3), (1, 2, 4, 4, 4), 4 * 2 * 27 * 8, id="conv3d"),
    pytest.param(nn.ConvTranspose1d(4, 6, 3), (1, 4, 5), 4 * 6 * 3 * 5, id="transposed-1d"),
    pytest.param(nn.ConvTranspose2d(4, 6, 3, 2), (2, 4, 5, 5), 2 * 4 * 6 * 9 * 25, id="transposed-2d"),
    pytest.param(nn.ConvTranspose2d(4, 4, 3, 2, 1, 1, groups=4), (2, 4, 8, 8), 4608, id="transposed-grouped"),
    pytest.param(nn.ConvTranspose3d(2, 3, 2), (1, 2, 3, 3, 3), 2 * 3 * 8 * 27, id="transposed-3d"),
    pytest.param(nn.LazyConv2d(8, 3), (1, 3, 4, 4), 8 * 27 * 4, id="lazy"),
    pytest.param(nn.BatchNorm1d(10), (4, 10), 2 * N, id="batch-norm"),
    pytest.param(nn.BatchNorm1d(10, affine=False), (4, 10), N, id="batch-norm-plain"),
    pytest.param(nn.BatchNorm2d(4, track_running_stats=False), (2, 4, 3, 3), 5 * 72, id="batch-norm-by-batch"),
    pytest.param(nn.BatchNorm3d(2, affine=False, track_running_stats=False), (2, 2, 2, 2, 2), 4 * 32, id="bn-3d"),
    pytest.param(nn.SyncBatchNorm(4), (2, 4, 3, 3), 2 * 72, id="sync-batch-norm"),
    pytest.param(nn.LayerNorm(10), (4, 10), 5 * N, id="layer-norm"),
    pytest.param(nn.LayerNorm(10, elementwise_affine=False), (4, 10), 4 * N, id="layer-norm-plain"),
    pytest.param(nn.LayerNorm(10, bias=False), (4, 10), 5 * N, id="layer-norm-no-bias"),
    pytest.param(nn.GroupNorm(2, 4), (2, 4, 3, 3), 5 * 72, id="group-norm"),
    pytest.param(nn.GroupNorm(2, 4, affine=False), (2, 4, 3, 3), 4 * 72, id="group-norm-plain"),
    pytest.param(nn.InstanceNorm2d(4), (2, 4, 3, 3), 4 * 72, id="instance-norm"),
    pytest.param(nn.InstanceNorm2d(4, affine=True, track_running_stats=True), (2, 4, 3, 3), 5 * 72, id="instance-aff"),
    pytest.param(nn.RMSNorm(10), (4, 10), 0, id="rms-norm"),
    pytest.param(nn.LocalResponseNorm(2), (2, 4, 3, 3), 0, id="local-response"),
    pytest.param(nn.AdaptiveAvgPool1d(2), (2, 4, 6), 0, id="adaptive-1d"),
    pytest.param(nn.AdaptiveAvgPool2d(2), (2, 4, 5, 5), 200, id="adaptive-2d"),
    pytest.param(nn.AdaptiveAvgPool2d(1), (2, 4, 5, 5), 200, id="adaptive-to-one"),
    pytest.param(nn.AdaptiveAvgPool3d(1), (2, 4, 3, 3, 3), 0, id="adaptive-3d"),
    pytest.param(nn.AvgPool2d(2), (2, 4, 6, 6), 0, id="average-pool"),
    pytest.param(nn.MaxPool2d(2), (2, 4, 6, 6), 0, id="max-pool"),
    pytest.param(nn.Upsample(scale_factor=2), (1, 3, 4, 4), 192, id="nearest"),
    pytest.param(nn.Upsample(scale_factor=2), (1, 3, 4), 0, id="nearest-1d"),
    pytest.param(nn.Upsample(size=7, mode="bilinear"), (1, 3, 4, 4), 147 * 4, id="bilinear-size"),
    pytest.param(nn.UpsamplingBilinear2d(scale_factor=2), (1, 3, 4, 4), 192 * 4, id="bilinear-aligned"),
    pytest.param(nn.Upsample(scale_factor=2, mode="bicubic"), (1, 3, 4, 4), 0, id="bicubic"),
    pytest.param(nn.Upsample(scale_factor=2, mode="nearest-exact"), (1, 3, 4, 4), 0, id="nearest-exact"),
    pytest.param(nn.Upsample(scale_factor=2, mode="trilinear"), (1, 3, 2, 2, 2), 0, id="trilinear"),
    pytest.param(nn.Embedding(10, 4), torch.zeros(2, 3, dtype=torch.long), 0, id="embedding"),
    pytest.param(nn.EmbeddingBag(10, 4), torch.zeros(2, 3, dtype=torch.long), 0, id="embedding-bag"),
    pytest.param(nn.GELU(), (4, 10), 0, id="gelu"),
    pytest.param(nn.Softmax(-1), (4, 10), 0, id="softmax"),
    pytest.param(nn.CosineSimilarity(), None, 0, id="cosine"),
    pytest.param(nn.RNN(3, 5), (7, 2, 3), 0, id="rnn"),
    pytest.param(nn.GRU(3, 5, bidirectional=True), (7, 2, 3), 0, id="gru"),
    pytest.param(nn.LSTM(3, 5, 2, batch_first=True, proj_size=2), (2, 7, 3), 0, id="lstm"),
    pytest.param(nn.RNNCell(3, 5), (4, 3), 4 * (3 + 5) * 5, id="rnn-cell"),
    pytest.param(nn.GRUCell(3, 5, bias=False), (4, 3), 4 * (3 + 5) * 15, id="gru-cell"),
    pytest.param(nn.LSTMCell(3, 5), (3,), (3 + 5) * 20, id="lstm-cell-unbatched"),
]


@pytest.mark.parametrize(("module", "shape", "known"), MODULES)
def test_module(module: nn.Module, shape: Any, known: int) -> None:
    """`known` is fvcore's number by hand."""
    given = ((4, 10), (4, 10)) if shape is None else (shape,)
    assert assert_equal(module, *given) == known


W = torch.ones(10, 6)
X = (4, 10)

FUNCTIONS = [
    pytest.param(lambda x: F.linear(x, W.t()), X, 240, id="linear"),
    pytest.param(lambda x: imported_linear(x, W.t()), X, 240, id="imported"),
    pytest.param(lambda x: F.linear(x, W[:, 0]), X, 40 * 10, id="linear-by-a-vector-takes-its-length-for-outputs"),
    pytest.param(lambda x: x @ W, X, 240, id="operator"),
    pytest.param(lambda x: W.t().__rmatmul__(x.t()[:6].t()), X, 4 * 6 * 10, id="operator-from-the-right"),
    pytest.param(lambda x: torch.matmul(x, W), X, 240, id="matmul"),
    pytest.param(lambda x: torch.linalg.matmul(x, W), X, 240, id="linalg-matmul"),
    pytest.param(lambda x: x[0] @ W, X, 60, id="vector-times-matrix"),
    pytest.param(lambda x: x.mm(W), X, 240, id="mm"),
    pytest.param(lambda x: torch.addmm(x.new_zeros(6), x, W), X, 240, id="addmm"),
    pytest.param(lambda x: torch.addmm(x.new_zeros(6), x, W, out=x.new_empty(4, 6)), X, 240, id="addmm-out"),
    pytest.param(lambda x: x.new_zeros(4, 6).addmm_(x, W), X, 0, id="addmm-in-place"),
    pytest.param(lambda x: torch.bmm(x[None], W[None]), X, 240, id="bmm"),
    pytest.param(lambda x: torch.baddbmm(x.new_zeros(1), x[None], W[None]), X, 0, id="baddbmm"),
    pytest.param(lambda x: torch.addbmm(x.new_zeros(1), x[None], W[None]), X, 0, id="addbmm"),
    pytest.param(lambda x: torch.mv(x, x[0]), X, 0, id="mv"),
    pytest.param(lambda x: torch.dot(x[0], x[0]), X, 0, id="dot"),
    pytest.param(lambda x: torch.outer(x[0], x[0]), X, 0, id="outer"),
    pytest.param(lambda x: torch.inner(x, x), X, 0, id="inner"),
    pytest.param(lambda x: torch.tensordot(x, W, 1), X, 0, id="tensordot"),
    pytest.param(lambda x: torch.linalg.multi_dot([x, W, W.t()]), X, 0, id="multi-dot"),
    pytest.param(lambda x: torch.cdist(x, x), X, 0, id="cdist"),
    pytest.param(lambda x: torch.kron(x, x), X, 0, id="kron"),
    # the right side's batches are not looked at
    pytest.param(lambda x: x @ W.expand(5, 10, 6), X, 240, id="matmul-broadcast-left"),
    pytest.param(lambda x: x.expand(5, 4, 10) @ W, X, 5 * 240, id="matmul-broadcast-right"),
    pytest.param(lambda x: F.scaled_dot_product_attention(x, x, x), (1, 2, 4, 10), 0, id="attention"),
    pytest.param(lambda x: F.conv1d(x, x), (2, 2, 5), 2 * 2 * 2 * 5, id="conv1d"),
    pytest.param(lambda x: F.conv2d(x, x, padding="same"), (2, 2, 5, 5), 0, id="conv2d-padding-in-words"),
    pytest.param(lambda x: F.conv_transpose2d(x, x), (2, 2, 3, 3), 2 * 2 * 2 * 9 * 9, id="conv-transpose2d"),
    pytest.param(lambda x: torch.conv2d(x, x), (2, 2, 5, 5), 2 * 2 * 2 * 25, id="torch-conv2d"),
    pytest.param(lambda x: F.batch_norm(x, None, None, training=True), X, 4 * N, id="batch-norm-training"),
    pytest.param(lambda x: F.layer_norm(x, (10,)), X, 4 * N, id="layer-norm"),
    pytest.param(lambda x: F.group_norm(x, 2), X, 4 * N, id="group-norm"),
    pytest.param(lambda x: F.instance_norm(x), (2, 3, 4), 4 * 24, id="instance-norm"),
    pytest.param(lambda x: torch.native_layer_norm(x, (10,), None, None, 1e-5)[0], X, 0, id="native-layer-norm"),
    pytest.param(lambda x: F.interpolate(x, scale_factor=2.0), (1, 3, 4, 4), 192, id="interpolate"),
    pytest.param(
        lambda x: F.interpolate(x, scale_factor=1.5, mode="bilinear", recompute_scale_factor=True),
        *((1, 3, 4, 4), 4 * 3 * 36),
        id="interpolate-recomputed",
    ),
    pytest.param(
        lambda x: F.interpolate(x, size=3, mode="bilinear", antialias=True), (1, 3, 4, 4), 0, id="interpolate-antialias"
    ),
    pytest.param(
        lambda x: F.grid_sample(x, x.new_zeros(1, 5, 5, 2), align_corners=False), (1, 3, 4, 4), 4 * 75, id="grid-sample"
    ),
    pytest.param(
        lambda x: F.grid_sample(x, x.new_zeros(1, 2, 2, 2, 3), align_corners=True), (1, 3, 4, 4, 4), 96, id="grid-3d"
    ),
    pytest.param(lambda x: F.adaptive_avg_pool2d(x, (2, None)), (2, 3, 4, 4), 96, id="adaptive-pool"),
    pytest.param(lambda x: F.unfold(x, 2), (1, 3, 4, 4), 0, id="unfold"),
]


@pytest.mark.parametrize(("function", "shape", "known"), FUNCTIONS)
def test_function(function: Callable[..., Any], shape: tuple[int, ...], known: int) -> None:
    """`known` is fvcore's number by hand."""
    assert assert_equal(function, shape) == known


EINSUMS = [
    # (equation, shapes, number by hand, None where numpy's rounding makes it)
    ("ij,jk->ik", [(3, 4), (4, 5)], 60),
    ("ij,jk", [(3, 4), (4, 5)], 60),
    (" i j , j k -> i k ", [(3, 4), (4, 5)], 60),
    ("nd,od->no", [(3, 4), (5, 4)], 60),
    # the two equations that fvcore has rules of its own for
    ("abc,abd->acd", [(2, 3, 4), (2, 3, 5)], 120),
    ("bld,bmd->blm", [(2, 3, 4), (2, 5, 4)], 120),
    ("xyz,xwz->xwy", [(2, 3, 4), (2, 5, 4)], 120),
    ("...d,do->...o", [(2, 3, 4), (4, 5)], 120),
    ("bhqd,bhkd->bhqk", [(2, 2, 3, 4), (2, 2, 5, 4)], 240),
    # no sum: numpy counts one operation per product and one more, and half of it is taken
    ("i,j->ij", [(4,), (5,)], None),
    ("i,j->ij", [(3,), (5,)], None),
    ("bi,bi->bi", [(3, 4), (3, 4)], None),
    ("ii->i", [(4, 4)], None),
    ("ii", [(4, 4)], None),
    ("ij->ji", [(3, 4)], None),
    ("ij->", [(3, 4)], None),
    ("ij,jk,kl->il", [(3, 4), (4, 5), (5, 6)], 60 + 90),
    ("ij,jk,kl,lm->im", [(3, 4), (4, 5), (5, 6), (6, 2)], None),
    # numpy prints four digits: 2 · 123 · 321 · 111 = 8,765,226 as 8.765e+06
    ("ij,jk->ik", [(123, 321), (321, 111)], 8_765_000 // 2),
    ("Ab,bC->AC", [(3, 4), (4, 5)], 60),
]


@pytest.mark.parametrize(("equation", "shapes", "known"), EINSUMS)
def test_einsum(equation: str, shapes: list[tuple[int, ...]], known: int | None) -> None:
    got = assert_equal(lambda *tensors: torch.einsum(equation, *tensors), *shapes)
    assert known in (None, got)


def test_einsum_with_letters_by_number() -> None:
    assert assert_equal(lambda x, y: torch.einsum(x, [0, 1], y, [1, 2], [0, 2]), (3, 4), (4, 5)) == 60


class MyConv(nn.Conv2d):
    """A subclass: the graph knows no classes."""


class Twice(nn.Module):
    """Two modules that share one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(10, 10), nn.Linear(10, 10)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.second(self.first(x))
        return found


NESTED = [
    pytest.param(Repeat(nn.Linear(10, 10)), X, 3 * 400, id="called-three-times"),
    pytest.param(Shared(nn.Linear(10, 10)), X, 2 * 400, id="two-places"),
    pytest.param(Twice(), X, 2 * 400, id="shared-weight"),
    pytest.param(Direct(nn.Linear(10, 10)), X, 400, id="forward-called-directly"),
    pytest.param(nn.Sequential(MyConv(3, 4, 1), nn.Sequential(nn.Identity())), (1, 3, 5, 5), 300, id="subclass"),
    pytest.param(nn.Sequential(nn.Linear(10, 8), nn.Sequential(nn.Linear(8, 2))), X, 4 * 96, id="nested"),
]


@pytest.mark.parametrize(("module", "shape", "known"), NESTED)
def test_nested(module: nn.Module, shape: tuple[int, ...], known: int) -> None:
    assert assert_equal(module, shape) == known


PROJECTIONS = 5 * 8 * 24 + 5 * 8 * 8  # of attention over five tokens of eight features: in, out
SCORES = 2 * 5 * 5 * 8  # QKᵀ and AV


@pytest.mark.parametrize(
    ("layer", "options", "known"),
    [
        pytest.param(nn.MultiheadAttention(8, 2), {"need_weights": False}, PROJECTIONS, id="fused"),
        pytest.param(nn.MultiheadAttention(8, 2), {}, PROJECTIONS + SCORES, id="weights-wanted"),
        pytest.param(nn.MultiheadAttention(8, 2, add_bias_kv=True, add_zero_attn=True), {}, None, id="more-keys"),
        pytest.param(nn.MultiheadAttention(8, 2, batch_first=True, bias=False), {}, PROJECTIONS + SCORES, id="no-bias"),
        # a mask is added by baddbmm, which fvcore does not know
        pytest.param(
            nn.MultiheadAttention(8, 2), {"attn_mask": torch.zeros(5, 5)}, PROJECTIONS + SCORES // 2, id="mask"
        ),
        pytest.param(nn.MultiheadAttention(8, 2, kdim=8, vdim=8), {}, PROJECTIONS + SCORES, id="own-widths"),
    ],
)
def test_attention_layer(layer: nn.Module, options: dict[str, Any], known: int | None) -> None:
    given = (1, 5, 8) if layer.batch_first else (5, 1, 8)
    got = assert_equal(First(layer, 3, **options), given)
    assert known in (None, got)


def test_cross_attention_of_other_widths() -> None:
    layer = nn.MultiheadAttention(8, 2, kdim=6, vdim=4)
    by_hand = 5 * 8 * 8 + 7 * 6 * 8 + 7 * 4 * 8 + 2 * 5 * 7 * 8 + 5 * 8 * 8
    assert assert_equal(With(layer, lambda layer, *given: layer(*given)[0]), (5, 1, 8), (7, 1, 6), (7, 1, 4)) == by_hand


@pytest.mark.parametrize("norm_first", [True, False])
def test_transformer_layers(norm_first: bool) -> None:
    options: dict[str, Any] = {"batch_first": True, "norm_first": norm_first}
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, **options), 2, enable_nested_tensor=False)
    assert assert_equal(encoder, (1, 5, 8)) == 2 * (PROJECTIONS + 2 * 5 * 8 * 16 + 2 * 5 * 40)
    decoder = nn.TransformerDecoderLayer(8, 2, 16, **options)
    assert assert_equal(decoder, (1, 5, 8), (1, 5, 8)) == 2 * PROJECTIONS + 2 * 5 * 8 * 16 + 3 * 5 * 40


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_a_packed_sequence_is_one_unknown_op(kind: Callable[..., nn.Module]) -> None:
    def packed(layer: nn.Module, x: Tensor) -> Tensor:
        found: Tensor = layer(nn.utils.rnn.pack_padded_sequence(x, torch.tensor([4, 2])))[0].data
        return found

    assert assert_equal(With(kind(3, 5), packed), (4, 2, 3)) == 0


class Doubled(torch.autograd.Function):
    """An op of the user's own, which uses one that fvcore knows."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x @ x.t()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return grads


def test_what_an_autograd_function_does_is_hidden() -> None:
    before = vars(torch.autograd.Function)["apply"]
    assert assert_equal(lambda x: Doubled.apply(x) @ W[:4], X) == 4 * 4 * 6
    assert vars(torch.autograd.Function)["apply"] is before


def test_checkpointed_parts_are_hidden_where_checkpointing_is_a_function() -> None:
    def run(reentrant: bool) -> nn.Module:
        return With(nn.Linear(10, 10), lambda layer, x: checkpoint(layer, x, use_reentrant=reentrant))

    assert assert_equal(lambda x: checkpoint(lambda y: y @ W, x, use_reentrant=True), X) == 0
    assert assert_equal(run(False), X) == 400
    with pytest.raises(RuntimeError, match="unordered_map"):  # it cannot look up what a hidden module's weights are
        theirs(run(True), X)


@pytest.mark.parametrize("options", [{}, {"groups": 2}, {"padding": "same"}, {"padding": 1, "stride": 2}], ids=repr)
def test_complex_convolutions(options: dict[str, Any]) -> None:
    """PyTorch makes one of three real ones; with padding in words it counts nothing, as others do."""
    layer = nn.Conv2d(4, 6, 3, dtype=torch.complex64, **options)
    for shape in ((2, 4, 5, 5), (4, 5, 5)):
        assert assert_equal(layer, torch.zeros(shape, dtype=torch.complex64)) % 3 == 0


def test_parametrised_weights_cost_what_makes_them() -> None:
    assert assert_equal(parametrizations.weight_norm(nn.Linear(10, 10)), X) == 400
    assert assert_equal(parametrizations.orthogonal(nn.Linear(6, 6), "weight", "cayley"), (4, 6)) >= 4 * 36


@dataclass
class Answer:
    """An output of a user's own class."""

    value: Tensor


def test_containers_of_outputs() -> None:
    assert assert_equal(lambda x: {"out": x @ W, "more": [x @ W]}, X) == 480
    assert assert_equal(lambda x: (x @ W, None), X) == 240


RAISES = [
    pytest.param(lambda x: x @ x[0], X, id="matmul-by-a-vector"),
    pytest.param(lambda x: torch.mm(x, W, out=x.new_empty(4, 6)), X, id="mm-out"),
    pytest.param(lambda x: torch.matmul(x, W, out=x.new_empty(4, 6)), X, id="matmul-out"),
    pytest.param(lambda x: torch.bmm(x[None], W[None], out=x.new_empty(1, 4, 6)), X, id="bmm-out"),
    pytest.param(lambda x: F.layer_norm(x, (10,)), (10,), id="layer-norm-of-a-vector"),
    pytest.param(lambda x: F.layer_norm(x, (2,)), (1, 1, 1, 1, 1, 2), id="layer-norm-of-six-dimensions"),
]


@pytest.mark.parametrize(("function", "shape"), RAISES)
def test_where_fvcore_raises_the_call_is_unknown(function: Callable[..., Any], shape: tuple[int, ...]) -> None:
    found = counts(function, shape)
    assert found.total is None
    assert [cost.why for cost in found.costs if cost.amount is None] == ["fvcore raises at this call"]
    with pytest.raises((AssertionError, IndexError)):
        theirs(function, shape)


def test_it_raises_on_meta_and_on_outputs_that_a_graph_cannot_hold() -> None:
    with pytest.raises(TypeError, match="cond must be a bool"):  # its sizes are tensors, also to meta's own rules
        theirs(*on_meta("alexnet"))
    with pytest.raises(Exception, match="Answer"):
        theirs(lambda x: Answer(x @ W), X)
    assert counts(lambda x: Answer(x @ W), X).total == 240


def test_its_figure_depends_on_the_grad_mode() -> None:
    """Without gradients attention is one op on the CPU, which it does not know."""
    layer = First(nn.MultiheadAttention(8, 2, batch_first=True), 3)
    assert assert_equal(layer, (1, 5, 8)) == PROJECTIONS + SCORES
    with torch.no_grad():
        assert theirs(layer, (1, 5, 8)) == 0
    assert theirs(layer.requires_grad_(False), (1, 5, 8)) == 0


def test_it_needs_calls_before_they_are_opened() -> None:
    with pytest.raises(InputError, match="composites"):
        counted(traced(nn.Linear(3, 4), (2, 3)), "fvcore")


def test_the_ops_of_a_trace_do_not_depend_on_whether_whole_calls_are_recorded() -> None:
    model = nn.Sequential(nn.Conv2d(4, 4, 3, padding="same"), nn.Flatten(2), nn.LSTM(9, 3))
    plain = traced(model, (2, 4, 3, 3))
    asked = trace(load(model, (2, 4, 3, 3)), needs=frozenset({"composites"}))
    assert plain.composites is None
    assert [call.op for call in asked.ops] == [call.op for call in plain.ops]
    assert [call.op for call in asked.composites or ()] == [
        *("aten::_convolution_mode", "aten::flatten", "aten::zeros", "aten::zeros", "aten::lstm")
    ]
