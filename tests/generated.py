"""Random small networks for tests that compare with another tool on what nobody thought of.

A network is a chain of steps drawn at random: layers of every family, functions, operators, einsum, names imported
directly, recurrent layers, subclasses, and containers that share, repeat or nest what they hold. Every one runs.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.functional import linear as imported_linear

Shape = tuple[int, ...]
Draw = random.Random
Maker = Callable[[Draw, Shape], nn.Module]


class Net(NamedTuple):
    """A network in eval mode, an input for it, and the number that it is made from again."""

    seed: int
    model: nn.Module
    given: Tensor


def on_generated_nets(count: int) -> Callable[[Callable[[Net], None]], Callable[[], None]]:
    """A test of one `Net`, run on so many of them, the same ones each time.

    They come from a seed and not from hypothesis' own choices, which would be alike; there is nothing to shrink then.
    """
    chosen = settings(
        derandomize=True, deadline=None, max_examples=count, database=None, phases=[Phase.explicit, Phase.generate]
    )

    def wrap(test: Callable[[Net], None]) -> Callable[[], None]:
        made: Callable[[], None] = chosen(given(seed=st.integers(0, 2**32 - 1))(lambda seed: test(net_of(seed))))
        return made

    return wrap


def net_of(seed: int) -> Net:
    """A network of one to six steps from an image, a sequence, rows or word numbers."""
    draw = random.Random(seed)
    first = draw.choice(_STARTS)()
    steps: list[nn.Module] = []
    shape: Shape = tuple(first.shape)
    if not first.is_floating_point():
        wide = draw.choice((4, 8))
        steps.append(nn.Embedding(10, wide))
        shape = (*shape, wide)
    for _ in range(draw.randint(1, 6)):
        steps.append(_step(draw, shape))
        shape = _shape_after(steps[-1], shape)
    chain = draw.choice((nn.Sequential, MySequential))
    return Net(seed, chain(*steps).eval(), first)


_STARTS: Sequence[Callable[[], Tensor]] = (
    lambda: torch.zeros(2, 4, 8, 8),
    lambda: torch.zeros(1, 6, 7, 9),
    lambda: torch.zeros(2, 4, 5, 5),
    lambda: torch.zeros(2, 5, 8),
    lambda: torch.zeros(3, 4, 6),
    lambda: torch.zeros(3, 8),
    lambda: torch.zeros(2, 5, dtype=torch.long),
)


def _step(draw: Draw, shape: Shape) -> nn.Module:
    if draw.random() < 0.25:
        return draw.choice(_CONTAINERS)(draw.choice(_SAME_SHAPE[len(shape)])(draw, shape))
    return draw.choice(_STEPS[len(shape)])(draw, shape)


def _shape_after(step: nn.Module, shape: Shape) -> Shape:
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # once a process PyTorch says that it has no LSTM with projections in oneDNN
        return tuple(step.eval()(torch.zeros(shape)).shape)


class MySequential(nn.Sequential):
    """A container that no tool's table names."""


class MyConv(nn.Conv2d):
    """A convolution that no tool's table names."""


class MyLinear(nn.Linear):
    """A linear layer that no tool's table names."""


class Apply(nn.Module):
    """A function with weights of its own, whose names tools read."""

    def __init__(self, function: Callable[..., Tensor], **weights: Shape) -> None:
        super().__init__()
        self._function = function
        for name, shape in weights.items():
            self.register_parameter(name, nn.Parameter(torch.rand(shape)))

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self._function(x, *self.parameters())
        return found


class First(nn.Module):
    """The first of what a layer returns, with the input given as often as it asks."""

    def __init__(self, layer: nn.Module, arguments: int = 1, **options: Any) -> None:
        super().__init__()
        self.layer = layer
        self._arguments = arguments
        self._options = options

    def forward(self, x: Tensor) -> Tensor:
        made = self.layer(*[x] * self._arguments, **self._options)
        found: Tensor = made[0] if isinstance(made, tuple) else made
        return found


class Residual(nn.Module):
    """x + f(x)."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = x + self.inner(x)
        return found


class Repeat(nn.Module):
    """One module called three times."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(3):
            x = self.inner(x)
        return x


class Shared(nn.Module):
    """One module at two places of the tree, called at both, and an idle one."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.first = nn.Sequential(inner)
        self.second = nn.ModuleDict({"same": inner, "activation": nn.ReLU()})
        self.idle = nn.Linear(3, 3)
        self.empty = nn.ModuleList()

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.second["activation"](self.second["same"](self.first(x)))
        return found


class Direct(nn.Module):
    """A module whose forward is called past its hooks."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.inner.forward(x)
        return found


