"""Loaded → Trace: one forward pass, recorded, without weights where that is possible."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import nn

from effbench.errors import InputError, ModelError, one_line
from effbench.garbage import no_collection
from effbench.measure.containers import mapped, named_tensors
from effbench.measure.direct import direct_calls_seen
from effbench.measure.functions import functions_recorded
from effbench.measure.notes import notes_on
from effbench.measure.recorder import Recorder
from effbench.measure.reparametrised import old_style_hooks
from effbench.measure.scripted import scripted_kept
from effbench.measure.source import Loaded, ModelInputs
from effbench.measure.state import Swap, borrowed, private_copy, same_random_state, to_meta
from effbench.measure.survey import survey
from effbench.measure.tensors import Tensors
from effbench.records import Fact, FunctionCall, Input, Note, Trace, TreeNode

Mode = Literal["eval", "train"]
Around = Callable[[], AbstractContextManager[object]]
"""Gives a context that the pass runs in, such as autocast."""


def trace(
    loaded: Loaded, mode: Mode = "eval", needs: frozenset[Fact] = frozenset(), autocast: Around | None = None
) -> Trace:
    """Returns what one forward pass does; `trace.failed` names the module that raised, if one did.

    The pass runs on meta tensors, which have shapes and no data. A model that needs data (it reads a value, its
    output shape depends on one) is run for real instead, and a Note says so. The model is left as it was.

    Args:
        loaded: the model and its inputs.
        mode: whether its modules train or evaluate.
        needs: facts to record beside those that every trace has.
        autocast: what the pass runs in; it is run for real then, since autocast leaves tensors on meta as they are.

    Raises:
        ModelError: the model's constructor raised.
    """
    with same_random_state():
        found = _trace(loaded, mode, needs, autocast)
    return replace(found, notes=(*loaded.notes, *found.notes), origin=loaded.origin)


def _trace(loaded: Loaded, mode: Mode, needs: frozenset[Fact], autocast: Around | None) -> Trace:
    hollow: Trace | None = None
    if "nonzeros" in needs:
        obstacle = "there are no zeros to count"
    elif autocast is not None:
        obstacle = "autocast casts nothing"
    else:
        hollow, obstacle = _run_without_data(loaded, mode, needs)
    if hollow is not None and hollow.failed is None:
        return hollow
    try:
        real = loaded.build("cpu")
    except Exception as error:
        raise ModelError(f"{loaded.name}: building the model raised {one_line(error)}") from error
    if "nonzeros" in needs and any(tensor.is_meta for tensor in _own_tensors(real)):
        raise InputError(f"{loaded.name}: its weights lie on meta and have no values, so zeros cannot be counted")
    if hollow is not None and any(tensor.device.type == "meta" for tensor in _own_tensors(real)):
        return hollow
    full = _run(real, loaded.inputs, private_copy, mode, needs, autocast or nullcontext)
    if full.failed is not None:
        return full
    why = f"run with real tensors, because without data {obstacle}"
    return replace(full, notes=(*full.notes, Note("real-run", loaded.name, why)))


def _run_without_data(loaded: Loaded, mode: Mode, needs: frozenset[Fact]) -> tuple[Trace | None, str]:
    """Returns the pass on meta tensors, None where none could start, and what stood in its way."""
    try:
        model = loaded.build("meta")
    except Exception as error:
        return None, f"its constructor raised {one_line(error)}"
    try:
        # Tensors on meta have no data to free. Storages in a cycle then live to the end, not until some collection.
        with no_collection():
            hollow = _run(model, loaded.inputs, to_meta, mode, needs)
    except Exception as error:  # a kind of tensor that cannot be emptied
        return None, f"putting its tensors on meta raised {one_line(error)}"
    return hollow, hollow.failed or ""


def _run(
    model: nn.Module,
    inputs: ModelInputs,
    swap: Swap,
    mode: Mode,
    needs: frozenset[Fact],
    autocast: Around = nullcontext,
) -> Trace:
    """Returns the trace of one pass with the model's tensors swapped for stand-ins."""
    model = getattr(model, "_orig_mod", model)  # torch.compile's wrapper around the model as written
    failed, functions = None, None
    training = mode == "train"
    with plain_forward(), scripted_kept(model.modules(), training), borrowed(model, swap, training):
        args, kwargs = mapped((inputs.args, dict(inputs.kwargs)), swap)
        held = survey(model)
        if held.is_lazy:
            with suppress(Exception):  # it raises again below, where it is recorded
                model(*args, **kwargs)
            held = replace(survey(model), is_lazy=True)
        recorder = Recorder(held.nodes, needs)
        given = _record_inputs(recorder.tensors, args, kwargs)
        for tensor in held.tensors:
            recorder.log.record_weight(tensor)
        try:
            with autocast(), _seen_everywhere(held.nodes, recorder), _also_recorded(needs, recorder) as functions:
                model(*args, **kwargs)
        except Exception as error:
            failed = f"{_place(recorder.frames.path, held.nodes)} raised {one_line(error)}"
        del args, kwargs
    notes = tuple(notes_on(held, recorder.frames, failed is None))
    return Trace(
        given,
        recorder.values,
        recorder.ops,
        recorder.calls,
        tuple(held.tree),
        tuple(held.params),
        tuple(held.buffers),
        notes,
        failed,
        functions=None if functions is None else tuple(functions),
        composites=recorder.composites,
        nonzeros=recorder.nonzeros,
    )


