"""ptflops (sovrasov/flops-counter.pytorch), with each of its two backends."""

from __future__ import annotations

import contextlib
import inspect
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from effbench.measure.peer import peer

if TYPE_CHECKING:
    from torch import nn

_CONDITION = "on the CPU under no_grad, attention's fused path off; several inputs go in by name"


@peer("ptflops", ("ptflops",), "MAC", f"its default backend {_CONDITION}")
def run_ptflops(model: nn.Module, inputs: tuple[Any, ...]) -> int:
    """Returns the first of get_model_complexity_info's two figures."""
    return _run(model, inputs, "pytorch")


@peer("ptflops-aten", ("ptflops",), "MAC", f"its aten backend {_CONDITION}")
def run_ptflops_aten(model: nn.Module, inputs: tuple[Any, ...]) -> int:
    """Returns the first of get_model_complexity_info's two figures."""
    return _run(model, inputs, "aten")


def _run(model: nn.Module, inputs: tuple[Any, ...], backend: str) -> int:
    from ptflops import get_model_complexity_info

    from effbench.measure.functions import as_documented

    single = len(inputs) == 1 and not isinstance(inputs[0], Mapping)
    given = inputs[0] if single else dict(_named(model, inputs))
    said = io.StringIO()
    with as_documented(), contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
        macs, _ = get_model_complexity_info(
            model,
            (1,),
            print_per_layer_stat=False,
            as_strings=False,
            input_constructor=lambda _: given,
            backend=backend,
        )
    if macs is None:
        # It prints what it caught, after a line that says so.
        raise RuntimeError(said.getvalue().strip().rpartition("exception: ")[2])
    return int(macs)


def _named(model: nn.Module, inputs: tuple[Any, ...]) -> Mapping[str, Any]:
    """Returns the inputs by the names of forward's parameters, as the dict that ptflops takes for several."""
    return inspect.signature(model.forward).bind(*inputs).arguments
