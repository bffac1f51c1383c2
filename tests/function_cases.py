"""Calls of public functions in every way that models write them, for tools that patch some of these ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.functional import relu as imported_relu
from torch.nn.functional import scaled_dot_product_attention as imported_attention

Shape = tuple[int, ...]


class Run(nn.Module):
    """A function as a model; some tools want a model to have a parameter, others to name its inputs."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.zeros(3))

    def forward(self, x: Tensor, y: Tensor | None = None, z: Tensor | None = None) -> Any:
        return self.function(*(item for item in (x, y, z) if item is not None))


IMAGE, TALL, LINE, VOLUME = (2, 4, 8, 8), (1, 6, 7, 9), (2, 4, 9), (2, 4, 4, 5, 6)
ROWS, SQUARE, STACK = (5, 6), (6, 6), (2, 5, 6)
HEADS = (2, 2, 5, 4)

ELEMENTWISE: dict[str, tuple[Callable[..., Any], tuple[Shape, ...]]] = {
    "plus": (lambda x, y: x + y, (ROWS, ROWS)),
    "add-method": (lambda x, y: x.add(y), (ROWS, ROWS)),
    "add-function": (torch.add, (ROWS, ROWS)),
    "add-late": (lambda x, y: torch.add(x, y), (ROWS, ROWS)),
    "add-in-place": (lambda x, y: x.clone().add_(y), (ROWS, ROWS)),
    "add-alpha": (lambda x, y: torch.add(x, y, alpha=2), (ROWS, ROWS)),
    "add-keywords": (lambda x, y: torch.add(input=x, other=y), (ROWS, ROWS)),
    "add-keyword-method": (lambda x, y: x.add(other=y), (ROWS, ROWS)),
    "add-number": (lambda x: torch.add(x, 3), (ROWS,)),
    "add-number-method": (lambda x: x.add(2.5), (ROWS,)),
    "number-plus": (lambda x: 1 + x, (ROWS,)),
    "add-scalar-tensor": (lambda x: torch.add(x, torch.zeros((), device=x.device)), (ROWS,)),
    "add-unbound": (lambda x, y: torch.Tensor.add(x, y), (ROWS, ROWS)),
    "times": (lambda x, y: x * y, (ROWS, ROWS)),
    "mul-method": (lambda x, y: x.mul(y), (STACK, SQUARE[:1])),
    "mul-function": (lambda x, y: torch.mul(x, y), (STACK, (5, 1))),
    "mul-broadcast": (lambda x, y: torch.mul(x, y), ((3, 1, 4), (5, 1))),
    "mul-number": (lambda x: torch.mul(x, 2), (STACK,)),
    "mul-out": (lambda x, y: torch.mul(x, y, out=torch.empty_like(x)), (ROWS, ROWS)),
    "multiply": (lambda x, y: torch.multiply(x, y), (ROWS, ROWS)),
    "sub": (lambda x, y: x.sub(y), (ROWS, ROWS)),
    "empty": (lambda x, y: x.add(y), ((0, 4), (0, 4))),
    "nested-in-local-response-norm": (lambda x: F.local_response_norm(x, 2), (IMAGE,)),
    "nested-in-lp-pool": (lambda x: F.lp_pool2d(x, 2.0, 2), (IMAGE,)),
}

