"""What ptflops counts for a module call and for a call of a patched function; `conventions/ptflops.py` adds it up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from effbench.judge.algebra import ZERO, Expr, elements, product, repeated
from effbench.judge.patched import (
    RECURRENT,
    Called,
    ToolRaises,
    aligned_left,
    gate_arithmetic,
    matmul_macs,
    numel,
    recurrent,
    shape_of,
    size_at,
    whole,
)
from effbench.records import Shape

Amount = Expr | float
"""A float where a handler computes with one."""


def _per_output(called: Called) -> Expr:
    return elements(called.returned)


def _per_input(called: Called) -> Expr:
    return elements(called.given)


def _upsample(called: Called) -> Expr:
    if size_at(called.returned, 0) == 0:
        raise ToolRaises("its hook takes the first sample of an empty batch")
    return elements(called.returned[1:])


def _normalization(called: Called) -> Expr:
    return elements(called.given) * (2 if called.attrs.get("affine") else 1)


def _linear(called: Called) -> Expr:
    rows, inputs, outputs = called.given[:-1], size_at(called.given, -1), size_at(called.returned, -1)
    amount = elements(rows, "rows") * product(**{"in": inputs, "out": outputs})
    return amount + elements(rows, "rows") * product(out=outputs) if "bias" in called.weights else amount


def _convolution(called: Called, walked: Shape, extra: int = 0) -> Expr:
    attrs, batch = called.attrs, size_at(called.given, 0)
    position = attrs["in_channels"] * (attrs["out_channels"] // attrs["groups"]) + extra
    amount = product(N=batch) * elements(walked, "out") * product(**{"Cin·Cout/g": position})
    amount = amount * repeated("k", attrs["kernel_size"])
    if "bias" in called.weights:
        amount += product(N=batch) * elements(called.returned[1:], "bias")
    return amount


def _forward_convolution(called: Called) -> Expr:
    return _convolution(called, called.returned[2:])


def _transposed_convolution(called: Called) -> Expr:
    return _convolution(called, called.given[2:])


def _deformable_convolution(called: Called) -> Expr:
    """20 for the interpolation and 4 for the coordinates per weight of a position, 1 more with a mask."""
    masked = len(called.args) == 3 and called.args[2] is not None
    return _convolution(called, called.returned[2:], 25 if masked else 24)


def _recurrent(called: Called) -> Expr:
    def step(kind: str, inner: Shape, outer: Shape, hidden: int) -> int:
        return numel(inner) + numel(outer) + gate_arithmetic(kind, hidden)

    return recurrent(called, step)


def _attention(called: Called) -> Expr:
    """Scaling, projections that take keys and values for as wide as they come, scores, softmax, values, output."""
    if len(called.args) != 3 or None in called.args:
        raise ToolRaises("its hook takes exactly query, key and value by position")
    length, batch = (1, 0) if called.attrs["batch_first"] else (0, 1)
    query, key, value = (shape for shape in called.args if shape is not None)
    width, key_width, value_width = (size_at(shape, 2) for shape in (query, key, value))
    queries, keys, values = query[length], key[length], value[length]
    heads = called.attrs["num_heads"]
    if width != called.attrs["embed_dim"]:
        raise ToolRaises("its hook asserts that queries are as wide as the module says")
    total = queries * width + queries * width**2 + keys * key_width**2 + values * value_width**2
    if "in_proj_bias" in called.weights:
        total += (queries + keys + values) * width
    total += heads * queries * keys * (width // heads + 1 + value_width // heads)
    return product(N=query[batch], sample=total + queries * value_width * (value_width + 1))


def _timm_attention(called: Called) -> Expr:
    """Scaling, scores, softmax and values; its linear layers, being below a hooked module, are never added."""
    if len(called.given) != 3:
        raise ToolRaises("its hook takes the input apart into batch, length and width")
    batch, length, _ = called.given
    head, heads = called.attrs["head_dim"], called.attrs["num_heads"]
    return product(N=batch, H=heads, L=length, step=head + length * (2 * head + 1))


ModuleRule = Callable[[Called], Expr]
_NN = "torch.nn.modules"
_DIMENSIONS = ("1d", "2d", "3d")
_ACTIVATIONS = ("ReLU", "PReLU", "ELU", "LeakyReLU", "ReLU6", "GELU")

MODULES: Mapping[str, ModuleRule] = MappingProxyType(
    {
        **{f"{_NN}.conv.Conv{d}": _forward_convolution for d in _DIMENSIONS},
        **{f"{_NN}.conv.ConvTranspose{d}": _transposed_convolution for d in _DIMENSIONS},
        **{f"{_NN}.activation.{name}": _per_output for name in _ACTIVATIONS},
        **{f"{_NN}.pooling.{kind}Pool{d}": _per_input for kind in ("Max", "Avg") for d in _DIMENSIONS},
        **{f"{_NN}.pooling.Adaptive{kind}Pool{d}": _per_input for kind in ("Max", "Avg") for d in _DIMENSIONS},
        **{f"{_NN}.batchnorm.BatchNorm{d}": _normalization for d in _DIMENSIONS},
        **{f"{_NN}.instancenorm.InstanceNorm{d}": _normalization for d in _DIMENSIONS},
        f"{_NN}.normalization.GroupNorm": _normalization,
        f"{_NN}.normalization.LayerNorm": _normalization,
        f"{_NN}.linear.Linear": _linear,
        f"{_NN}.upsampling.Upsample": _upsample,
        f"{_NN}.activation.MultiheadAttention": _attention,
        **dict.fromkeys(RECURRENT, _recurrent),
        "torchvision.ops.deform_conv.DeformConv2d": _deformable_convolution,
        "timm.layers.attention.Attention": _timm_attention,
    }
)
"""Amount by exact class."""


def _elements_of_first(input: Any, *args: Any, **kwargs: Any) -> Expr:
    return elements(shape_of(input))


def _interpolate(*args: Any, **kwargs: Any) -> Amount:
    """Samples and channels times the size asked for, else the input's elements times the scale."""

    def given(name: str, place: int) -> Any:
        named = kwargs.get(name)
        return args[place] if named is None and len(args) > place else named

    shape, size, scale = shape_of(given("input", 0)), given("size", 1), given("scale_factor", 2)
    spatial = len(shape) - 2
    if spatial <= 0:
        raise ToolRaises("its handler asserts that the input has spatial dimensions")
    if size is not None:
        sizes = tuple(size) if isinstance(size, tuple | list) else (int(size),) * spatial
        return elements(shape[:2], "NC") * elements(sizes, "size")
    if isinstance(scale, tuple) and len(scale) == spatial:
        # numpy multiplies these as integers: each scale is cut first
        return elements(shape) * elements(tuple(int(factor) for factor in scale), "scale")
    if not isinstance(scale, int | float):
        raise ToolRaises(f"its handler raises {scale!r} to a power")
    factor = scale**spatial
    return elements(shape) * whole(factor) if isinstance(factor, int) else numel(shape) * factor


