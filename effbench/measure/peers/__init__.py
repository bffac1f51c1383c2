"""The tools whose figures effbench reproduces, one file each; importing this package registers them."""

from effbench.measure.peers import fvcore, thop, torchinfo

__all__ = ["fvcore", "thop", "torchinfo"]
