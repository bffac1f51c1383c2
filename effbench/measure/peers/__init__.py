"""The tools whose figures effbench reproduces, one file each; importing this package registers them."""

from effbench.measure.peers import calflops, deepspeed, fvcore, ptflops, thop, torch_flops, torchinfo

__all__ = ["calflops", "deepspeed", "fvcore", "ptflops", "thop", "torch_flops", "torchinfo"]