PRODUCTS: dict[str, tuple[Callable[..., Any], tuple[Shape, ...]]] = {
    "at": (lambda x, y: x @ y, (ROWS, SQUARE)),
    "dunder": (lambda x, y: x.__matmul__(y), (ROWS, SQUARE)),
    "matmul": (lambda x, y: torch.matmul(x, y), (STACK, SQUARE)),
    "matmul-method": (lambda x, y: x.matmul(y), (STACK, SQUARE)),
    "matmul-of-heads": (lambda x, y: torch.matmul(x, y.transpose(-2, -1)), (HEADS, HEADS)),
    "matmul-vector": (lambda x, y: torch.matmul(x, y), (ROWS, (6,))),
    "vector-matmul": (lambda x, y: torch.matmul(x, y), ((5,), ROWS)),
    "matmul-vectors": (lambda x, y: torch.matmul(x, y), ((6,), (6,))),
    "linalg-matmul": (lambda x, y: torch.linalg.matmul(x, y), (ROWS, SQUARE)),
    "mm": (lambda x, y: torch.mm(x, y), (ROWS, SQUARE)),
    "mm-method": (lambda x, y: x.mm(y), (ROWS, SQUARE)),
    "mm-keyword": (lambda x, y: torch.mm(x, mat2=y), (ROWS, SQUARE)),
    "mv": (lambda x, y: torch.mv(x, y), (ROWS, (6,))),
    "bmm": (lambda x, y: torch.bmm(x, y.mT), (STACK, STACK)),
    "bmm-method": (lambda x, y: x.bmm(y.mT), (STACK, STACK)),
    "addmm": (lambda b, x, y: torch.addmm(b, x, y), ((6,), ROWS, SQUARE)),
    "addmm-method": (lambda b, x, y: b.addmm(x, y), (ROWS, ROWS, SQUARE)),
    "addmm-without-beta": (lambda b, x, y: torch.addmm(b, x, y, beta=0), ((6,), ROWS, SQUARE)),
    "addmm-keywords": (lambda b, x, y: torch.addmm(b, mat1=x, mat2=y, beta=2, alpha=3), ((6,), ROWS, SQUARE)),
    "baddbmm": (lambda b, x: torch.baddbmm(b, x, x.mT), ((2, 5, 5), STACK)),
    "baddbmm-method": (lambda b, x: b.baddbmm(x, x.mT), ((2, 5, 5), STACK)),
    "baddbmm-keywords": (lambda b, x: torch.baddbmm(b, batch1=x, batch2=x.mT), ((2, 5, 5), STACK)),
    "addbmm": (lambda b, x: torch.addbmm(b, x, x.mT), ((5, 5), STACK)),
    "einsum": (lambda x, y: torch.einsum("ij,jk->ik", x, y), (ROWS, SQUARE)),
    "einsum-three": (lambda x, y: torch.einsum("bij,jk,kl->bil", x, y, y), (STACK, SQUARE)),
    "einsum-dots": (lambda x, y: torch.einsum("... j, j k -> ... k", x, y), (STACK, SQUARE)),
    "einsum-large": (lambda x: torch.einsum("zab,zcb->zac", x, x), ((3, 123, 77),)),
    "einsum-trace": (lambda x: torch.einsum("ii", x), (SQUARE,)),
    "einsum-list": (lambda x, y: torch.einsum("ij,jk->ik", [x, y]), (ROWS, SQUARE)),
    "einsum-numbers": (lambda x, y: torch.einsum(x, [0, 1], y, [1, 2], [0, 2]), (ROWS, SQUARE)),
    "tensordot": (lambda x, y: torch.tensordot(x, y, 1), (STACK, SQUARE)),
    "linear": (lambda x, y: F.linear(x, y), (STACK, (4, 6))),
    "linear-bias": (lambda x, y, b: F.linear(x, y, b), (STACK, (4, 6), (4,))),
    "linear-keywords": (lambda x, y: F.linear(input=x, weight=y), (ROWS, (4, 6))),
    "linear-of-torch": (lambda x, y: torch._C._nn.linear(x, y), (ROWS, (4, 6))),
    "bilinear": (lambda x, y: F.bilinear(x, x, y), (ROWS, (3, 6, 6))),
    "embedding": (lambda y: F.embedding(torch.zeros(2, 3, dtype=torch.long, device=y.device), y), (ROWS,)),
}

