"""The ways of counting, one file each; importing this package registers them all."""

# A user's decorator comes from here: effbench's own conventions have entered by then, and a second one is the user's.
from effbench.judge.convention import convention
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
    "convention",
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
