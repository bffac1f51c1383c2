"""`calflops`: the FLOPs and the MACs that calflops 0.3.2 gives, recomputed from function and module calls.

Run condition: `calculate_flops(model, args=[…], print_results=False, output_as_string=False)` on the CPU, which sets
eval mode, under no_grad with attention's fused path off. With gradients on the figures are the same. With the
fused path on, and gradients off or the weights frozen, attention layers call no function and count nothing. Lazy
modules have run once before.

Facts read in its source, beside those of `effbench.judge.profilers`:
- The sums of modules are added along the tree, a shared module once per parent: with all of its calls each time.
- `@`, `+`, `torch.mm`, `torch.bmm` and attention's kernel are not patched. An einsum has FLOPs but no MACs.
- A transposed convolution takes the weight's second size, its output channels per group, for all of them and divides
  by the groups once more; its bias is counted for the output of a forward convolution. Interpolation counts the size
  asked for without samples and channels, or the input's elements. Element-wise ops align shapes at their first size.
- It raises for a model without parameters, for an input that is no tensor, and at arguments its handlers do not take,
  and then leaves its patches in place.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from effbench.judge.algebra import ZERO, elements, product
from effbench.judge.convention import Cost, convention
from effbench.judge.patched import ToolRaises, aligned_left, shape_of, size_at, visits, whole
from effbench.judge.profiler_handlers import SHARED, forward_sizes, numel_of, resize_arguments
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
    channels, outputs = size_at(shape, 1), size_at(kernel, 1)
    made = forward_sizes(shape[2:], kernel[2:], stride, padding, dilation)
    macs = product(N=shape[0]) * elements(shape[2:], "in") * product(**{"Cin": channels, "Cout/g²": outputs // groups})
    macs = macs * elements(kernel[2:], "k")
    biased = product(N=shape[0], **{"Cout/g": outputs}) * elements(made, "out")
    return Both(macs * 2 + (ZERO if bias is None else biased), macs)


def _interpolate(*args: Any, **kwargs: Any) -> Both:
    shape, size, scale = resize_arguments(args, kwargs)
    if size is not None:
        return Both(whole(numel_of(size)))
    samples = size_at(shape, 0)
    if isinstance(scale, list) or (isinstance(scale, tuple) and len(scale) != samples):
        raise ToolRaises(f"its handler raises {scale!r} to a power")
    if isinstance(scale, float) and scale > 1 and samples * math.log2(scale) >= 1024:
        raise ToolRaises(f"its handler raises {scale} to the power of the batch, {samples}, which overflows")
    return Both(elements(shape))


def _mul(input: Any, other: Any, *, out: Any = None) -> Both:
    return Both(aligned_left(input, other))


def _add(input: Any, other: Any, *, alpha: Any = 1, out: Any = None) -> Both:
    return Both(aligned_left(input, other))


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        **SHARED,
        **{f"torch.nn.functional.conv_transpose{d}": _transposed_convolution for d in ("1d", "2d", "3d")},
        "torch.nn.functional.upsample": _interpolate,
        "torch.nn.functional.interpolate": _interpolate,
        "torch.mul": _mul,
        "torch.Tensor.mul": _mul,
        "torch.add": _add,
        "torch.Tensor.add": _add,
    }
)


@convention(
    "calflops",
    Unit.FLOP,
    "both figures of calflops: patched functions and RNN layers, its MACs counted apart",
    needs=frozenset({"functions"}),
    beside=Unit.MAC,
)
def calflops(trace: Trace) -> Iterable[Cost]:
    """Gives the costs of patched function calls and of RNN modules."""
    refused = _refused(trace)
    if refused:
        return [Cost("", trace.tree[0].type, None, why=f"is where calflops itself raises ({refused})")]
    return costs(trace, "calflops", RULES, visits(trace.tree))


def _refused(trace: Trace) -> str:
    """Returns why the tool does not start at all; "" where it does."""
    if not trace.params:
        return "it asks the first parameter for its device, and the model has none"
    call = next(call for call in trace.modules if call.path == "")
    if any(kind != "tensor" for kind in call.argument_kinds):
        return "it moves every positional input to that device, and one is no tensor"
    return "" if trace.inputs else "it has no input to run with"
