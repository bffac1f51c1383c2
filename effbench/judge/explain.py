"""The hand calculation behind each number: what a person would write on paper."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from effbench.errors import UnknownName
from effbench.judge.algebra import ZERO, Expr, product, repeated, total
from effbench.judge.count import Counts
from effbench.records import Param, Shape, Trace, TreeNode

_CONV = "torch.nn.modules.conv._ConvNd"
_TRANSPOSED = "torch.nn.modules.conv._ConvTransposeNd"
_LINEAR = "torch.nn.modules.linear.Linear"


@dataclass(frozen=True, slots=True)
class Line:
    """One calculation: `formula` in symbols, `calculation` with the numbers put in, `result` its value.

    An unknown result has no calculation; `remark` says what is behind it or adds to it.
    """

    path: str
    type: str
    formula: str
    calculation: str
    result: int | None
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Separable:
    """What a depth-wise separable convolution in a regular one's place would cost, per sample.

    Source: Howard et al., MobileNets (2017), section 3.1: k²·M·N·F² against k²·M·F² + M·N·F².
    """

    path: str
    macs: Line
    macs_separable: Line
    params: Line
    params_separable: Line
    ratio: Line
    ratio_value: float


@dataclass(frozen=True, slots=True)
class Section:
    """The lines of one figure and their sum; the total is None where a line is unknown."""

    lines: tuple[Line, ...]
    sum_text: str
    total: int | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Parameters and cost of every layer, by hand."""

    params: Section
    cost: Section
    separable: tuple[Separable, ...]


def explain(trace: Trace, counts: Counts, layer: str | None = None) -> Explanation:
    """Returns the hand calculations of all layers, or of one path and what is below it.

    Raises:
        UnknownName: the model has no such layer.
    """
    paths = [node.path for node in trace.tree]
    if layer is not None and layer not in paths:
        raise UnknownName("layer", layer, filter(None, paths))  # the model itself has no name
    shown = [node for node in trace.tree if layer is None or node.path == layer or node.path.startswith(f"{layer}.")]
    return Explanation(
        _section(_param_lines(shown, trace)),
        _section(_cost_lines(shown, trace, counts)),
        tuple(_separable_lines(shown, trace, counts)),
    )


def _section(lines: Iterable[Line]) -> Section:
    kept = tuple(lines)
    results = [line.result for line in kept]
    text = " + ".join("unknown" if result is None else f"{result:,}" for result in results) or "0"
    return Section(kept, text, None if None in results else sum(result or 0 for result in results))


def _param_lines(nodes: Sequence[TreeNode], trace: Trace) -> Iterable[Line]:
    by_name = {param.name: param for param in trace.params}
    done: set[int] = set()
    for node in nodes:
        if node.identity in done or not node.params:
            continue
        done.add(node.identity)
        # `node.params` points to first names; a parameter met first under another name is counted there.
        own = {local: by_name[name] for local, name in node.params}
        here = {local: param for local, param in own.items() if param.name == _join(node.path, local)}
        away = [f"{local} is {param.name}, counted there" for local, param in own.items() if local not in here]
        amount = _param_expr(node, here)
        yield Line(node.path, _short(node.type), amount.symbols(), amount.numbers(), amount.value, "; ".join(away))


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _param_expr(node: TreeNode, params: Mapping[str, Param]) -> Expr:
    shapes = {name: param.shape for name, param in params.items()}
    weight = shapes.pop("weight", None)
    first = ZERO if weight is None else _weight(node, weight)
    return total([first, *(_dimensions(shape, name) for name, shape in shapes.items())])


def _weight(node: TreeNode, shape: Shape) -> Expr:
    """Returns a weight's size, written in the order people do: inputs × kernel × outputs."""
    if _TRANSPOSED in node.bases:
        return product(Cin=shape[0]) * repeated("k", shape[2:]) * product(**{"Cout/g": shape[1]})
    if _CONV in node.bases:
        inner = "Cin" if node.attrs.get("groups") == 1 else "Cin/g"
        return product(**{inner: shape[1]}) * repeated("k", shape[2:]) * product(Cout=shape[0])
    if _LINEAR in node.bases:
        return product(**{"in": shape[1], "out": shape[0]})
    return _dimensions(shape, "weight")


def _dimensions(shape: Shape, name: str) -> Expr:
    """Returns a tensor's size as the product of its dimensions; one of a single dimension is called by its name."""
    names = (name,) if len(shape) == 1 else tuple(f"d{index}" for index in range(1, len(shape) + 1))
    return product(**dict(zip(names, shape, strict=True))) if shape else product(**{name: 1})


def _cost_lines(nodes: Sequence[TreeNode], trace: Trace, counts: Counts) -> Iterable[Line]:
    layers = {layer.path: layer for layer in counts.layers}
    homes = {node.identity: node.path for node in reversed(trace.tree)}
    shown = {node.path for node in nodes}
    for node in nodes:
        home, amount = homes[node.identity], layers[node.path].amount
        kind = _short(node.type)
        if home not in shown and _costs(layers[home].amount):
            yield Line(node.path, kind, "", "0", 0, f"the same module as {home}, counted there")
        elif amount is None:
            unknown = ", ".join(sorted({c.label for c in counts.costs if c.module == node.path and c.amount is None}))
            why = f"no formula for {unknown}" if unknown else "its forward did not run"
            yield Line(node.path, kind, "", "", None, f"unknown: {why}")
        elif amount:
            yield Line(node.path, kind, amount.symbols(), amount.numbers(), amount.value)


def _costs(amount: Expr | None) -> bool:
    """Returns whether an amount is worth a line: unknown or made of something."""
    return amount is None or bool(amount)


def _separable_lines(nodes: Sequence[TreeNode], trace: Trace, counts: Counts) -> Iterable[Separable]:
    layers = {layer.path: layer for layer in counts.layers}
    shapes = {param.name: param.shape for param in trace.params}
    for node in nodes:
        layer, weight = layers[node.path], dict(node.params).get("weight")
        regular = _CONV in node.bases and _TRANSPOSED not in node.bases and node.attrs.get("groups") == 1
        if regular and layer.outputs and weight is not None:
            yield _separable(node, shapes[weight], layer.outputs[0])


def _separable(node: TreeNode, weight: Shape, out: Shape) -> Separable:
    """Returns the comparison for a (Cout, Cin, *k) weight and an (N, Cout, *F) or (Cout, *F) output."""
    outputs, inputs, kernel = weight[0], weight[1], weight[2:]
    k, window = repeated("k", kernel), math.prod(kernel)
    field = repeated("F", out[-len(kernel) :])
    m, n = product(M=inputs), product(N=outputs)
    k_text, f_text = k.symbols(), field.symbols()
    both = f"({k.numbers()} + {outputs})"
    separable = (window + outputs) * inputs
    kind = _short(node.type)

    def line(formula: str, calculation: str, result: int) -> Line:
        return Line(node.path, kind, formula, calculation, result)

    regular = k * m * n
    return Separable(
        node.path,
        line(f"{k_text}·M·N·{f_text}", (regular * field).numbers(), (regular * field).value),
        line(f"({k_text} + N)·M·{f_text}", f"{both} × {inputs} × {field.numbers()}", separable * field.value),
        line(f"{k_text}·M·N", regular.numbers(), regular.value),
        line(f"({k_text} + N)·M", f"{both} × {inputs}", separable),
        Line(node.path, kind, f"1/N + 1/{k_text}", f"1/{outputs} + 1/{k.numbers()}", None),
        1 / outputs + 1 / window,
    )


def _short(name: str) -> str:
    return name.rpartition(".")[2]