@contextmanager
def _seen_everywhere(modules: Iterable[nn.Module], recorder: Recorder) -> Iterator[None]:
    """Listens to ops and modules, to forwards called past their modules, and to hooks that compute weights."""
    with (
        old_style_hooks(modules, recorder.frames.computing_weights),
        direct_calls_seen(modules, recorder.entering),
        recorder.listening(),
    ):
        yield


@contextmanager
def _also_recorded(needs: frozenset[Fact], recorder: Recorder) -> Iterator[list[FunctionCall] | None]:
    """Gives the list that function calls are written to, None where they are not asked for."""
    if "functions" not in needs:
        yield None
        return
    with functions_recorded(lambda: recorder.frames.path) as calls:
        yield calls


def _own_tensors(model: nn.Module) -> list[torch.Tensor]:
    return [*model.parameters(), *model.buffers()]


def _record_inputs(tensors: Tensors, args: Any, kwargs: Any) -> tuple[Input, ...]:
    """Returns the tensors among the arguments; a plain positional tensor has no name."""
    found: list[Input] = []
    for tree, top in ((args, True), (kwargs, False)):
        for path, tensor in named_tensors(tree):
            value = tensors.values[tensors.number(tensor)]
            name = None if top and len(path) == 1 else ".".join(path)
            found.append(Input(name, value.shape, value.dtype, value.id))
    return tuple(found)


def _place(path: str, nodes: Mapping[nn.Module, TreeNode]) -> str:
    """Returns "features.3 (Conv2d)"; the model itself is "forward of Net"."""
    kind = next((type(module).__name__ for module, node in nodes.items() if node.path == path), "module")
    return f"{path} ({kind})" if path else f"forward of {kind}"


@contextmanager
def plain_forward() -> Iterator[None]:
    """Gradients, attention's fused fast path and compilation off, warnings unprinted; restored at the end."""
    fast, compiler = torch.backends.mha.get_fastpath_enabled(), torch.compile
    torch.backends.mha.set_fastpath_enabled(False)
    torch.compile = _as_written
    # What is compiled already runs as written too. Where dynamo was never imported, nothing is.
    eager = torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()
    try:
        with torch.no_grad(), warnings.catch_warnings(), eager:
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        torch.compile = compiler


def _as_written(model: Any = None, **options: Any) -> Any:
    """Returns what `torch.compile` is given; without a function, what decorates one."""
    return (lambda function: function) if model is None else model
