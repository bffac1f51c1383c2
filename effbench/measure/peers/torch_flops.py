"""torch's own counter, torch.utils.flop_counter."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from effbench.measure.peer import peer

if TYPE_CHECKING:
    from torch import Tensor, nn


@peer("torch", ("torch",), "FLOP", "FlopCounterMode on meta, in eval mode and no_grad, weights frozen; 2 per MAC")
def run_torch(model: nn.Module, inputs: tuple[Any, ...]) -> int:
    """Returns get_total_flops() of FlopCounterMode; the model's tensors are put back afterwards."""
    import torch
    from torch.utils._pytree import tree_map_only
    from torch.utils.flop_counter import FlopCounterMode

    from effbench.measure.state import borrowed

    hollow = tree_map_only(torch.Tensor, _frozen_on_meta, inputs)
    with warnings.catch_warnings(), borrowed(model, _frozen_on_meta, training=False), torch.no_grad():
        warnings.simplefilter("ignore")
        with FlopCounterMode(display=False) as counter:
            model(*hollow)
    return int(counter.get_total_flops())


def _frozen_on_meta(tensor: Tensor) -> Tensor:
    """Returns a stand-in that requires no gradient: the mode raises where a module gets a view of one that does."""
    from torch import nn

    from effbench.measure.state import is_shapeless, to_meta

    hollow = to_meta(tensor)
    if is_shapeless(hollow) or not hollow.requires_grad:
        return hollow
    return nn.Parameter(hollow.detach(), requires_grad=False)
