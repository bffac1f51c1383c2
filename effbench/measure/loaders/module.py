"""`package.module:Name`: a class, factory or instance that can be imported."""

from __future__ import annotations

import importlib
from functools import reduce

from effbench.errors import InputError, UnknownName, one_line
from effbench.measure.load import Request, loaders
from effbench.measure.source import Loaded


@loaders.register("module")
def load_module(request: Request) -> Loaded:
    """Returns the model that an import path names.

    Raises:
        InputError: the module does not import, has no such name, or no inputs are given.
    """
    from effbench.measure.construct import builder
    from effbench.measure.inputs import HINT, parse_inputs

    module_name, _, name = request.target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise InputError(f"{module_name}: importing it raised {one_line(error)}; is it installed?") from error
    try:
        candidate = reduce(getattr, name.split("."), module)
    except AttributeError:
        raise UnknownName(f"name in {module_name}", name, [n for n in dir(module) if n[0] != "_"]) from None
    if not request.inputs:
        raise InputError(f"{request.spec}: an imported model brings no inputs; {HINT}")
    return Loaded(name, request.spec, builder(candidate, request.spec, request.args), parse_inputs(request.inputs))
