"""Loaded → Trace: one forward pass, recorded, without weights where that is possible."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import nn
from torch.utils._pytree import tree_flatten_with_path, tree_map

from effbench.errors import ModelError, one_line
from effbench.measure.plain import class_name, dtype_name, hyper_parameters
from effbench.measure.recorder import Recorder
from effbench.measure.source import Loaded, ModelInputs
from effbench.measure.state import Swap, borrowed, is_shapeless, private_copy, same_random_state, to_meta
from effbench.records import Buffer, Input, ModuleCall, Note, OpCall, Param, Trace, TreeNode, Value

Mode = Literal["eval", "train"]


def trace(loaded: Loaded, mode: Mode = "eval") -> Trace:
    """Returns what one forward pass does; `trace.failed` names the module that raised, if one did.

    The pass runs on meta tensors, which have shapes and no data. A model that needs data (it reads a value, its
    output shape depends on one) is run for real instead, and a Note says so. The model is left as it was.

    Raises:
        ModelError: the model's constructor raised.
    """
    with same_random_state():
        return _trace(loaded, mode)


def _trace(loaded: Loaded, mode: Mode) -> Trace:
    hollow, obstacle = _run_without_data(loaded, mode)
    if hollow is not None and hollow.failed is None:
        return hollow
    try:
        real = loaded.build("cpu")
    except Exception as error:
        raise ModelError(f"{loaded.name}: building the model raised {one_line(error)}") from error
    if hollow is not None and any(tensor.device.type == "meta" for tensor in _own_tensors(real)):
        return hollow
    full = _run(real, loaded.inputs, private_copy, mode)
    if full.failed is not None:
        return full
    why = f"run with real tensors, because without data {obstacle}"
    return replace(full, notes=(*full.notes, Note("real-run", loaded.name, why)))


def _run_without_data(loaded: Loaded, mode: Mode) -> tuple[Trace | None, str]:
    """Returns the pass on meta tensors, None where none could start, and what stood in its way."""
    try:
        model = loaded.build("meta")
    except Exception as error:
        return None, f"its constructor raised {one_line(error)}"
    try:
        hollow = _run(model, loaded.inputs, to_meta, mode)
    except Exception as error:  # a kind of tensor that cannot be emptied
        return None, f"putting its tensors on meta raised {one_line(error)}"
    return hollow, hollow.failed or ""


def _run(model: nn.Module, inputs: ModelInputs, swap: Swap, mode: Mode) -> Trace:
    """Returns the trace of one pass with the model's tensors swapped for stand-ins."""
    model = getattr(model, "_orig_mod", model)  # torch.compile's wrapper around the model as written
    paths = {module: path for path, module in model.named_modules()}
    recorder = Recorder(paths)
    failed = None
    with _quiet_and_plain(), borrowed(model, swap, training=mode == "train"):
        args, kwargs = tree_map(_tensor_map(swap), (inputs.args, dict(inputs.kwargs)))
        lazy = any(map(is_shapeless, _own_tensors(model)))
        if lazy:
            with suppress(Exception):  # it raises again below, where it is recorded
                model(*args, **kwargs)
        tree, params, buffers = read_tree(model), read_params(model), read_buffers(model)
        given = _record_inputs(recorder, args, kwargs)
        for tensor in _own_tensors(model):
            if not is_shapeless(tensor):
                recorder.value_id(tensor)
        try:
            with recorder.listening():
                model(*args, **kwargs)
        except Exception as error:
            failed = f"{_place(recorder.innermost, paths)} raised {one_line(error)}"
        del args, kwargs
    parts = (recorder.values, recorder.ops, recorder.calls)
    notes = (*_lazy_note(lazy), *_uncalled(tree, recorder.calls, failed))
    return _assemble(given, parts, tree, params, buffers, notes, failed)


def _assemble(
    given: tuple[Input, ...],
    parts: tuple[tuple[Value, ...], tuple[OpCall, ...], tuple[ModuleCall, ...]],
    tree: tuple[TreeNode, ...],
    params: tuple[Param, ...],
    buffers: tuple[Buffer, ...],
    notes: tuple[Note, ...],
    failed: str | None,
) -> Trace:
    values, ops, calls = parts
    return Trace(given, values, ops, calls, tree, params, buffers, notes, failed)


