"""Layers built on attention, and attention in the forms that are more than one call of it."""

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from helpers import Call, counted, expect, full, macs, traced, traced_for_real
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

E, HEADS, WIDE = 8, 2, 16


def softmax(n: int) -> int:
    """n−1 comparisons, n differences, n exponentials, n−1 additions, n divisions."""
    return (n - 1) + n + n + (n - 1) + n


def layer_norm(rows: int, d: int) -> int:
    """Mean (d−1 add, 1 div), d differences, variance (d mul, d−1 add, 1 div), ε, rsqrt, d mul, γ and β."""
    return rows * ((d - 1) + 1 + d + d + (d - 1) + 1 + 1 + 1 + d + d + d)


def attention(batch: int, queries: int, keys: int) -> tuple[int, int]:
    """(MACs, other) of projections in and out with biases, and of attention between them."""
    projections = 2 * queries * E * E + 2 * keys * E * E
    mac = batch * (projections + queries * keys * (E + E))
    biases = 2 * queries * E + 2 * keys * E
    scores = HEADS * queries * keys
    return mac, batch * (biases + scores + HEADS * queries * softmax(keys))


def feed_forward(rows: int) -> tuple[int, int]:
    """(MACs, other) of two linear layers with biases and a ReLU between them."""
    return rows * 2 * E * WIDE, rows * (WIDE + WIDE + E)


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_encoder_layer(norm_first: bool, mode: Any) -> None:
    """Attention and a feed-forward, each with a residual sum and a norm."""
    layer = nn.TransformerEncoderLayer(E, HEADS, WIDE, dropout=0.0, batch_first=True, norm_first=norm_first)
    parts = [attention(3, 5, 5), feed_forward(15)]
    mac = sum(part[0] for part in parts)
    assert macs(layer, (3, 5, E), mode=mode) == mac
    other = sum(part[1] for part in parts) + 2 * 15 * E + 2 * layer_norm(15, E)
    assert full(layer, (3, 5, E)) == 2 * mac + other


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_decoder_layer(norm_first: bool, mode: Any) -> None:
    """Attention to itself, to a memory of 7, and a feed-forward."""
    layer = nn.TransformerDecoderLayer(E, HEADS, WIDE, dropout=0.0, batch_first=True, norm_first=norm_first)
    parts = [attention(3, 5, 5), attention(3, 5, 7), feed_forward(15)]
    mac = sum(part[0] for part in parts)
    assert macs(layer, (3, 5, E), (3, 7, E), mode=mode) == mac
    other = sum(part[1] for part in parts) + 3 * 15 * E + 3 * layer_norm(15, E)
    assert full(layer, (3, 5, E), (3, 7, E)) == 2 * mac + other


def test_masks_leave_a_decoder_s_macs_alone() -> None:
    model = nn.TransformerDecoder(nn.TransformerDecoderLayer(E, HEADS, WIDE, batch_first=True), 2)
    mac = 2 * (attention(3, 5, 5)[0] + attention(3, 5, 7)[0] + feed_forward(15)[0])
    causal = nn.Transformer.generate_square_subsequent_mask(5)
    padding = torch.tensor([[False] * 4 + [True] * 3] * 3)
    shapes = (3, 5, E), (3, 7, E)
    assert macs(model, *shapes) == mac
    assert macs(model, *shapes, tgt_mask=causal, tgt_is_causal=True) == mac
    assert macs(model, *shapes, tgt_mask=causal, memory_key_padding_mask=padding) == mac


def test_real_and_hollow_layers_count_the_same() -> None:
    for layer in (
        nn.TransformerEncoderLayer(E, HEADS, WIDE, batch_first=True),
        nn.MultiheadAttention(E, HEADS, kdim=6, vdim=10, batch_first=True),
    ):
        inputs = [(3, 5, E)] if isinstance(layer, nn.TransformerEncoderLayer) else [(3, 5, E), (3, 7, 6), (3, 7, 10)]
        for convention in ("macs", "full"):
            hollow, real = traced(layer, *inputs), traced_for_real(layer, *inputs)
            assert counted(hollow, convention).total == counted(real, convention).total is not None


