"""Where models come from, one file a source; importing this package registers them all."""

from effbench.measure.loaders import module, python_file, timm, torchvision

__all__ = ["module", "python_file", "timm", "torchvision"]