def read_tree(model: nn.Module) -> tuple[TreeNode, ...]:
    """Returns every path of the module tree in depth-first order; shared modules stand at each of theirs."""
    names = {id(param): name for name, param in model.named_parameters()}
    identities: dict[nn.Module, int] = {}
    nodes: list[TreeNode] = []

    def visit(module: nn.Module, path: str, above: frozenset[nn.Module]) -> None:
        children = {name: child for name, child in module._modules.items() if child is not None}
        own = ((local, names[id(param)]) for local, param in module._parameters.items() if param is not None)
        nodes.append(
            TreeNode(
                path,
                identities.setdefault(module, len(identities)),
                class_name(type(module)),
                _torch_bases(type(module)),
                tuple(children),
                tuple(own),
                hyper_parameters(module),
            )
        )
        for name, child in children.items():
            if child not in above:
                visit(child, f"{path}.{name}" if path else name, above | {child})

    visit(model, "", frozenset({model}))
    return tuple(nodes)


def read_params(model: nn.Module) -> tuple[Param, ...]:
    """Returns every name of every parameter; a second name of one tensor points to its first."""
    first: dict[int, str] = {}
    found: list[Param] = []
    for name, param in model.named_parameters(remove_duplicate=False):
        lazy = is_shapeless(param)
        known = first.setdefault(id(param), name)
        found.append(
            Param(
                name,
                () if lazy else tuple(param.shape),
                dtype_name(param.dtype),
                param.requires_grad,
                0 if lazy else param.numel() * param.element_size(),
                None if known == name else known,
            )
        )
    return tuple(found)


def read_buffers(model: nn.Module) -> tuple[Buffer, ...]:
    """Returns every distinct registered buffer."""
    return tuple(
        Buffer(name, tuple(item.shape), dtype_name(item.dtype), item.numel() * item.element_size())
        for name, item in model.named_buffers()
        if not is_shapeless(item)
    )


def _torch_bases(kind: type) -> tuple[str, ...]:
    return tuple(class_name(base) for base in kind.__mro__ if base.__module__.startswith("torch.nn"))


def _own_tensors(model: nn.Module) -> list[torch.Tensor]:
    return [*model.parameters(), *model.buffers()]


def _tensor_map(swap: Swap) -> Any:
    return lambda leaf: swap(leaf) if isinstance(leaf, torch.Tensor) else leaf


def _record_inputs(recorder: Recorder, args: Any, kwargs: Any) -> tuple[Input, ...]:
    """Returns the tensors among the arguments; a plain positional tensor has no name."""
    found: list[Input] = []
    for tree, top in ((args, len(args)), (kwargs, 0)):
        for path, leaf in tree_flatten_with_path(tree)[0]:
            if isinstance(leaf, torch.Tensor):
                keys = [str(getattr(step, "key", getattr(step, "idx", step))) for step in path]
                name = None if top and len(keys) == 1 else ".".join(keys)
                found.append(Input(name, tuple(leaf.shape), dtype_name(leaf.dtype), recorder.value_id(leaf)))
    return tuple(found)


def _place(path: str, paths: dict[nn.Module, str]) -> str:
    """Returns "features.3 (Conv2d)"; the model itself is "forward of Net"."""
    kind = next((type(module).__name__ for module, known in paths.items() if known == path), "module")
    return f"{path} ({kind})" if path else f"forward of {kind}"


def _lazy_note(lazy: bool) -> Iterator[Note]:
    """Gives a Note where the input, and not the constructor, decided how many parameters there are."""
    if lazy:
        yield Note("lazy", "model", "parameters of lazy modules took their shapes from this input")


def _uncalled(tree: tuple[TreeNode, ...], calls: tuple[ModuleCall, ...], failed: str | None) -> Iterator[Note]:
    """Gives a Note naming the modules with parameters that forward never called."""
    if failed is not None:
        return
    called = {call.path for call in calls}
    identities = {node.identity for node in tree if node.path in called}
    idle = [node.path for node in tree if node.params and node.identity not in identities]
    if idle:
        shown = ", ".join(idle[:3]) + (f" and {len(idle) - 3} more" if len(idle) > 3 else "")
        text = "have parameters, but were not called as modules; what ops they caused stands at their parent"
        yield Note("not-called", shown, text)


@contextmanager
def _quiet_and_plain() -> Iterator[None]:
    """Gradients and attention's fused fast path off, the model's own warnings unprinted; restored at the end."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
