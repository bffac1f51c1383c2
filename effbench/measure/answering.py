"""A model that answers batches: lent in eval mode on a device, given back as it was; and which output is its answer."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from effbench.errors import InputError, ModelError, one_line
from effbench.measure.containers import tensors_in
from effbench.measure.source import Loaded
from effbench.measure.state import borrowed, is_shapeless, private_copy


def built(loaded: Loaded) -> nn.Module:
    """Returns the model with data in its weights.

    Raises:
        InputError: its weights have none. ModelError: building it raised.
    """
    try:
        model = loaded.build("cpu")
    except InputError:
        raise
    except Exception as error:
        raise ModelError(f"{loaded.name}: building the model raised {one_line(error)}") from error
    held = (*model.parameters(), *model.buffers())
    if any(tensor.is_meta and not is_shapeless(tensor) for tensor in held):
        raise InputError(f"{loaded.name}: its weights lie on meta and have no data to run with")
    return model


@contextmanager
def lent(model: nn.Module, name: str | None) -> Iterator[tuple[nn.Module, torch.device]]:
    """Lends a model in eval mode on a device, with gradients off; None leaves it on its own device.

    Raises:
        InputError: there is no such device here.
    """
    device = next((each.device for each in model.parameters()), torch.device("cpu")) if name is None else _device(name)
    with torch.no_grad():
        if isinstance(model, torch.jit.ScriptModule):  # its tensors cannot be swapped from outside
            yield copy.deepcopy(model).to(device).eval(), device
            return
        with borrowed(model, lambda tensor: _on(tensor, device), training=False):
            yield model, device


def _on(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    if is_shapeless(tensor) or tensor.device == device:
        return private_copy(tensor)
    moved = tensor.detach().to(device, copy=True)
    return nn.Parameter(moved, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else moved


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        return torch.empty(0, device=device).device  # with its index filled in
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {name!r}: {one_line(error, 120)}") from None


def answer(model: nn.Module, inputs: Any, wanted: str | None, name: str, where: str) -> torch.Tensor:
    """Returns what a model answers to a batch.

    Args:
        model: as `lent` lends it.
        inputs: a tensor; a tuple is several arguments, a dict is arguments by name.
        wanted: key or place of one of several outputs; None takes the only one.
        name: the model's, and `where` the samples', for messages.

    Raises:
        InputError: it has several outputs and none is chosen, or the chosen one is no tensor.
        ModelError: the model raised.
    """
    args, kwargs = _arguments(inputs)
    try:
        output = model(*args, **kwargs)
    except Exception as error:
        given = ", ".join(f"{'×'.join(map(str, item.shape))} {_dtype(item)}" for item in tensors_in(inputs))
        advice = "; a smaller --batch needs less memory" if isinstance(error, torch.OutOfMemoryError) else ""
        raise ModelError(
            f"{name}: on {where} ({given or 'no tensor'}) the model raised {one_line(error)}{advice}"
        ) from error
    return chosen_output(output, wanted, name)


def _arguments(inputs: Any) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    """Returns (positional, keyword arguments) of a call."""
    if isinstance(inputs, Mapping):
        return (), inputs
    return (tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,)), {}


def chosen_output(output: Any, wanted: str | None, name: str) -> torch.Tensor:
    """Returns the tensor that a model answers with.

    Args:
        output: of its forward pass.
        wanted: key or place of one of several outputs; None takes the only one.
        name: the model's, for messages.

    Raises:
        InputError: it has several outputs and none is chosen, or the chosen one is no tensor.
    """
    parts = _parts(output)
    if wanted is None:
        found = output if not parts else next(iter(parts.values())) if len(parts) == 1 else None
        if found is None:
            raise InputError(
                f"{name}: has several outputs: {', '.join(parts)}: choose one with --answer {next(iter(parts))}"
            )
    elif wanted not in parts:
        kinds = ", ".join(parts) or f"only one, a {type(output).__name__}"
        raise InputError(f"{name}: has no output {wanted!r} but {kinds}")
    else:
        found = parts[wanted]
    if not isinstance(found, torch.Tensor):
        raise InputError(f"{name}: answers with a {type(found).__name__}, which is no tensor: choose one with --answer")
    return found


def _parts(output: Any) -> dict[str, Any]:
    """Returns a model's outputs by key or place; none where it is a single tensor."""
    if isinstance(output, Mapping):
        return {str(key): item for key, item in output.items()}
    if isinstance(output, tuple | list):
        return {str(place): item for place, item in enumerate(output)}
    return {}


def _dtype(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