class Tied(nn.Module):
    """A second use of a module's weights by function, beside the module."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        kept = self.inner(x) * self.scale
        own = next(self.inner.parameters())
        found: Tensor = kept + (own @ own.transpose(-1, -2)).sum() if own.dim() > 1 else kept
        return found


class ThroughDict(nn.Module):
    """A module that returns a dict inside one that takes it apart."""

    class Inner(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Tensor) -> dict[str, Any]:
            return {"kept": x, "made": [self.inner(x), None]}

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.block = self.Inner(inner)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.block(x)["made"][0]
        return found


_CONTAINERS: Sequence[Callable[[nn.Module], nn.Module]] = (
    Residual,
    Repeat,
    Shared,
    Direct,
    Tied,
    ThroughDict,
    MySequential,
    lambda inner: nn.Sequential(nn.Sequential(inner, nn.Identity()), nn.Dropout()),
    lambda inner: Residual(Repeat(Shared(inner))),
)


def _flag(draw: Draw) -> bool:
    return draw.random() < 0.5


def _pick(draw: Draw, *options: Any) -> Any:
    return draw.choice(options)


def _convolution(draw: Draw, shape: Shape) -> nn.Module:
    channels, kernel = shape[1], _pick(draw, 1, 2, 3)
    groups, stride = _pick(draw, 1, 2), _pick(draw, 1, 2)
    padding = _pick(draw, 2, "same") if stride == 1 else 2
    options = {"groups": groups, "stride": stride, "padding": padding, "bias": _flag(draw)}
    return _pick(draw, nn.Conv2d, MyConv)(channels, _pick(draw, 4, 8), kernel, **options)  # type: ignore[no-any-return]


def _depthwise(draw: Draw, shape: Shape) -> nn.Module:
    return nn.Conv2d(shape[1], shape[1], 3, padding=2, dilation=2, groups=shape[1], bias=_flag(draw))


def _transposed(draw: Draw, shape: Shape) -> nn.Module:
    options = {"stride": _pick(draw, 1, 2), "padding": _pick(draw, 0, 1), "groups": _pick(draw, 1, 2)}
    return nn.ConvTranspose2d(shape[1], 4, 3, **options, bias=_flag(draw))


def _image_function(draw: Draw, shape: Shape) -> nn.Module:
    weight = (4, shape[1], 3, 3)
    return Apply(lambda x, w: F.conv2d(x, w, padding=1), **{_pick(draw, "weight", "kernel", "my_weight"): weight})


def _image_norm(draw: Draw, shape: Shape) -> nn.Module:
    affine = _flag(draw)
    by_statistics = (nn.BatchNorm2d(shape[1], affine=affine, track_running_stats=False), nn.InstanceNorm2d(shape[1]))
    return _pick(  # type: ignore[no-any-return]
        draw,
        nn.BatchNorm2d(shape[1], affine=affine),
        nn.GroupNorm(2, shape[1], affine=affine),
        nn.SyncBatchNorm(shape[1], affine=affine),
        *(by_statistics if shape[2] * shape[3] > 1 else ()),
        *([nn.InstanceNorm2d(shape[1], affine=True)] if shape[2] * shape[3] > 1 else []),
    )


def _pool(draw: Draw, shape: Shape) -> nn.Module:
    kinds = (nn.MaxPool2d(2, padding=1), nn.AvgPool2d(2, padding=1), nn.AdaptiveMaxPool2d(2))
    return _pick(draw, *kinds, nn.AdaptiveAvgPool2d(1), nn.AdaptiveAvgPool2d((3, 2)))  # type: ignore[no-any-return]


def _resize(draw: Draw, shape: Shape) -> nn.Module:
    size = (min(shape[2] + 1, 12), min(shape[3] + 2, 12))
    mode = _pick(draw, "nearest", "bilinear", "bicubic")
    if _flag(draw):
        return Apply(lambda x: F.interpolate(x, size, mode=mode))
    return nn.Upsample(size, mode=mode)


def _activation(draw: Draw, shape: Shape) -> nn.Module:
    return _pick(  # type: ignore[no-any-return]
        draw, nn.ReLU(), nn.GELU(), nn.SiLU(), nn.PReLU(), nn.Softmax(1), nn.Hardswish(), Apply(torch.tanh)
    )


def _tokens(draw: Draw, shape: Shape) -> nn.Module:
    return Apply(lambda x: x.flatten(2).transpose(1, 2))


def _linear(draw: Draw, shape: Shape) -> nn.Module:
    return _pick(draw, nn.Linear, MyLinear)(shape[-1], _pick(draw, 4, 8), bias=_flag(draw))  # type: ignore[no-any-return]


def _linear_function(draw: Draw, shape: Shape) -> nn.Module:
    wide = shape[-1]
    return _pick(  # type: ignore[no-any-return]
        draw,
        Apply(lambda x, w: F.linear(x, w), weight=(4, wide)),
        Apply(lambda x, w, b: imported_linear(x, w, b), weight=(4, wide), bias=(4,)),
        Apply(lambda x, w: x @ w, projection=(wide, 8)),
        Apply(lambda x, w: torch.matmul(x, w), my_weight=(wide, 8)),
        Apply(lambda x, w: torch.einsum("...d,do->...o", x, w), weight=(wide, 4)),
        Apply(lambda x, w, v: torch.einsum("...d,de,oe->...o", x, w, v), weight_a=(wide, 4), weight_b=(8, 4)),
        Apply(lambda x, w: torch.tensordot(x, w, 1), weight=(wide, 4)),
    )


def _row_function(draw: Draw, shape: Shape) -> nn.Module:
    wide = shape[-1]
    return _pick(  # type: ignore[no-any-return]
        draw,
        Apply(lambda x, w: torch.mm(x, w), weight=(wide, 4)),
        Apply(lambda x, w, b: torch.addmm(b, x, w), weight=(wide, 4), bias=(4,)),
        Apply(lambda x: torch.einsum("nd,md->nm", x, x)),
        Apply(lambda x: (x.unsqueeze(2) @ x.unsqueeze(1)).flatten(1)[:, :8]),
        Apply(lambda x: torch.outer(x[0], x[0])),
        First(nn.Bilinear(wide, wide, 4), 2),
        First(nn.LSTMCell(wide, 4)),
        First(nn.GRUCell(wide, 4)),
        First(nn.RNNCell(wide, 4, bias=False)),
        nn.BatchNorm1d(wide),
        nn.LayerNorm(wide),
    )


def _recurrent(draw: Draw, shape: Shape) -> nn.Module:
    options: dict[str, Any] = {
        "num_layers": _pick(draw, 1, 2),
        "bidirectional": _flag(draw),
        "batch_first": _flag(draw),
        "bias": _flag(draw),
    }
    kind = _pick(draw, nn.LSTM, nn.GRU, nn.RNN)
    if kind is nn.LSTM and _flag(draw):
        options["proj_size"] = 2
    return First(kind(shape[-1], 4, **options))


def _attention_layer(draw: Draw, shape: Shape) -> nn.Module:
    options: dict[str, Any] = {"batch_first": _flag(draw)}
    heads = 1 if shape[-1] % 2 else 2
    if _flag(draw):
        return nn.TransformerEncoderLayer(shape[-1], heads, 8, **options, norm_first=_flag(draw))
    layer = nn.MultiheadAttention(shape[-1], heads, bias=_flag(draw), **options)
    return First(layer, 3, need_weights=_flag(draw))


def _attention_function(draw: Draw, shape: Shape) -> nn.Module:
    return _pick(  # type: ignore[no-any-return]
        draw,
        Apply(lambda x: F.scaled_dot_product_attention(x, x, x)),
        Apply(lambda x: F.scaled_dot_product_attention(x[:, None], x[:, None], x[:, None], is_causal=True)[:, 0]),
        Apply(lambda x: (x @ x.transpose(-2, -1)).softmax(-1) @ x),
        Apply(lambda x: torch.bmm(torch.bmm(x, x.transpose(1, 2)), x)),
        Apply(lambda x: torch.einsum("blm,bmd->bld", torch.einsum("bld,bmd->blm", x, x), x)),
        Apply(lambda x: torch.baddbmm(x, x @ x.transpose(-2, -1), x)),
    )


def _sequence_layer(draw: Draw, shape: Shape) -> nn.Module:
    return _pick(  # type: ignore[no-any-return]
        draw,
        nn.LayerNorm(shape[-1], elementwise_affine=_flag(draw)),
        nn.Conv1d(shape[1], 6, 3, padding=1),
        nn.ConvTranspose1d(shape[1], 4, 2),
        nn.BatchNorm1d(shape[1]),
        nn.AdaptiveAvgPool1d(4),
        nn.Upsample(8),
    )


def _to_rows(draw: Draw, shape: Shape) -> nn.Module:
    return _pick(draw, nn.Flatten(), Apply(lambda x: x.mean(1).flatten(1)))  # type: ignore[no-any-return]


_STEPS: dict[int, Sequence[Maker]] = {
    4: (
        *(_convolution, _convolution, _depthwise, _transposed, _image_function, _image_norm, _image_norm),
        *(_pool, _resize, _activation, _linear, _tokens, _to_rows),
    ),
    3: (
        *(_linear, _linear_function, _recurrent, _attention_layer, _attention_function, _sequence_layer),
        *(_activation, _to_rows),
    ),
    2: (_linear, _linear_function, _row_function, _row_function, _activation),
}
"""Makers by the number of dimensions of what comes in."""

_SAME_SHAPE: dict[int, Sequence[Maker]] = {
    4: (
        lambda draw, shape: nn.Conv2d(shape[1], shape[1], 3, padding=1),
        lambda draw, shape: MySequential(_depthwise(draw, shape), _image_norm(draw, shape), nn.ReLU6()),
    ),
    3: (
        lambda draw, shape: nn.Linear(shape[-1], shape[-1]),
        lambda draw, shape: nn.Sequential(_attention_layer(draw, shape), nn.LayerNorm(shape[-1])),
        lambda draw, shape: First(nn.GRU(shape[-1], shape[-1])),
    ),
    2: (
        lambda draw, shape: nn.Linear(shape[-1], shape[-1], bias=_flag(draw)),
        lambda draw, shape: MyLinear(shape[-1], shape[-1]),
        lambda draw, shape: First(nn.GRUCell(shape[-1], shape[-1])),
    ),
}
"""Makers of what gives back the shape it gets, by the number of its dimensions."""
