"""torchinfo (TylerYep/torchinfo)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from effbench.measure.peer import peer

if TYPE_CHECKING:
    from torch import nn


@peer("torchinfo", ("torchinfo",), "MAC", "torchinfo.summary on the CPU in eval mode; its mult-adds")
def run_torchinfo(model: nn.Module, inputs: tuple[Any, ...]) -> int:
    """Returns `total_mult_adds` of torchinfo.summary."""
    import torchinfo

    report = torchinfo.summary(model, input_data=list(inputs), device="cpu", mode="eval", verbose=0)
    return int(report.total_mult_adds)
