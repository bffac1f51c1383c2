"""What large models and short processes cost: three bars, measured, and said where they are missed.

- The whole process of `effbench profile` on a model file that imports torch alone, over `python -c "import torch"`.
- A Llama-3.1-405B configuration at 1 × 8192 through `hf:`: seconds, memory, and its MACs against the closed form.
- Sequential models of growing depth: the seconds per layer must stay.

`python benchmarks/limits.py` writes results/limits.json and .md. Needs the extra `hf`.
"""

from __future__ import annotations

import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parents[1] / "results"
ROUNDS = 7
DEPTHS = (1250, 2500, 5000, 10_000)
TOKENS = 8192

LLAMA: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 16384,
    "intermediate_size": 53248,
    "num_attention_heads": 128,
    "num_key_value_heads": 8,
    "num_hidden_layers": 126,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}
"""The published configuration of Llama-3.1-405B: every size that its MACs and parameters depend on."""

NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 16, 3, 2), nn.BatchNorm2d(16), nn.SiLU(), nn.AdaptiveAvgPool2d(1))
        self.head = nn.Linear(16, 10)

    def forward(self, x):
        return self.head(self.features(x).flatten(1))

def example_inputs():
    return torch.zeros(1, 3, 64, 64)
"""


def start_up() -> dict[str, float]:
    """Returns the median seconds of both processes, run by turns, and of their differences."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.py"
        path.write_text(NET, encoding="utf-8")
        torch_s, profile_s = [], []
        for _ in range(ROUNDS + 1):
            torch_s.append(_seconds([sys.executable, "-c", "import torch"]))
            profile_s.append(_seconds([sys.executable, "-m", "effbench", "profile", str(path)]))
    # The first of each fills the file cache.
    beyond = [whole - alone for whole, alone in zip(profile_s[1:], torch_s[1:], strict=True)]
    return {
        "import_torch_s": statistics.median(torch_s[1:]),
        "profile_s": statistics.median(profile_s[1:]),
        "beyond_s": statistics.median(beyond),
    }


def _seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def llama_macs(tokens: int) -> int:
    """Returns the MACs by hand: the products of every layer, attention over all pairs, the head.

    The rotary angles, an outer product of positions and frequencies, are a multiplication in transformers 5; version 4
    had them as a matrix product of inner size 1, and so tokens × width / 2 MACs more: 1.5 in 10¹⁰.
    """
    hidden, inner, heads = LLAMA["hidden_size"], LLAMA["intermediate_size"], LLAMA["num_attention_heads"]
    width = hidden // heads
    own = hidden * hidden * 2 + hidden * LLAMA["num_key_value_heads"] * width * 2 + 3 * hidden * inner
    attention = heads * tokens * tokens * width * 2
    return int(LLAMA["num_hidden_layers"] * (tokens * own + attention) + tokens * hidden * LLAMA["vocab_size"])


def llama_params() -> int:
    """Returns the parameters by hand: products, two norms a layer and one at the end, embedding and head."""
    hidden, inner = LLAMA["hidden_size"], LLAMA["intermediate_size"]
    keys = LLAMA["num_key_value_heads"] * hidden // LLAMA["num_attention_heads"]
    layer = hidden * hidden * 2 + hidden * keys * 2 + 3 * hidden * inner + 2 * hidden
    return int(LLAMA["num_hidden_layers"] * layer + hidden + 2 * LLAMA["vocab_size"] * hidden)


def llama() -> dict[str, Any]:
    """Returns what a process of its own measured of one profile, beside the closed form."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(LLAMA), encoding="utf-8")
        done = subprocess.run([sys.executable, __file__, "--llama", folder], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {**found, "macs_by_hand": llama_macs(TOKENS), "params_by_hand": llama_params()}


def one_llama(folder: str) -> dict[str, Any]:
    """Returns one profile's figures with its seconds, imports done, and the most memory this process held."""
    import effbench

    start = time.perf_counter()
    made = effbench.profile(effbench.load(f"hf:{folder}", inputs=[f"input_ids:1x{TOKENS}:int64"]))
    return {
        "macs": made.macs,
        "params": made.params,
        "seconds": time.perf_counter() - start,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


def depths() -> list[dict[str, float]]:
    """Returns seconds and seconds per layer of sequential models, after one that is not counted."""
    import torch
    from torch import nn

    import effbench

    rows = []
    for depth in (DEPTHS[0], *DEPTHS):
        with torch.device("meta"):
            model = nn.Sequential(*(nn.Linear(8, 8) for _ in range(depth)))
        start = time.perf_counter()
        assert effbench.profile(model, torch.zeros(1, 8)).macs == depth * 64
        seconds = time.perf_counter() - start
        rows.append({"layers": depth, "seconds": seconds, "us_per_layer": seconds / depth * 1e6})
    return rows[1:]


def table(found: dict[str, Any]) -> str:
    """Returns the study as Markdown."""
    start, big, rows = found["start_up"], found["llama"], found["depths"]
    exact = big["macs"] == big["macs_by_hand"] and big["params"] == big["params_by_hand"]
    growth = rows[-1]["us_per_layer"] / rows[0]["us_per_layer"]
    lines = [
        f"Made by `python benchmarks/limits.py`. {found['machine']}",
        "",
        "| what | measured | bar | |",
        "| --- | ---: | ---: | --- |",
        f"| `effbench profile` over `import torch`, whole process, median of {ROUNDS} | {start['beyond_s']:.2f} s "
        f"| 1 s | {_met(start['beyond_s'] <= 1)} |",
        f"| Llama-3.1-405B at 1 × {TOKENS}, seconds | {big['seconds']:.1f} s | 60 s | {_met(big['seconds'] <= 60)} |",
        f"| the same, resident memory | {big['peak_gb']:.2f} GB | 2 GB | {_met(big['peak_gb'] <= 2)} |",
        f"| its {big['macs']:,} MACs and {big['params']:,} parameters against the closed form "
        f"| {'equal' if exact else 'different'} | equal | {_met(exact)} |",
        f"| time per layer at {rows[-1]['layers']:,} layers over that at {rows[0]['layers']:,} | {growth:.2f} × "
        f"| 1.5 × | {_met(growth <= 1.5)} |",
        "",
        "| layers | seconds | µs per layer |",
        "| ---: | ---: | ---: |",
        *(f"| {row['layers']:,} | {row['seconds']:.2f} | {row['us_per_layer']:.0f} |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


def _met(is_met: bool) -> str:
    return "met" if is_met else "missed"


def main() -> None:
    if sys.argv[1:2] == ["--llama"]:
        print(json.dumps(one_llama(sys.argv[2])))
        return
    import torch

    machine = f"Python {platform.python_version()}, torch {torch.__version__}, {platform.machine()}"
    found = {"machine": machine, "start_up": start_up(), "llama": llama(), "depths": depths()}
    (RESULTS / "limits.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "limits.md").write_text(table(found), encoding="utf-8")
    print(table(found))


if __name__ == "__main__":
    main()
