"""`timm:NAME`: an architecture of timm, without weights."""

from __future__ import annotations

import importlib

from effbench.errors import InputError, UnknownName
from effbench.measure.load import Request, loaders
from effbench.measure.source import Loaded


@loaders.register("timm")
def load_timm(request: Request) -> Loaded:
    """Returns a timm architecture at the input size of its default configuration.

    Raises:
        InputError: timm is not installed, or has no architecture of that name.
    """
    from effbench.measure.construct import builder
    from effbench.measure.inputs import image_inputs, parse_inputs

    try:
        timm = importlib.import_module("timm")
    except ImportError:
        raise InputError("timm is not installed: pip install 'effbench[zoo]'") from None
    name = request.target
    if not timm.is_model(name):
        raise UnknownName("timm model", name, timm.list_models())
    build = builder(timm.create_model, request.spec, {"model_name": name, "pretrained": False, **request.args})
    if request.inputs:
        return Loaded(name, request.spec, build, parse_inputs(request.inputs))
    return Loaded(name, request.spec, build, image_inputs(1, *timm.get_pretrained_cfg(name).input_size))
