"""What the CPU allocator was asked for during one forward pass, from the memory events of PyTorch's profiler.

Every allocation and every free on the calling thread is an event with its bytes and address, so the figures are
exact and not sampled. What libraries take without PyTorch's allocator is not seen.

A kernel may need scratch space beside what it is given and returns. oneDNN's convolutions do: they compute in
blocked layouts, so their input, weight and output may exist twice while one runs, in every call anew. No trace of
shapes can know that, so it is told apart: scratch is what one call of an op both takes and gives back.
"""

from __future__ import annotations

import gc
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import nn
from torch._C._profiler import _EventType
from torch.autograd.profiler import profile

from effbench.errors import InputError, ModelError, one_line
from effbench.measure.containers import mapped, tensors_in
from effbench.measure.source import Loaded
from effbench.measure.state import borrowed, private_copy, same_random_state
from effbench.measure.trace import Mode, plain_forward

_WHOLE = "aten::scaled_dot_product_attention"
"""Composed of other ops, yet one call in a trace: what it takes inside is scratch."""


@dataclass(frozen=True, slots=True)
class Allocated:
    """What one forward pass held at once, parameters and buffers left out, inputs included.

    Attributes:
        peak_bytes: the most bytes alive at any moment.
        peak_without_scratch_bytes: the same with scratch left out: inputs and outputs of ops only.
        scratch_op: the op, such as "aten::convolution", of which one call held the most scratch; "" where none did.
        scratch_bytes: the most scratch that this call held at once.
    """

    peak_bytes: int
    peak_without_scratch_bytes: int
    scratch_op: str
    scratch_bytes: int


class Change(NamedTuple):
    """One allocation or, where `nbytes` is negative, one free.

    `call` numbers the op call it fell into, None between calls; `op` is that op's name.
    """

    time_ns: int
    address: int
    nbytes: int
    call: int | None
    op: str


def allocated(loaded: Loaded, mode: Mode = "eval") -> Allocated:
    """Returns what one forward pass on the CPU asks the allocator for; the model is left as it was.

    The pass runs on one thread, so that buffers which a kernel keeps per thread do not count the machine's cores.

    Raises:
        InputError: the model or its inputs have no data to run with.
        ModelError: building or running the model raised.
    """
    with same_random_state():
        try:
            model = loaded.build("cpu")
        except Exception as error:
            raise ModelError(f"{loaded.name}: building the model raised {one_line(error)}") from error
        model = getattr(model, "_orig_mod", model)  # torch.compile's wrapper around the model as written
        with borrowed(model, private_copy, training=mode == "train"):
            return _measured(loaded, model)


def _measured(loaded: Loaded, model: nn.Module) -> Allocated:
    args, kwargs = mapped((loaded.inputs.args, dict(loaded.inputs.kwargs)), private_copy)
    given = tensors_in((args, kwargs))
    if any(tensor.device.type != "cpu" for tensor in (*given, *model.parameters(), *model.buffers())):
        raise InputError(
            f"{loaded.name}: the allocator is measured on the CPU, with data: put the model and inputs there"
        )
    if any(tensor.layout is not torch.strided for tensor in given):
        raise InputError(f"{loaded.name}: the allocator is measured with dense inputs only")
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage() for tensor in given}
    held = sum(storage.nbytes() for storage in storages.values())
    with plain_forward(), _one_thread():
        try:
            return allocated_by(lambda: model(*args, **kwargs), held)
        except Exception as error:
            raise ModelError(f"{loaded.name}: running the model raised {one_line(error)}") from error


def allocated_by(call: Callable[[], object], held_bytes: int = 0) -> Allocated:
    """Returns what one call asks the CPU's allocator for, on top of the bytes that were held for it before.

    Raises:
        Exception: whatever the call raises.
    """
    gc.collect()  # what others left would be freed during the call
    with _quiet_profiler(), profile(use_cpu=True, use_kineto=False, profile_memory=True) as profiler:
        kept = call()
    del kept
    return summed(changes_of(profiler), held_bytes)


def summed(changes: Sequence[Change], held_bytes: int = 0) -> Allocated:
    """Returns the peaks of a sequence of allocations and frees on top of what was held before it began."""
    scratch = _scratch(changes)
    calls: dict[int, list[Change]] = defaultdict(list)
    for change, is_scratch in zip(changes, scratch, strict=True):
        if is_scratch and change.call is not None:
            calls[change.call].append(change)
    most = max(((_peak(own), own[0].op) for own in calls.values()), default=(0, ""), key=lambda pair: pair[0])
    lasting = [change for change, is_scratch in zip(changes, scratch, strict=True) if not is_scratch]
    return Allocated(held_bytes + _peak(changes), held_bytes + _peak(lasting), most[1], most[0])


def _peak(changes: Iterable[Change]) -> int:
    now = peak = 0
    for change in changes:
        now += change.nbytes
        peak = max(peak, now)
    return peak


def _scratch(changes: Sequence[Change]) -> list[bool]:
    """Returns which allocations, with their frees, began and ended within one op call."""
    found = [False] * len(changes)
    alive: dict[int, int] = {}
    for index, change in enumerate(changes):
        if change.nbytes >= 0:
            alive[change.address] = index
            continue
        start = alive.pop(change.address)
        found[start] = found[index] = change.call is not None and changes[start].call == change.call
    return found


def changes_of(profiler: profile) -> list[Change]:
    """Returns the CPU allocations of a finished profile with their frees, in order of time.

    A free of what was allocated before the profile began is left out.
    """
    results = profiler.kineto_results
    if results is None:
        raise ValueError("the profile has no results: it was not run")
    events: list[Change] = []
    calls = 0

    def visit(event: Any, call: int | None, op: str) -> None:
        nonlocal calls
        if event.tag == _EventType.Allocation:
            fields = event.extra_fields
            if fields.device.type == "cpu":
                events.append(Change(event.start_time_ns, fields.ptr, fields.alloc_size, call, op))
        elif call is None and event.tag == _EventType.TorchOp and _is_one_call(event.name):
            call, op = calls, event.name
            calls += 1
        for child in event.children:
            visit(child, call, op)

    for root in results.experimental_event_tree():
        visit(root, None, "")
    return list(_known(sorted(events, key=lambda change: change.time_ns)))


def _known(changes: Iterable[Change]) -> Iterator[Change]:
    alive: set[int] = set()
    for change in changes:
        if change.nbytes >= 0:
            alive.add(change.address)
        elif change.address not in alive:
            continue
        else:
            alive.remove(change.address)
        yield change


@cache
def _is_one_call(name: str) -> bool:
    """Returns whether a profiled name is one call in a trace: an op that PyTorch does not compose of others."""
    space, _, short = name.partition("::")
    packet = getattr(getattr(torch.ops, space), short, None) if short else None
    if packet is None:  # a label of the profiler's user
        return False
    names = [getattr(packet, overload).name() for overload in packet.overloads()]
    composite = torch._C.DispatchKey.CompositeImplicitAutograd
    known = [one for one in names if torch._C._dispatch_has_kernel(one)]
    is_composite = any(torch._C._dispatch_has_kernel_for_dispatch_key(one, composite) for one in known)
    return name == _WHOLE or (bool(known) and not is_composite)


@contextmanager
def _quiet_profiler() -> Iterator[None]:
    """Lets the profiler start without lines on stderr: its library reads this variable at its first start, once."""
    name = "KINETO_LOG_LEVEL"
    asked = name in os.environ
    os.environ.setdefault(name, "99")
    try:
        yield
    finally:
        if not asked:
            del os.environ[name]


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
