"""What a reader of a trace's numbers must know of how the model was run, as Notes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import torch

from effbench.measure.frames import Frames
from effbench.measure.reparametrised import reparametrised
from effbench.measure.survey import Survey
from effbench.records import ModuleCall, Note, TreeNode


def notes_on(held: Survey, frames: Frames, whole: bool) -> Iterator[Note]:
    """Gives the Notes on a pass of a model; `whole` says that it came to its end."""
    if held.is_lazy:
        yield Note("lazy", "model", "parameters of lazy modules took their shapes from this input")
    scripted = [node.path for module, node in held.nodes.items() if isinstance(module, torch.jit.ScriptModule)]
    direct = frames.called_directly
    yield from reparametrised(held.nodes)
    yield from _scripted(scripted)
    yield from _direct(direct)
    if whole:
        yield from _uncalled(held.tree, frames.calls, {*scripted, *direct, *held.packed})


def _scripted(paths: Sequence[str]) -> Iterator[Note]:
    """Gives a Note naming the outermost TorchScript modules."""
    outermost = [path for path in paths if not any(_is_below(path, other) for other in paths)]
    if outermost:
        text = "TorchScript runs its own graph, in which no module can be seen: all of its ops stand in this row"
        yield Note("torchscript", _shown([path or "model" for path in outermost]), text)


def _direct(paths: Collection[str]) -> Iterator[Note]:
    """Gives a Note naming the modules whose forward was called past them."""
    if paths:
        text = "their forward was called past the module: its ops stand in its row, its calls are not counted"
        yield Note("called-directly", _shown(sorted(paths)), text)


def _uncalled(tree: Sequence[TreeNode], calls: Sequence[ModuleCall], known: Collection[str]) -> Iterator[Note]:
    """Gives a Note naming the modules with parameters that forward never called."""
    called = {call.path for call in calls}
    identities = {node.identity for node in tree if node.path in called}
    idle = [node.path for node in tree if node.params and node.identity not in identities and node.path not in known]
    if idle:
        text = "have parameters, but were not called as modules; what ops they caused stands at their parent"
        yield Note("not-called", _shown(idle), text)


def _is_below(path: str, above: str) -> bool:
    return path != above and (not above or path.startswith(f"{above}."))


def _shown(paths: Sequence[str]) -> str:
    return ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
