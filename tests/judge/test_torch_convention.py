"""The `torch` convention gives FlopCounterMode's own integer, also where it is wrong: the mode is run beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from generated import Direct, First, Repeat, Shared
from helpers import Call, counted, traced, traced_for_real
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.functional import linear as imported_linear
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode
from twins import QUIET, Twins
from zoo import ZOO, on_cpu, on_meta

import effbench.measure.peers  # noqa: F401  fills the table of peers
from effbench.measure.peer import availability, peers, run_peer
from effbench.measure.source import Loaded, ModelInputs, already_built
from effbench.units import Unit

pytestmark = QUIET


TORCH = Twins("torch")
counts, theirs, assert_equal = TORCH.counts, TORCH.theirs, TORCH.assert_equal


def theirs_on_the_cpu(model: nn.Module, *given: Tensor) -> int:
    with FlopCounterMode(display=False) as counter:
        model(*given)
    return int(counter.get_total_flops())


@pytest.mark.parametrize("name", ZOO)
def test_zoo_model(name: str) -> None:
    model, image = on_meta(name)
    found = counts(model, image)
    assert found.total == theirs(model, image)
    assert found.total == 2 * (counted(traced(model, image)).total or 0)  # nothing in these is outside its table


def test_vit_as_users_quote_it() -> None:
    """17.56 G on meta, which is right, and 11.27 G on the CPU, without attention."""
    found = counts(*on_meta("vit_b_16"))
    assert found.unit is Unit.FLOP
    assert found.total == found.flops == 35_127_656_448
    assert found.macs == 17_563_828_224
    assert sum(layer.amount.value for layer in found.layers if layer.amount) == found.flops
    assert sum(layer.beside.value for layer in found.layers if layer.beside) == found.macs
    with torch.no_grad():
        assert round(theirs_on_the_cpu(*on_cpu("vit_b_16")) / 2e9, 2) == 11.27


X = (4, 10)

MODULES = [
    # (module, input, MACs by hand)
    pytest.param(nn.Linear(10, 6), X, 240, id="linear"),
    pytest.param(nn.Linear(10, 6, bias=False), (10,), 60, id="linear-of-a-vector"),
    pytest.param(nn.Linear(10, 6), (2, 3, 10), 360, id="linear-of-a-sequence"),
    pytest.param(nn.Linear(10, 6, bias=False), (2, 3, 10), 360, id="linear-of-a-sequence-no-bias"),
    pytest.param(nn.LazyLinear(6), X, 240, id="lazy-linear"),
    pytest.param(nn.Linear(10, 6, dtype=torch.complex64), torch.zeros(4, 10, dtype=torch.complex64), 240, id="complex"),
    pytest.param(nn.Conv1d(4, 6, 3, groups=2), (2, 4, 8), 2 * 6 * 2 * 3 * 6, id="conv1d-grouped"),
    pytest.param(nn.Conv2d(3, 8, 3, stride=2), (2, 3, 9, 9), 2 * 8 * 27 * 16, id="conv2d"),
    pytest.param(nn.Conv2d(3, 8, 3, dilation=2), (3, 9, 9), 8 * 27 * 25, id="conv2d-unbatched"),
    pytest.param(nn.Conv2d(3, 8, 3, padding="same"), (1, 3, 4, 4), 8 * 27 * 16, id="conv2d-same"),
    pytest.param(nn.Conv3d(2, 4, 3), (1, 2, 4, 4, 4), 4 * 2 * 27 * 8, id="conv3d"),
    pytest.param(nn.ConvTranspose1d(4, 6, 3), (1, 4, 5), 4 * 6 * 3 * 5, id="transposed-1d"),
    pytest.param(nn.ConvTranspose2d(4, 6, 3, 2), (4, 5, 5), 4 * 6 * 9 * 25, id="transposed-unbatched"),
    pytest.param(nn.ConvTranspose2d(4, 4, 3, 2, 1, 1, groups=4), (2, 4, 8, 8), 4608, id="transposed-grouped"),
    pytest.param(nn.ConvTranspose3d(2, 3, 2), (1, 2, 3, 3, 3), 2 * 3 * 8 * 27, id="transposed-3d"),
    pytest.param(nn.BatchNorm2d(4), (2, 4, 3, 3), 0, id="batch-norm"),
    pytest.param(nn.LayerNorm(10), X, 0, id="layer-norm"),
    pytest.param(nn.AdaptiveAvgPool2d(1), (2, 4, 5, 5), 0, id="pool"),
    pytest.param(nn.Upsample(scale_factor=2), (1, 3, 4, 4), 0, id="nearest"),
    pytest.param(nn.Upsample(scale_factor=2, mode="bicubic"), (1, 3, 4, 4), 0, id="bicubic"),
    pytest.param(nn.Embedding(10, 4), torch.zeros(2, 3, dtype=torch.long), 0, id="embedding"),
    pytest.param(nn.RNN(3, 5), (7, 2, 3), 14 * (15 + 25), id="rnn"),
    pytest.param(nn.GRU(3, 5, 2, bidirectional=True), (7, 2, 3), 14 * 2 * (45 + 75 + 150 + 75), id="gru"),
    pytest.param(nn.LSTM(3, 5, batch_first=True), (2, 7, 3), 14 * 20 * (3 + 5), id="lstm"),
    pytest.param(nn.LSTM(3, 5, proj_size=2, bias=False), (7, 2, 3), 14 * (20 * 5 + 10), id="lstm-projected"),
    pytest.param(nn.RNNCell(3, 5), (4, 3), 4 * 40, id="rnn-cell"),
    pytest.param(nn.GRUCell(3, 5, bias=False), (4, 3), 4 * 120, id="gru-cell"),
    pytest.param(nn.LSTMCell(3, 5), (3,), 160, id="lstm-cell-unbatched"),
]


@pytest.mark.parametrize(("module", "shape", "known"), MODULES)
def test_module(module: nn.Module, shape: Any, known: int) -> None:
    assert assert_equal(module, shape) == 2 * known


W = torch.ones(10, 6)

FUNCTIONS = [
    # (function, input, MACs by hand of what FlopCounterMode knows)
    pytest.param(lambda x: F.linear(x, x), X, 160, id="linear"),
    pytest.param(lambda x: imported_linear(x, x), X, 160, id="imported"),
    pytest.param(lambda x: x @ x.t(), X, 160, id="operator"),
    pytest.param(lambda x: x[0] @ x.t(), X, 40, id="vector-times-matrix"),
    pytest.param(lambda x: x @ x[0], X, 0, id="matrix-times-vector"),
    pytest.param(lambda x: x[0] @ x[0], X, 0, id="dot"),
    pytest.param(lambda x: x.expand(3, 4, 10) @ x[0], X, 120, id="batch-times-vector"),
    pytest.param(lambda x: x @ x.t().expand(3, 10, 4), X, 3 * 160, id="broadcast-left"),
    pytest.param(lambda x: x.expand(3, 4, 10) @ x.t(), X, 3 * 160, id="broadcast-right"),
    pytest.param(lambda x: torch.mm(x, x.t(), out=x.new_empty(4, 4)), X, 160, id="mm-out"),
    pytest.param(lambda x: torch.addmm(x[:, :4], x, x.t(), beta=2), X, 160, id="addmm"),
    pytest.param(lambda x: x[:, :4].clone().addmm_(x, x.t()), X, 0, id="addmm-in-place"),
    pytest.param(lambda x: torch.addmv(x[:, 0], x, x[0]), X, 0, id="addmv"),
    pytest.param(lambda x: torch.addr(x.new_zeros(10, 10), x[0], x[0]), X, 0, id="addr"),
    pytest.param(lambda x: torch.outer(x[0], x[0]), X, 0, id="outer"),
    pytest.param(lambda x: torch.bmm(x[None], x.t()[None]), X, 160, id="bmm"),
    pytest.param(lambda x: torch.baddbmm(x[None, :, :4], x[None], x.t()[None]), X, 160, id="baddbmm"),
    pytest.param(lambda x: x[None, :, :4].clone().baddbmm_(x[None], x.t()[None]), X, 0, id="baddbmm-in-place"),
    pytest.param(lambda x: torch.addbmm(x[:, :4], x[None], x.t()[None]), X, 0, id="addbmm"),
    pytest.param(lambda x: torch.einsum("nd,md->nm", x, x), X, 160, id="einsum"),
    pytest.param(lambda x: torch.einsum("nd,nd->n", x, x), X, 40, id="einsum-of-rows"),
    pytest.param(lambda x: torch.einsum("nd,md,me->ne", x, x, x), X, 320, id="einsum-of-three"),
    pytest.param(lambda x: torch.einsum("nd->dn", x), X, 0, id="einsum-without-a-product"),
    pytest.param(lambda x: torch.tensordot(x, x, ([1], [1])), X, 160, id="tensordot"),
    pytest.param(lambda x: torch.inner(x, x), X, 160, id="inner"),
    pytest.param(lambda x: torch.linalg.multi_dot([x, x.t(), x]), X, 320, id="multi-dot"),
    pytest.param(lambda x: torch.kron(x, x), X, 0, id="kron"),
    pytest.param(lambda x: torch.cdist(x, x), X, 0, id="cdist"),
    pytest.param(lambda x: F.bilinear(x, x, x.new_zeros(5, 10, 10)), X, 0, id="bilinear"),
    pytest.param(lambda x: F.conv2d(x, x, padding="same"), (2, 2, 5, 5), 2 * 2 * 2 * 625, id="conv2d"),
    pytest.param(lambda x: F.conv_transpose2d(x, x), (2, 2, 3, 3), 2 * 2 * 2 * 81, id="conv-transpose2d"),
    pytest.param(lambda x: F.unfold(x, 2), (1, 3, 4, 4), 0, id="unfold"),
    pytest.param(lambda x: torch.vmap(torch.mv)(x, x[:, :, 0]), (3, 4, 4), None, id="vmap"),
]


@pytest.mark.parametrize(("function", "shape", "known"), FUNCTIONS)
def test_function(function: Callable[..., Any], shape: tuple[int, ...], known: int | None) -> None:
    got = assert_equal(function, shape)
    assert known is None or got == 2 * known


ATTENTIONS = [
    # (query, keys, values, options, MACs by hand)
    pytest.param((2, 4, 5, 8), (2, 4, 7, 8), (2, 4, 7, 6), {}, 8 * 35 * 14, id="cross"),
    pytest.param((1, 12, 64, 64), (1, 12, 64, 64), (1, 12, 64, 64), {}, 6_291_456, id="users-md"),
    pytest.param((2, 4, 5, 8), (2, 4, 5, 8), (2, 4, 5, 8), {"is_causal": True}, 8 * 25 * 16, id="causal-is-dense"),
    pytest.param((2, 4, 5, 8), (2, 2, 5, 8), (2, 2, 5, 8), {"enable_gqa": True}, 8 * 25 * 16, id="grouped-query"),
    pytest.param((4, 5, 8), (4, 5, 8), (4, 5, 8), {"scale": 2.0}, 4 * 25 * 16, id="three-dimensions"),
    pytest.param((5, 8), (7, 8), (7, 6), {}, 35 * 14, id="two-dimensions"),
    # scores are of one batch, and their product with the values of three
    pytest.param((1, 5, 8), (1, 7, 8), (3, 7, 6), {}, 35 * 8 + 3 * 35 * 6, id="broadcast-values"),
    pytest.param((3, 5, 8), (1, 7, 8), (1, 7, 6), {}, 3 * 35 * 14, id="broadcast-keys"),
]


@pytest.mark.parametrize(("query", "key", "value", "options", "known"), ATTENTIONS)
def test_attention(query: Any, key: Any, value: Any, options: dict[str, Any], known: int) -> None:
    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, **options)

    assert assert_equal(attend, query, key, value) == 2 * known


PROJECTIONS, SCORES = 5 * 8 * 24 + 5 * 8 * 8, 2 * 5 * 5 * 8


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("mask", [None, torch.zeros(5, 5)], ids=["plain", "mask"])
def test_attention_layer(need_weights: bool, mask: Tensor | None) -> None:
    def attend(x: Tensor) -> Tensor:
        given = None if mask is None else mask.to(x.device)
        found: Tensor = layer(x, x, x, need_weights=need_weights, attn_mask=given)[0]
        return found

    layer = nn.MultiheadAttention(8, 2).to("meta")
    assert assert_equal(attend, (5, 1, 8)) == 2 * (PROJECTIONS + SCORES)


def test_transformer_layers() -> None:
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
    assert assert_equal(encoder, (1, 5, 8)) == 2 * 2 * (PROJECTIONS + SCORES + 2 * 5 * 8 * 16)
    decoder = nn.TransformerDecoderLayer(8, 2, 16, batch_first=True)
    assert assert_equal(decoder, (1, 5, 8), (1, 5, 8)) == 2 * (2 * PROJECTIONS + 2 * SCORES + 2 * 5 * 8 * 16)


NESTED = [
    pytest.param(Repeat(nn.Linear(10, 10)), 3 * 400, id="called-three-times"),
    pytest.param(Shared(nn.Linear(10, 10)), 2 * 400, id="two-places"),
    pytest.param(Direct(nn.Linear(10, 10)), 400, id="forward-called-directly"),
    pytest.param(nn.Sequential(nn.Linear(10, 8), nn.Sequential(nn.Linear(8, 2))), 4 * 96, id="nested"),
    pytest.param(First(nn.Bilinear(10, 10, 4), 2), 0, id="bilinear-layer"),
    pytest.param(parametrizations.weight_norm(nn.Linear(10, 10)), 400, id="weight-norm"),
    pytest.param(parametrizations.spectral_norm(nn.Linear(10, 10)), 400, id="spectral-norm-by-mv-and-dot"),
]


@pytest.mark.parametrize(("module", "known"), NESTED)
def test_nested(module: nn.Module, known: int) -> None:
    assert assert_equal(module, X) == 2 * known


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointed_parts(reentrant: bool) -> None:
    assert assert_equal(lambda x: checkpoint(lambda y: y @ y.t(), x, use_reentrant=reentrant), X) == 2 * 160


@pytest.mark.parametrize("options", [{}, {"groups": 2}, {"padding": "same"}, {"bias": False}], ids=repr)
def test_complex_convolutions(options: dict[str, Any]) -> None:
    """PyTorch makes one of three real ones."""
    layer = nn.Conv2d(4, 6, 3, dtype=torch.complex64, **options)
    for shape in ((2, 4, 5, 5), (4, 5, 5)):
        assert assert_equal(layer, torch.zeros(shape, dtype=torch.complex64)) % 6 == 0


def test_its_figure_depends_on_the_device() -> None:
    """On the CPU attention is one kernel and an LSTM one a layer, which its table lacks."""
    qkv = torch.zeros(1, 12, 64, 64)
    lstm, rows = nn.LSTM(3, 5), torch.zeros(7, 2, 3)
    attention = Call(lambda x: F.scaled_dot_product_attention(x, x, x))
    assert theirs(attention, qkv) == 2 * 6_291_456
    assert theirs(lstm, rows) == 2 * 14 * 160
    assert theirs(nn.GRU(3, 5), rows) == 2 * 14 * 120
    with torch.no_grad():
        assert theirs_on_the_cpu(attention, qkv) == 0
        assert theirs_on_the_cpu(lstm, rows) == 0
        assert theirs_on_the_cpu(nn.GRU(3, 5), rows) == 2 * 14 * 120


def test_its_figure_depends_on_the_grad_mode_on_the_cpu_only() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    tokens = torch.zeros(1, 5, 8)
    with_gradients = theirs_on_the_cpu(layer, tokens)
    with torch.no_grad():
        assert theirs_on_the_cpu(layer, tokens) < with_gradients
    assert with_gradients == 2 * (PROJECTIONS + 2 * 5 * 8 * 16)  # the attention itself is one kernel
    with_gradients_on_meta = theirs_on_the_cpu(layer.to("meta"), tokens.to("meta"))
    assert with_gradients_on_meta == theirs(layer, tokens) == 2 * (PROJECTIONS + SCORES + 2 * 5 * 8 * 16)


def test_a_padding_mask_makes_the_encoder_raise_there() -> None:
    """It makes nested tensors of the sequences, by an op that meta lacks; effbench counts it without its fast path."""
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 1)
    given = (torch.zeros(1, 5, 8), None, torch.zeros(1, 5, dtype=torch.bool))
    assert counts(encoder, *given).total == 2 * (PROJECTIONS + SCORES + 2 * 5 * 8 * 16)
    with pytest.raises(NotImplementedError, match="nested"):
        theirs(encoder, *given)


class ReadsAValue(nn.Module):
    """A model whose path depends on a number."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(10, 10)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.layer(x)
        return self.layer(found) if found.sum().item() > 1e9 else found


