"""Scores that are a product of powers: the default, NetScore and MnasNet's reward."""

from __future__ import annotations

import math

from effbench.judge.scores.kinds import Parameter, Score, ScoreKind, Settings, register
from effbench.judge.terms import Floats, Terms, digits

_LARGEST_EXPONENT = math.log(1.7976931348623157e308)


def _exp(exponents: Floats) -> Floats:
    """Returns e^x of each; infinite where that is beyond doubles.

    The C library's function, one value at a time: published scores were made with it, numpy's own differs in last
    digits from one processor to the next.
    """
    import numpy as np

    flat = np.asarray(exponents, dtype=np.float64).ravel()
    values = [math.exp(x) if x <= _LARGEST_EXPONENT else x if math.isnan(x) else math.inf for x in flat.tolist()]
    return np.array(values, dtype=np.float64).reshape(np.shape(exponents))


@register(
    "params_flops_exp",
    formula="params/1e6 × FLOPs/1e9 × e^(k·ERROR)",
    reads=("params", "flops", "error"),
    direction="lower",
    source="effbench's default; with k = 1 and the error in pixels, the score that the shipped suite of hand-keypoint "
    "models states",
    parameters=(Parameter("k", "how much one unit of error weighs, in the error's own unit", 1.0, above=0.0),),
)
def params_flops_exp(kind: ScoreKind, name: str, settings: Settings) -> Score:
    """Returns params/1e6 × FLOPs/1e9 × e^(k·error), lower is better, and ordered by its logarithm.

    One unit of error weighs as much as a factor of e^k in parameters or in FLOPs.
    """
    import numpy as np

    k = settings["k"]

    def value(terms: Terms) -> Floats:
        with np.errstate(all="ignore"):
            cost: Floats = terms["params"] / 1e6 * (terms["flops"] / 1e9)
            return cost * _exp(k * terms["error"])

    def order(terms: Terms) -> Floats:
        with np.errstate(all="ignore"):
            cost: Floats = np.log(terms["params"]) - math.log(1e6) + np.log(terms["flops"]) - math.log(1e9)
            return cost + k * terms["error"]

    return Score(
        name=name,
        formula=kind.formula.replace("(k·ERROR)", "ERROR" if k == 1 else f"({digits(k)}·ERROR)"),
        reads=kind.reads,
        direction=kind.direction,
        value=value,
        order=order,
        log_slopes={"params": 1.0, "flops": 1.0},
        slopes={"error": k},
        settings=settings,
        error_parameter="k",
    )


@register(
    "netscore",
    formula="20·log10((100 − ERROR)² / (√(params/1e6)·√(MACs/1e9)))",
    reads=("params", "macs", "error"),
    direction="higher",
    source="Wong, NetScore, arXiv:1806.05512, with α = 2, β = γ = 1/2",
)
def netscore(kind: ScoreKind, name: str, settings: Settings) -> Score:
    """Returns 20·log10(a²/(√p·√m)), higher is better: a = 100 − error in percent, p in millions, m in 10⁹ MACs.

    Wong, "NetScore: Towards Universal Metrics for Large-scale Performance Analysis of Deep Neural Networks for
    Practical On-Device Edge Usage", arXiv:1806.05512, with its α = 2, β = γ = 0.5; parameters in millions
    and multiply-accumulates in thousands of millions.
    """
    import numpy as np

    def value(terms: Terms) -> Floats:
        with np.errstate(all="ignore"):
            accuracy, size, work = (np.log10(x) for x in (100.0 - terms["error"], terms["params"], terms["macs"]))
            result: Floats = 40.0 * accuracy - 10.0 * (size - 6.0) - 10.0 * (work - 9.0)
            return result

    per_ln = 10.0 / math.log(10.0)
    return Score(
        name=name,
        formula=kind.formula,
        reads=kind.reads,
        direction=kind.direction,
        value=value,
        order=lambda terms: -value(terms),
        error_unit="percent",
        log_slopes={"params": per_ln, "macs": per_ln},
        settings=settings,
    )


@register(
    "mnasnet",
    formula="(1 − ERROR) × (latency/T)^w",
    reads=("latency", "error"),
    direction="higher",
    source="Tan et al., MnasNet, CVPR 2019, with α = β = −0.07",
    parameters=(
        Parameter("T", "the target latency in seconds", above=0.0),
        Parameter("w", "the exponent of the latency, the paper's α = β", -0.07, below=0.0),
    ),
)
def mnasnet(kind: ScoreKind, name: str, settings: Settings) -> Score:
    """Returns a·(latency/T)^w, higher is better: a = 1 − error as a fraction, T the target latency.

    Tan et al., "MnasNet: Platform-Aware Neural Architecture Search for Mobile", CVPR 2019; their
    choice α = β = −0.07 comes from "doubling the latency is worth 5 % more accuracy": 2^0.07 = 1.0497.
    """
    import numpy as np

    target_s, exponent = settings["T"], settings["w"]

    def value(terms: Terms) -> Floats:
        with np.errstate(all="ignore"):
            result: Floats = (1.0 - terms["error"]) * (terms["latency"] / target_s) ** exponent
            return result

    def order(terms: Terms) -> Floats:
        with np.errstate(all="ignore"):
            ratio: Floats = np.log(terms["latency"]) - math.log(target_s)
            return -exponent * ratio - np.log(1.0 - terms["error"])

    return Score(
        name=name,
        formula=f"(1 − ERROR) × (latency/{digits(target_s)} s)^{digits(exponent)}",
        reads=kind.reads,
        direction=kind.direction,
        value=value,
        order=order,
        error_unit="fraction",
        log_slopes={"latency": -exponent},
        settings=settings,
    )
