"""An exported program as a model: its steps run in turn, each inside calls of the modules it came from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from effbench.measure.graphs.compiling import compile_graph
from effbench.measure.graphs.program import Frame, Held, Program
from effbench.measure.graphs.steps import Step, Values, filled, makes, reads
from effbench.measure.graphs.stored import held_tensor
from effbench.measure.parts import Part, build_parts, hang, part_class
from effbench.measure.paths import owner


@dataclass
class Running:
    """What an exported program needs to run; `held` are the graph's names for what the model brings itself."""

    program: Program
    steps: tuple[Step, ...]
    outputs: tuple[Any, ...]
    parts: dict[str, Part]
    held: frozenset[str]
    constants: dict[str, torch.Tensor] = field(default_factory=dict)


class Exported(Part):
    """The root of an exported program; the modules it names hang below it as parts."""

    _running: Running

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the program's outputs, flat, for its input tensors given in order or by name."""
        running = self._running
        names = list(running.program.inputs)
        values: Values = dict(zip(names, args, strict=False)) | kwargs | dict(running.program.constants)
        absent = [name for name in names if name not in values]
        if absent or len(args) > len(names):
            raise TypeError(f"the program takes {', '.join(names) or 'nothing'}")
        values.update((held.value, self._held(held)) for held in running.program.held)
        tensors = (item for item in values.values() if isinstance(item, torch.Tensor))
        device = next((item.device for item in tensors), torch.device("cpu"))
        self._run(running.steps, values, device, depth=1)
        found = tuple(filled(item, values, device) for item in running.outputs)
        return found[0] if len(found) == 1 else found

    def _held(self, held: Held) -> Any:
        if held.kind == "tensor_constant":
            return self._running.constants[held.value]
        part, local = self._running.parts[owner(held.name)], held.name.rpartition(".")[2]
        return (part._parameters if held.kind == "parameter" else part._buffers)[local]

    def _run(self, steps: Sequence[Step], values: Values, device: torch.device, depth: int) -> None:
        for frame, inside in _runs(steps, depth):
            if frame is None:
                for step in inside:
                    step.run(values, device)
            else:
                self._call(frame, inside, values, device, depth)

    def _call(self, frame: Frame, steps: Sequence[Step], values: Values, device: torch.device, depth: int) -> None:
        """Runs steps as one call of a module: it takes the tensors made before it, and returns those needed later."""
        made = {name for step in steps for name in makes(step)}
        dropped = {name for step in steps for name in step.drops}
        known = made | self._running.held
        taken = dict.fromkeys(name for step in steps for name in reads(step) if name not in known)
        returned = [name for step in steps for name in makes(step) if name not in dropped]
        given = [values[name] for name in taken if isinstance(values[name], torch.Tensor)]
        run = partial(self._inside, steps, values, device, depth, returned)
        self._running.parts[frame.path](*given, run=run)

    def _inside(
        self,
        steps: Sequence[Step],
        values: Values,
        device: torch.device,
        depth: int,
        returned: Sequence[str],
        part: nn.Module,
        *given: Any,
    ) -> Any:
        del given  # the values hold them as long as they are needed
        self._run(steps, values, device, depth + 1)
        found = [values[name] for name in returned if isinstance(values[name], torch.Tensor)]
        return found[0] if len(found) == 1 else tuple(found)


def _runs(steps: Sequence[Step], depth: int) -> Iterator[tuple[Frame | None, Sequence[Step]]]:
    """Gives runs of steps that belong to one call of a module at a depth, None for those of the module above."""
    start, now = 0, None
    for index, step in enumerate(steps):
        if step.frames is None:
            continue  # the exporter's own: it belongs to whatever is running
        frame = step.frames[depth] if len(step.frames) > depth else None
        if frame != now and index > start:
            yield now, steps[start:index]
            start = index
        now = frame
    yield now, steps[start:]


def build_exported(program: Program, path: Path, device: str, unsafe: bool = False) -> nn.Module:
    """Returns the program as a module, its tensors on a device: "meta", or with the file's own values.

    Raises:
        InputError: a node runs what effbench does not run from a file, or a tensor's bytes are missing.
    """
    steps, outputs = compile_graph(program.graph, unsafe)
    classes: dict[str, str] = {owner(held.name): "unknown" for held in program.held}
    classes.update((frame.path, frame.type) for step in steps for frame in step.frames or ())
    root = part_class(classes.get("", "ExportedProgram"), Exported)()
    held = frozenset(item.value for item in program.held)
    root._running = Running(program, steps, outputs, build_parts(root, classes, Part), held)
    _fill(root._running, path, device)
    return root


def _fill(running: Running, path: Path, device: str) -> None:
    """Registers what the model brings itself; entries that share a file are one tensor."""
    shared: dict[str, torch.Tensor] = {}
    for item in running.program.held:
        known = shared.get(item.file or item.value)
        tensor = held_tensor(item, path, device) if known is None else known
        shared[item.file or item.value] = tensor
        if item.kind == "tensor_constant":
            running.constants[item.value] = tensor
            continue
        part, local = running.parts[owner(item.name)], item.name.rpartition(".")[2]
        if item.kind == "parameter":
            fresh = tensor if isinstance(tensor, nn.Parameter) else nn.Parameter(tensor, item.meta.requires_grad)
            shared[item.file or item.value] = fresh
            hang(part._parameters, local, fresh)
        else:
            hang(part._buffers, local, tensor)
