"""Attention: N·H·Lq·Lk·(Dqk + Dv) MACs, dense under every mask; projections are linear layers."""

from typing import Any

import pytest
import torch
from helpers import Call, counted, expect, macs, traced, traced_for_real
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.functional import scaled_dot_product_attention as imported_by_name


def softmax(n: int) -> int:
    """n−1 comparisons, n differences, n exponentials, n−1 additions, n divisions."""
    return (n - 1) + n + n + (n - 1) + n


@pytest.mark.parametrize(
    ("query", "key", "value", "options", "mac", "rows"),
    [
        pytest.param((1, 12, 64, 64), (1, 12, 64, 64), (1, 12, 64, 64), {}, 6_291_456, 12 * 64, id="golden"),
        pytest.param((2, 3, 5, 4), (2, 3, 5, 4), (2, 3, 5, 4), {}, 2 * 3 * 5 * 5 * (4 + 4), 30, id="plain"),
        pytest.param((2, 3, 5, 4), (2, 3, 5, 4), (2, 3, 5, 4), {"is_causal": True}, 2 * 3 * 25 * 8, 30, id="causal"),
        pytest.param((2, 3, 5, 4), (2, 3, 9, 4), (2, 3, 9, 4), {}, 2 * 3 * 5 * 9 * 8, 30, id="other-length"),
        pytest.param((2, 3, 5, 4), (2, 3, 9, 4), (2, 3, 9, 6), {}, 2 * 3 * 45 * (4 + 6), 30, id="other-width"),
        pytest.param((3, 5, 4), (3, 9, 4), (3, 9, 4), {}, 3 * 45 * 8, 15, id="three-dimensions"),
        pytest.param((5, 4), (9, 4), (9, 6), {}, 45 * (4 + 6), 5, id="two-dimensions"),
        pytest.param((2, 8, 5, 4), (2, 2, 9, 4), (2, 2, 9, 4), {"enable_gqa": True}, 2 * 8 * 45 * 8, 80, id="grouped"),
        pytest.param(
            (2, 8, 5, 4), (2, 1, 9, 4), (2, 1, 9, 4), {"enable_gqa": True}, 2 * 8 * 45 * 8, 80, id="multi-query"
        ),
        pytest.param((2, 3, 5, 4), (2, 3, 5, 4), (2, 3, 5, 4), {"scale": 1.0}, 2 * 3 * 200, 30, id="scale"),
        pytest.param((1, 3, 5, 4), (6, 3, 9, 4), (6, 3, 9, 4), {}, 6 * 3 * 45 * 8, 90, id="one-query-set"),
        pytest.param((6, 3, 5, 4), (1, 3, 9, 4), (1, 3, 9, 4), {}, 6 * 3 * 45 * 8, 90, id="one-key-set"),
    ],
)
def test_scaled_dot_product_attention(
    query: tuple[int, ...],
    key: tuple[int, ...],
    value: tuple[int, ...],
    options: dict[str, Any],
    mac: int,
    rows: int,
) -> None:
    keys = key[-2]
    scale = rows * keys
    for function in (F.scaled_dot_product_attention, imported_by_name, by_hand_name):
        expect(function, query, key, value, mac=mac, other=scale + rows * softmax(keys), **options)


def by_hand_name(*tensors: Any, **options: Any) -> Tensor:
    """Looks the function up when it is called, as most models do."""
    return torch.nn.functional.scaled_dot_product_attention(*tensors, **options)


@pytest.mark.parametrize("mask", [(5, 9), (2, 1, 5, 9), (2, 3, 5, 9)])
def test_a_mask_adds_one_addition_per_score(mask: tuple[int, ...]) -> None:
    expect(
        F.scaled_dot_product_attention,
        (2, 3, 5, 4),
        (2, 3, 9, 4),
        (2, 3, 9, 4),
        mac=2 * 3 * 45 * 8,
        other=2 * (2 * 3 * 45) + 30 * softmax(9),
        attn_mask=torch.zeros(mask),
    )


