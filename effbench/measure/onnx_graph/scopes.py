"""Where in the model a node belongs: exporters write it into metadata or into the node's name."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from effbench.measure.paths import tidy, word

if TYPE_CHECKING:
    import onnx


class Scope(NamedTuple):
    """A module's path, and the classes that are known of it and of the modules above it, by path."""

    path: str
    types: Mapping[str, str]


def scope_of(node: onnx.NodeProto, index: int) -> Scope:
    """Returns the module that a node belongs to.

    torch.onnx.export writes the path and class of every module around a node into its metadata; the exporter before
    it, and others after its model, name nodes "/layer1/layer1.0/conv1/Conv". Any other node stands for itself.
    """
    metadata = {item.key: item.value for item in node.metadata_props}
    names = _texts(metadata.get("pkg.torch.onnx.name_scopes"))
    classes = _texts(metadata.get("pkg.torch.onnx.class_hierarchy"))
    if len(names) > 1 and len(names) == len(classes):
        types = {tidy(name): kind for name, kind in zip(names[:-1], classes[:-1], strict=True)}
        return Scope(tidy(names[-2]), types)
    if node.name.startswith("/"):
        return Scope(_from_slashes(node.name.strip("/").split("/")[:-1]), {})
    path = word(node.name) or f"{word(node.op_type)}_{index}"
    return Scope(path, {path: f"onnx.{node.op_type}"})


def _texts(written: str | None) -> Sequence[str]:
    """Returns a list of texts from its Python literal; nothing where it is none."""
    if written is None or len(written) > 10_000:
        return ()
    try:
        found = ast.literal_eval(written)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return ()
    return found if isinstance(found, list) and all(isinstance(item, str) for item in found) else ()


def _from_slashes(parts: Iterable[str]) -> str:
    """Returns "layer1.0.conv1" for layer1, layer1.0, conv1: the child of a list repeats its parent's name."""
    path: list[str] = []
    for part in parts:
        if path and part.startswith(f"{path[-1]}."):
            path.pop()
        path.append(part)
    return tidy(".".join(path))
