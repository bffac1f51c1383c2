"""`torchvision:NAME`: an architecture of torchvision, without weights."""

from __future__ import annotations

import importlib
from inspect import signature
from typing import Any

from effbench.errors import InputError, UnknownName
from effbench.measure.load import Request, loaders
from effbench.measure.source import Loaded, ModelInputs


@loaders.register("torchvision")
def load_torchvision(request: Request) -> Loaded:
    """Returns a torchvision architecture at the input size its published weights were measured with.

    Raises:
        InputError: torchvision is not installed, or has no architecture of that name.
    """
    from effbench.measure.construct import builder
    from effbench.measure.inputs import parse_inputs

    try:
        models = importlib.import_module("torchvision.models")
    except ImportError:
        raise InputError("torchvision is not installed: pip install 'effbench[zoo]'") from None
    name = request.target
    if name not in models.list_models():
        raise UnknownName("torchvision model", name, models.list_models())
    builder_function = models.get_model_builder(name)
    # Segmentation and detection models would otherwise download a backbone.
    backbone = {"weights_backbone": None} if "weights_backbone" in signature(builder_function).parameters else {}
    build = builder(builder_function, request.spec, {"weights": None, **backbone, **request.args})
    inputs = parse_inputs(request.inputs) if request.inputs else _published_inputs(models, name)
    return Loaded(name, request.spec, build, inputs)


def _published_inputs(models: Any, name: str) -> ModelInputs:
    """Returns what one sample is: an image of the size that its weights crop to, a clip, or a pair of frames.

    Of several weights the smallest crop counts: it is the size that the architecture is built for by default.
    """
    from effbench.measure.inputs import image_inputs

    home = models.get_model_builder(name).__module__
    if "optical_flow" in home:
        return ModelInputs(tuple(item for _ in range(2) for item in image_inputs(1, 3, 520, 960).args))
    height, width = min(_crop(weights.transforms()) for weights in models.get_model_weights(name))
    return image_inputs(1, 3, 16, height, width) if "video" in home else image_inputs(1, 3, height, width)


def _crop(transform: Any) -> tuple[int, int]:
    """Returns (height, width) of what a weights' transform gives; 224 where it does not fix one (detection)."""
    size = getattr(transform, "crop_size", None) or getattr(transform, "resize_size", None) or 224
    sizes = [size] if isinstance(size, int) else list(size)
    return (sizes[0], sizes[-1])
