"""The torchsummary report, from a trace: the same rows, numbering and sizes, without that tool's known bugs.

Read in torchsummary 1.5.1: a row per call of every module that is no Sequential, no ModuleList and not the model
itself, in the order in which the calls return; sizes take 4 bytes an element, the forward/backward size is twice
the rows' outputs. Corrected here: a parameter counts once however often its module is called or shared; parameters
that are not called `weight` or `bias`, and those of modules that never run as modules, are in a row or named as
outside the table; outputs of any structure have their sizes added, not multiplied.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from effbench.records import ModuleCall, Shape, Trace, TreeNode

_NOT_LISTED = frozenset(
    {"torch.nn.modules.container.Sequential", "torch.nn.modules.container.ModuleList"},
)
BYTES_PER_ELEMENT = 4
MIB = 2**20


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """One line: "Conv2d-1", its output shape as torchsummary prints it, the parameters it brings."""

    layer: str
    output_shape: str
    params: int


@dataclass(frozen=True, slots=True)
class Summary:
    """The report; sizes are in MiB, which torchsummary calls MB.

    Attributes:
        outside: parameters that no row brings: the model's own, and those of modules that never ran.
    """

    rows: tuple[SummaryRow, ...]
    total: int
    trainable: int
    outside: int
    input_mb: float
    forward_backward_mb: float
    params_mb: float

    @property
    def total_mb(self) -> float:
        """Returns the estimated total size in MiB."""
        return self.input_mb + self.forward_backward_mb + self.params_mb


def summarise(trace: Trace) -> Summary:
    """Returns the torchsummary report of a trace."""
    listed = {node.path for node in trace.tree if node.path and _NOT_LISTED.isdisjoint(node.bases)}
    calls = [call for call in trace.modules if call.path in listed]
    bring = _params_by_row(trace, {call.path for call in calls})
    rows: list[SummaryRow] = []
    elements = 0
    for number, call in enumerate(calls, start=1):
        shapes = [trace.values[item].shape for item in call.outputs]
        elements += sum(math.prod(shape[1:]) for shape in shapes)
        name = f"{call.type.rpartition('.')[2]}-{number}"
        rows.append(SummaryRow(name, _shape_text(call, shapes), bring.pop(call.path, 0)))
    distinct = [param for param in trace.params if param.alias_of is None]
    total = sum(param.numel for param in distinct)
    given = sum(math.prod(item.shape[1:]) for item in trace.inputs)
    return Summary(
        rows=tuple(rows),
        total=total,
        trainable=sum(param.numel for param in distinct if param.trainable),
        outside=total - sum(row.params for row in rows),
        input_mb=given * BYTES_PER_ELEMENT / MIB,
        forward_backward_mb=2 * elements * BYTES_PER_ELEMENT / MIB,
        params_mb=total * BYTES_PER_ELEMENT / MIB,
    )


def _params_by_row(trace: Trace, rows: set[str]) -> dict[str, int]:
    """Returns parameters by the path whose first row brings them: their module's, or the nearest above it."""
    owners = _owner_paths(trace.tree)
    sums: dict[str, int] = {}
    for param in trace.params:
        if param.alias_of is not None:
            continue
        path = owners[param.name.rpartition(".")[0]]
        while path and path not in rows:
            path = path.rpartition(".")[0]
        sums[path] = sums.get(path, 0) + param.numel
    return sums


def _owner_paths(tree: Iterable[TreeNode]) -> dict[str, str]:
    """Returns, for each path, the first path of the same module object: the one that calls are recorded under."""
    first: dict[int, str] = {}
    return {node.path: first.setdefault(node.identity, node.path) for node in tree}


def _shape_text(call: ModuleCall, shapes: list[Shape]) -> str:
    texts = [str([-1, *shape[1:]] if shape else []) for shape in shapes]
    if call.output_kind == "tensor" and len(texts) == 1:
        return texts[0]
    return f"[{', '.join(texts)}]"