ATTENTION: dict[str, tuple[Callable[..., Any], tuple[Shape, ...]]] = {
    "attention": (lambda q: F.scaled_dot_product_attention(q, q, q), (HEADS,)),
    "attention-imported": (lambda q: imported_attention(q, q, q), (HEADS,)),
    "attention-causal": (lambda q: F.scaled_dot_product_attention(q, q, q, is_causal=True), (HEADS,)),
    "attention-keywords": (lambda q: F.scaled_dot_product_attention(query=q, key=q, value=q), (HEADS,)),
    "attention-wide-values": (lambda q, v: F.scaled_dot_product_attention(q, q, v), (HEADS, (2, 2, 5, 7))),
    "attention-longer-keys": (lambda q, k: F.scaled_dot_product_attention(q, k, k), (HEADS, (2, 2, 9, 4))),
    "attention-three-dimensions": (lambda q: F.scaled_dot_product_attention(q, q, q), ((3, 5, 4),)),
    "attention-three-wide-values": (lambda q, v: F.scaled_dot_product_attention(q, q, v), ((3, 5, 4), (3, 5, 2))),
    "attention-two-dimensions": (lambda q: F.scaled_dot_product_attention(q, q, q), ((5, 4),)),
    "attention-five-dimensions": (lambda q: F.scaled_dot_product_attention(q, q, q), ((2, 2, 2, 5, 4),)),
    "attention-one-head-of-keys": (lambda q, k: F.scaled_dot_product_attention(q, k, k), (HEADS, (2, 1, 5, 4))),
    "attention-one-batch-of-keys": (lambda q, k: F.scaled_dot_product_attention(q, k, k), (HEADS, (1, 2, 5, 4))),
    "attention-grouped": (
        lambda q, k: F.scaled_dot_product_attention(q, k, k, enable_gqa=True),
        ((2, 4, 5, 4), (2, 2, 5, 4)),
    ),
    "attention-grouped-wide-values": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=True),
        ((2, 4, 5, 4), (2, 2, 5, 4), (2, 2, 5, 7)),
    ),
    "attention-mask": (lambda q, m: F.scaled_dot_product_attention(q, q, q, m), (HEADS, (5, 5))),
    "attention-mask-row": (lambda q, m: F.scaled_dot_product_attention(q, q, q, m), (HEADS, (1, 5))),
    "attention-mask-of-heads": (lambda q, m: F.scaled_dot_product_attention(q, q, q, m), (HEADS, (1, 2, 5, 5))),
    "attention-mask-three": (lambda q, m: F.scaled_dot_product_attention(q, q, q, m), (HEADS, (2, 5, 5))),
    "attention-transposed-keys": (
        lambda q, k: F.scaled_dot_product_attention(q, k.mT, k.mT),
        (HEADS, (2, 2, 4, 5)),
    ),
    "attention-dropout": (lambda q: F.scaled_dot_product_attention(q, q, q, dropout_p=0.5), (HEADS,)),
}

ACTIVATIONS: dict[str, tuple[Callable[..., Any], tuple[Shape, ...]]] = {
    **{
        name: (lambda x, name=name: getattr(F, name)(x), (STACK,))
        for name in ("relu", "elu", "leaky_relu", "relu6", "silu", "gelu", "selu", "sigmoid", "hardswish", "softplus")
    },
    "relu-imported": (imported_relu, (STACK,)),
    "relu-of-torch": (lambda x: torch.relu(x), (STACK,)),
    "relu-method": (lambda x: x.relu(), (STACK,)),
    "relu-keyword": (lambda x: F.relu(input=x), (STACK,)),
    "relu-in-place": (lambda x: F.relu(x.clone(), inplace=True), (STACK,)),
    "relu-scalar": (lambda x: F.relu(x.sum()), (STACK,)),
    "gelu-tanh": (lambda x: F.gelu(x, approximate="tanh"), (STACK,)),
    "elu-alpha": (lambda x: F.elu(x, 0.5, True), (STACK,)),
    "prelu": (lambda x, w: F.prelu(x, w), (STACK, (1,))),
    "softmax": (lambda x: F.softmax(x, dim=-1), (STACK,)),
    "softmax-type": (lambda x: F.softmax(x, -1, dtype=torch.float64), (STACK,)),
    "softmax-of-torch": (lambda x: torch.softmax(x, -1), (STACK,)),
    "softmax-method": (lambda x: x.softmax(-1), (STACK,)),
    "log-softmax": (lambda x: F.log_softmax(x, -1), (STACK,)),
    "glu": (lambda x: F.glu(x), (STACK,)),
    "dropout": (lambda x: F.dropout(x, 0.5, False), (STACK,)),
}

NORMS: dict[str, tuple[Callable[..., Any], tuple[Shape, ...]]] = {
    "batch-norm": (lambda x, w: F.batch_norm(x, w, w.abs()), (IMAGE, (4,))),
    "batch-norm-affine": (lambda x, w: F.batch_norm(x, w, w.abs(), w, w), (IMAGE, (4,))),
    "batch-norm-training": (lambda x, w: F.batch_norm(x, None, None, w, w, True), (IMAGE, (4,))),
    "batch-norm-training-plain": (lambda x: F.batch_norm(x, None, None, training=True), (IMAGE,)),
    "layer-norm": (lambda x: F.layer_norm(x, (6,)), (STACK,)),
    "layer-norm-affine": (lambda x, w: F.layer_norm(x, w.shape, weight=w, bias=w), (STACK, (6,))),
    "group-norm": (lambda x: F.group_norm(x, 2), (IMAGE,)),
    "group-norm-affine": (lambda x, w: F.group_norm(x, 2, w, w), (IMAGE, (4,))),
    "instance-norm": (lambda x: F.instance_norm(x), (IMAGE,)),
    "rms-norm": (lambda x: F.rms_norm(x, (6,)), (STACK,)),
}

