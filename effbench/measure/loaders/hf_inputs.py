"""Inputs for models of transformers, from what their configs say of words, images and sound."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from effbench.errors import InputError
from effbench.measure.inputs import example
from effbench.measure.source import ModelInputs
from effbench.records import Shape

LENGTH = 128
"""Tokens of a text, or as many as the model has positions for."""
SAMPLES = 16_000
"""One second of sound at the 16 kHz that speech models are trained on."""

Sized = tuple[Shape, str]
"""Shape and dtype of an input."""


def default_inputs(kind: Any, config: Any, path: Path) -> ModelInputs:
    """Returns one sample: a text of 128 ids, an image or a clip of the config's size, a stretch of sound.

    The model's main input is given by position where it is forward's first, all others by name.

    Raises:
        InputError: the config does not say what an input is like.
    """
    taken = list(inspect.signature(kind.forward).parameters)[1:]
    main = str(getattr(kind, "main_input_name", "input_ids"))
    names = dict.fromkeys([main, *_companions(config, taken)])
    found: dict[str, Any] = {}
    for name in names:
        rule = _RULES.get(name)
        sized = rule(config) if rule is not None else None
        if sized is None:
            raise InputError(f"{path}: does not say what size {name} has: pass --input {name}:SHAPE:DTYPE")
        shape, dtype = sized
        found[name] = example(shape, _dtype_of(config) if dtype == "float32" else dtype)
    if taken and taken[0] in found:
        return ModelInputs((found.pop(taken[0]),), found)
    return ModelInputs((), found)


def _dtype_of(config: Any) -> str:
    """Returns the dtype that the model is built in, by torch's name."""
    stated = getattr(config, "dtype", None)  # transformers before 4.56 has torch_dtype
    return "float32" if stated is None else str(stated).removeprefix("torch.")


def _companions(config: Any, taken: list[str]) -> list[str]:
    """Returns the inputs that a model needs beside its main one."""
    names = []
    if getattr(config, "is_encoder_decoder", False) and "decoder_input_ids" in taken:
        names.append("decoder_input_ids")
    # Two towers, one for images and one for text; where images stand among the words, text alone is a valid input.
    towers = all(hasattr(config, name) for name in ("text_config", "vision_config"))
    among_words = any(hasattr(config, name) for name in ("image_token_id", "image_token_index"))
    if towers and not among_words and {"input_ids", "pixel_values"} <= set(taken):
        names += ["input_ids", "pixel_values"]
    return names


def _ids(config: Any) -> Sized | None:
    text = _part(config, "text_config", "decoder", "encoder")
    if _number(text, "vocab_size") is None:
        return None
    positions = _number(text, "max_position_embeddings", "n_positions", "max_target_positions")
    return (1, min(LENGTH, positions or LENGTH)), "int64"


def _pixels(config: Any) -> Sized | None:
    vision = _part(config, "vision_config", "encoder", "backbone_config")
    size = getattr(vision, "image_size", None)
    if isinstance(size, Mapping):
        size = (size.get("height"), size.get("width"))
    sides = (size, size) if isinstance(size, int) else tuple(size or ())
    if len(sides) != 2 or not all(isinstance(side, int) for side in sides):
        return None
    channels = _number(vision, "num_channels", "in_channels", "in_chans") or 3
    frames = _number(vision, "num_frames")
    return (1, *([frames] if frames else []), channels, *sides), "float32"


def _samples(config: Any) -> Sized:
    bins, length = _number(config, "num_mel_bins"), _number(config, "max_length")
    return ((1, length, bins) if bins and length else (1, SAMPLES)), "float32"


def _spectrum(config: Any) -> Sized | None:
    """Returns a log-mel spectrogram; the encoder's first convolutions halve its length to the positions."""
    bins, positions = _number(config, "num_mel_bins"), _number(config, "max_source_positions")
    return ((1, bins, 2 * positions), "float32") if bins and positions else None


_RULES: Mapping[str, Callable[[Any], Sized | None]] = MappingProxyType(
    {
        "input_ids": _ids,
        "decoder_input_ids": _ids,
        "pixel_values": _pixels,
        "pixel_values_videos": _pixels,
        "input_values": _samples,
        "input_features": _spectrum,
    }
)


def _part(config: Any, *names: str) -> Any:
    """Returns the config itself, or that of the part that reads such an input."""
    return next((getattr(config, name) for name in names if hasattr(getattr(config, name, None), "to_dict")), config)


def _number(config: Any, *names: str) -> int | None:
    found = (getattr(config, name, None) for name in names)
    return next((item for item in found if isinstance(item, int) and item > 0), None)
