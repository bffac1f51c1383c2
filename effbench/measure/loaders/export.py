"""`file.pt2`: a program that torch.export wrote, run from what its archive states and without its author's code."""

from __future__ import annotations

from functools import partial

from effbench.errors import InputError, one_line
from effbench.measure.archive import kind_of
from effbench.measure.load import Request, existing_file, loaders, without_arguments
from effbench.measure.source import Loaded
from effbench.records import Note


@loaders.register("export")
def load_export(request: Request) -> Loaded:
    """Returns an exported program at the sizes it was exported with, its open sizes taken from `--input`.

    Raises:
        InputError: the file is no exported program, is damaged, or runs more than ops on tensors.
    """
    path = existing_file(request)
    without_arguments(request)
    if kind_of(path) != "export":
        raise InputError(f"{path}: was not written by torch.export.save")
    from effbench.measure.graphs.exported import build_exported
    from effbench.measure.graphs.inputs import program_inputs
    from effbench.measure.graphs.program import read_program

    program = read_program(path)
    inputs = program_inputs(program, request)
    try:
        build_exported(program, path, "meta", request.unsafe)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise InputError(f"{path}: no exported program that effbench knows: {one_line(error)}") from None
    note = Note(
        "exported", path.stem, "the graph that torch.export traced is counted; its checks of values are left out"
    )
    build = partial(build_exported, program, path, unsafe=request.unsafe)
    return Loaded(path.stem, request.spec, build, inputs, (note,), "graph")
