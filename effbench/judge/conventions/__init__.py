"""The ways of counting, one file each; importing this package registers them all."""

from effbench.judge.conventions import (
    calflops,
    deepspeed,
    full,
    fvcore,
    macs,
    ptflops,
    ptflops_aten,
    thop,
    torch_flops,
    torchinfo,
)

__all__ = [
    "calflops",
    "deepspeed",
    "full",
    "fvcore",
    "macs",
    "ptflops",
    "ptflops_aten",
    "thop",
    "torch_flops",
    "torchinfo",
]
