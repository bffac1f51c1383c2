"""DeepSpeed's profiler (deepspeedai/DeepSpeed)."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any

from effbench.measure.peer import Figures, peer

if TYPE_CHECKING:
    from torch import nn


@peer(
    "deepspeed",
    ("deepspeed",),
    "FLOP",
    "get_model_profile on the CPU under no_grad, attention's fused path off, no warm-up; it gives MACs, too",
)
def run_deepspeed(model: nn.Module, inputs: tuple[Any, ...]) -> Figures:
    """Returns the first two of get_model_profile's figures."""
    from effbench.measure.functions import as_documented

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = logging.root.manager.disable
        logging.disable(logging.WARNING)  # it says that it found no GPU, and when it starts
        try:
            from deepspeed.profiling.flops_profiler import get_model_profile, profiler

            # What a run that raised left behind: the next one would add to it.
            profiler.module_flop_count.clear()
            profiler.module_mac_count.clear()
            with as_documented():
                flops, macs, _ = get_model_profile(
                    model, args=list(inputs), print_profile=False, as_string=False, warm_up=0
                )
        finally:
            logging.disable(before)
    return Figures(int(flops), int(macs))
