"""MACs of a training step: by hand, and as torch counts a real forward and backward pass."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
import torchvision
from helpers import traced
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from effbench.errors import InputError
from effbench.judge.training import TrainingMacs, parameter_values, training_macs, unknown_in_training
from effbench.measure.containers import tensors_in
from effbench.units import Flops, Macs

models = torchvision.models


def trained(model: nn.Module, *inputs: Any) -> TrainingMacs:
    found = training_macs(traced(model, *inputs, mode="train"))
    assert found is not None
    return found


def parts(found: TrainingMacs) -> tuple[int, int, int]:
    return found.forward.count, found.input_gradients.count, found.weight_gradients.count


# By hand


def test_the_first_layer_has_no_gradient_of_its_input() -> None:
    found = trained(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), (5, 4))
    first, second = 5 * 4 * 8, 5 * 8 * 3
    assert parts(found) == (first + second, second, first + second)
    assert found.backward == Macs(first + 2 * second)
    assert found.total == Macs(2 * first + 3 * second)
    assert found.trained == 4 * 8 + 8 + 8 * 3 + 3


def test_a_frozen_layer_passes_gradients_on_and_has_none_itself() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 6), nn.Linear(6, 3))
    model[1].requires_grad_(False)
    a, b, c = 5 * 4 * 8, 5 * 8 * 6, 5 * 6 * 3
    assert parts(trained(model, (5, 4))) == (a + b + c, b + c, a + c)
    model[0].requires_grad_(False)  # nothing before the last layer learns
    found = trained(model, (5, 4))
    assert parts(found) == (a + b + c, 0, c)
    assert found.trained == 6 * 3 + 3


class Detached(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.before, self.after, self.unused = nn.Linear(4, 8), nn.Linear(8, 3), nn.Linear(8, 100)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.before(x)
        self.unused(hidden)
        return self.after(hidden.detach())  # type: ignore[no-any-return]


def test_no_gradient_passes_a_detach_or_comes_from_what_is_not_returned() -> None:
    found = trained(Detached(), (5, 4))
    assert parts(found) == (5 * (32 + 24 + 800), 0, 5 * 24)
    assert found.trained == 8 * 3 + 3


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(8, 8, bias=False) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(self.q(x), self.k(x), self.v(x))


def test_attention_has_four_products_in_its_gradient() -> None:
    projections, scores = 3 * 2 * 5 * 8 * 8, 2 * 5 * 5
    found = trained(Attention(), (2, 5, 8))
    assert parts(found) == (projections + scores * 16, 2 * scores * 16, projections)
    model = Attention()
    model.v.requires_grad_(False)  # then only AᵀG is spared
    assert trained(model, (2, 5, 8)).input_gradients == Macs(2 * scores * 16 - scores * 8)
    model.k.requires_grad_(False)  # and SᵀQ
    assert trained(model, (2, 5, 8)).input_gradients == Macs(2 * scores * 16 - 2 * scores * 8)


def test_a_bilinear_form_contracts_twice() -> None:
    model = nn.Sequential(nn.Linear(4, 5, bias=False), _Square(5, 3))
    inside = 2 * 3 * 5 * 5 + 2 * 3 * 5  # over in1, then over in2
    found = trained(model, (2, 4))
    # ∂A and the first x over in1; the second x, and what lies between the contractions, over in2.
    assert found.weight_gradients == Macs(2 * 4 * 5 + 2 * 3 * 5 * 5)
    assert found.input_gradients == Macs(2 * 3 * 5 * 5 + 2 * (2 * 3 * 5))
    assert found.forward == Macs(2 * 4 * 5 + inside)


class _Square(nn.Module):
    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.form = nn.Bilinear(width, width, out, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.form(x, x)  # type: ignore[no-any-return]


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(4, 4, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.one(self.one(x))  # type: ignore[no-any-return]


def test_a_shared_weight_has_a_gradient_from_each_use_and_is_stepped_once() -> None:
    found = trained(Tied(), (5, 4))
    assert parts(found) == (160, 80, 160)
    assert found.trained == 16


def test_an_optimiser_works_element_by_element() -> None:
    found = trained(nn.Linear(4, 8), (5, 4))
    assert found.optimiser_flops("sgd") == Flops(2 * 40)
    assert found.optimiser_flops("adamw") == Flops(16 * 40)
    with pytest.raises(InputError, match="optimiser 'lion': known are sgd"):
        found.optimiser_flops("lion")


def test_what_has_no_rule_is_unknown_and_named() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.rand(3, 4))

        def forward(self, x: Tensor) -> Tensor:
            return torch.cdist(x, self.weight)

    trace = traced(Odd(), (2, 4), mode="train")
    assert training_macs(trace) is None
    assert list(unknown_in_training(trace)) == ["aten::_cdist_forward"]


def test_parameters_are_found_behind_the_inputs() -> None:
    trace = traced(nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 3)), (5, 4))
    assert {number: param.name for number, param in parameter_values(trace).items()} == {
        1: "0.weight",
        2: "0.bias",
        3: "1.weight",
        4: "1.bias",
    }


# As torch counts


@contextmanager
def plain_kernels() -> Iterator[None]:
    """Ops that torch's counter knows: no fused recurrent layers of oneDNN, no fused attention."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the flag brings others along that warn
        with torch.backends.mkldnn.flags(enabled=False), sdpa_kernel(SDPBackend.MATH):
            yield


