"""`deepspeed`: the FLOPs and the MACs of DeepSpeed 0.19.8's profiler, recomputed from function and module calls.

Run condition: `get_model_profile(model, args=[…], print_profile=False, as_string=False, warm_up=0)` on the CPU, which
sets eval mode, under no_grad with attention's fused path off. With gradients on the figures are the same. With the
fused path on, and gradients off or the weights frozen, attention layers call no function and count nothing. Lazy
modules have run once before.

Facts read in its source, beside those of `effbench.judge.profilers`:
- Every module object is added once, however many places it has.
- Unlike calflops it patches `@`, `torch.mm`, `torch.bmm`, attention's kernel and `einops.einsum`, which itself calls
  the patched `torch.einsum` and so counts twice. `+` and `*` are not patched. An einsum has FLOPs but no MACs.
- Interpolation counts the size asked for without samples and channels, or the input's elements times the scale.
- It raises at arguments its handlers do not take, such as `torch.bmm(x, mat2=y)`, and then leaves its patches in place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from effbench.judge.algebra import ZERO, Expr, elements, product
from effbench.judge.convention import Cost, convention
from effbench.judge.patched import TensorShape, ToolRaises, broadcast, matmul_macs, numel, shape_of, size_at, whole
from effbench.judge.profiler_handlers import SHARED, einsum, numel_of, per_dimension, resize_arguments
from effbench.judge.profilers import Both, Rule, costs
from effbench.records import Trace
from effbench.units import Unit


def _transposed_convolution(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: Any = 1,
    dilation: Any = 1,
) -> Both:
    shape, kernel = shape_of(input), shape_of(weight)
    channels, filters = size_at(shape, 1), size_at(kernel, 1)
    if isinstance(output_padding, list):
        output_padding = tuple(output_padding)
    made = []
    for index, size in enumerate(shape[2:]):
        window = per_dimension(dilation, index) * (size_at(kernel, index + 2) - 1)
        padded = per_dimension(output_padding, index) - 2 * per_dimension(padding, index)
        made.append((size - 1) * per_dimension(stride, index) + window + padded + 1)
    macs = product(N=shape[0]) * elements(shape[2:], "in") * product(**{"Cin": channels, "Cout/g": filters})
    macs = macs * elements(kernel[2:], "k")
    biased = product(N=shape[0], Cout=filters * groups) * elements(made, "out")
    return Both(macs * 2 + (ZERO if bias is None else biased), macs)


def _interpolate(*args: Any, **kwargs: Any) -> Both:
    shape, size, scale = resize_arguments(args, kwargs)
    if size is not None:
        return Both(whole(numel_of(size)))
    if isinstance(scale, int | float):
        return Both(whole(int(numel(shape) * scale ** (len(shape) - 2))))
    if not isinstance(scale, tuple | list) or len(scale) != len(shape) - 2:
        raise ToolRaises("its handler asserts a scale per spatial dimension")
    factor = 1
    for item in scale:
        factor *= item
    return Both(whole(int(numel(shape) * factor)))


def _elementwise(one: Any, other: Any) -> Both:
    if isinstance(one, TensorShape) and isinstance(other, TensorShape):
        return Both(elements(broadcast(one.shape, other.shape)))
    tensor = next((value for value in (one, other) if isinstance(value, TensorShape)), None)
    return Both(product(n=1) if tensor is None else elements(tensor.shape))


def _mul(input: Any, other: Any, *, out: Any = None) -> Both:
    return _elementwise(input, other)


def _add(input: Any, other: Any, *, alpha: Any = 1, out: Any = None) -> Both:
    return _elementwise(input, other)


def _matmul(input: Any, other: Any, *, out: Any = None) -> Both:
    return _twice(matmul_macs(input, other))


def _attention(q: Any, k: Any, v: Any, *args: Any, **kwargs: Any) -> Both:
    query, keys, values = shape_of(q), size_at(shape_of(k), -2), size_at(shape_of(v), -1)
    scores = elements(query, "q") * product(Lk=keys)
    return _twice(scores + elements(query[:-1], "rows") * product(Lk=keys, Dv=values))


def _twice(macs: Expr) -> Both:
    return Both(macs * 2, macs)


def _einops_einsum(*args: Any) -> Both:
    return einsum(args[-1], args[:-1])


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        **SHARED,
        **{f"torch.nn.functional.conv_transpose{d}": _transposed_convolution for d in ("1d", "2d", "3d")},
        "torch.nn.functional.upsample": _interpolate,
        "torch.nn.functional.interpolate": _interpolate,
        "torch.nn.functional.scaled_dot_product_attention": _attention,
        **{f"{home}.{name}": _matmul for home in ("torch", "torch.Tensor") for name in ("mm", "bmm")},
        "torch.Tensor.__matmul__": _matmul,
        "torch.mul": _mul,
        "torch.Tensor.mul": _mul,
        "torch.add": _add,
        "torch.Tensor.add": _add,
        "einops.einsum": _einops_einsum,
    }
)


@convention(
    "deepspeed",
    Unit.FLOP,
    "both figures of DeepSpeed's profiler: patched functions and RNN layers, its MACs counted apart",
    needs=frozenset({"functions"}),
    beside=Unit.MAC,
)
def deepspeed(trace: Trace) -> Iterable[Cost]:
    """Gives the costs of patched function calls and of RNN modules."""
    return costs(trace, "DeepSpeed", RULES, {})
