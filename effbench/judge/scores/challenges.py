"""Scores of challenges: NTIRE's efficient and real-time super-resolution, and MLPerf's gate before a speed."""

from __future__ import annotations

import math

from effbench.judge.scores.kinds import Gate, Parameter, Score, ScoreKind, Settings, register
from effbench.judge.terms import Floats, Terms, digits


@register(
    "ntire_esr",
    formula="0.7·e^(2·latency/t0) + 0.15·e^(2·FLOPs/F0) + 0.15·e^(2·params/P0), where psnr ≥ gate",
    reads=("latency", "flops", "params", "psnr"),
    direction="lower",
    source="Ren et al., NTIRE 2025 Efficient Super-Resolution Challenge Report, CVPR Workshops 2025",
    parameters=(
        Parameter("t0", "the baseline's latency in seconds", above=0.0),
        Parameter("F0", "the baseline's FLOPs, as this ranking counts them", above=0.0),
        Parameter("P0", "the baseline's parameters", above=0.0),
        Parameter("gate", "the least PSNR in dB", 26.90),
    ),
)
def ntire_esr(kind: ScoreKind, name: str, settings: Settings) -> Score:
    """Returns 0.7·e^(2t/t0) + 0.15·e^(2F/F0) + 0.15·e^(2P/P0), lower is better, of models whose PSNR reaches the gate.

    Ren et al., "The Tenth NTIRE 2025 Efficient Super-Resolution Challenge Report", CVPR Workshops 2025: each sub-score
    is e^(2·team/baseline), the final one is their sum with the weights 0.7, 0.15 and 0.15, and the PSNR on the
    validation set has to stay at 26.90 dB. The baseline itself scores e² = 7.3891.
    """
    import numpy as np

    shares = (("latency", 0.7, "t0"), ("flops", 0.15, "F0"), ("params", 0.15, "P0"))
    gate = Gate("psnr", settings["gate"], "higher")

    def value(terms: Terms) -> Floats:
        with np.errstate(all="ignore"):
            parts = [weight * np.exp(2.0 * terms[term] / settings[base]) for term, weight, base in shares]
            return np.where(gate.passed(terms), sum(parts), np.nan)

    def order(terms: Terms) -> Floats:
        with np.errstate(all="ignore"):
            logs = [math.log(weight) + 2.0 * terms[term] / settings[base] for term, weight, base in shares]
            plain = sum(weight * np.exp(2.0 * terms[term] / settings[base]) for term, weight, base in shares)
            # The plain sum is exactly monotone in each term; logarithms are added only where it is beyond doubles.
            log = np.where(np.isfinite(plain), np.log(plain), np.logaddexp.reduce(np.stack(logs)))
            return np.where(gate.passed(terms), log, np.inf)

    base = ", ".join(f"{key} = {digits(settings[key])}" for key in ("t0", "F0", "P0"))
    return Score(
        name=name,
        formula=kind.formula.replace("psnr ≥ gate", f"{gate} dB; {base}"),
        reads=kind.reads,
        direction=kind.direction,
        value=value,
        order=order,
        gate=gate,
        settings=settings,
    )


@register(
    "ntire_rtsr",
    formula="2·2^(psnr − bicubic) / (0.1·√(latency in ms))",
    reads=("latency", "psnr"),
    direction="higher",
    source="Conde et al., Efficient Deep Models for Real-Time 4K Image Super-Resolution, CVPR Workshops 2023 (NTIRE)",
    parameters=(Parameter("bicubic", "the PSNR in dB of bicubic upscaling on the same images"),),
)
def ntire_rtsr(kind: ScoreKind, name: str, settings: Settings) -> Score:
    """Returns 2·2^(PSNR − bicubic) / (0.1·√ms), higher is better.

    Conde et al., "Efficient Deep Models for Real-Time 4K Image Super-Resolution. NTIRE 2023 Benchmark and Report", CVPR
    Workshops 2023: the gain over bicubic upscaling in dB against the run time of one image in milliseconds.
    """
    import numpy as np

    bicubic = settings["bicubic"]

    def value(terms: Terms) -> Floats:
        with np.errstate(all="ignore"):
            gain: Floats = 2.0 * 2.0 ** (terms["psnr"] - bicubic)
            return gain / (0.1 * np.sqrt(1e3 * terms["latency"]))

    def order(terms: Terms) -> Floats:
        with np.errstate(all="ignore"):
            root: Floats = 0.5 * (math.log(1e3) + np.log(terms["latency"]))
            return root + math.log(0.1) - math.log(2.0) - math.log(2.0) * (terms["psnr"] - bicubic)

    return Score(
        name=name,
        formula=kind.formula.replace("bicubic", f"{digits(bicubic)} dB"),
        reads=kind.reads,
        direction=kind.direction,
        value=value,
        order=order,
        log_slopes={"latency": 0.5},
        slopes={"psnr": -math.log(2.0)},
        settings=settings,
    )


@register(
    "mlperf",
    formula="latency, where ERROR ≤ max_error",
    reads=("latency", "error"),
    direction="lower",
    source="after Reddi et al., MLPerf Inference Benchmark, ISCA 2020: a quality target, then the speed alone",
    parameters=(Parameter("max_error", "the largest error that passes, in the error's unit"),),
)
def mlperf(kind: ScoreKind, name: str, settings: Settings) -> Score:
    """Returns the latency in seconds, lower is better, of models whose error passes the gate.

    After Reddi et al., "MLPerf Inference Benchmark", ISCA 2020: a model has to reach a quality target, and those that
    do are compared by one speed.
    """
    import numpy as np

    gate = Gate("error", settings["max_error"], "lower")

    def order(terms: Terms) -> Floats:
        with np.errstate(all="ignore"):
            return np.where(gate.passed(terms), np.log(terms["latency"]), np.inf)

    return Score(
        name=name,
        formula=f"latency in seconds, where ERROR ≤ {digits(gate.limit)}",
        reads=kind.reads,
        direction=kind.direction,
        value=lambda terms: np.where(gate.passed(terms), terms["latency"], np.nan),
        order=order,
        gate=gate,
        settings=settings,
    )