CONVOLUTIONS: dict[str, tuple[Callable[..., Any], tuple[Shape, ...]]] = {
    "conv1d": (lambda x, w: F.conv1d(x, w), (LINE, (3, 4, 3))),
    "conv2d": (lambda x, w, b: F.conv2d(x, w, b, stride=2, padding=1), (IMAGE, (6, 4, 3, 3), (6,))),
    "conv2d-tuples": (lambda x, w: F.conv2d(x, w, None, (2, 1), (0, 2), (1, 2)), (IMAGE, (6, 4, 3, 2))),
    "conv2d-list": (lambda x, w: F.conv2d(x, w, None, [2, 2]), (IMAGE, (6, 4, 3, 3))),
    "conv2d-one-tuple": (lambda x, w: F.conv2d(x, w, None, (2,)), (IMAGE, (6, 4, 3, 3))),
    "conv2d-size": (lambda x, w: F.conv2d(x, w, None, torch.Size([2, 2])), (IMAGE, (6, 4, 3, 3))),
    "conv2d-groups": (lambda x, w: F.conv2d(x, w, groups=2), (IMAGE, (6, 2, 3, 3))),
    "conv2d-same": (lambda x, w: F.conv2d(x, w, padding="same"), (IMAGE, (6, 4, 3, 3))),
    "conv2d-same-even": (lambda x, w: F.conv2d(x, w, padding="same", dilation=3), (IMAGE, (6, 4, 2, 2))),
    "conv2d-valid": (lambda x, w: F.conv2d(x, w, padding="valid"), (IMAGE, (6, 4, 3, 3))),
    "conv2d-unbatched": (lambda x, w: F.conv2d(x, w), ((4, 8, 8), (6, 4, 3, 3))),
    "conv2d-unbatched-lookalike": (lambda x, w: F.conv2d(x, w), ((4, 4, 8), (6, 4, 3, 3))),
    "conv2d-of-torch": (lambda x, w: torch.conv2d(x, w), (IMAGE, (6, 4, 3, 3))),
    "conv3d": (lambda x, w: F.conv3d(x, w, padding=1), (VOLUME, (3, 4, 3, 3, 3))),
    "conv-transpose1d": (lambda x, w, b: F.conv_transpose1d(x, w, b, 2), (LINE, (4, 3, 3), (3,))),
    "conv-transpose2d": (lambda x, w, b: F.conv_transpose2d(x, w, b, 2, 1, 1), (IMAGE, (4, 3, 3, 3), (3,))),
    "conv-transpose2d-plain": (lambda x, w: F.conv_transpose2d(x, w), (IMAGE, (4, 3, 3, 3))),
    "conv-transpose2d-groups": (
        lambda x, w, b: F.conv_transpose2d(x, w, b, groups=2, dilation=2),
        (IMAGE, (4, 3, 3, 3), (6,)),
    ),
    "conv-transpose2d-depthwise": (lambda x, w: F.conv_transpose2d(x, w, groups=4), (IMAGE, (4, 1, 3, 3))),
    "conv-transpose2d-list": (lambda x, w: F.conv_transpose2d(x, w, None, [2, 2], 0, [1, 1]), (IMAGE, (4, 3, 3, 3))),
    "conv-transpose2d-tiny": (lambda x, w, b: F.conv_transpose2d(x, w, b), ((2, 4, 1, 1), (4, 3, 3, 3), (3,))),
    "conv-transpose3d": (lambda x, w, b: F.conv_transpose3d(x, w, b, (1, 2, 1)), (VOLUME, (4, 3, 2, 2, 2), (3,))),
    "unfold": (lambda x: F.unfold(x, 3), (IMAGE,)),
}