@pytest.mark.parametrize(("average", "rows"), [(True, 1), (False, HEADS)])
def test_weights_asked_for_are_averaged_over_the_heads(average: bool, rows: int) -> None:
    """The module scales the queries, and not the scores, where it has to show the weights."""
    module = nn.MultiheadAttention(E, HEADS, batch_first=True)
    x = torch.rand(3, 5, E)
    mac, other = attention(3, 5, 5)
    scores = 3 * HEADS * 25
    averaged = 3 * 25 * (HEADS - 1) + 3 * 25 if average else 0
    assert traced(module, x, x, x, average_attn_weights=average).modules[-1].outputs
    expect(module, x, x, x, average_attn_weights=average, mac=mac, other=other - scores + 15 * E + averaged)


# Kernels that run a whole layer


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning", "ignore:.*jit:FutureWarning")
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("norm_first", [False, True])
def test_torchscript_runs_an_encoder_layer_in_one_call(norm_first: bool, activation: str) -> None:
    script: Any = torch.jit.script
    layer = nn.TransformerEncoderLayer(
        E, HEADS, WIDE, activation=activation, norm_first=norm_first, batch_first=True
    ).eval()
    found = traced(script(layer), (3, 5, E))
    assert [call.op for call in found.ops] == ["aten::_transformer_encoder_layer_fwd"]
    for convention in ("macs", "full"):
        assert counted(found, convention).total == counted(traced(layer, (3, 5, E)), convention).total
    assert counted(found).activations == counted(traced(layer, (3, 5, E))).activations


def test_a_whole_attention_layer_in_one_call() -> None:
    def native(q: Tensor, k: Tensor, v: Tensor, qkv: Tensor, bias: Tensor, out: Tensor, shift: Tensor) -> Any:
        return torch._native_multi_head_attention(q, k, v, E, HEADS, qkv, bias, out, shift, need_weights=False)

    weights = (3 * E, E), (3 * E,), (E, E), (E,)
    mac, other = attention(3, 5, 5)
    expect(native, *[(3, 5, E)] * 3, *weights, mac=mac, other=other)


# Attention under a function


