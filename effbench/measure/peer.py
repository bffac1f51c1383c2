"""Other tools, run for real: their integers and no judgement."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata, util
from typing import TYPE_CHECKING, Any, TypeAlias

from effbench.errors import InputError, one_line
from effbench.registry import Registry

if TYPE_CHECKING:
    from torch import nn

    from effbench.measure.source import Loaded


@dataclass(frozen=True, slots=True)
class Figures:
    """What a tool gives that counts FLOPs and MACs by rules of its own."""

    flops: int
    macs: int


Run: TypeAlias = "Callable[[nn.Module, tuple[Any, ...]], int | Figures]"
"""(model on the CPU, positional inputs) → the tool's own total, in its unit, or both of its totals."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Another tool.

    Attributes:
        needs: what it imports, itself first. unit: what its total counts: "MAC" or "FLOP".
        condition: how it is run here, which its figure depends on.
    """

    name: str
    needs: tuple[str, ...]
    unit: str
    condition: str
    run: Run


peers: Registry[Peer] = Registry("peer tool")


def peer(name: str, needs: tuple[str, ...], unit: str, condition: str) -> Callable[[Run], Run]:
    """Returns a decorator that registers how a tool is run."""

    def enter(run: Run) -> Run:
        peers.add(name, Peer(name, needs, unit, condition, run))
        return run

    return enter


def missing(tool: Peer) -> str:
    """Returns why a tool cannot be imported, without importing it; "" where nothing stands in the way."""
    absent = [name for name in tool.needs if not _is_there(name)]
    if not absent:
        return ""
    shim = "; setuptools brings it" if "distutils" in absent else ""
    return f"cannot be imported here: {', '.join(absent)} is missing{shim}"


def version(tool: Peer) -> str:
    """Returns the installed version of a tool, or "" where it is not installed."""
    try:
        return metadata.version(tool.needs[0])
    except metadata.PackageNotFoundError:
        return ""


def run_peer(tool: Peer, loaded: Loaded) -> int:
    """Returns the tool's own total for a model in the tool's unit, run as its condition says.

    Raises:
        InputError: the tool cannot be imported, or raised.
    """
    given = run_for_figures(tool, loaded)
    return given.flops if isinstance(given, Figures) else given


def run_for_figures(tool: Peer, loaded: Loaded) -> int | Figures:
    """Returns what the tool gives for a model, both figures where it gives two; the model is left as it was.

    Raises:
        InputError: the tool cannot be imported, or raised.
    """
    obstacle = missing(tool)
    if obstacle:
        raise InputError(f"{tool.name} {obstacle}")
    if loaded.inputs.kwargs:
        raise InputError(f"{tool.name} takes positional inputs only")
    from effbench.measure.state import borrowed

    try:
        model = loaded.build("cpu")
        with borrowed(model, lambda tensor: tensor, training=False):
            return tool.run(model, loaded.inputs.args)
    except Exception as error:
        raise InputError(f"{tool.name} raised {one_line(error)}") from error


def _is_there(name: str) -> bool:
    try:
        return util.find_spec(name) is not None
    except ValueError:  # a module whose import is blocked by None in sys.modules
        return False


def availability() -> Mapping[str, str]:
    """Returns a line about each registered tool: version and condition, or why it cannot run."""
    return {
        name: missing(tool) or f"{version(tool)}, counts {tool.unit}s; {tool.condition}" for name, tool in peers.items()
    }
