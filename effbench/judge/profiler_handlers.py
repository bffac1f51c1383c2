"""The handlers that DeepSpeed's profiler and calflops share, parameter by parameter, and where they are put."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from effbench.judge.algebra import ZERO, Expr, elements, product
from effbench.judge.patched import ToolRaises, matmul_macs, shape_of, size_at, whole
from effbench.judge.profilers import Both, Rule
from effbench.records import Shape


def resize_arguments(args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Shape, Any, Any]:
    """Returns the input's shape, the size and the scale that a call of `interpolate` asks for.

    Raises:
        ToolRaises: the input is given by name.
    """
    if not args:
        raise ToolRaises("its handler takes the input by position")
    size = args[1] if kwargs.get("size") is None and len(args) > 1 else kwargs.get("size")
    scale = args[2] if kwargs.get("scale_factor") is None and len(args) > 2 else kwargs.get("scale_factor")
    return shape_of(args[0]), size, scale


def _macs(macs: Expr, more: Expr = ZERO) -> Both:
    return Both(macs * 2 + more, macs)


def _per_element(input: Any, times: int = 1) -> Both:
    amount = elements(shape_of(input))
    return Both(amount if times == 1 else amount * times)


def _linear(input: Any, weight: Any, bias: Any = None) -> Both:
    return _macs(elements(shape_of(input), "rows·in") * product(out=size_at(shape_of(weight), 0)))


def _relu(input: Any, inplace: Any = False) -> Both:
    return _per_element(input)


def _prelu(input: Any, weight: Any) -> Both:
    return _per_element(input)


def _elu(input: Any, alpha: Any = 1.0, inplace: Any = False) -> Both:
    return _per_element(input)


def _leaky_relu(input: Any, negative_slope: Any = 0.01, inplace: Any = False) -> Both:
    return _per_element(input)


def _gelu(input: Any, **kwargs: Any) -> Both:
    return _per_element(input)


def _softmax(input: Any, dim: Any = None, _stacklevel: Any = 3, dtype: Any = None) -> Both:
    return _per_element(input)


def _pool(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = None,
    ceil_mode: Any = False,
    count_include_pad: Any = True,
    divisor_override: Any = None,
    return_indices: Any = None,
) -> Both:
    return _per_element(input)


def _batch_norm(
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: Any = False,
    momentum: Any = 0.1,
    eps: Any = 1e-05,
) -> Both:
    times = (5 if training else 2) - (weight is None)
    return _per_element(input, times)


def _norm(input: Any, weight: Any) -> Both:
    return _per_element(input, 4 if weight is None else 5)


def _layer_norm(input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: Any = 1e-5) -> Both:
    return _norm(input, weight)


def _group_norm(input: Any, num_groups: Any, weight: Any = None, bias: Any = None, eps: Any = 1e-5) -> Both:
    return _norm(input, weight)


def _instance_norm(
    input: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: Any = True,
    momentum: Any = 0.1,
    eps: Any = 1e-5,
) -> Both:
    return _norm(input, weight)


def _embedding(
    input: Any,
    weight: Any,
    padding_idx: Any = None,
    max_norm: Any = None,
    norm_type: Any = 2.0,
    scale_grad_by_freq: Any = False,
    sparse: Any = False,
) -> Both:
    return Both(ZERO)


def per_dimension(value: Any, index: int) -> int:
    """Returns a hyper-parameter of one spatial dimension, given as a number or as a tuple and nothing else.

    Raises:
        ToolRaises: a list or a tuple that is too short, which the handlers compute with as with a number.
    """
    if type(value) is tuple and index < len(value):
        return int(value[index])
    if isinstance(value, tuple | list):
        raise ToolRaises(f"its handler computes with {value!r} as with a number")
    return int(value)


def forward_sizes(given: Shape, kernel: Shape, stride: Any, padding: Any, dilation: Any) -> Shape:
    """Returns the spatial sizes that a convolution of these hyper-parameters would put out."""
    sizes = []
    for index, size in enumerate(given):
        window = per_dimension(dilation, index) * (size_at(kernel, index) - 1) + 1
        sizes.append((size + 2 * per_dimension(padding, index) - window) // per_dimension(stride, index) + 1)
    return tuple(sizes)


def numel_of(size: Any) -> int:
    """Returns what the handlers of interpolation make of a size: the product of a sequence, a number as it is."""
    if not isinstance(size, tuple | list):
        return int(size)
    total = 1
    for item in size:
        total *= item
    return total


def _convolution(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: Any = 1
) -> Both:
    shape, kernel = shape_of(input), shape_of(weight)
    channels = size_at(shape, 1)
    if size_at(kernel, 1) * groups != channels:
        raise ToolRaises(f"its handler takes size 1 of the input, {channels}, for its channels")
    if isinstance(padding, str):
        # "same" pads half of the sum at both ends, and so loses one of an odd sum
        odd = padding == "same"
        spans = enumerate(kernel[2 : len(shape)])
        padding = tuple(per_dimension(dilation, i) * (size - 1) // 2 if odd else 0 for i, size in spans)
    made = forward_sizes(shape[2:], kernel[2:], stride, padding, dilation)
    walked = product(N=shape[0]) * elements(made, "out")
    filters = product(**{"Cin": channels, "Cout/g": kernel[0] // groups})
    macs = walked * filters * elements(kernel[2:], "k")
    return _macs(macs, ZERO if bias is None else walked * product(Cout=kernel[0]))


def _matmul(input: Any, other: Any, *, out: Any = None) -> Both:
    return _macs(matmul_macs(input, other))


def _addmm(input: Any, mat1: Any, mat2: Any, *, beta: Any = 1, alpha: Any = 1, out: Any = None) -> Both:
    return _macs(matmul_macs(mat1, mat2), elements(shape_of(input)))


def _tensor_addmm(self: Any, mat1: Any, mat2: Any, *, beta: Any = 1, alpha: Any = 1, out: Any = None) -> Both:
    return _macs(matmul_macs(mat1, mat2), elements(shape_of(self)))


def _einsum(equation: Any, *operands: Any) -> Both:
    return einsum(equation, operands)


def einsum(equation: Any, operands: tuple[Any, ...]) -> Both:
    """Returns the FLOPs of an einsum, and no MACs: numpy's count for the path it finds, to four digits.

    The tools print numpy's report and read the number in it, which has three decimals.
    """
    if not isinstance(equation, str):
        raise ToolRaises("its handler takes the first argument of einsum for the equation")
    return Both(whole(_path_flops(equation.replace(" ", ""), tuple(shape_of(operand) for operand in operands))))


@lru_cache(maxsize=4096)
def _path_flops(equation: str, shapes: tuple[Shape, ...]) -> int:
    import numpy

    letters = dict.fromkeys(letter for letter in equation if letter.isalpha())
    renamed = equation.translate({ord(letter): 97 + place for place, letter in enumerate(letters)})
    stand_ins = [numpy.broadcast_to(numpy.zeros(()), shape) for shape in shapes]
    try:
        report = numpy.einsum_path(renamed, *stand_ins, optimize="optimal")[1]
    except ValueError as error:
        raise ToolRaises(f"numpy cannot read its equation: {error}") from None
    line = next(line for line in str(report).splitlines() if "optimized flop" in line.lower())
    return int(float(line.rpartition(":")[2]))


_F = "torch.nn.functional"
_DIMENSIONS = ("1d", "2d", "3d")
_POOLS = ("avg_pool", "max_pool", "adaptive_avg_pool", "adaptive_max_pool")

SHARED: Mapping[str, Rule] = {
    f"{_F}.linear": _linear,
    **{f"{_F}.conv{d}": _convolution for d in _DIMENSIONS},
    **{f"{_F}.{name}": _relu for name in ("relu", "relu6", "silu")},
    f"{_F}.prelu": _prelu,
    f"{_F}.elu": _elu,
    f"{_F}.leaky_relu": _leaky_relu,
    f"{_F}.gelu": _gelu,
    f"{_F}.softmax": _softmax,
    f"{_F}.embedding": _embedding,
    f"{_F}.batch_norm": _batch_norm,
    f"{_F}.layer_norm": _layer_norm,
    f"{_F}.group_norm": _group_norm,
    f"{_F}.instance_norm": _instance_norm,
    **{f"{_F}.{name}{d}": _pool for name in _POOLS for d in _DIMENSIONS},
    "torch.matmul": _matmul,
    "torch.Tensor.matmul": _matmul,
    "torch.addmm": _addmm,
    "torch.Tensor.addmm": _tensor_addmm,
    "torch.baddbmm": _tensor_addmm,
    "torch.einsum": _einsum,
}
"""What both tools patch and count alike."""
