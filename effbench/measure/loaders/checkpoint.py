"""`file.pt`, `.pth`, `.bin`, `.ckpt`: weights, or whatever else torch saved, told by content and not by ending.

A state dict gives parameters; TorchScript and exported programs are handed to their loaders; a whole pickled model is
code that runs while it is read, and so is refused unless `--unsafe-load` is given.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from effbench.errors import InputError, UnknownName, one_line
from effbench.measure.archive import kind_of, refuse
from effbench.measure.load import Request, existing_file, loaders, without_arguments, without_inputs
from effbench.measure.source import Loaded, Source, Traced
from effbench.measure.weights import Weight, weights_only

if TYPE_CHECKING:
    from torch import nn

Tensors = Mapping[str, Any]
_DEEPEST = 3
"""Levels of dicts that a state dict is looked for in; optimizers keep their tensors deeper, and are not models."""


@loaders.register("checkpoint")
def load_checkpoint(request: Request) -> Source:
    """Returns the parameters of a state dict, or the model of a file that holds one; `--arg key=…` picks a state dict.

    Raises:
        InputError: the file is missing, damaged, holds several state dicts, or would run code while it is read.
    """
    path = existing_file(request)
    kind = kind_of(path)
    if kind != "pickle":
        return loaders.get(kind)(request)
    content = _unpickled(path, request.unsafe)
    if _is_module(content):
        return _whole_model(content, request)
    without_inputs(request)
    return _state_dict(content, request, path)


def _unpickled(path: Path, unsafe: bool) -> Any:
    """Returns a file's content, its tensors left in the file; only classes that torch knows as harmless are made."""
    import torch

    try:
        # Mapped into memory and not read; on meta, names of one tensor would become tensors of their own.
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError:
        if not unsafe:
            _refuse_code(path)
    except (Exception, RecursionError) as error:
        refuse(path, f"{one_line(error)}; is it truncated?")
    try:
        return torch.load(path, map_location="cpu", weights_only=False)
    except (Exception, SystemExit) as error:
        raise InputError(f"{path}: unpickling it raised {one_line(error)}; can its classes be imported?") from error


def _refuse_code(path: Path) -> NoReturn:
    from torch.serialization import get_unsafe_globals_in_checkpoint

    try:
        names = get_unsafe_globals_in_checkpoint(path)
    except Exception:  # the file is damaged, or of the format before torch 1.6, of which torch lists no names
        names = []
    what = ", ".join(sorted(names)[:3]) or "classes that torch does not know as harmless"
    raise InputError(
        f"{path}: is more than a state dict: it holds objects of {what}, and unpickling them can run any code that its "
        "author put in; where you trust the author, pass --unsafe-load, else ask for a state dict or safetensors"
    )


def _is_module(content: Any) -> bool:
    from torch import nn

    return isinstance(content, nn.Module)


def _whole_model(model: nn.Module, request: Request) -> Loaded:
    from effbench.measure.inputs import HINT, parse_inputs
    from effbench.measure.source import already_built

    without_arguments(request)
    if not request.inputs:
        raise InputError(f"{request.spec}: a pickled model brings no inputs; {HINT}")
    return Loaded(type(model).__name__, request.spec, already_built(model), parse_inputs(request.inputs))


def _state_dict(content: Any, request: Request, path: Path) -> Traced:
    found = _chosen(_candidates(content, "", _DEEPEST, set()), request, path)
    return weights_only(path.stem, request.spec, [_weight(name, tensor) for name, tensor in found.items()])


def _candidates(content: Any, key: str, levels: int, seen: set[int]) -> dict[str, Tensors]:
    """Returns the dicts of named tensors in a checkpoint, each once, by the keys that lead to them."""
    if not isinstance(content, Mapping) or not levels or id(content) in seen:
        return {}
    seen.add(id(content))
    tensors = {name: item for name, item in content.items() if isinstance(name, str) and _is_tensor(item)}
    if tensors:
        return {key: tensors}
    below = ((name, item) for name, item in content.items() if isinstance(name, str))
    return {
        path: found
        for name, item in below
        for path, found in _candidates(item, f"{key}.{name}" if key else name, levels - 1, seen).items()
    }


def _is_tensor(item: Any) -> bool:
    from torch import Tensor

    return isinstance(item, Tensor)


def _chosen(found: Mapping[str, Tensors], request: Request, path: Path) -> Tensors:
    keys = ", ".join(found)
    wanted = request.args.get("key")
    if wanted is not None:
        if wanted not in found:
            raise UnknownName(f"state dict in {path}", str(wanted), found)
        return found[str(wanted)]
    without_arguments(request)
    if not found:
        raise InputError(f"{path}: holds no dict of named tensors")
    if len(found) > 1:
        raise InputError(f"{path}: holds several state dicts: {keys}; say which with --arg key={next(iter(found))}")
    return next(iter(found.values()))


def _weight(name: str, tensor: Any) -> Weight:
    """Returns a tensor as a named weight; names of one storage, read the same way, are one tensor."""
    from torch import strided

    from effbench.measure.plain import dtype_name

    place = None
    if tensor.layout is strided:
        place = (tensor.untyped_storage()._cdata, tensor.storage_offset(), tuple(tensor.shape), tensor.stride())
    size = tensor.numel() * tensor.element_size()
    return Weight(name, tuple(tensor.shape), dtype_name(tensor.dtype), size, place)
