"""Modules of every family and of every way to hang together, for tools that hook some of them by class."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from generated import Apply, Direct, First, MyConv, MyLinear, MySequential, Repeat, Residual, Shared, Tied
from torch import Tensor, nn
from torch.nn import functional as F

Given = tuple[Any, ...]
Maker = Callable[[], nn.Module]

IMAGE, TALL, LINE, VOLUME = (2, 4, 8, 8), (1, 4, 7, 9), (2, 4, 9), (2, 4, 4, 5, 6)
ROWS, STEPS = (5, 6), (4, 3, 6)
IDS = torch.zeros(2, 3, dtype=torch.long)


class Packed(nn.Module):
    """A recurrent layer that reads three sequences packed, the longest of four steps."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.layer(nn.utils.rnn.pack_padded_sequence(x, [4, 2, 1]))[1]
        return found


class ByKeyword(nn.Module):
    """A module that is given its input by name."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.layer(input=x)
        return found


class Cross(nn.Module):
    """Attention whose keys and values are not its queries, called as told."""

    def __init__(self, layer: nn.MultiheadAttention, call: str = "positions") -> None:
        super().__init__()
        self.layer = layer
        self.call = call

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        if self.call == "mask":
            made = self.layer(query, key, value, None)
        elif self.call == "names":
            made = self.layer(query=query, key=key, value=value)
        else:
            made = self.layer(query, key, value, need_weights=self.call == "weights")
        found: Tensor = made[0]
        return found


class Two(nn.Module):
    """A model of two inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        found: Tensor = F.relu(self.layer(x)) + self.layer(y)
        return found


