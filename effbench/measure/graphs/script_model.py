"""A TorchScript file as a model: run node by node inside calls of its modules, or whole where that is not possible."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_map

from effbench.errors import InputError, one_line
from effbench.measure.graphs.script_code import Unit, class_of
from effbench.measure.parts import Part, build_parts, hang, part_class
from effbench.measure.paths import tidy
from effbench.measure.source import ModelInputs


class ScriptPart(Part):
    """A module of a TorchScript file: its attributes are read when a node asks for them.

    `_extras` are those that torch does not register; `_sources` keeps the file's tensors alive, so that an id is
    never that of another one.
    """

    _extras: dict[str, Any]
    _sources: list[torch.Tensor]

    def read(self, name: str) -> Any:
        """Returns a parameter, buffer, child or other attribute."""
        for table in self._tables():
            if name in table:
                return table[name]
        return getattr(self, name)  # whether it trains

    def write(self, name: str, value: Any) -> None:
        """Sets an attribute."""
        table = next((table for table in self._tables() if name in table), self._extras)
        table[name] = value

    def has(self, name: str) -> bool:
        """Returns whether an attribute of that name is known."""
        return any(name in table for table in self._tables())

    def _tables(self) -> tuple[dict[str, Any], ...]:
        return (self._parameters, self._buffers, self._modules, self._extras)


@dataclass
class Running:
    """What a TorchScript file needs to run: its functions, the one to begin with, and what that takes.

    `whole` holds torch's own module where that runs instead.
    """

    unit: Unit
    entry: str
    names: tuple[str, ...]
    defaults: dict[str, Any]
    whole: list[Any]


class Scripted(ScriptPart):
    """The root of a TorchScript file."""

    _running: Running

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Returns what the file's forward returns; node by node, or by torch's own interpreter."""
        running = self._running
        if running.whole:
            return running.whole[0](*args, **kwargs)
        given = running.defaults | dict(zip(running.names, args, strict=False)) | kwargs
        absent = [name for name in running.names if name not in given]
        if absent or len(args) > len(running.names) or len(given) > len(running.names):
            raise TypeError(f"forward takes {', '.join(running.names) or 'nothing'}")
        tensors = (item for item in (*given.values(), *self.parameters()) if isinstance(item, torch.Tensor))
        device = next((item.device for item in tensors), torch.device("cpu"))
        return running.unit.function(running.entry).call([self, *(given[name] for name in running.names)], device)


@dataclass(frozen=True, slots=True)
class ScriptFile:
    """What a TorchScript file holds: its module, and all functions by qualified name."""

    path: Path
    module: Any
    graphs: Mapping[str, Any]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Returns the names of what forward takes."""
        return tuple(item.name for item in self._arguments)

    @property
    def defaults(self) -> dict[str, Any]:
        """Returns what forward takes where it is not given."""
        return {item.name: item.default_value for item in self._arguments if item.has_default_value()}

    @property
    def _arguments(self) -> list[Any]:
        return list(self.module._c._get_method("forward").schema.arguments)[1:]


def read_script(path: Path, device: str = "cpu") -> ScriptFile:
    """Returns a TorchScript file's content, its tensors on a device.

    Raises:
        InputError: torch cannot read it.
    """
    try:
        unit: Any = torch._C.CompilationUnit()
        read: Any = torch._C.import_ir_module  # its stub lacks the last two arguments, which torch.jit.load gives
        module = read(unit, str(path), torch.device(device), {}, False)
        graphs = {item.qualified_name: item.graph for item in unit.get_functions()}
        if "forward" not in module._method_names():
            raise InputError(
                f"{path}: has no method forward: {', '.join(module._method_names()) or 'no method at all'}"
            )
        wrap: Any = torch.jit._recursive.wrap_cpp_module
        return ScriptFile(path, wrap(module), graphs)
    except (RuntimeError, ValueError, LookupError, AttributeError, TypeError, OSError) as error:
        raise InputError(f"{path}: cannot be read as TorchScript: {one_line(error)}") from None


def build_scripted(file: ScriptFile, device: str, unsafe: bool, whole: bool) -> Scripted:
    """Returns the file's model on a device; with `whole` torch's own interpreter runs it, unseen from inside."""
    modules = {tidy(path): module for path, module in file.module.named_modules()}
    classes = {path: class_of(module._c._type()) for path, module in modules.items()}
    root = part_class(classes[""], Scripted)()
    parts = build_parts(root, classes, ScriptPart)
    names = {name for graph in file.graphs.values() for name in _attributes(graph)}
    shared: dict[int, torch.Tensor] = {}
    for path, module in modules.items():
        _fill(parts[path], module, names, device, shared)
    whole_module = [read_script(file.path, device).module.eval()] if whole else []
    entry = f"{file.module._c._type()}.forward"
    root._running = Running(Unit(file.graphs, unsafe), entry, file.inputs, file.defaults, whole_module)
    return root


def _attributes(block: Any) -> Iterator[str]:
    """Gives the names of attributes that nodes read or write."""
    for node in block.nodes():
        if node.kind() in ("prim::GetAttr", "prim::SetAttr"):
            yield node.s("name")
        for inner in node.blocks():
            yield from _attributes(inner)


def _fill(part: ScriptPart, module: Any, names: Iterable[str], device: str, shared: dict[int, torch.Tensor]) -> None:
    """Gives a part the parameters, buffers and other attributes of its module; one tensor stays one."""
    part._extras = {}

    def moved(tensor: torch.Tensor) -> torch.Tensor:
        fresh = shared.get(id(tensor))
        if fresh is None:
            fresh = shared[id(tensor)] = tensor.detach().to(device)
            kept.append(tensor)
        return fresh

    kept = part._sources = list[torch.Tensor]()
    for name, tensor in module._parameters.items():
        wanted = moved(tensor)
        shared[id(tensor)] = fresh = (
            wanted if isinstance(wanted, nn.Parameter) else nn.Parameter(wanted, tensor.requires_grad)
        )
        hang(part._parameters, name, fresh)
    for name, tensor in module._buffers.items():
        hang(part._buffers, name, moved(tensor))
    for name in names:
        if name != "training" and not part.has(name) and module._c.hasattr(name):
            value = module._c.getattr(name)
            part._extras[name] = moved(value) if isinstance(value, torch.Tensor) else value


def dry_run(model: nn.Module, inputs: ModelInputs) -> None:
    """Runs a model once on tensors without data, to see whether it can be; what it raises is passed on."""
    args, kwargs = tree_map(_without_data, (inputs.args, dict(inputs.kwargs)))
    with torch.no_grad():
        model.eval()(*args, **kwargs)


def _without_data(leaf: Any) -> Any:
    return leaf.to("meta") if isinstance(leaf, torch.Tensor) else leaf
