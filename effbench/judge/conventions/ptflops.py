"""`ptflops`: the MACs that ptflops 0.7.5 gives with its default backend, recomputed from module and function calls.

Run condition: `get_model_complexity_info(model, …, as_strings=False, input_constructor=…)` on the CPU, which sets eval
mode, under no_grad with attention's fused path off; the constructor gives a single positional input as it is, and
several in a dict by name. Lazy modules have run once before. With gradients on the figure is the same. With the fused
path on, and gradients off or the weights frozen, attention layers call no function, so that theirs are not counted.

Facts read in its source:
- Modules are hooked by exact class, once each. Their sum goes through the tree by `children()`, stops at a hooked
  module (so nothing below an attention layer is added), meets a shared module once per parent, and is divided by
  `len()` of the first positional input of the model: 1 where the inputs are named.
- Beside that, patched functions count wherever they are called, and are not divided: `nn.ReLU` counts once by its hook
  and once by the `F.relu` inside it. `F.linear`, `@`, `einsum`, `F.conv2d` and attention's kernel are not patched.
- Element-wise ops align shapes at their first dimension; a matrix product multiplies the left factor's elements by the
  right one's last size; a fractional `scale_factor` gives fractions. The sum is a double that is cut to an integer.
- A hook or handler that does not take its arguments stops the count: the tool prints why and returns None.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from effbench.judge.algebra import ZERO, Expr
from effbench.judge.convention import Cost, convention
from effbench.judge.patched import Called, ToolRaises, calls_of, outcome, size_at, visits, whole
from effbench.judge.ptflops_rules import FUNCTIONALS, MODULES, TENSOR_OPS, FunctionRule
from effbench.records import ModuleCall, Trace
from effbench.units import Unit


@dataclass(frozen=True, slots=True)
class _Seen:
    """A call with its part of the tool's sum, before a module's is divided by the batch."""

    cost: Cost
    value: int | float = 0

    @property
    def exact(self) -> Fraction:
        return Fraction(self.value)


@convention(
    "ptflops",
    Unit.MAC,
    "the figure of ptflops's default backend: hooked modules, and patched functions once more",
    needs=frozenset({"functions"}),
)
def ptflops(trace: Trace) -> Iterable[Cost]:
    """Gives the costs of hooked modules, per sample, and of patched function calls; a type it knows not is free."""
    modules = list(_module_calls(trace))
    functionals = list(_function_calls(trace, FUNCTIONALS))
    tensor_ops = list(_function_calls(trace, TENSOR_OPS))
    everything = [*modules, *functionals, *tensor_ops]
    try:
        batch = _batch(trace)
    except ToolRaises as error:
        return [Cost("", trace.tree[0].type, None, why=_why(error))]
    if any(seen.cost.amount is None for seen in everything):
        return [seen.cost for seen in everything]
    # As the tool adds: integers of modules, a division, then the sums of both lists.
    average = sum(int(seen.value) for seen in modules) / batch
    total = int(average + sum(seen.value for seen in functionals) + sum(seen.value for seen in tensor_ops))
    shares = [seen.exact / batch for seen in modules] + [seen.exact for seen in (*functionals, *tensor_ops)]
    if batch == 1 and sum(shares) == total and all(share.denominator == 1 for share in shares):
        return [seen.cost for seen in everything]
    parts = _cut(shares, total)
    return [Cost(seen.cost.module, seen.cost.label, whole(part)) for seen, part in zip(everything, parts, strict=True)]


def _cut(shares: Sequence[Fraction], total: int) -> Iterator[int]:
    """Gives whole numbers for the shares, each off by less than one; with what a double rounds, they sum to total."""
    exact, given = Fraction(0), 0
    for index, share in enumerate(shares, start=1):
        exact += share
        upto = total if index == len(shares) else math.floor(exact)
        yield upto - given
        given = upto


def _batch(trace: Trace) -> int:
    """Returns what the tool divides by: `len()` of a single positional input, 1 where the inputs are named."""
    call = next(call for call in trace.modules if call.path == "")
    if _inputs_are_named(call):
        return 1
    if call.argument_kinds == ("tensor",):
        batch = size_at(trace.values[call.inputs[0]].shape, 0)
    else:
        batch = len({item.name.split(".")[1] for item in trace.inputs if item.name and "." in item.name})
    if batch == 0:
        raise ToolRaises("it divides by a batch of 0")
    return batch


def _inputs_are_named(call: ModuleCall) -> bool:
    kinds = call.argument_kinds
    one = len(kinds) == 1 and kinds[0] in ("tensor", "sequence")
    return not one or (kinds[0] == "tensor" and len(call.inputs) > 1)


def _module_calls(trace: Trace) -> Iterator[_Seen]:
    times = visits(trace.tree, lambda node: node.type in MODULES)
    for call, called in calls_of(trace):
        rule, repeats = MODULES.get(call.type), times.get(call.path, 0)
        if rule is None:
            yield _Seen(Cost(call.path, call.type, ZERO))
            continue
        if call.path == "" and _inputs_are_named(call):
            called = Called(called.type, (), called.out, called.attrs, called.weights)
        try:
            amount = rule(called)
        except ToolRaises as error:
            yield _Seen(Cost(call.path, call.type, None, why=_why(error)))
            continue
        amount = amount if repeats == 1 else amount * repeats if repeats else ZERO
        yield _Seen(Cost(call.path, call.type, amount), amount.value)


def _function_calls(trace: Trace, rules: Mapping[str, FunctionRule]) -> Iterator[_Seen]:
    for call in trace.functions or ():
        rule = rules.get(call.name)
        if rule is None:
            continue
        try:
            amount = outcome(rule, call)
        except ToolRaises as error:
            yield _Seen(Cost(call.module, call.name, None, why=_why(error)))
            continue
        value = amount.value if isinstance(amount, Expr) else amount
        yield _Seen(Cost(call.module, call.name, amount if isinstance(amount, Expr) else whole(int(amount))), value)


def _why(error: ToolRaises) -> str:
    return f"is where ptflops itself gives up ({error})"