class Listed(nn.Module):
    """A model of one list."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, items: list[Tensor]) -> Tensor:
        return torch.stack([self.layer(item) for item in items])


class OfTwoWidths(nn.Module):
    """Work that does not grow with the batch, beside work that does."""

    def __init__(self) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.zeros(7, 6))
        self.mix = nn.Linear(6, 6)
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(x + self.mix(self.places).sum(0)) * F.relu(x).sum()
        return found


def hooked_with_child(width: int = 6) -> nn.Module:
    outer = nn.Linear(width, width)
    outer.add_module("below", nn.Linear(width, width))

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.outer = outer

        def forward(self, x: Tensor) -> Tensor:
            return self.outer.below(self.outer(x))  # type: ignore[no-any-return, operator]

    return Both()


def under_two_parents() -> nn.Module:
    layer = nn.Sequential(nn.Linear(6, 6), nn.ReLU())
    return nn.Sequential(nn.Sequential(layer, layer), nn.Sequential(layer), layer)


def recurrent(kind: Callable[..., nn.Module], **options: Any) -> nn.Module:
    return First(kind(6, 5, **options))


def cross(call: str) -> nn.Module:
    return Cross(nn.MultiheadAttention(6, 2, kdim=4, vdim=8), call)


def deformable() -> nn.Module:
    ops = pytest.importorskip("torchvision.ops")

    class Deformed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = ops.DeformConv2d(4, 6, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            places = x.new_zeros(x.shape[0], 18, *x.shape[2:])
            return self.layer(x, places) + self.layer(x, places, x.new_ones(x.shape[0], 9, *x.shape[2:]))  # type: ignore[no-any-return]

    return Deformed()


def timm_attention() -> nn.Module:
    layers = pytest.importorskip("timm.layers")
    return nn.Sequential(layers.Attention(6, 2), nn.LayerNorm(6))


PLAIN: dict[str, tuple[Maker, Given]] = {
    "linear": (lambda: nn.Linear(6, 3), (ROWS,)),
    "linear-no-bias": (lambda: nn.Linear(6, 3, bias=False), ((4, *ROWS),)),
    "linear-one-row": (lambda: nn.Linear(6, 3), ((6,),)),
    "conv": (lambda: nn.Conv2d(4, 6, 3, groups=2), (IMAGE,)),
    "conv-1d": (lambda: nn.Conv1d(4, 6, 3, bias=False), (LINE,)),
    "conv-3d": (lambda: nn.Conv3d(4, 3, 2), (VOLUME,)),
    "conv-unbatched": (lambda: nn.Conv2d(4, 6, 3), ((4, 8, 8),)),
    "conv-reflect": (lambda: nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"), (IMAGE,)),
    "transposed": (lambda: nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, groups=2), (IMAGE,)),
    "transposed-1d": (lambda: nn.ConvTranspose1d(4, 6, 3, bias=False), (LINE,)),
    "transposed-3d": (lambda: nn.ConvTranspose3d(4, 3, 2), (VOLUME,)),
    "batch-norm": (lambda: nn.BatchNorm2d(4), (IMAGE,)),
    "batch-norm-plain": (lambda: nn.BatchNorm2d(4, affine=False), (IMAGE,)),
    "batch-norm-untracked": (lambda: nn.BatchNorm2d(4, track_running_stats=False), (IMAGE,)),
    "instance-norm": (lambda: nn.InstanceNorm2d(4, affine=True), (IMAGE,)),
    "group-norm": (lambda: nn.GroupNorm(2, 4), (IMAGE,)),
    "layer-norm": (lambda: nn.LayerNorm(6), (ROWS,)),
    "layer-norm-plain": (lambda: nn.LayerNorm(6, elementwise_affine=False), (ROWS,)),
    "embedding": (lambda: nn.Embedding(9, 4), (IDS,)),
    "max-pool": (lambda: nn.MaxPool2d(2), (IMAGE,)),
    "average-pool": (lambda: nn.AvgPool3d(2), (VOLUME,)),
    "adaptive-pool": (lambda: nn.AdaptiveAvgPool2d(3), (IMAGE,)),
    "adaptive-max-pool": (lambda: nn.AdaptiveMaxPool1d(3), (LINE,)),
    "upsample": (lambda: nn.Upsample(scale_factor=2), (IMAGE,)),
    "upsample-size": (lambda: nn.Upsample((5, 6), mode="bilinear"), (IMAGE,)),
    "upsample-scales": (lambda: nn.Upsample(scale_factor=(1.5, 2)), (IMAGE,)),
    "upsample-scales-one-sample": (lambda: nn.Upsample(scale_factor=(1.5, 2)), (TALL,)),
    "upsampling-bilinear": (lambda: nn.UpsamplingBilinear2d(scale_factor=2), (IMAGE,)),
    **{
        name.lower(): (getattr(nn, name), (ROWS,))
        for name in ("ReLU", "PReLU", "ELU", "LeakyReLU", "ReLU6", "GELU", "SiLU", "Sigmoid", "Hardswish")
    },
    "softmax": (lambda: nn.Softmax(-1), (ROWS,)),
    "bilinear": (lambda: First(nn.Bilinear(6, 6, 4), 2), (ROWS,)),
    "deformable": (deformable, (IMAGE,)),
}

OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "no-bias": {"bias": False},
    "batch-first": {"batch_first": True},
    "both-ways": {"bidirectional": True},
    "deep": {"num_layers": 3},
    "deep-both-ways": {"num_layers": 2, "bidirectional": True, "batch_first": True},
}

RECURRENT: dict[str, tuple[Maker, Given]] = {
    **{
        f"{kind.__name__}-{label}".lower(): (partial(recurrent, kind, **options), (STEPS,))
        for kind in (nn.RNN, nn.GRU, nn.LSTM)
        for label, options in OPTIONS.items()
    },
    "lstm-projection": (lambda: First(nn.LSTM(6, 5, proj_size=2, num_layers=2)), (STEPS,)),
    "lstm-projection-batch-first": (lambda: First(nn.LSTM(6, 5, proj_size=2, batch_first=True)), (STEPS,)),
    "lstm-double": (lambda: First(nn.LSTM(6, 5, batch_first=True).double()), (torch.zeros(STEPS).double(),)),
    "gru-unbatched": (lambda: First(nn.GRU(6, 5)), (ROWS,)),
    "gru-unbatched-batch-first": (lambda: First(nn.GRU(6, 5, batch_first=True)), (ROWS,)),
    "gru-one-step": (lambda: First(nn.GRU(6, 5, batch_first=True)), ((3, 1, 6),)),
    "gru-root": (lambda: nn.GRU(6, 5), (STEPS,)),
    "gru-root-state": (lambda: nn.GRU(6, 5), (STEPS, (1, 3, 5))),
    "packed": (lambda: Packed(nn.GRU(6, 5)), (STEPS,)),
    "lstm-by-keyword": (lambda: ByKeyword(nn.LSTM(6, 5)), (STEPS,)),
    **{
        f"{kind.__name__}".lower(): (partial(recurrent, kind), (ROWS,))
        for kind in (nn.RNNCell, nn.GRUCell, nn.LSTMCell)
    },
    "cell-no-bias": (lambda: First(nn.LSTMCell(6, 5, bias=False)), (ROWS,)),
    "cell-unbatched": (lambda: nn.GRUCell(6, 5), ((6,),)),
}

ATTENTION: dict[str, tuple[Maker, Given]] = {
    "mha": (lambda: First(nn.MultiheadAttention(6, 2), 3), (STEPS,)),
    "mha-batch-first": (lambda: First(nn.MultiheadAttention(6, 2, batch_first=True), 3, need_weights=False), (STEPS,)),
    "mha-no-bias": (lambda: First(nn.MultiheadAttention(6, 3, bias=False), 3), (STEPS,)),
    "mha-bias-kv": (lambda: First(nn.MultiheadAttention(6, 2, add_bias_kv=True), 3), (STEPS,)),
    "mha-unbatched": (lambda: First(nn.MultiheadAttention(6, 2), 3), (ROWS,)),
    "mha-root": (lambda: nn.MultiheadAttention(6, 2), (STEPS, STEPS, STEPS)),
    **{
        f"mha-cross-{call}": (
            partial(cross, call),
            (STEPS, (7, 3, 4), (7, 3, 8)),
        )
        for call in ("positions", "weights", "mask", "names")
    },
    "encoder": (lambda: nn.TransformerEncoderLayer(6, 2, 8), (STEPS,)),
    "encoder-gelu": (lambda: nn.TransformerEncoderLayer(6, 2, 8, activation="gelu", norm_first=True), (STEPS,)),
    "encoders": (lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(6, 2, 8, batch_first=True), 2), (STEPS,)),
    "decoder": (lambda: nn.TransformerDecoderLayer(6, 2, 8), (STEPS, (7, 3, 6))),
    "timm": (timm_attention, (STEPS,)),
}

TREES: dict[str, tuple[Maker, Given]] = {
    "subclass": (lambda: nn.Sequential(MyConv(4, 6, 3), nn.Conv2d(6, 4, 1)), (IMAGE,)),
    "subclasses": (lambda: MySequential(MyLinear(6, 4), nn.Linear(4, 3)), (ROWS,)),
    "repeated": (lambda: Repeat(nn.Linear(6, 6)), (ROWS,)),
    "shared": (lambda: Shared(nn.Sequential(nn.Linear(6, 6), nn.GELU())), (ROWS,)),
    "shared-rnn": (lambda: Shared(First(nn.GRU(6, 6))), (STEPS,)),
    "shared-deep": (lambda: Residual(Repeat(Shared(Shared(nn.Linear(6, 6))))), (ROWS,)),
    "two-parents": (under_two_parents, (ROWS,)),
    "direct": (lambda: nn.Sequential(Direct(nn.Linear(6, 6)), nn.ReLU()), (ROWS,)),
    "tied": (lambda: Tied(nn.Linear(6, 6)), (ROWS,)),
    "below-hooked": (hooked_with_child, (ROWS,)),
    "by-keyword": (lambda: ByKeyword(nn.Linear(6, 6)), (ROWS,)),
    "by-keyword-activation": (lambda: ByKeyword(nn.ReLU()), (ROWS,)),
    "two-inputs": (Two, (ROWS, ROWS)),
    "a-list": (Listed, ([torch.zeros(6), torch.zeros(6), torch.zeros(6)],)),
    "not-of-the-batch": (OfTwoWidths, (ROWS,)),
    "not-of-a-batch-of-seven": (OfTwoWidths, ((11, 6),)),
    "empty-batch": (lambda: nn.Sequential(nn.Linear(6, 3), nn.ReLU()), ((0, 6),)),
    "no-parameters": (lambda: nn.Sequential(nn.ReLU(), nn.Softmax(-1)), (ROWS,)),
    "weight-norm": (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(6, 3)), (ROWS,)),
    "spectral-norm": (lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(6, 3)), (ROWS,)),
    "function-in-a-root": (lambda: Apply(lambda x, w: F.relu(F.linear(x, w)), weight=(3, 6)), (ROWS,)),
}


def beside_a_parameter(make: Maker) -> nn.Module:
    """A module in a container that has a parameter whatever the module has: some tools ask for one."""
    box = nn.Sequential(make())
    box.register_parameter("unused", nn.Parameter(torch.zeros(3)))
    return box


BOXED = {f"boxed-{name}": (partial(beside_a_parameter, make), given) for name, (make, given) in PLAIN.items()}
ALL = PLAIN | RECURRENT | ATTENTION | TREES | BOXED

ON_EVERY_MODULE = pytest.mark.parametrize(("maker", "given"), ALL.values(), ids=ALL.keys())
