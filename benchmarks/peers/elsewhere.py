"""Tools run under other conditions than the one their convention documents: another device, another grad mode.

Each is called as its users call it, with nothing switched off for it; what it gives is told beside its figure.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import nn

from effbench.errors import one_line
from effbench.measure.functions import functions_kept
from effbench.measure.state import borrowed, to_meta

Figures = list[int]
"""A tool's total, or its FLOPs and its MACs."""

Run = Callable[[nn.Module, torch.Tensor], Figures]


class Condition(NamedTuple):
    """How a tool is run; `about` is what differs from the documented way: its device or its grad mode."""

    label: str
    about: str
    device: str = "cpu"
    grad: bool = False


ON_META = Condition("on meta, gradients on", "device", "meta", grad=True)
ON_CPU = Condition("on the CPU under no_grad", "device")
NO_GRAD = Condition("under no_grad", "grad mode")
FUSED = Condition("under no_grad with attention's fused path on", "grad mode")


def thop(model: nn.Module, image: torch.Tensor) -> Figures:
    from thop import profile

    return [int(profile(model, (image,), verbose=False)[0])]


def fvcore(model: nn.Module, image: torch.Tensor) -> Figures:
    from fvcore.nn import FlopCountAnalysis

    analysis = FlopCountAnalysis(model, (image,))
    quiet = analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    return [int(quiet.tracer_warnings("none").total())]


def torchinfo(model: nn.Module, image: torch.Tensor) -> Figures:
    from torchinfo import summary

    return [int(summary(model, input_data=[image], mode="eval", verbose=0).total_mult_adds)]


def torch_counter(model: nn.Module, image: torch.Tensor) -> Figures:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        model(image)
    return [int(counter.get_total_flops())]


def ptflops(backend: str) -> Run:
    """Returns how ptflops is run with one of its backends; it prints what it catches, and gives None then."""

    def run(model: nn.Module, image: torch.Tensor) -> Figures:
        from ptflops import get_model_complexity_info

        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            macs, _ = get_model_complexity_info(
                model,
                (1,),
                as_strings=False,
                print_per_layer_stat=False,
                input_constructor=lambda _: image,
                backend=backend,
            )
        if macs is None:
            raise RuntimeError(said.getvalue().strip().rpartition("exception: ")[2])
        return [int(macs)]

    return run


def calflops(model: nn.Module, image: torch.Tensor) -> Figures:
    from calflops import calculate_flops, calculate_pipline

    calculate_pipline.module_flop_count.clear()  # what a run that raised left behind
    calculate_pipline.module_mac_count.clear()
    flops, macs, _ = calculate_flops(model, args=[image], kwargs={}, print_results=False, output_as_string=False)
    return [int(flops), int(macs)]


def deepspeed(model: nn.Module, image: torch.Tensor) -> Figures:
    from deepspeed.profiling.flops_profiler import get_model_profile, profiler

    profiler.module_flop_count.clear()  # what a run that raised left behind
    profiler.module_mac_count.clear()
    flops, macs, _ = get_model_profile(model, args=[image], print_profile=False, as_string=False, warm_up=0)
    return [int(flops), int(macs)]


TOOLS: Mapping[str, tuple[Run, tuple[Condition, ...]]] = MappingProxyType(
    {
        "thop": (thop, (ON_META,)),
        "torchinfo": (torchinfo, (ON_META,)),
        "fvcore": (fvcore, (ON_META, NO_GRAD)),
        "ptflops": (ptflops("pytorch"), (ON_META, FUSED)),
        "ptflops-aten": (ptflops("aten"), (ON_META, FUSED)),
        "calflops": (calflops, (ON_META, FUSED)),
        "deepspeed": (deepspeed, (ON_META, FUSED)),
        "torch": (torch_counter, (ON_CPU,)),
    }
)


def hear_elsewhere(name: str, model: nn.Module, image: torch.Tensor, real: bool) -> Iterator[tuple[str, Figures | str]]:
    """Gives what a tool says under each other condition, or the line of its error; the model is left as it was.

    Args:
        real: whether conditions that need a run with data are among them.
    """
    run, conditions = TOOLS[name]
    for condition in conditions:
        if condition.device == "meta" or real:
            yield condition.label, _under(condition, run, model, image)


def _under(condition: Condition, run: Run, model: nn.Module, image: torch.Tensor) -> Figures | str:
    swap = to_meta if condition.device == "meta" else lambda tensor: tensor
    try:
        with borrowed(model, swap, training=False), functions_kept(), torch.set_grad_enabled(condition.grad):
            return run(model, swap(image))
    except Exception as error:
        return one_line(error, 200)
