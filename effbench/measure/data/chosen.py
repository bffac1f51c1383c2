"""Which preprocessing is meant: the weights' own, flags, a function of the user, or none."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from effbench.errors import InputError, UnknownName, one_line
from effbench.measure.data.preprocess import Interpolation, Mode, Preprocess, Steps, unchanged
from effbench.measure.loaders.python_file import run_file, split_target
from effbench.registry import Registry

WEIGHTS = "weights"
NONE = "none"

Known = Callable[[str, Mapping[str, Any]], Preprocess]
"""(name of an architecture, its constructor's arguments) → what its weights were trained with."""

preprocessings: Registry[Known] = Registry("preprocessing")
"""By the prefix of a spec: which weights say themselves what is done to their images."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a user asks for; nothing takes the weights' own preprocessing where it is known.

    Attributes:
        named: "weights", "none" or "file.py:function".
        resize, crop, mean, std, interpolation, channels: the flags; any of them stands for all steps.
    """

    named: str | None = None
    resize: tuple[int, ...] = ()
    crop: tuple[int, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    interpolation: str | None = None
    channels: int | None = None

    @property
    def flagged(self) -> bool:
        """Returns whether any step is given by a flag."""
        return any((self.resize, self.crop, self.mean, self.std, self.interpolation, self.channels))


@dataclass(frozen=True, slots=True)
class Model:
    """The model that images are prepared for: its spec, None for a Python object, and constructor arguments."""

    spec: str | None = None
    args: Mapping[str, Any] = field(default_factory=dict)


def choose(wanted: Wanted, model: Model) -> Preprocess:
    """Returns the preprocessing that is meant.

    Raises:
        InputError: two ways are asked for at once, or the one asked for is not to be had.
    """
    if wanted.flagged:
        if wanted.named is not None:
            raise InputError(f"--preprocess {wanted.named} says all steps: leave --resize, --crop, --mean, … out")
        return flags(wanted)
    if wanted.named == NONE:
        return unchanged()
    if wanted.named not in (None, WEIGHTS):
        return of_function(wanted.named)
    prefix, _, name = (model.spec or "").partition(":")
    known = preprocessings.find(prefix)
    if known is not None:
        return known(name, model.args)
    if wanted.named is None:
        return unchanged()
    raise InputError(
        f"--preprocess weights: {model.spec or 'a model object'} does not say how its images were prepared: give "
        "--resize, --crop, --mean and --std, or --preprocess file.py:function"
    )


def flags(wanted: Wanted) -> Preprocess:
    """Returns the steps that flags give."""
    modes: Mapping[int | None, Mode | None] = {1: "L", 3: "RGB", None: None}
    if wanted.channels not in modes:
        raise InputError(f"--channels {wanted.channels}: an image has 1 or 3")
    known: tuple[Interpolation, ...] = get_args(Interpolation)
    named = wanted.interpolation or "bilinear"
    chosen = next((each for each in known if each == named), None)
    if chosen is None:
        raise UnknownName("interpolation", named, known)
    return Steps(wanted.resize, wanted.crop, wanted.mean, wanted.std, chosen, modes[wanted.channels]).preprocess()


def of_function(target: str) -> Preprocess:
    """Returns the preprocessing that a function in a Python file does: image → tensor, or image and keypoints → both.

    Raises:
        InputError: the file is missing or raises, or has no such function.
    """
    if ".py:" not in target:
        raise InputError(f"--preprocess {target}: write weights, none or path/to/file.py:function")
    path, name = split_target(target)
    module = run_file(path)
    function = getattr(module, name, None)
    if function is None:
        raise UnknownName(f"name in {path.name}", name, [each for each in vars(module) if each[0] != "_"])
    if not callable(function):
        raise InputError(f"--preprocess {target}: is a {type(function).__name__}, not a function")
    return Preprocess(f"{path.name}:{name}", function, paired=_required(function) == 2)


def _required(function: Callable[..., Any]) -> int:
    """Returns how many arguments a function must be given; 1 where it does not say."""
    from inspect import signature

    try:
        parameters = signature(function).parameters.values()
    except (TypeError, ValueError):
        return 1
    positional = [item for item in parameters if item.kind in (item.POSITIONAL_ONLY, item.POSITIONAL_OR_KEYWORD)]
    return sum(item.default is item.empty for item in positional)


# Weights that say it themselves


@preprocessings.register("torchvision")
def torchvision_weights(name: str, args: Mapping[str, Any]) -> Preprocess:
    """Returns what torchvision does to images for the weights asked for, the default ones where none are.

    Raises:
        InputError: torchvision is not installed, or has no such architecture or weights.
    """
    try:
        models = importlib.import_module("torchvision.models")
    except ImportError:
        raise InputError("torchvision is not installed: pip install 'effbench[zoo]'") from None
    if name not in models.list_models():
        raise UnknownName("torchvision model", name, models.list_models())
    weights = models.get_model_weights(name)
    asked = str(args.get("weights") or "DEFAULT").rpartition(".")[2]
    if asked not in weights.__members__:
        raise UnknownName(f"weights of {name}", asked, weights.__members__)
    chosen = weights[asked]
    transform = chosen.transforms()
    crop = getattr(transform, "crop_size", None)
    size = None if not crop else (crop[0], crop[-1])
    steps = _steps(transform)
    text = f"{type(chosen).__name__}.{chosen.name}: {_described(steps, transform)}"
    return Preprocess(text, transform, None, size, "RGB", pads=None if steps is None else steps.pads)


def _described(steps: Steps | None, transform: Any) -> str:
    """Returns a transform in words, or as it writes itself where its steps are not known."""
    return " ".join(repr(transform).split()) if steps is None else steps.text()


def _steps(transform: Any) -> Steps | None:
    """Returns the steps of a transform of torchvision's weights; None of one that does something else."""
    try:
        resize, crop, mean, std = (getattr(transform, key) for key in ("resize_size", "crop_size", "mean", "std"))
        sides, window = tuple(resize), (crop[0], crop[-1])
        return Steps(sides, window, tuple(mean), tuple(std), transform.interpolation.value, "RGB")
    except (AttributeError, TypeError):
        return None


def _composed_steps(transform: Any, mode: Mode) -> Steps | None:
    """Returns the same of a sequence of transforms, where it is resize, crop, to tensor, normalise."""
    steps = {type(each).__name__: each for each in getattr(transform, "transforms", ())}
    tensor = steps.keys() & {"ToTensor", "MaybeToTensor"}
    if len(steps) != 4 or not tensor or not {"Resize", "CenterCrop", "Normalize"} < steps.keys():
        return None
    resize, crop, norm = (steps[name] for name in ("Resize", "CenterCrop", "Normalize"))
    sides = (resize.size,) if isinstance(resize.size, int) else tuple(resize.size)
    mean, std = (tuple(round(float(each), 6) for each in numbers) for numbers in (norm.mean, norm.std))
    return Steps(sides, tuple(crop.size), mean, std, resize.interpolation.value, mode)


@preprocessings.register("timm")
def timm_weights(name: str, args: Mapping[str, Any]) -> Preprocess:
    """Returns what timm does to images for an architecture's weights, at the input size that its cost is counted at.

    Raises:
        InputError: timm is not installed, or has no such architecture.
    """
    try:
        timm = importlib.import_module("timm")
        timm_data = importlib.import_module("timm.data")
    except ImportError:
        raise InputError("timm is not installed: pip install 'effbench[zoo]'") from None
    if not timm.is_model(name):
        raise UnknownName("timm model", name, timm.list_models())
    config = timm_data.resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(name).to_dict())
    try:
        transform = timm_data.create_transform(**config, is_training=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"timm:{name}: its data config cannot be used: {one_line(error)}") from None
    channels, height, width = config["input_size"]
    mode: Mode = "L" if channels == 1 else "RGB"
    steps = _composed_steps(transform, mode)
    text = f"timm {name}: {_described(steps, transform)}"
    tested = timm.get_pretrained_cfg(name).test_input_size
    if tested and tuple(tested) != (channels, height, width):
        text += f"; timm's own results are at {tested[1]}×{tested[2]}"
    return Preprocess(text, transform, None, (height, width), mode, pads=None if steps is None else steps.pads)
