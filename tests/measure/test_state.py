"""A traced model is the model it was before: every value, attribute, hook, flag and generator, also after a failure."""

import gc
import random
import sys
import warnings
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from helpers import OnRealTensors, load, traced
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules import module as torch_module

from effbench.measure.source import Loaded, ModelInputs
from effbench.measure.trace import Mode, trace


class Cache:
    """A plain object that forward writes to, as a key-value cache is."""

    def __init__(self) -> None:
        self.keys: Tensor | None = torch.zeros(3)
        self.layers: dict[str, list[Tensor]] = {"a": []}


class Meddler(nn.Module):
    """Changes all that it can reach while it runs, and may raise at the end."""

    def __init__(self, read: bool, fail: bool) -> None:
        super().__init__()
        self.read, self.fail = read, fail
        self.layer, self.norm, self.drop = nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5)
        self.register_buffer("mean", torch.zeros(4))
        self.empty: Tensor | None
        self.mean: Tensor
        self.scale = nn.Parameter(torch.ones(4), requires_grad=False)
        self.plain = torch.arange(4.0)
        self.pair = (torch.ones(4), torch.ones(4))
        self.count = 1000
        self.seen: list[Any] = [1]
        self.nested: dict[str, Any] = {"a": {"b": [torch.ones(4)]}, "sizes": (1, 2)}
        self.names, self.recent = {"x"}, deque([1, 2], maxlen=2)
        self.cache, self.empty = Cache(), None  # what a pass fills in

    def forward(self, x: Tensor) -> Tensor:
        if self.read:
            assert x.sum().item() is not None
        x.add_(1)
        with torch.no_grad():
            self.mean.add_(1)
            self.scale.mul_(0.5)
            self.scale.data.clamp_(0, 0.1)
            self.plain.add_(1)
            self.pair[0].add_(1)
            self.nested["a"]["b"][0].add_(1)
        y = self.drop(self.norm(self.layer(x)))
        self.count += 1
        self.new, self.empty = y, y
        self.seen.append(y)
        self.nested["a"]["b"].append(y)
        self.nested["a"]["c"] = self.nested.pop("sizes")
        self.names.add("y")
        self.recent.append(3)
        self.cache.keys = y
        self.cache.layers["a"].append(y)
        self.cache.layers["b"] = [y]
        self.layer.bias = nn.Parameter(torch.ones_like(self.layer.bias))
        self.layer.register_forward_hook(lambda *_: None)
        self.layer.requires_grad_(False)
        self.add_module("extra", nn.Identity())
        del self.norm
        self.drop.train()
        torch.rand(1)
        random.random()
        np.random.rand()
        if self.fail:
            raise RuntimeError("on purpose")
        return torch.mul(y, self.scale)


