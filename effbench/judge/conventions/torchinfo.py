"""`torchinfo`: the "mult-adds" of torchinfo 1.8.0, recomputed from module calls.

Run condition: `torchinfo.summary(model, input_data=[...], device="cpu", mode="eval")`, which runs under no_grad. The
figure is one of shapes and parameters, and the same on any device and in either grad mode.

Facts read in its source: every call of every module is hooked, and the calls of leaves are added up. A leaf is a module
whose children are all false as Python sees it: there are none, or they are empty containers. The call's figure is
made of the leaf's own parameters, each object once. One named weight or bias has its number of elements times the batch
(the first dimension of the output); where the class's name holds "Conv", times the spatial dimensions too. Another
whose name holds "weight" or "bias" has it times the first two dimensions of the output; any other has nothing.
The output is the tensor that comes first in a tuple or list, and in the last value of a dict.

Where it is wrong: only a convolution's weights are multiplied by the positions they are used at, so a linear layer on
a sequence counts one position; biases and norms are multiply-adds; what is computed outside leaves, or in them without
parameters, is nothing: attention, einsum, operators, parameters of a module with children (nn.MultiheadAttention's
projections). vit_b_16 is 0.17 G.

Where it raises, and the call is unknown here: a module returns what is no tensor, tuple, list, dict or None, or a dict
that is empty; a module with a parameter named weight or bias returns no tensor or one without dimensions; a module's
kernel_size is None or a float. It raises too on nested tensors, as nn.TransformerEncoder makes of a padding mask;
effbench runs it without. A pruned layer's figure counts its mask's ones, which shapes do not say: unknown. A class with
a truth of its own (`__len__`, `__bool__`), save PyTorch's containers, is taken for a child that is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from effbench.judge.algebra import ZERO, Expr, elements, total
from effbench.judge.convention import Cost, convention
from effbench.records import Attr, ModuleCall, Param, Shape, Trace, TreeNode
from effbench.units import Unit

_CONTAINERS = frozenset(
    f"torch.nn.modules.container.{name}"
    for name in ("Sequential", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict")
)
"""Classes that are false where they hold nothing."""


@convention(
    "torchinfo",
    Unit.MAC,
    "the mult-adds of torchinfo.summary: parameters of leaf modules times batch, in convolutions times positions",
)
def torchinfo(trace: Trace) -> Iterable[Cost]:
    """Gives the cost of every module call; modules with children are free here, as they are there."""
    nodes = {node.path: node for node in trace.tree}
    params = {param.name: param for param in trace.params}
    buffers = frozenset(buffer.name for buffer in trace.buffers)
    own = {node.path: _own_params(node, params) for node in trace.tree}
    for node in trace.tree:
        if not isinstance(node.attrs.get("kernel_size", 0), int | str | tuple):
            yield Cost(node.path, node.type, None, why="torchinfo raises: kernel_size is no number of positions")
    for call in trace.modules:
        node = nodes[call.path]
        obstacle = _obstacle(call, own[call.path], trace)
        if obstacle:
            yield Cost(call.path, call.type, None, why=f"torchinfo raises: {obstacle}")
        elif not _is_leaf(node, nodes):
            yield Cost(call.path, call.type, ZERO)
        elif _pruned(node, own[call.path], buffers):
            yield Cost(call.path, call.type, None, why="torchinfo counts the ones in a pruning mask")
        else:
            yield Cost(call.path, call.type, _amount(call, own[call.path], _output(call, trace)))


def _own_params(node: TreeNode, params: Mapping[str, Param]) -> Mapping[str, Param]:
    """Returns a module's own parameters by local name, one that has two names under its first."""
    first: dict[str, str] = {}
    for local, name in node.params:
        first.setdefault(name, local)
    return {local: params[name] for name, local in first.items()}


def _is_leaf(node: TreeNode, nodes: Mapping[str, TreeNode]) -> bool:
    below = (nodes.get(f"{node.path}.{name}" if node.path else name) for name in node.children)
    return all(child is not None and _is_false(child) for child in below)


def _is_false(node: TreeNode) -> bool:
    return not (node.children or node.params) and not _CONTAINERS.isdisjoint(node.bases)


def _pruned(node: TreeNode, own: Iterable[str], buffers: frozenset[str]) -> bool:
    prefix = f"{node.path}." if node.path else ""
    return any(name.endswith("_orig") and f"{prefix}{name.removesuffix('_orig')}_mask" in buffers for name in own)


def _amount(call: ModuleCall, own: Mapping[str, Param], out: Shape) -> Expr:
    times = (*out[:1], *out[2:]) if _is_convolution(call) else out[:1]
    return total(_param_amount(name, param, out, times) for name, param in own.items())


def _is_convolution(call: ModuleCall) -> bool:
    return "Conv" in call.type.rpartition(".")[2]


def _param_amount(name: str, param: Param, out: Shape, times: Shape) -> Expr:
    size = elements(param.shape, name)
    if name in ("weight", "bias"):
        return elements(times, "out") * size
    return elements(out[:2], "out") * size if "weight" in name or "bias" in name else ZERO


def _output(call: ModuleCall, trace: Trace) -> Shape:
    """Returns the shape that torchinfo takes for the output's: () where it finds no tensor."""
    if call.output_kind == "tensor":
        return trace.values[call.outputs[0]].shape
    value: Attr = call.nesting
    if call.output_kind == "mapping" and isinstance(value, tuple):
        value = value[-1]
    while isinstance(value, tuple) and value:
        value = value[0]
    return trace.values[value].shape if isinstance(value, int) else ()


def _obstacle(call: ModuleCall, own: Mapping[str, Param], trace: Trace) -> str:
    """Returns what makes torchinfo raise at this call; "" where nothing does."""
    if call.output_kind == "other":
        return "the output is of an unknown kind"
    if call.output_kind == "mapping" and not call.nesting:
        return "the output is an empty dict"
    if not (_output(call, trace) or _is_convolution(call) or own.keys().isdisjoint({"weight", "bias"})):
        return "the output has no dimension"
    return ""
