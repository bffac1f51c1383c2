"""calflops (MrYxJ/calculate-flops.pytorch)."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from effbench.measure.peer import Figures, peer

if TYPE_CHECKING:
    from torch import nn


# calflops imports transformers and accelerate, also for models that have nothing to do with them.
@peer(
    "calflops",
    ("calflops", "transformers", "accelerate"),
    "FLOP",
    "calculate_flops on the CPU under no_grad, attention's fused path off; it gives MACs, too",
)
def run_calflops(model: nn.Module, inputs: tuple[Any, ...]) -> Figures:
    """Returns the first two of calculate_flops's figures."""
    from effbench.measure.functions import as_documented

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from calflops import calculate_flops, calculate_pipline

        # What a run that raised left behind: the next one would add to it.
        calculate_pipline.module_flop_count.clear()
        calculate_pipline.module_mac_count.clear()
        with as_documented():
            flops, macs, _ = calculate_flops(
                model, args=list(inputs), kwargs={}, print_results=False, output_as_string=False
            )
    return Figures(int(flops), int(macs))
