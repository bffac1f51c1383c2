"""`file.pt` (TorchScript): a scripted or traced model, run node by node, so that each op is known by its module."""

from __future__ import annotations

from typing import TYPE_CHECKING

from effbench.errors import InputError, one_line
from effbench.measure.archive import kind_of
from effbench.measure.load import Request, existing_file, loaders, without_arguments
from effbench.measure.source import Loaded
from effbench.records import Note

if TYPE_CHECKING:
    from torch import nn


@loaders.register("script")
def load_script(request: Request) -> Loaded:
    """Returns a TorchScript model with the inputs asked for.

    Raises:
        InputError: the file is no TorchScript, is damaged, or no inputs are given.
    """
    path = existing_file(request)
    without_arguments(request)
    if kind_of(path) != "script":
        raise InputError(f"{path}: was not written by torch.jit.save")
    from effbench.measure.graphs.script_model import build_scripted, dry_run, read_script
    from effbench.measure.inputs import HINT, parse_inputs

    file = read_script(path)
    if not request.inputs and len(file.defaults) < len(file.inputs):
        raise InputError(f"{path}: TorchScript does not say what its inputs {', '.join(file.inputs)} are; {HINT}")
    inputs = parse_inputs(request.inputs)

    def build(device: str, whole: bool = False) -> nn.Module:
        return build_scripted(file, device, request.unsafe, whole)

    try:
        dry_run(build("meta"), inputs)
    except Exception as error:  # whatever stands in the way, torch's own interpreter may do without it
        why = f"its ops stand in one row, since torch's own interpreter ran it: node by node {one_line(error, 160)}"
        note = Note("script-whole", path.stem, why)
        return Loaded(path.stem, request.spec, lambda device: build(device, whole=True), inputs, (note,), "graph")
    return Loaded(path.stem, request.spec, build, inputs, (), "graph")
