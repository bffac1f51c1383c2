"""`hf:DIR`: a model of transformers, built from its config.json without weights; nothing is downloaded."""

from __future__ import annotations

import copy
import importlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from effbench.errors import EffbenchError, InputError, UnknownName, one_line
from effbench.measure.load import Request, loaders
from effbench.measure.source import Build, Loaded, ModelInputs

if TYPE_CHECKING:
    from torch import nn

_MOST_CONFIG_BYTES = 16 * 2**20
_MOST_LAYERS = 100_000
_COUNTS = ("layers", "blocks", "experts", "depth")
"""What modules are counted by in a config; a number beyond any model would fill memory before it is counted."""


@loaders.register("hf")
def load_hf(request: Request) -> Loaded:
    """Returns the architecture of a folder's config.json; `--arg` sets its entries, the weights stay unread.

    Raises:
        InputError: transformers is not installed, the config is malformed or names no model of it, or it is not
            clear what the inputs are.
    """
    path, config_entries = _read(Path(request.target))
    transformers = _transformers()
    config = _config(transformers, config_entries, request.args, path)
    kind = _model_class(transformers, config, path)
    inputs = _inputs(kind, config, request, path)
    return Loaded(path.resolve().parent.name, request.spec, _builder(kind, config, path), inputs)


def _read(target: Path) -> tuple[Path, dict[str, Any]]:
    path = target / "config.json" if target.is_dir() else target
    if not path.is_file():
        raise InputError(f"{path}: no such file; hf: names a folder that has a config.json")
    try:
        if path.stat().st_size > _MOST_CONFIG_BYTES:
            raise InputError(f"{path}: is over the {_MOST_CONFIG_BYTES:,} bytes that a config may take")
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: no config in JSON: {one_line(error)}") from None
    if not isinstance(entries, dict) or not isinstance(entries.get("model_type"), str):
        raise InputError(f"{path}: names no model_type, which every config of transformers has")
    return path, entries


def _transformers() -> Any:
    try:
        return importlib.import_module("transformers")
    except ImportError:
        raise InputError("transformers is not installed: pip install 'effbench[hf]'") from None


def _config(transformers: Any, entries: dict[str, Any], args: Mapping[str, Any], path: Path) -> Any:
    name, known = entries["model_type"], transformers.CONFIG_MAPPING
    if name not in known:
        if "auto_map" in entries:
            raise InputError(f"{path}: its model is code beside it (auto_map): name that file, as modeling.py:Class")
        raise UnknownName(f"model_type in {path}", name, known.keys())
    _check_counts({**entries, **args}, path)
    try:
        as_written = known[name].from_dict(entries)
        unknown = [key for key in args if not hasattr(as_written, key)]
        if unknown:
            raise UnknownName(f"entry of a {name} config", unknown[0], as_written.to_dict())
        return _without_downloads(known[name].from_dict({**entries, **args}))
    except EffbenchError:
        raise
    except Exception as error:  # each config checks its own entries, in its own way
        raise InputError(f"{path}: {name} takes no such config: {one_line(error)}") from None


def _check_counts(entries: Any, path: Path) -> None:
    pending = [("", entries)]
    while pending:
        key, value = pending.pop()
        if isinstance(value, dict):
            pending += value.items()
        elif isinstance(value, list):
            pending += [(key, item) for item in value]
        elif isinstance(value, int | float) and value > _MOST_LAYERS and any(word in key for word in _COUNTS):
            raise InputError(f"{path}: {key} = {value:g} is beyond any model")


def _without_downloads(config: Any) -> Any:
    """Returns the config after telling it, and the configs inside it, to fetch no backbone's weights."""
    for item in (config, *(value for value in vars(config).values() if hasattr(value, "model_type"))):
        if getattr(item, "use_pretrained_backbone", False):
            item.use_pretrained_backbone = False
    return config


def _model_class(transformers: Any, config: Any, path: Path) -> Any:
    """Returns the first of the config's architectures, else the bare model of its type."""
    names = getattr(config, "architectures", None) or []
    found = getattr(transformers, names[0], None) if names and isinstance(names[0], str) else None
    if isinstance(found, type) and issubclass(found, transformers.PreTrainedModel):
        return found
    if names:
        raise InputError(f"{path}: transformers {transformers.__version__} has no model {str(names[0])[:80]!r}")
    try:
        bare = transformers.AutoModel._model_mapping[type(config)]
    except KeyError:
        raise InputError(f"{path}: names no architectures, and {config.model_type} has no model of its own") from None
    return bare[0] if isinstance(bare, tuple) else bare


def _builder(kind: Any, config: Any, path: Path) -> Build:
    """Returns how to build the model, in the dtype that its config states."""
    import torch

    def build(device: str) -> nn.Module:
        if device != "meta":
            _check_memory(build("meta"), path)
        with _offline(), torch.device(device):
            model: nn.Module = kind._from_config(copy.deepcopy(config))  # models write to their configs
            return model

    return build


def _check_memory(hollow: nn.Module, path: Path) -> None:
    """Refuses to make weights that this machine cannot hold."""
    needed = sum(item.numel() * item.element_size() for item in hollow.parameters())
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > there:
        raise InputError(f"{path}: its weights take {needed / 2**30:,.0f} GiB, this machine has {there / 2**30:,.0f}")


@contextmanager
def _offline() -> Iterator[None]:
    """Keeps huggingface_hub from fetching anything while a model is built."""
    constants: Any = importlib.import_module("huggingface_hub.constants")
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _inputs(kind: Any, config: Any, request: Request, path: Path) -> ModelInputs:
    from effbench.measure.inputs import parse_inputs
    from effbench.measure.loaders.hf_inputs import default_inputs

    if request.inputs:
        return parse_inputs(request.inputs)
    return default_inputs(kind, config, path)