def facts(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """Everything that can be seen of a model from outside, tensors as their values."""
    yield "keys", list(model.state_dict())
    for name, module in model.named_modules():
        yield f"{name} class", type(module)
        yield f"{name} attributes", described(vars(module))
    for name, param in model.named_parameters():
        yield name, (id(param), param.requires_grad, param.grad is None, param.device.type)


def described(value: Any) -> Any:
    """A value without its tensors' data shared: a later change of the original does not change it."""
    if isinstance(value, Tensor):
        return id(value), value.tolist(), value.requires_grad
    if isinstance(value, dict):
        return id(value), [(key, described(item)) for key, item in value.items()]
    if isinstance(value, list | tuple | deque):
        return id(value), [described(item) for item in value]
    if isinstance(value, Cache):
        return id(value), described(vars(value))
    return sorted(value) if isinstance(value, set) else value


# Submodules come when they are first needed and stay; torch._dynamo wraps `manual_seed` when it comes.
TORCH_NAMES = {name for name, item in vars(torch).items() if callable(item)} - {"manual_seed"}


def surroundings() -> dict[str, Any]:
    """What a pass could leave behind in torch, Python and numpy."""
    hooks = [name for name in vars(torch_module) if name.startswith("_global_") and name.endswith("hooks")]
    return {
        "torch random": torch.get_rng_state().tolist(),
        "python random": random.getstate(),
        "numpy random": np.random.get_state()[1].tolist(),  # type: ignore[index]
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "fast path": torch.backends.mha.get_fastpath_enabled(),
        "threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(),
        "dispatch modes": torch._C._len_torch_dispatch_stack(),
        "function modes": torch._C._len_torch_function_stack(),
        "hooks": {name: dict(getattr(torch_module, name)) for name in hooks},
        "functional": {name: id(item) for name, item in vars(F).items()},
        "torch": {name: id(item) for name, item in vars(torch).items() if name in TORCH_NAMES},
        "warnings": list(warnings.filters),
        "collector": gc.isenabled(),
        "importers": list(map(id, sys.meta_path)),
    }


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("fail", [False, True])
@pytest.mark.parametrize("read", [False, True])
def test_all_is_as_it_was(read: bool, fail: bool, mode: Mode) -> None:
    net = Meddler(read, fail)
    net.layer.register_forward_pre_hook(lambda *_: None)
    net.train()
    net.drop.eval()
    x = torch.rand(2, 4)
    before, around, given = list(facts(net)), surroundings(), x.clone()
    found = trace(load(net, x), mode)
    assert list(facts(net)) == before
    assert surroundings() == around
    assert torch.equal(x, given)
    assert (found.failed is not None) is fail
    assert [note.code for note in found.notes if note.code == "real-run"] == ["real-run"] * (read and not fail)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_an_interruption_passes_and_all_is_as_it_was(stop: type[BaseException]) -> None:
    class Stops(Meddler):
        def forward(self, x: Tensor) -> Tensor:
            super().forward(x)
            raise stop

    net = Stops(read=False, fail=False)
    given = load(net, (2, 4))
    before, around = list(facts(net)), surroundings()
    with pytest.raises(stop):
        trace(given)
    assert list(facts(net)) == before
    assert surroundings() == around


def test_building_a_model_draws_no_random_numbers_of_the_caller() -> None:
    def build(device: str) -> nn.Module:
        random.random()
        np.random.rand()
        return OnRealTensors(nn.Linear(4, 4))  # its weights are drawn

    given = Loaded("net", None, build, ModelInputs((torch.rand(2, 4),)))
    around = surroundings()
    found = trace(given)
    assert surroundings() == around
    assert [note.code for note in found.notes] == ["real-run"]


def test_flags_that_the_caller_set_stay_set() -> None:
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.inference_mode():
            traced(nn.Linear(4, 4), (2, 4))
            assert torch.is_inference_mode_enabled()
        assert not torch.backends.mha.get_fastpath_enabled()
    finally:
        torch.backends.mha.set_fastpath_enabled(True)


def test_the_model_runs_after_its_trace_as_before() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU(inplace=True)).eval()
    x = torch.rand(3, 4)
    with torch.no_grad():
        before = net(x)
        traced(net, x)
        torch.testing.assert_close(net(x), before)
    net.train()(x).sum().backward()
    assert net[0].weight.grad is not None
    gradient = net[0].weight.grad
    traced(net, x)
    assert net[0].weight.grad is gradient


def test_hooks_of_the_user_run_and_stay() -> None:
    calls: list[str] = []
    net = nn.Sequential(nn.Linear(4, 4))
    net[0].register_forward_hook(lambda *_: calls.append("own"))
    everywhere = torch_module.register_module_forward_hook(lambda *_: calls.append("global"))
    try:
        traced(net, (2, 4))
        assert sorted(calls) == ["global", "global", "own"]
        net(torch.rand(2, 4))
        assert len(calls) == 6
    finally:
        everywhere.remove()


def test_tied_tensors_stay_tied_while_the_model_runs() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)
            self.also = self.layer
            self.weights = [self.layer.weight]
            self.by_name = OrderedDict(weight=self.layer.weight)

        def forward(self, x: Tensor) -> Tensor:
            assert self.weights[0] is self.layer.weight is self.also.weight is self.by_name["weight"]
            return self.layer(x)  # type: ignore[no-any-return]

    traced(Tied(), (2, 4))


@pytest.mark.parametrize(
    "factory",
    [
        pytest.param(lambda: nn.utils.spectral_norm(nn.Linear(4, 4)), id="spectral-norm"),
        pytest.param(lambda: nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)), id="weight-norm"),
        pytest.param(lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4)), id="spectral-parametrized"),
    ],
)
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_weights_that_are_computed_on_every_pass(factory: Callable[[], nn.Module], mode: Mode) -> None:
    net = factory()
    x = torch.rand(2, 4)
    net(x)
    before = list(facts(net))
    traced(net, x, mode=mode)
    assert list(facts(net)) == before


def test_a_model_that_knows_its_trainer_does_not_make_it_its_own() -> None:
    """Tensors of an object are stood in for, those of an object behind it are not."""

    class Trainer:
        def __init__(self) -> None:
            self.near = torch.zeros(2)
            self.data = Cache()

    class Owned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trainer = Trainer()

        def forward(self, x: Tensor) -> Tensor:
            assert self.trainer.near.is_meta
            assert self.trainer.data.keys is not None
            assert not self.trainer.data.keys.is_meta
            return x * 2

    net = Owned()
    traced(net, (2,))
    assert not net.trainer.near.is_meta