def counted_by_torch(model: nn.Module, *inputs: Any) -> tuple[int, int, int]:
    """FLOPs of forward, FLOPs of forward and backward, elements of the parameters that got a gradient."""
    model.train()
    with plain_kernels(), FlopCounterMode(display=False) as counter:
        outputs = [leaf for leaf in tensors_in(model(*inputs)) if leaf.requires_grad]
        forward = counter.get_total_flops()
        torch.stack([leaf.square().mean() for leaf in outputs]).sum().backward()  # type: ignore[no-untyped-call]
    stepped = sum(param.numel() for param in model.parameters() if param.grad is not None)
    return forward, counter.get_total_flops(), stepped


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(10, 8)
        self.lstm = nn.LSTM(8, 6, 2, batch_first=True, bidirectional=True)
        self.gru = nn.GRU(12, 5)
        self.head = nn.Linear(5, 3)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.gru(self.lstm(self.words(ids))[0])[0])  # type: ignore[no-any-return]


def partly_frozen() -> nn.Module:
    model: nn.Module = models.resnet18()
    for name, param in model.named_parameters():
        param.requires_grad_(name.startswith(("layer4", "fc")))
    return model


CASES: dict[str, tuple[Callable[[], nn.Module], Callable[[], tuple[Any, ...]]]] = {
    "resnet18": (models.resnet18, lambda: (torch.rand(2, 3, 64, 64),)),
    "resnet18 frozen up to layer4": (partly_frozen, lambda: (torch.rand(2, 3, 64, 64),)),
    "vit_b_16": (lambda: models.vit_b_16(image_size=32), lambda: (torch.rand(1, 3, 32, 32),)),
    "googlenet": (lambda: models.googlenet(init_weights=False), lambda: (torch.rand(2, 3, 64, 64),)),
    "densenet121": (models.densenet121, lambda: (torch.rand(1, 3, 64, 64),)),
    "recurrent": (Recurrent, lambda: (torch.randint(0, 10, (2, 7)),)),
    "transformer": (
        lambda: nn.Transformer(16, 2, 1, 1, 32, batch_first=True),
        lambda: (torch.rand(2, 5, 16), torch.rand(2, 6, 16)),
    ),
    "transposed": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ConvTranspose2d(4, 6, 3, 2)),
        lambda: (torch.rand(2, 3, 9, 9),),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_macs_are_those_of_torch(name: str) -> None:
    build, inputs = CASES[name]
    model, given = build(), inputs()
    found = trained(model, *given)
    assert (2 * found.forward.count, 2 * found.total.count, found.trained) == counted_by_torch(model, *given)


class ByGroups(nn.Module):
    """A grouped convolution written as one dense convolution for each group."""

    def __init__(self, grouped: nn.Conv2d) -> None:
        super().__init__()
        self.grouped = grouped

    def forward(self, x: Tensor) -> Tensor:
        layer = self.grouped
        pairs = zip(x.chunk(layer.groups, 1), layer.weight.chunk(layer.groups, 0), strict=True)
        return torch.cat([F.conv2d(part, weight) for part, weight in pairs], 1)


def test_grouped_convolutions_are_those_of_their_groups() -> None:
    # torch counts the gradient of a grouped convolution as if it were dense: so it is asked about the groups.
    first, grouped = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 12, 3, groups=4, bias=False)
    found = trained(nn.Sequential(first, grouped), (2, 3, 9, 9))
    apart = nn.Sequential(first, ByGroups(grouped))
    assert 2 * found.total.count == counted_by_torch(apart, torch.rand(2, 3, 9, 9))[1]
    assert 2 * found.total.count < counted_by_torch(nn.Sequential(first, grouped), torch.rand(2, 3, 9, 9))[1]