def _matmul(input: Any, other: Any, *args: Any, **kwargs: Any) -> Expr:
    return matmul_macs(input, other)


def _addmm(input: Any, mat1: Any, mat2: Any, *, beta: Any = 1, alpha: Any = 1, out: Any = None) -> Expr:
    return matmul_macs(mat1, mat2) + (elements(shape_of(input)) if beta != 0 else ZERO)


def _elementwise(input: Any, other: Any, *args: Any, **kwargs: Any) -> Expr:
    return aligned_left(input, other)


FunctionRule = Callable[..., Amount]
_F = "torch.nn.functional"
_POOLS = ("avg_pool", "max_pool", "adaptive_avg_pool", "adaptive_max_pool")

FUNCTIONALS: Mapping[str, FunctionRule] = MappingProxyType(
    {
        **{f"{_F}.{name}": _elements_of_first for name in ("relu", "prelu", "elu", "relu6", "gelu", "silu", "softmax")},
        **{f"{_F}.{name}{d}": _elements_of_first for name in _POOLS for d in _DIMENSIONS},
        f"{_F}.upsample": _interpolate,
        f"{_F}.interpolate": _interpolate,
    }
)

TENSOR_OPS: Mapping[str, FunctionRule] = MappingProxyType(
    {
        **{f"{home}.{name}": _matmul for home in ("torch", "torch.Tensor") for name in ("matmul", "mm", "bmm")},
        **{f"{home}.{name}": _elementwise for home in ("torch", "torch.Tensor") for name in ("mul", "add")},
        **dict.fromkeys(("torch.addmm", "torch.baddbmm", "torch.Tensor.addmm"), _addmm),
    }
)
