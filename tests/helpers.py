"""From a module or a function and its inputs to a trace and its counts, in one call."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from effbench.judge.convention import conventions
from effbench.judge.count import Counts, count
from effbench.measure.source import Loaded, ModelInputs, already_built
from effbench.measure.trace import Mode, trace
from effbench.records import Trace

Model = nn.Module | Callable[..., Any]


class Call(nn.Module):
    """A function as a model; what it closes over is no parameter of the model."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self._function = function

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)


class OnRealTensors(nn.Module):
    """Reads a value before it runs the model, so that the tracer cannot do without data."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        first = next(leaf for leaf in args if isinstance(leaf, torch.Tensor))
        assert torch.zeros((), device=first.device).item() == 0
        return self.model(*args, **kwargs)


def shaped(given: Any) -> Any:
    """A tuple of sizes as a tensor; anything else as it is."""
    is_shape = isinstance(given, tuple) and all(isinstance(size, int) for size in given)
    return torch.rand(given) if is_shape else given


def load(model: Model, *inputs: Any, **keywords: Any) -> Loaded:
    """A model, or a function as one, with inputs given as tensors or as shapes."""
    module = model if isinstance(model, nn.Module) else Call(model)
    return Loaded("net", None, already_built(module), ModelInputs(tuple(map(shaped, inputs)), keywords))


def traced(model: Model, *inputs: Any, mode: Mode = "eval", **keywords: Any) -> Trace:
    """The trace of a pass that must not fail."""
    found = trace(load(model, *inputs, **keywords), mode)
    assert found.failed is None, found.failed
    return found


def traced_for_real(model: nn.Module, *inputs: Any, **keywords: Any) -> Trace:
    """The trace of a pass on tensors with data."""
    found = traced(OnRealTensors(model), *inputs, **keywords)
    assert [note.code for note in found.notes if note.code == "real-run"] == ["real-run"]
    return found


def counted(found: Trace, convention: str = "macs") -> Counts:
    """The counts of a trace under a convention by its name."""
    return count(found, conventions.get(convention))


def macs(model: Model, *inputs: Any, **keywords: Any) -> int | None:
    """The total under `macs`."""
    return counted(traced(model, *inputs, **keywords)).total


def full(model: Model, *inputs: Any, **keywords: Any) -> int | None:
    """The total under `full`."""
    return counted(traced(model, *inputs, **keywords), "full").total


def params(found: Trace) -> int:
    """The number of distinct parameters."""
    return sum(param.numel for param in found.params if param.alias_of is None)


def expect(model: Model, *inputs: Any, mac: int = 0, other: int = 0, **keywords: Any) -> None:
    """Asserts the MACs, and under `full` two for each of them plus the other operations."""
    found = traced(model, *inputs, **keywords)
    assert counted(found).total == mac
    assert counted(found, "full").total == 2 * mac + other


class Mixed(nn.Module):
    """Every family that has MACs, once or more."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 5, bias=False)
        self.mix = nn.Bilinear(5, 5, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.convolution(x))).flatten(2).transpose(1, 2)
        x = self.attention(x, x, x, need_weights=False)[0]
        scores = torch.softmax(torch.bmm(x, x.transpose(1, 2)), -1)
        y = self.head((scores @ x).mean(1))
        return self.mix(y, y)  # type: ignore[no-any-return]


MIXED_SHAPE = (2, 3, 6, 6)


class Net(nn.Module):
    """Two layers of which the second may not fit, and a head."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Linear(4, 4), nn.Linear(width, 4))
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))  # type: ignore[no-any-return]
