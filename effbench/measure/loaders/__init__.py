"""Where models come from, one file a source; importing this package registers them all."""

from effbench.measure.loaders import (
    checkpoint,
    export,
    hf,
    module,
    onnx_file,
    python_file,
    safetensors_file,
    script,
    timm,
    torchvision,
)

__all__ = [
    "checkpoint",
    "export",
    "hf",
    "module",
    "onnx_file",
    "python_file",
    "safetensors_file",
    "script",
    "timm",
    "torchvision",
]
