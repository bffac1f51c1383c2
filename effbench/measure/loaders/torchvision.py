"""`torchvision:NAME`: an architecture of torchvision, without weights."""

from __future__ import annotations

import importlib
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
    # Some architectures would otherwise download a backbone.
    offline = (
        {"weights_backbone": None} if name.startswith(("deeplab", "fcn", "lraspp", "faster", "mask", "ret")) else {}
    )
    build = builder(models.get_model_builder(name), request.spec, {"weights": None, **offline, **request.args})
    inputs = parse_inputs(request.inputs) if request.inputs else _published_inputs(models, name)
    return Loaded(name, request.spec, build, inputs)


def _published_inputs(models: Any, name: str) -> ModelInputs:
    """Returns one image, or one clip of 16 frames, of the size that the weights' own transform crops to."""
    from effbench.measure.inputs import image_inputs

    transform = models.get_model_weights(name).DEFAULT.transforms()
    crop = getattr(transform, "crop_size", None)
    sizes = [crop] if isinstance(crop, int) else list(crop or [224])
    height, width = (sizes * 2)[:2]
    if "video" in models.get_model_builder(name).__module__:
        return image_inputs(1, 3, 16, height, width)
    return image_inputs(1, 3, height, width)
