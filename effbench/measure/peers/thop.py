"""thop (Lyken17/pytorch-OpCounter)."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from effbench.measure.peer import peer

if TYPE_CHECKING:
    from torch import nn


# thop imports distutils, which Python 3.12 and newer only have through setuptools.
@peer("thop", ("thop", "distutils"), "MAC", "thop.profile on the CPU, which sets eval mode and no_grad")
def run_thop(model: nn.Module, inputs: tuple[Any, ...]) -> int:
    """Returns the first of thop.profile's two figures."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import thop

        return int(thop.profile(model, inputs, verbose=False)[0])
