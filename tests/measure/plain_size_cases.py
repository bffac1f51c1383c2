"""Op calls on meta tensors, each with the shape rule that PyTorch writes in Python for it or for what it is made of."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def on_meta(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(*shape, device="meta", dtype=dtype)


def cases() -> dict[str, Callable[[], Any]]:
    image, rows = on_meta(2, 8, 6, 6), on_meta(2, 8)
    batch, other, ids = on_meta(2, 3, 4), on_meta(2, 4, 5), torch.zeros(2, 1, dtype=torch.int64, device="meta")
    last = image.to(memory_format=torch.channels_last)
    heads = on_meta(1, 2, 3, 4)
    return {
        "conv1d": lambda: torch.conv1d(on_meta(1, 2, 9), on_meta(3, 2, 3)),
        "conv2d": lambda: torch.conv2d(image, on_meta(4, 8, 3, 3), on_meta(4), 2, 1),
        "conv2d, channels last": lambda: torch.conv2d(last, on_meta(4, 8, 3, 3)),
        "conv3d": lambda: torch.conv3d(on_meta(1, 2, 4, 4, 4), on_meta(3, 2, 3, 3, 3)),
        "transposed": lambda: torch.conv_transpose2d(image, on_meta(8, 4, 3, 3), stride=2),
        "batch norm": lambda: F.batch_norm(image, on_meta(8), on_meta(8)),
        "batch norm, training": lambda: F.batch_norm(image, on_meta(8), on_meta(8), training=True),
        "layer norm": lambda: F.layer_norm(rows, (8,)),
        "group norm": lambda: F.group_norm(image, 2),
        "instance norm": lambda: F.instance_norm(image),
        "linear": lambda: F.linear(rows, on_meta(3, 8), on_meta(3)),
        "linear of three": lambda: F.linear(batch, on_meta(3, 4), on_meta(3)),
        "matmul": lambda: batch @ other,
        "baddbmm": lambda: torch.baddbmm(on_meta(2, 3, 5), batch, other),
        "einsum": lambda: torch.einsum("bij,bjk->bik", batch, other),
        "attention": lambda: F.scaled_dot_product_attention(heads, heads, heads),
        "add": lambda: image + on_meta(8, 1, 1),
        "add in place": lambda: image.add_(1),
        "mixed dtypes": lambda: image * on_meta(8, 1, 1, dtype=torch.float64),
        "integers": lambda: torch.arange(4, device="meta") / 2,
        "power": lambda: image**2,
        "clamp": lambda: image.clamp(0, 1),
        "where": lambda: torch.where(image > 0, image, on_meta(1)),
        **{f.__name__: partial(f, image) for f in (F.relu, F.relu6, F.silu, F.gelu, F.hardswish, F.elu, F.softplus)},
        "hardswish in place": lambda: F.hardswish(image, inplace=True),
        "prelu": lambda: F.prelu(image, on_meta(8)),
        "softmax": lambda: F.softmax(rows, -1),
        "log softmax": lambda: F.log_softmax(rows, -1),
        "mean": lambda: image.mean((2, 3), keepdim=True),
        "sum": lambda: image.sum(1),
        "std": lambda: image.std(1),
        "norm": lambda: image.norm(dim=1),
        "cumsum": lambda: image.cumsum(1),
        "topk": lambda: rows.topk(2),
        "max pool": lambda: F.max_pool2d(image, 2),
        "average pool": lambda: F.avg_pool2d(image, 2),
        "adaptive pool": lambda: F.adaptive_avg_pool2d(image, 3),
        "upsampling": lambda: F.interpolate(image, scale_factor=2, mode="bilinear"),
        "cat": lambda: torch.cat([image, last], 1),
        "roll": lambda: image.roll(1, 2),
        "pad": lambda: F.pad(image, (1, 1)),
        "masked fill": lambda: image.masked_fill(image > 0, 0),
        "embedding": lambda: F.embedding(ids, rows),
        "index": lambda: image[:, ids],
        "gather": lambda: rows.gather(1, ids),
        "tril": lambda: torch.tril(on_meta(4, 4)),
        "unfold": lambda: F.unfold(image, 3),
        "pixel shuffle": lambda: F.pixel_shuffle(image, 2),
        "dropout": lambda: F.dropout(image, 0.5, True),
    }


def layouts(case: Callable[[], Any]) -> list[tuple[tuple[int, ...], tuple[int, ...], str]]:
    """Shape, strides and dtype of what a case returns."""
    made = case()
    return [(tuple(t.shape), t.stride(), str(t.dtype)) for t in (made if isinstance(made, tuple) else (made,))]
