"""Trained weights for a model: by the name that its zoo has for them, or out of a file; and whether it has any."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from effbench.errors import InputError, ModelError, one_line
from effbench.measure.source import Loaded
from effbench.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

Named = "Callable[[str], Mapping[str, Any]]"

named_weights: Registry[Callable[[str], Mapping[str, Any]]] = Registry("zoo with named weights")
"""By the prefix of a spec: the constructor arguments that a name of weights stands for."""

_FILES = (".pth", ".pt", ".bin", ".ckpt", ".safetensors")


@named_weights.register("torchvision")
def torchvision_arguments(name: str) -> Mapping[str, Any]:
    """Returns the argument of a builder of torchvision: weights by name, such as DEFAULT or IMAGENET1K_V1."""
    return {"weights": name.rpartition(".")[2]}


@named_weights.register("timm")
def timm_arguments(name: str) -> Mapping[str, Any]:
    """Returns the argument of `timm.create_model`; which weights is part of an architecture's name in timm.

    Raises:
        InputError: another name than DEFAULT or pretrained.
    """
    if name.lower() not in ("default", "pretrained"):
        raise InputError(f"--weights {name}: timm names weights in the model, as timm:resnet50.a1_in1k: pass DEFAULT")
    return {"pretrained": True}


def is_file(weights: str) -> bool:
    """Returns whether a text names a file of weights and not weights of a zoo."""
    return Path(weights.rpartition(":")[0] or weights).suffix.lower() in _FILES or Path(weights).is_file()


def constructor_arguments(spec: str, args: Mapping[str, Any], weights: str | None) -> Mapping[str, Any]:
    """Returns a spec's constructor arguments with those that named weights stand for.

    Raises:
        InputError: the spec's source has no named weights.
    """
    if weights is None or is_file(weights):
        return args
    named = named_weights.find(spec.partition(":")[0])
    if named is None:
        raise InputError(f"--weights {weights}: no such file; names of weights are for torchvision: and timm: only")
    return {**args, **named(weights)}


def with_file(loaded: Loaded, weights: str) -> Loaded:
    """Returns the model with the weights of a file in it; `FILE:KEY` picks one of several state dicts in a file.

    Raises:
        InputError: the file is missing, damaged or holds no state dict. What does not fit is told when it is built.
    """
    state = read_state(weights)

    def build(device: str) -> nn.Module:
        model = loaded.build(device)
        fill(model, state, f"{weights} in {loaded.name}")
        return model

    return replace(loaded, build=build)


def fill(model: nn.Module, state: Mapping[str, Tensor], where: str) -> None:
    """Gives a model its weights, every one of them.

    Raises:
        InputError: a name is missing or left over, or a shape differs.
    """
    own = model.state_dict()
    missing, left = [name for name in own if name not in state], [name for name in state if name not in own]
    if missing or left:
        told = [
            f"{len(names)} {what}: {', '.join(names[:3])}"
            for names, what in ((missing, "missing"), (left, "left over"))
            if names
        ]
        raise InputError(f"{where}: the weights are of another model: {'; '.join(told)}")
    for name, tensor in own.items():
        if tensor.shape != state[name].shape:
            shapes = " and ".join("×".join(map(str, one.shape)) or "a scalar" for one in (tensor, state[name]))
            raise InputError(f"{where}: {name} has the shapes {shapes}: the weights are of another model")
    model.load_state_dict(state)


def read_state(weights: str) -> Mapping[str, Tensor]:
    """Returns the named tensors of a file, "module." of a parallel model taken off.

    Raises:
        InputError: the file is missing, damaged, would run code, or holds no or several state dicts.
    """
    path, key = _split(weights)
    state = _picked(_content(path), key, path)
    if all(name.startswith("module.") for name in state):
        return {name.removeprefix("module."): tensor for name, tensor in state.items()}
    return state


def _split(weights: str) -> tuple[Path, str | None]:
    path, _, key = weights.rpartition(":")
    if path and not Path(weights).is_file():
        return _existing(Path(path)), key
    return _existing(Path(weights)), None


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise InputError(f"--weights {path}: no such file")
    return path


def _content(path: Path) -> Any:
    import torch

    try:
        if path.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except ImportError:
        raise InputError(f"{path}: safetensors is not installed: pip install safetensors") from None
    except Exception as error:
        raise InputError(f"{path}: cannot be read as a state dict: {one_line(error, 160)}") from None


def _picked(content: Any, key: str | None, path: Path) -> Mapping[str, Tensor]:
    found = {name: state for name, state in _states(content) if state}
    if key is not None:
        if key not in found:
            raise InputError(f"{path}: has no state dict {key!r} but {', '.join(found) or 'none'}")
        return found[key]
    if len(found) != 1:
        names = ", ".join(found)
        what = f"several state dicts: {names}; say which, as {path}:{next(iter(found))}" if found else "no state dict"
        raise InputError(f"{path}: holds {what}")
    return next(iter(found.values()))


def _states(content: Any) -> list[tuple[str, Mapping[str, Tensor]]]:
    """Returns (key, dict of tensors) of the content itself, under "", or of what it holds."""
    import torch

    def tensors(item: Any) -> bool:
        return (
            isinstance(item, Mapping) and bool(item) and all(isinstance(each, torch.Tensor) for each in item.values())
        )

    if tensors(content):
        return [("", content)]
    if not isinstance(content, Mapping):
        return []
    return [(str(name), item) for name, item in content.items() if tensors(item)]


def differs_when_built_again(loaded: Loaded, again: Callable[[], Loaded]) -> bool:
    """Returns whether two builds of a model have different parameters: its weights are drawn, and mean nothing.

    Weights that are drawn with a fixed seed are not told from trained ones.

    Args:
        loaded: the model.
        again: loads it anew, so that the file of an instance is run anew.

    Raises:
        ModelError: building the model raised.
    """
    import torch

    from effbench.measure.state import same_random_state

    with same_random_state():
        try:
            one = loaded.build("cpu")
            torch.rand(1)  # a build that draws nothing itself must not begin where the other did
            other = again().build("cpu")
        except InputError:
            raise
        except Exception as error:
            raise ModelError(f"{loaded.name}: building the model raised {one_line(error)}") from error
    if one is other:
        return False
    pairs = zip(one.parameters(), other.parameters(), strict=False)
    with suppress(RuntimeError):  # parameters without a shape yet, or without data
        return any(not torch.equal(first.detach(), second.detach()) for first, second in pairs)
    return False
