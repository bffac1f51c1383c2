"""fvcore (facebookresearch/fvcore)."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from effbench.measure.peer import peer

if TYPE_CHECKING:
    from torch import nn


@peer("fvcore", ("fvcore",), "MAC", "FlopCountAnalysis on the CPU in eval mode; it calls its MACs flops")
def run_fvcore(model: nn.Module, inputs: tuple[Any, ...]) -> int:
    """Returns FlopCountAnalysis(model, inputs).total()."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fvcore.nn import FlopCountAnalysis

        analysis = FlopCountAnalysis(model.eval(), inputs)
        quiet = analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        return int(quiet.tracer_warnings("none").total())
