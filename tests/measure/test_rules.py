"""Our own shape rules give what PyTorch's give, or leave the call to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from effbench.measure.layouts import Call, Fresh, Several
from effbench.measure.rules import own_rule

ATEN = torch.ops.aten
POINTWISE = ("relu", "silu", "gelu", "hardswish", "hardsigmoid", "hardtanh", "leaky_relu", "elu", "sigmoid", "tanh")
SHAPES = ((), (5,), (0, 3), (2, 8), (1, 1, 4), (2, 8, 1, 1), (1, 8, 5, 5), (2, 1, 3, 3), (2, 3, 4, 5, 6))
DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.bool)


def made(shape: Sequence[int], dtype: torch.dtype, lies: str) -> Tensor | None:
    if lies == "last":
        if len(shape) != 4:
            return None
        return torch.empty(shape, dtype=dtype, device="meta").to(memory_format=torch.channels_last)
    if lies == "transposed":
        if len(shape) < 2:
            return None
        return torch.empty(shape[::-1], dtype=dtype, device="meta").permute(*range(len(shape))[::-1])
    return torch.empty(shape, dtype=dtype, device="meta")


def told(results: Any) -> list[tuple[Any, ...] | None]:
    """Shape, strides, dtype and bytes of what an op returns."""
    listed = results if isinstance(results, tuple | list) else (results,)
    return [(tuple(t.shape), t.stride(), t.dtype, t.untyped_storage().nbytes()) for t in listed]


def compare(op: Any, *args: Any) -> bool:
    """Whether our rule answers, which must then be PyTorch's answer."""
    names = [argument.name for argument in op._schema.arguments]
    rule = own_rule(op)
    assert rule is not None
    answer = rule(Call(args, {}, tuple(zip(names, args, strict=False))))
    if answer is None:
        return False
    result = op(*args)  # what PyTorch refuses, we may not answer
    if answer == "itself":
        assert result is args[0]
        return True
    fresh = answer.results if isinstance(answer, Several) else (answer,)
    assert [(*one.layout, one.nbytes) for one in fresh if isinstance(one, Fresh)] == told(result)
    return True


@pytest.mark.parametrize("name", POINTWISE)
def test_element_wise(name: str) -> None:
    answered = 0
    for shape in SHAPES:
        for dtype in DTYPES:
            for lies in ("plain", "last", "transposed"):
                tensor = made(shape, dtype, lies)
                if tensor is not None:
                    answered += compare(getattr(ATEN, name).default, tensor)
                    answered += compare(getattr(ATEN, f"{name}_").default, tensor)
    assert answered >= 2 * len(SHAPES) * 4  # at least the plain ones of four floating dtypes


@pytest.mark.parametrize("lies", ["plain", "last", "transposed"])
@pytest.mark.parametrize("training", [False, True])
def test_batch_norm(lies: str, training: bool) -> None:
    for shape in ((2, 8), (2, 8, 5), (2, 8, 1, 1), (1, 8, 5, 5), (2, 8, 3, 4, 5), (0, 8, 2, 2)):
        for dtype in (torch.float32, torch.float64, torch.bfloat16):
            for params in (dtype, torch.float32):
                for affine in (True, False):
                    tensor, vector = made(shape, dtype, lies), torch.empty(8, dtype=params, device="meta")
                    if tensor is None or tensor.shape[1] != 8:
                        continue
                    scale = (vector, vector) if affine else (None, None)
                    op = ATEN.native_batch_norm.default
                    answered = compare(op, tensor, *scale, vector, vector, training, 0.1, 1e-5)
                    ours = not training and params == dtype != torch.bfloat16
                    assert answered == ours or lies != "plain"


@pytest.mark.parametrize("lies", ["plain", "last", "transposed"])
def test_layer_norm(lies: str) -> None:
    for shape in ((5,), (2, 8), (2, 3, 8), (2, 3, 4, 8), (1, 1, 1, 8)):
        for inner in (1, 2):
            if inner > len(shape):
                continue
            for dtype in (torch.float32, torch.float64, torch.bfloat16):
                tensor = made(shape, dtype, lies)
                if tensor is None:
                    continue
                normalized = list(tensor.shape[-inner:])
                weight = torch.empty(normalized, dtype=dtype, device="meta")
                for scale in ((weight, weight), (weight, None), (None, None)):
                    answered = compare(ATEN.native_layer_norm.default, tensor, normalized, *scale, 1e-5)
                    assert answered == (dtype != torch.bfloat16) or lies != "plain"


def test_a_layer_norm_of_another_shape_is_left_to_pytorch_to_refuse() -> None:
    tensor = torch.empty(2, 8, device="meta")
    assert not compare(ATEN.native_layer_norm.default, tensor, [4], None, None, 1e-5)
