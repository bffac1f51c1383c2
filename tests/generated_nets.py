"""Networks made at random, each with the MACs that a person would count: modules, functions, sharing, state.

A block turns (batch, TOKENS, width) into the same with another width, and says what that costs for one sample.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

TOKENS = 5


@dataclass(frozen=True)
class Net:
    """A network, its input's width, and what it costs for one sample."""

    model: nn.Module
    width: int
    macs: int

    def inputs(self, batch: int) -> Tensor:
        """Returns a batch of token sequences."""
        return torch.rand(batch, TOKENS, self.width)


@dataclass(frozen=True)
class Block:
    """A piece of a network: the width it gives and its MACs for one sample."""

    module: nn.Module
    out: int
    macs: int


class Apply(nn.Module):
    """A function of a block's own layers and parameters."""

    def __init__(self, function: Callable[..., Tensor], *layers: nn.Module, **params: nn.Parameter) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.weights = nn.ParameterDict(params)
        self._function = function

    def forward(self, x: Tensor) -> Tensor:
        return self._function(self, x)


class Residual(nn.Module):
    """x + inner(x)."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)  # type: ignore[no-any-return]


class Twice(nn.Module):
    """One module called twice, and known by two names."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.first = inner
        self.second = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))  # type: ignore[no-any-return]


class Remembers(nn.Module):
    """State that a pass changes: a buffer, a plain tensor, a list, a counter, and random numbers drawn."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.last = torch.zeros(width)
        self.seen: list[Tensor] = []
        self.calls = 0
        self.mean: Tensor

    def forward(self, x: Tensor) -> Tensor:
        self.mean.mul_(0.9).add_(0.1)
        self.last = x.sum((0, 1))
        self.seen.append(self.last)
        self.calls += 1
        random.random()
        return x + torch.rand_like(x) * self.mean


class Fails(nn.Module):
    """Raises when the tokens arrive."""

    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("on purpose")


Maker = Callable[[int, int], Block]
"""(width in, width wanted) → a block; some blocks keep the width they get."""


def linear(width: int, out: int) -> Block:
    return Block(nn.Linear(width, out), out, TOKENS * width * out)


def functional(width: int, out: int) -> Block:
    layer = nn.Linear(width, out)
    return Block(Apply(lambda own, x: F.linear(x, own.layers[0].weight), layer), out, TOKENS * width * out)


def direct(width: int, out: int) -> Block:
    layer = nn.Linear(width, out, bias=False)
    return Block(Apply(lambda own, x: own.layers[0].forward(x), layer), out, TOKENS * width * out)


def product(width: int, out: int) -> Block:
    weight = nn.Parameter(torch.rand(width, out))
    return Block(Apply(lambda own, x: x @ own.weights["w"], w=weight), out, TOKENS * width * out)


def einsum(width: int, out: int) -> Block:
    weight = nn.Parameter(torch.rand(out, width))
    function = lambda own, x: torch.einsum("bti,oi->bto", x, own.weights["w"])  # noqa: E731
    return Block(Apply(function, w=weight), out, TOKENS * width * out)


def mixing(width: int, out: int) -> Block:
    weight = nn.Parameter(torch.rand(TOKENS, TOKENS))
    return Block(Apply(lambda own, x: own.weights["w"] @ x, w=weight), width, TOKENS * TOKENS * width)


def tied(width: int, out: int) -> Block:
    """There and back again by one weight."""
    layer = nn.Linear(width, out, bias=False)
    function = lambda own, x: own.layers[0](x) @ own.layers[0].weight  # noqa: E731
    return Block(Apply(function, layer), width, 2 * TOKENS * width * out)


def convolution(width: int, out: int) -> Block:
    layer = nn.Conv1d(width, out, 3, padding=1)
    return Block(
        Apply(lambda own, x: own.layers[0](x.transpose(1, 2)).transpose(1, 2), layer), out, TOKENS * 3 * width * out
    )


def attention(width: int, out: int) -> Block:
    layer = nn.MultiheadAttention(width, 1, batch_first=True)
    macs = 4 * TOKENS * width * width + 2 * TOKENS * TOKENS * width
    return Block(Apply(lambda own, x: own.layers[0](x, x, x)[0], layer), width, macs)


def scores(width: int, out: int) -> Block:
    return Block(Apply(lambda own, x: F.scaled_dot_product_attention(x, x, x)), width, 2 * TOKENS * TOKENS * width)


def recurrent(width: int, out: int) -> Block:
    layer = nn.LSTM(width, out, batch_first=True)
    return Block(Apply(lambda own, x: own.layers[0](x)[0], layer), out, TOKENS * 4 * out * (width + out))


def norm(width: int, out: int) -> Block:
    return Block(nn.LayerNorm(width), width, 0)


def batch_norm(width: int, out: int) -> Block:
    return Block(nn.BatchNorm1d(TOKENS), width, 0)


def activation(width: int, out: int) -> Block:
    return Block(nn.Sequential(nn.GELU(), nn.Dropout(0.1)), width, 0)


def spectral(width: int, out: int) -> Block:
    """A weight that is computed at every call, which is not the model's cost."""
    layer = nn.utils.parametrizations.spectral_norm(nn.Linear(width, out))
    return Block(layer, out, TOKENS * width * out)


