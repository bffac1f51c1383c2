"""`file.onnx`: a graph, counted from what it says; neither it nor torch is run."""

from __future__ import annotations

from effbench.errors import InputError
from effbench.measure.load import Request, existing_file, loaders, without_arguments
from effbench.measure.source import Traced


@loaders.register("onnx")
def load_onnx(request: Request) -> Traced:
    """Returns an ONNX graph as the trace of one pass, its open sizes taken from `--input`.

    Raises:
        InputError: onnx is not installed, the file is no ONNX model, its sizes stay open, or its nodes do not fit.
    """
    from effbench.measure.asked import parse_asked
    from effbench.measure.onnx_graph.assemble import assemble
    from effbench.measure.onnx_graph.reading import bound_inputs, read_model
    from effbench.measure.onnx_graph.walk import Walk

    path = existing_file(request)
    without_arguments(request)
    asked = parse_asked(request.inputs)
    model = read_model(path)
    inputs = bound_inputs(model.graph, asked, str(path))
    opsets = {"" if item.domain == "ai.onnx" else item.domain: item.version for item in model.opset_import}
    walk = Walk(opsets, dict(inputs))
    for name, kind in inputs.items():
        walk.tensors[name] = walk.writer.tensor(kind)
    try:
        walk.graph(model.graph)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return Traced(path.stem, request.spec, assemble(walk, model.graph, inputs, path.stem))
