"""How long one count takes: effbench and each peer, in one run, in random order.

Every count gets a new model object, already built, so that no tool can remember the last one. `cold` is the first
count in a fresh process with all imports done; `warm` the median of the later ones. Ratios are to the fastest peer.
`python benchmarks/peers/count_speed.py [MODEL…]` writes results/peers/count_speed.md and .json.
"""

from __future__ import annotations

import gc
import json
import platform
import random
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

ROUNDS = 7
RESULTS = Path(__file__).resolve().parents[2] / "results" / "peers"
MODELS = (
    "resnet50",
    "mobilenet_v3_small",
    "vit_b_16",
    "swin_t",
    "convnext_tiny",
    "efficientnet_b0",
    "bert_base",
    "lstm_2_layers",
)
Counter = Callable[[nn.Module, tuple[Any, ...]], object]


class BertBase(nn.Module):
    """An encoder of BERT-base's size: 12 layers, hidden 768, 12 heads, feed-forward 3072, vocabulary 30,522."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(30522, 768)
        layer = nn.TransformerEncoderLayer(768, 12, 3072, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 12)
        self.head = nn.Linear(768, 2)

    def forward(self, ids: torch.Tensor) -> Any:
        return self.head(self.encoder(self.embed(ids))[:, 0])


def build(name: str) -> tuple[nn.Module, tuple[Any, ...]]:
    """Returns a new model in eval mode and its inputs."""
    if name == "bert_base":
        return BertBase().eval(), (torch.zeros(1, 128, dtype=torch.int64),)
    if name == "lstm_2_layers":
        return nn.LSTM(128, 256, 2, batch_first=True).eval(), (torch.zeros(1, 32, 128),)
    import torchvision

    return torchvision.models.get_model(name).eval(), (torch.zeros(1, 3, 224, 224),)


def effbench_count(model: nn.Module, inputs: tuple[Any, ...]) -> object:
    import effbench

    return effbench.profile(model, inputs).macs


def torch_meta(model: nn.Module, inputs: tuple[Any, ...]) -> object:
    """FlopCounterMode on meta tensors, the fastest way to run it; moving the model there is part of it."""
    from torch.utils.flop_counter import FlopCounterMode

    meta = tuple(item.to("meta") for item in inputs)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.to("meta")(*meta)
    return counter.get_total_flops()


def counters() -> dict[str, Counter]:
    """Returns effbench and the peers that are installed, by name, their modules imported."""
    # What a count imports is imported before the clock starts, for every tool alike.
    import torch.utils.flop_counter  # noqa: F401

    import effbench.api
    import effbench.measure.trace  # noqa: F401
    from effbench.measure.peer import missing, peers

    found: dict[str, Counter] = {"effbench": effbench_count}
    for name, peer in peers.items():
        if not missing(peer):
            for module in peer.needs:
                __import__(module)
            found[name] = peer.run
    found["torch on meta"] = torch_meta
    return found


def timed(counter: Counter, model: nn.Module, inputs: tuple[Any, ...]) -> float | None:
    """Returns the seconds that one count takes, or None where the tool cannot count this model.

    What imports and building left to Python's collector is collected before: it takes 0.17 s and hits anyone.
    """
    gc.collect()
    start = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            counter(model, inputs)
    except Exception:
        return None
    return time.perf_counter() - start


def warm(name: str) -> dict[str, float | None]:
    """Returns each tool's median over the rounds after its first, the tools in random order within a round."""
    tools = counters()
    order = random.Random(0)
    times: dict[str, list[float | None]] = {tool: [] for tool in tools}
    for _ in range(ROUNDS + 1):
        for tool in order.sample(list(tools), len(tools)):
            times[tool].append(timed(tools[tool], *build(name)))
    return {tool: None if None in rest else statistics.median(rest[1:]) for tool, rest in times.items()}  # type: ignore[type-var]


def cold(name: str, tool: str) -> float | None:
    """Returns the seconds of the first count in a fresh process."""
    done = subprocess.run([sys.executable, __file__, "--cold", name, tool], capture_output=True, text=True, check=False)
    text = done.stdout.strip().rpartition("\n")[2]
    return float(text) if done.returncode == 0 and text != "None" else None


def study(names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Returns a row a model: seconds warm and cold by tool, the fastest peer and the ratios to it."""
    rows = []
    for name in names:
        warm_s = warm(name)
        peers = {tool: seconds for tool, seconds in warm_s.items() if tool != "effbench" and seconds is not None}
        fastest = min(peers, key=peers.__getitem__)
        cold_s = {tool: cold(name, tool) for tool in ("effbench", fastest)}
        ours, own_cold, peer_cold = warm_s["effbench"], cold_s["effbench"], cold_s[fastest]
        assert ours is not None
        assert own_cold is not None
        assert peer_cold is not None
        row = {"model": name, "warm_s": warm_s, "cold_s": cold_s, "fastest_peer": fastest}
        rows.append({**row, "warm_ratio": peers[fastest] / ours, "cold_ratio": peer_cold / own_cold})
        print(
            f"{name}: {rows[-1]['warm_ratio']:.1f} × warm, {rows[-1]['cold_ratio']:.1f} × cold ({fastest})", flush=True
        )
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Returns the study as Markdown: milliseconds, and how many times faster than the fastest peer."""
    lines = [
        "Made by `python benchmarks/peers/count_speed.py`: milliseconds for one count, the median of "
        f"{ROUNDS} rounds; a new model object each time.",
        "",
        f"Python {platform.python_version()}, torch {torch.__version__}, {torch.get_num_threads()} threads",
        "",
        "| model | effbench | fastest peer | its time | times faster, warm | times faster, cold | bar of 5, warm |",
        "| --- | ---: | --- | ---: | ---: | ---: | --- |",
    ]
    for row in rows:
        ours, theirs = row["warm_s"]["effbench"], row["warm_s"][row["fastest_peer"]]
        met = "met" if row["warm_ratio"] >= 5 else "missed"
        lines.append(
            f"| {row['model']} | {ours * 1e3:.1f} | {row['fastest_peer']} | {theirs * 1e3:.1f} "
            f"| {row['warm_ratio']:.1f} | {row['cold_ratio']:.2f} | {met} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    if sys.argv[1:2] == ["--cold"]:
        name, tool = sys.argv[2:4]
        print(timed(counters()[tool], *build(name)))
        return
    rows = study(tuple(sys.argv[1:]) or MODELS)
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "count_speed.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "count_speed.md").write_text(table(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
