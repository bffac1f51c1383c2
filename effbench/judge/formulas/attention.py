"""Scaled dot-product attention in every variant that PyTorch's dispatcher has.

Source: Vaswani et al., Attention Is All You Need (2017), equation 1: softmax(Q Kᵀ / √d + mask) V.
"""

from __future__ import annotations

from dataclasses import replace

from effbench.judge.algebra import ZERO, Expr, elements, product, total
from effbench.judge.formulas.elementwise import gelu
from effbench.judge.formulas.normalization import layer_norm
from effbench.judge.formulas.softmax import softmax_work
from effbench.judge.work import Work, formula
from effbench.records import Shape

_FUSED = (
    "aten::scaled_dot_product_attention",
    "aten::_scaled_dot_product_flash_attention",
    "aten::_scaled_dot_product_flash_attention_for_cpu",
    "aten::_scaled_dot_product_efficient_attention",
    "aten::_scaled_dot_product_cudnn_attention",
    "aten::_scaled_dot_product_fused_attention_overrideable",
    "aten::_scaled_dot_product_attention_math",
    "aten::_scaled_dot_product_attention_math_for_mps",
)


@formula(*_FUSED)
def attention(
    query: Shape, key: Shape, value: Shape, attn_mask: Shape | None, attn_bias: Shape | None, out: Shape
) -> Work:
    """Returns N·H·Lq·Lk·(Dqk + Dv) MACs: QKᵀ and AV, dense also under a causal or other mask.

    Shapes are (…, H, L, D); keys and values may have fewer heads than queries (grouped-query attention) and the
    batches are broadcast, so N·H is read off the result. Beside the MACs: one multiplication per score (the
    scale), one addition where a mask is given, a softmax per row.
    """
    rows = elements(out[:-2], "N·H") * product(Lq=query[-2])
    scores = rows * product(Lk=key[-2])
    masked = attn_mask is not None or attn_bias is not None
    return _attention(scores, rows, key[-2], query[-1], value[-1], masked)


@formula("aten::_flash_attention_forward", "aten::_efficient_attention_forward")
def attention_rows(query: Shape, key: Shape, value: Shape, bias: Shape | None) -> Work:
    """Returns the same work for shapes (N, L, H, D), as the memory-efficient kernels take them."""
    batch, length, heads, width = query
    scores = product(N=batch, H=heads, Lq=length, Lk=key[1])
    rows = product(N=batch, H=heads, Lq=length)
    return _attention(scores, rows, key[1], width, value[-1], bias is not None)


@formula(
    "aten::_scaled_dot_product_flash_attention_backward",
    "aten::_scaled_dot_product_flash_attention_for_cpu_backward",
    "aten::_scaled_dot_product_efficient_attention_backward",
    "aten::_scaled_dot_product_cudnn_attention_backward",
    "aten::_scaled_dot_product_fused_attention_overrideable_backward",
)
def attention_backward(query: Shape, key: Shape, value: Shape) -> Work:
    """Returns twice the forward pass's MACs: AᵀG, GVᵀ, SK and SᵀQ. Scores computed again save memory, not work."""
    rows = elements(query[:-2], "N·H") * product(Lq=query[-2], Lk=key[-2])
    mac = rows * product(**{"2·Dqk": 2 * query[-1]}) + rows * product(**{"2·Dv": 2 * value[-1]})
    return Work(mac=mac, unknown=frozenset({"add", "mul"}))


@formula("aten::_native_multi_head_attention")
def packed_attention(
    query: Shape, key: Shape, value: Shape, num_head: int, qkv_bias: Shape | None, mask: Shape | None
) -> Work:
    """Returns the work of a whole attention layer: its four projections with biases and attention between them."""
    width, batch = query[-1], product(N=query[0])
    tokens = (query[1], key[1], value[1], query[1])
    mac = total(batch * product(L=length, **{"in": width, "out": width}) for length in tokens)
    made = total(batch * product(L=length, out=width) for length in tokens)
    rows = batch * product(H=num_head, Lq=query[1])
    inside = _attention(rows * product(Lk=key[1]), rows, key[1], width // num_head, width // num_head, mask is not None)
    biases = made if qkv_bias is not None else ZERO
    return Work(mac=mac, add=biases) + replace(inside, activations=made + (inside.activations or ZERO))


@formula("aten::_transformer_encoder_layer_fwd")
def encoder_layer(
    src: Shape, num_heads: int, use_gelu: bool, ffn_weight_1: Shape, qkv_bias: Shape | None, mask: Shape | None
) -> Work:
    """Returns the work of an encoder layer: attention, two linear layers, two residual sums, two layer norms."""
    attended = packed_attention(src, src, src, num_heads, qkv_bias, mask)
    wide, rows = (*src[:-1], ffn_weight_1[0]), elements(src[:-1], "rows")
    forth = Work(mac=rows * product(**{"in": src[-1], "out": wide[-1]}), add=elements(wide))
    back = Work(mac=rows * product(**{"in": wide[-1], "out": src[-1]}), add=elements(src))
    norm = layer_norm(src, src[-1:], src[-1:], src[-1:])
    between = gelu(wide, "none") if use_gelu else Work(cmp=elements(wide))
    sums = Work(add=elements(src) + elements(src))
    made = (attended.activations or ZERO) + elements(wide) + elements(src)
    return replace(attended + forth + between + back + norm + norm + sums, activations=made)


@formula("higher_order::flex_attention")
def flex_attention(query: Shape, key: Shape, value: Shape) -> Work:
    """Returns the work of attention under a mask function, dense; what it does to the scores is counted apart."""
    rows = elements(query[:-2], "N·H") * product(Lq=query[-2])
    return _attention(rows * product(Lk=key[-2]), rows, key[-2], query[-1], value[-1], False)


def _attention(scores: Expr, rows: Expr, keys: int, width: int, value_width: int, masked: bool) -> Work:
    mac = scores * product(Dqk=width) + scores * product(Dv=value_width)
    return softmax_work(rows, keys) + Work(
        mac=mac,
        mul=scores,
        add=scores if masked else ZERO,
        activations=scores + rows * product(Dv=value_width),
    )