def remembering(width: int, out: int) -> Block:
    return Block(Remembers(width), width, 0)


MAKERS: tuple[Maker, ...] = (
    linear,
    functional,
    direct,
    product,
    einsum,
    mixing,
    tied,
    convolution,
    attention,
    scores,
    recurrent,
    norm,
    batch_norm,
    activation,
    spectral,
    remembering,
)

WIDTHS = st.integers(1, 6)


@st.composite
def blocks(draw: st.DrawFn, width: int, depth: int) -> Block:
    """One block, or one inside a residual sum or called twice."""
    maker = draw(st.sampled_from(MAKERS))
    around = draw(st.sampled_from(["", "", "residual", "twice", "nested"])) if depth else ""
    if around == "nested":
        first = draw(blocks(width, depth - 1))
        second = draw(blocks(first.out, depth - 1))
        return Block(nn.Sequential(first.module, second.module), second.out, first.macs + second.macs)
    if not around:
        return maker(width, draw(WIDTHS))
    inner = maker(width, width)
    if around == "residual":
        return Block(Residual(inner.module), width, inner.macs)
    return Block(Twice(inner.module), width, 2 * inner.macs)


@st.composite
def nets(draw: st.DrawFn, most: int = 5) -> Net:
    """A network of a few blocks; weights are drawn from a seed of its own."""
    with torch.random.fork_rng():
        torch.manual_seed(draw(st.integers(0, 99)))
        start = width = draw(WIDTHS)
        made: list[Block] = []
        for _ in range(draw(st.integers(1, most))):
            made.append(draw(blocks(width, 1)))
            width = made[-1].out
        model = nn.Sequential(*(block.module for block in made))
    return Net(model, start, sum(block.macs for block in made))


def seen_of(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """Gives everything of a model that a pass could change, tensors as their values."""
    yield "keys", list(model.state_dict())
    for name, module in model.named_modules():
        yield f"{name} class", type(module)
        yield f"{name} attributes", _seen(vars(module))


def _seen(value: Any) -> Any:
    if isinstance(value, Tensor):
        return id(value), value.tolist(), value.requires_grad
    if isinstance(value, dict):
        return id(value), [(key, _seen(item)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return id(value), [_seen(item) for item in value]
    return value


def surroundings() -> dict[str, Any]:
    """Returns what a pass could leave behind in Python and in PyTorch."""
    from torch.nn.modules import module as torch_module

    hooks = [name for name in vars(torch_module) if name.startswith("_global_") and "_hooks" in name]
    return {
        "random": (random.getstate(), torch.get_rng_state().tolist()),
        "grad": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "flags": (torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled, torch.get_num_threads()),
        "dtype": torch.get_default_dtype(),
        "modes": (torch._C._len_torch_dispatch_stack(), torch._C._len_torch_function_stack()),
        "hooks": {name: dict(getattr(torch_module, name)) for name in hooks},
        "names": {name: id(item) for name, item in vars(F).items()},
        "torch": {name: id(item) for name, item in vars(torch).items() if callable(item)},
        "methods": {name: id(item) for name, item in vars(Tensor).items()},
    }
