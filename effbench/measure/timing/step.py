"""TimingPlan and Loaded → the callable that is timed: a forward pass, or a training step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from effbench.errors import InputError, ModelError, one_line
from effbench.measure.containers import mapped, tensors_in
from effbench.measure.source import Loaded
from effbench.measure.state import is_shapeless
from effbench.measure.timing.clocks import Call, Clock, captured, clock_for
from effbench.records import Note, TimingPlan

LEARNING_RATE = 1e-5
"""Small, so that thousands of steps leave the weights, and with them the work, as they were."""

_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}

Cast = Callable[[], AbstractContextManager[object]]
"""Gives the autocast context of one call, or an empty one."""


@dataclass(frozen=True, slots=True)
class Step:
    """What is timed.

    Attributes:
        call: one forward pass, which returns the model's output, or one training step.
        clock: what times it.
        around: the context that calls are made in: threads and gradients as planned, restored at its end.
        threads: intra-op threads inside it.
        input_bytes: what the inputs hold for as long as the step lives.
        samples: first dimension of the inputs; None where they do not share one.
        notes: what a reader of its times must know.
    """

    call: Call
    clock: Clock
    around: Callable[[], AbstractContextManager[None]]
    threads: int
    input_bytes: int
    notes: tuple[Note, ...] = ()
    samples: int | None = None


def prepare(loaded: Loaded, plan: TimingPlan) -> Step:
    """Returns what to time of a model under a plan; the model is built, moved and converted, its inputs are copies.

    Raises:
        InputError: the plan cannot be had here or with this model.
        ModelError: building the model raised.
    """
    device = _device(plan.device)
    _refuse_impossible(plan, device)
    model = _built(loaded, device, plan)
    given = mapped(resized(loaded, plan.batch), lambda tensor: _placed(tensor.detach(), device, plan))
    if plan.memory_format == "channels_last" and not any(item.dim() in _CHANNELS_LAST for item in tensors_in(given)):
        raise InputError(f"{loaded.name}: channels_last is for inputs of 4 or 5 dimensions, and it has none")
    called = torch.compile(model) if plan.compiled else model
    if any(map(is_shapeless, model.parameters())):
        with torch.no_grad():
            model(*given[0], **given[1])  # a lazy module has no parameters before its first call
    training = plan.runs == "training"
    forward = _forward(called, given, autocast_of(plan, device))
    call = _training_step(loaded.name, model, forward, plan, device) if training else forward
    threads = plan.threads or torch.get_num_threads()
    around = _surroundings(threads, training)
    if plan.captured:
        with around():
            call = captured(call)
    held = sum({item.untyped_storage()._cdata: item.untyped_storage().nbytes() for item in tensors_in(given)}.values())
    clock = clock_for(device, plan.cold_cache)
    sizes = _first_sizes(given)
    return Step(
        call, clock, around, threads, held, _notes(loaded, plan), sizes[0] if len(sizes) == 1 and sizes[0] else None
    )


# What cannot be


def _device(text: str) -> torch.device:
    """Returns the device of that name, its index filled in.

    Raises:
        InputError: torch knows no such device, or this machine has none.
    """
    try:
        device = torch.device(text)
    except RuntimeError as error:
        raise InputError(f"device {text!r}: {one_line(error)}") from None
    if device.type == "cpu":
        return device
    here = torch.accelerator.current_accelerator(check_available=True)
    if here is None or here.type != device.type:
        others = "only the CPU" if here is None else f"{here.type} and the CPU"
        raise InputError(f"device {text!r}: PyTorch {torch.__version__} finds {others} here")
    count = torch.accelerator.device_count()
    index = torch.accelerator.current_device_index() if device.index is None else device.index
    if index >= count:
        raise InputError(f"device {text!r}: this machine has {count}, numbered from 0")
    return torch.device(device.type, index)


def _refuse_impossible(plan: TimingPlan, device: torch.device) -> None:
    """Raises InputError for what no model can be run under."""
    refusals = {
        "threads: at least 1 is needed": plan.threads is not None and plan.threads < 1,
        "batch: at least 1 sample is needed": plan.batch is not None and plan.batch < 1,
        "a CUDA graph: only a CUDA device records one": plan.captured and device.type != "cuda",
        "a CUDA graph of a training step is not supported: time inference": plan.captured and plan.runs == "training",
        "a CUDA graph of a compiled model: choose one of the two": plan.captured and plan.compiled,
        "training in pure float16 loses its gradients to underflow: use autocast-float16 or bfloat16": plan.runs
        == "training"
        and plan.precision == "float16",
        "a cold cache: only an accelerator's can be emptied before each call": plan.cold_cache and device.type == "cpu",
    }
    for text, refused in refusals.items():
        if refused:
            raise InputError(text)


# Model and inputs


def _built(loaded: Loaded, device: torch.device, plan: TimingPlan) -> nn.Module:
    """Returns the model on its device, its floating-point tensors in the plan's dtype and format."""
    try:
        model = loaded.build("cpu")
    except InputError:
        raise
    except Exception as error:
        raise ModelError(f"{loaded.name}: building the model raised {one_line(error)}") from error
    if any(tensor.is_meta and not is_shapeless(tensor) for tensor in (*model.parameters(), *model.buffers())):
        raise InputError(f"{loaded.name}: its weights lie on meta and have no data to run with")
    model = model.to(device)
    dtype = _dtype(plan)
    if any(tensor.is_floating_point() and tensor.dtype != dtype for tensor in (*model.parameters(), *model.buffers())):
        model = model.to(dtype)
    if plan.memory_format == "channels_last":
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.data = _formatted(tensor.data)
    _set_mode(model, plan.runs == "training")
    return model


