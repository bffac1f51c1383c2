"""The main job, end to end: profile the reference models, explain one, check and rank what was published.

Each step is the command that a user would type; all run in one process, so that torch is loaded once.
"""

from __future__ import annotations

import sys
from pathlib import Path

from effbench.cli import main

ROOT = Path(__file__).resolve().parent.parent
SUITE = "benchmarks/suites/published.yaml"
MODELS = (
    "mobilenet_v3",
    "mobilenet_v2",
    "mbconv_student",
    "efficientnet_teacher",
    "ciresan",
    "resnet18_mnist",
)
STEPS = (
    "profile benchmarks/models/alexnet.py",
    *(f"profile benchmarks/models/{name}.py --depth 1" for name in MODELS),
    "summary benchmarks/models/alexnet.py",
    "explain benchmarks/models/alexnet.py",
    f"check {SUITE} --peers",
    f"rank {SUITE} --convention thop --error pixel_error",
    f"rank {SUITE} --convention thop --error accuracy",
)


def run(step: str) -> int:
    """Returns the exit code of one command, printed above its output."""
    words = step.split()
    print(f"\n$ effbench {step}\n", flush=True)
    shown = [str(ROOT / word) if word.startswith("benchmarks/") else word for word in words]
    try:
        main(shown)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


if __name__ == "__main__":
    sys.exit(max(run(step) for step in STEPS))
