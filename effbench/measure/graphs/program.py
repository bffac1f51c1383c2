"""An exported program as its archive states it: JSON, read without torch and without running anything.

Source: the schema of torch.export's archives (torch/_export/serde/schema.py, version 8, and
torch/export/pt2_archive/constants.py). `torch.export.load` would unpickle, and evaluate expressions from the file.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from effbench.errors import InputError, one_line
from effbench.records import Shape

Json = Mapping[str, Any]

DTYPES: Mapping[int, str] = MappingProxyType(
    dict(
        enumerate(
            [
                "uint8",
                "int8",
                "int16",
                "int32",
                "int64",
                "float16",
                "float32",
                "float64",
                "complex32",
                "complex64",
                "complex128",
                "bool",
                "bfloat16",
            ],
            start=1,
        )
    )
    | dict(
        enumerate(
            [
                "uint16",
                "float8_e4m3fn",
                "float8_e5m2",
                "float8_e4m3fnuz",
                "float8_e5m2fnuz",
                "float8_e8m0fnu",
                "uint32",
                "uint64",
            ],
            start=28,
        )
    )
)
"""torch's names of the schema's ScalarType."""
_MOST_JSON_BYTES = 64 * 2**20
_MAJOR = 8


class Meta(NamedTuple):
    """What the archive states of a tensor; `open` says of each size whether it may be another."""

    shape: Shape
    strides: Shape
    dtype: str
    requires_grad: bool
    open: tuple[bool, ...]


class Held(NamedTuple):
    """A parameter, buffer or constant: the graph's name for it, its own dotted name, and the file with its bytes."""

    value: str
    name: str
    kind: str
    meta: Meta
    file: str | None


class Frame(NamedTuple):
    """One call of a module around a node: `key` is the call's own, `path` and `type` the module's."""

    key: str
    path: str
    type: str


@dataclass(frozen=True, slots=True)
class Program:
    """A graph with what it reads.

    Attributes:
        graph: nodes, inputs and outputs, as in the file.
        inputs: the tensors that a caller gives, by the graph's name for them, in order.
        constants: inputs that are no tensors, by name. held: what the model brings itself.
    """

    graph: Json
    inputs: Mapping[str, Meta]
    constants: Mapping[str, Any]
    held: tuple[Held, ...]


def read_program(path: Path) -> Program:
    """Returns the program in an archive.

    Raises:
        InputError: it is truncated, malformed, or of a schema that effbench does not know.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.partition("/")[2]: name for name in archive.namelist()}
            models = sorted(name for name in names if name.startswith("models/") and name.endswith(".json"))
            if len(models) != 1:
                raise InputError(
                    f"{path}: holds {len(models)} programs where one is read; "
                    "a file of a torch older than 2.8 must be exported again"
                )
            model = _json(archive, names[models[0]], path)
            files = {
                name: (entry["path_name"], folder)
                for folder in ("weights", "constants")
                for name, entry in _entries(archive, names, folder, path)
            }
        return _program(model, files, path)
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise InputError(f"{path}: cannot be read as an exported program: {one_line(error)}") from None
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise InputError(f"{path}: no exported program that effbench knows: {one_line(error)}") from None


def _json(archive: zipfile.ZipFile, name: str, path: Path) -> Any:
    if archive.getinfo(name).file_size > _MOST_JSON_BYTES:
        raise InputError(f"{path}: its {name} is over the {_MOST_JSON_BYTES:,} bytes that effbench reads")
    try:
        return json.loads(archive.read(name))
    except RecursionError:
        raise InputError(f"{path}: its {name} is nested without end") from None


def _entries(archive: zipfile.ZipFile, names: Mapping[str, str], folder: str, path: Path) -> Iterator[tuple[str, Json]]:
    """Gives the entries of the list that says which file holds which tensor."""
    listing = names.get(f"data/{folder}/model_{folder}_config.json")
    if listing is not None:
        yield from _json(archive, listing, path)["config"].items()


def _program(model: Json, files: Mapping[str, tuple[str, str]], path: Path) -> Program:
    version = model["schema_version"]["major"]
    if version != _MAJOR:
        raise InputError(f"{path}: its schema has version {version}, effbench knows {_MAJOR}: export it again")
    module = model["graph_module"]
    values = {name: _meta(entry) for name, entry in module["graph"]["tensor_values"].items()}
    inputs: dict[str, Meta] = {}
    constants: dict[str, Any] = {}
    held: list[Held] = []
    for spec in module["signature"]["input_specs"]:
        kind, entry = _only(spec)
        if kind == "user_input":
            form, given = _only(entry["arg"])
            if form == "as_tensor":
                inputs[given["name"]] = values[given["name"]]
            elif form in ("as_sym_int", "as_sym_float", "as_sym_bool") and "as_name" in given:
                constants[given["as_name"]] = _hint(module["graph"], given["as_name"])
        elif kind == "constant_input":
            constants[entry["name"]] = _only(entry["value"])[1]
        elif kind in ("parameter", "buffer", "tensor_constant"):
            name, value = entry[f"{kind}_name"], entry["arg"]["name"]
            file = files.get(name)
            held.append(Held(value, name, kind, values[value], None if file is None else f"data/{file[1]}/{file[0]}"))
        else:
            raise InputError(f"{path}: takes a {kind}, which effbench does not cover")
    return Program(module["graph"], inputs, constants, tuple(held))


def _only(union: Json) -> tuple[str, Any]:
    """Returns the one entry of a union, as the schema writes it."""
    ((kind, entry),) = union.items()
    return kind, entry


def _meta(entry: Json) -> Meta:
    sizes = [_only(size) for size in entry["sizes"]]
    shape = tuple(_number(size) for size in entry["sizes"])
    strides = tuple(_number(size) for size in entry["strides"])
    if min((*shape, *strides), default=0) < 0:
        raise ValueError("a tensor has a negative size")
    if entry["requires_grad"] and not DTYPES[entry["dtype"]].startswith(("float", "bfloat", "complex")):
        raise ValueError("a tensor of integers requires gradients")
    return Meta(
        shape,
        strides,
        DTYPES[entry["dtype"]],
        bool(entry["requires_grad"]),
        tuple(kind != "as_int" for kind, _ in sizes),
    )


def _number(size: Json) -> int:
    """Returns a size; one that was left open is the example's, which the exporter kept as a hint."""
    kind, given = _only(size)
    return int(given) if kind == "as_int" else int(given["hint"]["as_int"])


def _hint(graph: Json, name: str) -> Any:
    for table in ("sym_int_values", "sym_float_values", "sym_bool_values"):
        if name in graph.get(table, {}):
            return _only(graph[table][name]["as_expr"]["hint"])[1]
    raise KeyError(name)


def frames_of(node: Json) -> tuple[Frame, ...]:
    """Returns the modules around a node, outermost first; none where the exporter made the node itself."""
    written = node["metadata"].get("nn_module_stack", "")
    parts = [entry.split(",", 2) for entry in written.split(";") if entry]
    frames = tuple(Frame(*part) for part in parts if len(part) == 3)
    return () if any(frame.key.startswith("_empty_nn_module_stack") for frame in frames) else frames
