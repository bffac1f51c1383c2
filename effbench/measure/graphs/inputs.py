"""The tensors that a graph from a file is given: of the sizes it was made with, or of those asked for."""

from __future__ import annotations

from effbench.errors import InputError
from effbench.measure.asked import Asked, by_name, parse_asked
from effbench.measure.graphs.program import Meta, Program
from effbench.measure.inputs import example
from effbench.measure.load import Request
from effbench.measure.source import ModelInputs


def program_inputs(program: Program, request: Request) -> ModelInputs:
    """Returns a tensor for each input of an exported program.

    Raises:
        InputError: what `--input` asks for is not what the program takes, or fixes another size.
    """
    wanted = by_name(parse_asked(request.inputs), list(program.inputs), request.spec, "program")
    shapes = (
        meta.shape if name not in wanted else _fitting(name, meta, wanted[name], request.spec)
        for name, meta in program.inputs.items()
    )
    metas = program.inputs.values()
    return ModelInputs(tuple(example(shape, meta.dtype) for shape, meta in zip(shapes, metas, strict=True)))


def _fitting(name: str, meta: Meta, asked: Asked, spec: str) -> tuple[int, ...]:
    fixed = "×".join("?" if is_open else str(size) for size, is_open in zip(meta.shape, meta.open, strict=True))
    fits = len(asked.shape) == len(meta.shape) and all(
        is_open or size == own for size, own, is_open in zip(asked.shape, meta.shape, meta.open, strict=True)
    )
    if not fits:
        given = "×".join(map(str, asked.shape))
        raise InputError(f"{spec}: the input {name!r} was exported as {fixed} and cannot be {given}")
    if asked.dtype not in (None, meta.dtype):
        raise InputError(f"{spec}: the input {name!r} is {meta.dtype} in this program, not {asked.dtype}")
    return asked.shape