def index_bias(score: Tensor, batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
    """A subtraction of indices and an addition for each score."""
    return score + (query - key)


def causal(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
    return query >= key


SQUARE = [(1, HEADS, 16, 4)] * 3
SCORES = HEADS * 16 * 16
FLEX = 2 * SCORES * (4 + 4) + SCORES + HEADS * 16 * softmax(16)


def test_flex_attention_is_dense_whatever_its_mask() -> None:
    """Given a mask, it runs nothing but the attention; the mask it makes itself is one comparison."""
    mask = create_block_mask(causal, None, None, 16, 16, device="cpu")
    assert macs(flex_attention, *SQUARE) == macs(flex_attention, *SQUARE, block_mask=mask) == SCORES * 8
    assert full(flex_attention, *SQUARE, block_mask=mask) == FLEX == full(flex_attention, *SQUARE) - 1  # type: ignore[operator]
    plain = F.scaled_dot_product_attention
    assert full(plain, *SQUARE) == FLEX


def test_flex_attention_pays_for_what_is_done_to_the_scores() -> None:
    mask = create_block_mask(causal, None, None, 16, 16, device="cpu")
    found = traced(flex_attention, *SQUARE, score_mod=index_bias, block_mask=mask)
    # the indices' differences are made once and spread: 16 × 16
    assert counted(found, "full").total == FLEX + 16 * 16 + SCORES
    assert counted(found).coverage.counted == 1


def test_flex_attention_of_other_lengths_and_grouped_queries() -> None:
    shapes = (2, 8, 16, 4), (2, 2, 32, 4), (2, 2, 32, 6)
    assert macs(flex_attention, *shapes, enable_gqa=True) == 2 * 8 * 16 * 32 * (4 + 6)


def test_flex_attention_inside_a_model_that_was_compiled() -> None:
    compiled = torch.compile(flex_attention)
    assert macs(lambda *tensors: compiled(*tensors), *SQUARE) == SCORES * 8


# Sequences of different lengths in one tensor


def jagged(*lengths: int, width: int = E) -> Tensor:
    return torch.nested.nested_tensor([torch.rand(length, width) for length in lengths], layout=torch.jagged)


class SelfAttention(nn.Module):
    """Projections and attention, written so that a jagged tensor may come in."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(E, 3 * E), nn.Linear(E, E)

    def forward(self, x: Tensor) -> Tensor:
        heads = [part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, -1)]
        mixed = F.scaled_dot_product_attention(*heads)
        return self.out(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


@pytest.mark.parametrize("lengths", [(2, 5), (1, 1, 7), (4, 4)])
def test_jagged_sequences_cost_what_each_costs_alone(lengths: tuple[int, ...]) -> None:
    model = SelfAttention()
    mac = sum(length * 4 * E * E + length**2 * (E + E) for length in lengths)
    assert mac == sum(macs(model, (1, length, E)) or 0 for length in lengths)
    found = traced(model, jagged(*lengths))
    assert counted(found).total == mac
    assert found.inputs[0].shape == (sum(lengths), E)
    assert counted(found).layers[-1].outputs == ((sum(lengths), E),)


def test_jagged_layers_without_attention_need_no_data() -> None:
    model = nn.Sequential(nn.Linear(E, 4), nn.ReLU(), nn.LayerNorm(4), nn.Linear(4, 3))
    found = traced(model, jagged(2, 5))
    assert counted(found).total == 7 * (E * 4 + 4 * 3)
    assert counted(found, "full").total == 2 * 7 * (E * 4 + 12) + 7 * (4 + 4 + 3) + layer_norm(7, 4)
    assert [note.code for note in found.notes] == []


# A cache of keys and values


@dataclass
class Cache:
    """Keys and values of the tokens so far, as a decoder is handed them."""

    keys: Tensor
    values: Tensor
    seen: list[int] = field(default_factory=list)


class Step(nn.Module):
    """One token against all that came before it."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(E, 3 * E, bias=False)

    def forward(self, x: Tensor, cache: Cache) -> Tensor:
        query, key, value = self.qkv(x).chunk(3, -1)
        cache.keys = torch.cat([cache.keys, key], 1)
        cache.values = torch.cat([cache.values, value], 1)
        cache.seen.append(x.shape[1])
        return F.scaled_dot_product_attention(query, cache.keys, cache.values)


def test_a_cache_given_counts_what_is_in_it_and_stays_as_it_was() -> None:
    cache = Cache(torch.rand(1, 9, E), torch.rand(1, 9, E))
    keys, model = cache.keys, Step()
    for _ in range(2):
        found = traced(model, (1, 1, E), cache)
        assert counted(found).total == 3 * E * E + 1 * 10 * (E + E)
        assert [item.name for item in found.inputs] == [None, "1.keys", "1.values"]
        assert cache.keys is keys
        assert cache.keys.shape == (1, 9, E)
    assert counted(traced_for_real(model, (1, 1, E), cache)).total == 3 * E * E + 10 * (E + E)
    assert cache.keys is keys


# Gradients that are part of the forward pass


def force(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """A force is the gradient of an energy: the forward pass contains a backward pass."""
    with torch.enable_grad():
        q = q.detach().requires_grad_()
        energy = F.scaled_dot_product_attention(q, k.requires_grad_(), v.requires_grad_()).sum()
        return torch.autograd.grad(energy, (q, k, v))[0]


def test_a_gradient_of_attention_is_twice_its_macs_again() -> None:
    shapes = [(2, HEADS, 32, 4)] * 3
    forward = 2 * HEADS * 32 * 32 * 8
    assert macs(Call(force), *shapes) == 3 * forward
    assert counted(traced_for_real(Call(force), *shapes)).total == 3 * forward