def test_a_model_that_reads_a_value_raises_there_and_is_counted_here() -> None:
    assert counts(ReadsAValue(), X).total == 2 * 400
    with pytest.raises(RuntimeError, match="meta"):
        theirs(ReadsAValue(), X)


def test_a_run_with_data_counts_what_meta_would() -> None:
    for model, shape in (
        (nn.LSTM(3, 5, 2, bidirectional=True), (7, 2, 3)),
        (nn.TransformerEncoderLayer(8, 2), (5, 1, 8)),
    ):
        assert counted(traced_for_real(model, shape), "torch").total == theirs(model, shape)


class HandsOnItsWeight(nn.Module):
    """A model that gives a view of a weight to a module, as class tokens are given to blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.rand(1, 10))
        self.layer = nn.Linear(10, 10)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.layer(self.token.expand(4, 10)) + x
        return found


def test_a_view_of_a_weight_makes_it_raise_unless_weights_are_frozen() -> None:
    model = HandsOnItsWeight()
    assert assert_equal(model, X) == 2 * 400
    assert all(param.requires_grad and param.device.type == "cpu" for param in model.parameters())
    with torch.no_grad(), pytest.raises(AssertionError, match="gradient function"):
        theirs_on_the_cpu(model.to("meta"), torch.zeros(X, device="meta"))
    assert theirs_on_the_cpu(model, torch.zeros(X, device="meta")) == 2 * 400
    assert theirs(model, torch.zeros(X, device="meta")) == 2 * 400
    assert all(param.requires_grad for param in model.parameters())


def test_the_peer_leaves_the_model_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(10, 6), nn.BatchNorm1d(6)).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    given = torch.rand(4, 10)
    loaded = Loaded("net", None, already_built(model), ModelInputs((given,)))
    assert run_peer(peers.get("torch"), loaded) == 2 * 240
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert given.device.type == "cpu"


def test_it_is_listed_with_its_condition() -> None:
    assert "meta" in availability()["torch"]
    assert availability()["torch"].startswith(torch.__version__.partition("+")[0])
