"""Spec string → Loaded: finds the loader that a spec belongs to."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from effbench.errors import InputError
from effbench.measure.source import Loaded
from effbench.registry import Registry

_MODULE_SPEC = re.compile(r"[A-Za-z_]\w*(\.\w+)*:[A-Za-z_]\w*(\.\w+)*")


@dataclass(frozen=True, slots=True)
class Request:
    """What a loader is asked for.

    Attributes:
        spec: the whole text. target: the part that the loader reads (without its prefix).
        args: constructor arguments. inputs: texts of `--input`; none means the source's own default.
    """

    spec: str
    target: str
    args: Mapping[str, Any]
    inputs: Sequence[str]


Loader = Callable[[Request], Loaded]
loaders: Registry[Loader] = Registry("loader")


def load(spec: str, args: Mapping[str, Any] | None = None, inputs: Sequence[str] = ()) -> Loaded:
    """Returns the model that a spec names, ready to be built, with its inputs.

    Raises:
        InputError: nothing is found there, or it cannot be told which model is meant.
    """
    import effbench.measure.loaders  # noqa: F401  fills the table of loaders

    name, target = _which(spec)
    return loaders.get(name)(Request(spec, target, dict(args or {}), tuple(inputs)))


def _which(spec: str) -> tuple[str, str]:
    """Returns (loader's name, what it reads)."""
    prefix, colon, rest = spec.partition(":")
    if colon and loaders.find(prefix) is not None:
        return prefix, rest
    if re.search(r"\.py(:[\w.]+)?$", spec):
        return "file", spec
    if _MODULE_SPEC.fullmatch(spec):
        return "module", spec
    raise InputError(
        f"{spec!r} names no model: write path/to/file.py:Name, package.module:Name, torchvision:resnet50 "
        "or timm:vit_base_patch16_224"
    )