def _set_mode(model: nn.Module, training: bool) -> None:
    """Sets every module's flag, also of those whose `train` refuses: an exported program's does."""
    for module in model.modules():
        if hasattr(module, "training"):  # a frozen TorchScript module has none
            module.training = training


def _dtype(plan: TimingPlan) -> torch.dtype:
    return torch.float32 if plan.precision.startswith("autocast-") else _DTYPES[plan.precision]


def _placed(tensor: torch.Tensor, device: torch.device, plan: TimingPlan) -> torch.Tensor:
    """Returns a copy that the model may write to, in the plan's dtype and format."""
    dtype = _dtype(plan) if tensor.is_floating_point() else tensor.dtype
    moved = tensor.to(device, dtype, copy=True)
    return _formatted(moved) if plan.memory_format == "channels_last" else moved


def _formatted(tensor: torch.Tensor) -> torch.Tensor:
    order = _CHANNELS_LAST.get(tensor.dim())
    return tensor if order is None else tensor.contiguous(memory_format=order)


def _first_sizes(given: object) -> list[int]:
    return sorted({item.shape[0] for item in tensors_in(given) if item.dim()})


def resized(loaded: Loaded, batch: int | None) -> tuple[Any, Any]:
    """Returns (args, kwargs) with so many samples: the given ones, again and again where they are fewer.

    Raises:
        InputError: the inputs have no data, or their first dimensions differ: none is known to be the batch.
    """
    given = (loaded.inputs.args, dict(loaded.inputs.kwargs))
    if any(item.is_meta for item in tensors_in(given)):
        raise InputError(f"{loaded.name}: its inputs lie on meta and have no data to run with: give smaller ones")
    if batch is None:
        return given
    sizes = _first_sizes(given)
    if len(sizes) != 1:
        found = f"first dimensions {' and '.join(map(str, sizes))}" if sizes else "no dimension"
        raise InputError(f"{loaded.name}: batch {batch}: its inputs have {found}; give inputs of that batch instead")
    if sizes == [batch]:
        return given
    if sizes == [0]:
        raise InputError(f"{loaded.name}: batch {batch}: its inputs hold no sample to repeat")
    rows = torch.arange(batch) % sizes[0]
    repeated: tuple[Any, Any] = mapped(
        given, lambda item: item.index_select(0, rows.to(item.device)) if item.dim() else item
    )
    return repeated


# The call


def _forward(called: Callable[..., Any], given: tuple[Any, Any], cast: Cast | None) -> Call:
    """Returns one forward pass; autocast begins anew in each, as its casts of the weights do."""
    args, kwargs = given
    if cast is None:
        return lambda: called(*args, **kwargs)

    def forward() -> object:
        with cast():
            return called(*args, **kwargs)

    return forward


def autocast_of(plan: TimingPlan, device: torch.device) -> Cast | None:
    """Returns what gives the autocast context of one call; None for a plan without."""
    prefix, _, dtype = plan.precision.rpartition("-")
    return (lambda: torch.autocast(device.type, _DTYPES[dtype])) if prefix else None


def _training_step(name: str, model: nn.Module, forward: Call, plan: TimingPlan, device: torch.device) -> Call:
    """Returns forward, loss, backward and a step of AdamW; under autocast-float16 with a scaled loss."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    if not weights:
        raise InputError(f"{name}: a training step needs a parameter that requires a gradient, and it has none")
    optimiser = torch.optim.AdamW(weights, lr=LEARNING_RATE)
    scaler = torch.amp.GradScaler(device.type, enabled=plan.precision == "autocast-float16")

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(scaler.scale(loss_of(forward(), name)))
        scaler.step(optimiser)
        scaler.update()

    return step


def loss_of(output: object, name: str = "model") -> torch.Tensor:
    """Returns a scalar to train on: the mean square of each tensor in an output of any structure, summed.

    Squares keep it from below, so that training for long leads to no infinities.

    Raises:
        InputError: no tensor in the output has a gradient.
    """
    leaves = [leaf for leaf in tensors_in(output) if leaf.requires_grad and leaf.numel()]
    if not leaves:
        raise InputError(f"{name}: its output ({type(output).__name__}) has no tensor with a gradient to train on")
    real = [torch.view_as_real(leaf) if leaf.is_complex() else leaf for leaf in leaves]
    losses = [leaf.float().square().mean() for leaf in real]
    return sum(losses[1:], losses[0])


def _surroundings(threads: int, training: bool) -> Callable[[], AbstractContextManager[None]]:
    @contextmanager
    def around() -> Iterator[None]:
        before = torch.get_num_threads()
        if threads != before:
            torch.set_num_threads(threads)
        try:
            with torch.enable_grad() if training else torch.inference_mode():
                yield
        finally:
            if threads != before:
                torch.set_num_threads(before)

    return around


def _notes(loaded: Loaded, plan: TimingPlan) -> tuple[Note, ...]:
    if plan.runs == "inference":
        return loaded.notes
    text = f"loss: mean square of the outputs; AdamW, learning rate {LEARNING_RATE:g}; gradients freed before each step"
    return (*loaded.notes, Note("training-step", loaded.name, text))