def test_attention_written_out_has_the_same_macs() -> None:
    def written_out(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return (q @ k.transpose(-2, -1) / 2).softmax(-1) @ v

    def einsum(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        weights = torch.einsum("bhqd,bhkd->bhqk", q, k).softmax(-1)
        return torch.einsum("bhqk,bhkd->bhqd", weights, v)

    shapes = ((2, 3, 5, 4), (2, 3, 9, 4), (2, 3, 9, 6))
    totals = {macs(function, *shapes) for function in (written_out, einsum, F.scaled_dot_product_attention)}
    assert totals == {2 * 3 * 5 * 9 * (4 + 6)}


def test_attention_is_one_op_whatever_kernel_serves_it() -> None:
    found = traced_for_real(Call(F.scaled_dot_product_attention), (1, 2, 8, 16), (1, 2, 8, 16), (1, 2, 8, 16))
    ops = [call.op for call in found.ops if "attention" in call.op or "mm" in call.op]
    assert ops == ["aten::scaled_dot_product_attention"]


SELF = {"embed_dim": 8, "num_heads": 2, "batch_first": True}


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_multihead_self_attention(need_weights: bool, batch_first: bool, mode: str) -> None:
    """L = 5, N = 3, E = 8: three projections in, L² · 2E in the heads, one projection out."""
    module = nn.MultiheadAttention(8, 2, batch_first=batch_first)
    x = torch.rand((3, 5, 8) if batch_first else (5, 3, 8))
    mac = 15 * 8 * 24 + 3 * 25 * (8 + 8) + 15 * 8 * 8
    assert macs(module, x, x, x, need_weights=need_weights, mode=mode) == mac


def test_multihead_attention_golden() -> None:
    module = nn.MultiheadAttention(100, 1, bias=False, batch_first=True)
    x = torch.rand(1, 1000, 100)
    assert macs(module, x, x, x, need_weights=False) == 240_000_000
    assert macs(module, x, x, x) == 4 * 1000 * 100 * 100 + 1000 * 1000 * (100 + 100)


def test_multihead_attention_full() -> None:
    """Biases of 4 projections, the scale and the softmax of 3 · 2 · 5 rows of 5."""
    x = torch.rand(3, 5, 8)
    mac = 15 * 8 * 24 + 3 * 25 * 16 + 15 * 64
    other = 15 * 24 + 15 * 8 + 3 * 2 * 25 + 30 * softmax(5)
    expect(nn.MultiheadAttention(**SELF), x, x, x, need_weights=False, mac=mac, other=other)


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize(
    ("options", "key_width", "value_width"),
    [
        pytest.param({}, 8, 8, id="cross"),
        pytest.param({"kdim": 6, "vdim": 10}, 6, 10, id="kdim-vdim"),
        pytest.param({"kdim": 6, "vdim": 10, "bias": False}, 6, 10, id="no-bias"),
    ],
)
def test_multihead_cross_attention(
    options: dict[str, Any], key_width: int, value_width: int, need_weights: bool
) -> None:
    """Lq = 5, Lk = 9, N = 3, E = 8; keys and values may come in another width and leave it as E."""
    module = nn.MultiheadAttention(**SELF, **options)
    tensors = torch.rand(3, 5, 8), torch.rand(3, 9, key_width), torch.rand(3, 9, value_width)
    projections = 3 * 5 * 8 * 8 + 3 * 9 * key_width * 8 + 3 * 9 * value_width * 8 + 3 * 5 * 8 * 8
    assert macs(module, *tensors, need_weights=need_weights) == projections + 3 * 5 * 9 * (8 + 8)


@pytest.mark.parametrize(
    ("options", "keys"),
    [
        pytest.param({"add_bias_kv": True}, 6, id="bias-kv"),
        pytest.param({"add_zero_attn": True}, 6, id="zero-attention"),
        pytest.param({"add_bias_kv": True, "add_zero_attn": True}, 7, id="both"),
    ],
)
def test_keys_that_the_module_adds_are_attended_to(options: dict[str, Any], keys: int) -> None:
    x = torch.rand(3, 5, 8)
    assert macs(nn.MultiheadAttention(**SELF, **options), x, x, x) == 15 * 8 * 32 + 3 * 5 * keys * 16


def test_multihead_attention_masks_leave_the_macs_alone() -> None:
    module, x = nn.MultiheadAttention(**SELF), torch.rand(3, 5, 8)
    plain = macs(module, x, x, x)
    causal = nn.Transformer.generate_square_subsequent_mask(5)
    padding = torch.tensor([[False, False, False, True, True]] * 3)
    for masks in ({"attn_mask": causal}, {"key_padding_mask": padding}, {"attn_mask": causal, "is_causal": True}):
        for need_weights in (False, True):
            assert macs(module, x, x, x, need_weights=need_weights, **masks) == plain


def test_unbatched_multihead_attention() -> None:
    x = torch.rand(5, 8)
    assert macs(nn.MultiheadAttention(8, 2), x, x, x) == 5 * 8 * 32 + 25 * 16


LAYER = 15 * 8 * 32 + 3 * 25 * 16 + 15 * (8 * 16 + 16 * 8)


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_encoder_counts_the_same_where_eval_would_take_the_fast_path(norm_first: bool, mode: str) -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=norm_first)
    model = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
    found = traced(model, (3, 5, 8), mode=mode)  # type: ignore[arg-type]
    assert counted(found).total == 3 * LAYER
    assert {call.path for call in found.modules} >= {f"layers.{index}.linear1" for index in range(3)}


def test_encoder_with_a_padding_mask_is_counted_dense() -> None:
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
    padding = torch.tensor([[False, False, False, True, True]] * 3)
    assert macs(model, (3, 5, 8), src_key_padding_mask=padding) == 2 * LAYER
    assert counted(traced_for_real(model, (3, 5, 8), src_key_padding_mask=padding)).total == 2 * LAYER


def test_transformer_with_cross_attention() -> None:
    """Source of 7 tokens, target of 5, one layer each: the decoder attends to itself and to the source."""
    model = nn.Transformer(8, 2, 1, 1, 16, batch_first=True)
    encoder = 7 * 8 * 32 + 49 * 16 + 7 * 2 * 8 * 16
    own = 5 * 8 * 32 + 25 * 16
    cross = 5 * 64 + 7 * 2 * 64 + 5 * 64 + 5 * 7 * 16
    assert macs(model, (1, 7, 8), (1, 5, 8)) == encoder + own + cross + 5 * 2 * 8 * 16