POOLS: dict[str, tuple[Callable[..., Any], tuple[Shape, ...]]] = {
    **{
        f"{kind}-{name}": (lambda x, name=name, kind=kind: getattr(F, f"{kind}_{name}")(x, 2), (shape,))
        for kind in ("avg", "max", "adaptive_avg", "adaptive_max")
        for name, shape in (("pool1d", LINE), ("pool2d", IMAGE), ("pool3d", VOLUME))
    },
    "max-indices": (lambda x: F.max_pool2d(x, 2, return_indices=True), (IMAGE,)),
    "max-positional": (lambda x: F.max_pool2d(x, 2, 2, 1, 1, True, False), (IMAGE,)),
    "max-of-torch": (lambda x: torch.max_pool2d(x, 2), (IMAGE,)),
    "avg-options": (lambda x: F.avg_pool2d(x, (2, 3), 1, 1, False, False, 3), (IMAGE,)),
    "adaptive-keyword": (lambda x: F.adaptive_avg_pool2d(x, output_size=(1, 2)), (IMAGE,)),
    "pool-unbatched": (lambda x: F.avg_pool2d(x, 2), ((4, 8, 8),)),
    "fractional": (lambda x: F.fractional_max_pool2d(x, 2, output_size=3), (IMAGE,)),
}

RESIZES: dict[str, tuple[Callable[..., Any], tuple[Shape, ...]]] = {
    "interpolate-size": (lambda x: F.interpolate(x, size=5), (IMAGE,)),
    "interpolate-positional": (lambda x: F.interpolate(x, (5, 6)), (IMAGE,)),
    "interpolate-list": (lambda x: F.interpolate(x, size=[5, 6], mode="bilinear"), (IMAGE,)),
    "interpolate-shape": (lambda x: F.interpolate(x, x.shape[-2:]), (TALL,)),
    "interpolate-scale": (lambda x: F.interpolate(x, scale_factor=2), (IMAGE,)),
    "interpolate-fraction": (lambda x: F.interpolate(x, scale_factor=1.3), (TALL,)),
    "interpolate-small-fraction": (lambda x: F.interpolate(x, scale_factor=0.3), (TALL,)),
    "interpolate-half": (lambda x: F.interpolate(x, None, 0.5), (IMAGE,)),
    "interpolate-scales": (lambda x: F.interpolate(x, scale_factor=(2.0, 1.5)), (IMAGE,)),
    "interpolate-scales-one-sample": (lambda x: F.interpolate(x, scale_factor=(2.0, 1.5)), (TALL,)),
    "interpolate-scale-list": (lambda x: F.interpolate(x, scale_factor=[2, 2]), (IMAGE,)),
    "interpolate-keyword": (lambda x: F.interpolate(input=x, size=5), (IMAGE,)),
    "interpolate-line": (lambda x: F.interpolate(x, size=5, mode="linear"), (LINE,)),
    "interpolate-volume": (lambda x: F.interpolate(x, scale_factor=2, mode="trilinear"), (VOLUME,)),
    "interpolate-large-batch": (lambda x: F.interpolate(x, scale_factor=2.0), ((1025, 1, 2, 2),)),
    "two-fractions": (
        lambda x: F.interpolate(F.interpolate(x, scale_factor=1.3), scale_factor=0.7),
        ((2, 3, 7, 9),),
    ),
    "grid-sample": (lambda x, g: F.grid_sample(x, g, align_corners=False), (IMAGE, (2, 3, 3, 2))),
    "pixel-shuffle": (lambda x: F.pixel_shuffle(x, 2), (IMAGE,)),
}

ALL = ELEMENTWISE | PRODUCTS | ATTENTION | ACTIVATIONS | NORMS | CONVOLUTIONS | POOLS | RESIZES


def multi_head(x: Tensor) -> Tensor:
    """The function behind nn.MultiheadAttention, which calls the patched linear, softmax and attention by name."""
    width = x.shape[-1]
    found: Tensor = F.multi_head_attention_forward(
        *(x, x, x, width, 2),
        x.new_zeros(3 * width, width),
        x.new_zeros(3 * width),
        *(None, None, False, 0.0),
        x.new_zeros(width, width),
        x.new_zeros(width),
        training=False,
        need_weights=False,
    )[0]
    return found


ALL["multi-head"] = (multi_head, ((5, 2, 4),))

ON_EVERY_FUNCTION = pytest.mark.parametrize(("function", "shapes"), ALL.values(), ids=ALL.keys())
