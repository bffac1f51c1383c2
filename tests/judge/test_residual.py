"""Which modules are residual blocks: structures written for this, and the papers' own numbers of blocks."""

from collections.abc import Callable

import pytest
import torch
import torchvision
from helpers import traced
from torch import Tensor, nn

from effbench.judge.liveness import residual_paths


class By(nn.Module):
    """A module whose forward is a function of its parts and its inputs."""

    def __init__(self, forward: Callable[..., Tensor], *parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.position = nn.Parameter(torch.zeros(1, 4, 8, 8))
        self._forward = forward

    def forward(self, *inputs: Tensor) -> Tensor:
        return self._forward(self, *inputs)


def conv(stride: int = 1) -> nn.Module:
    return nn.Conv2d(4, 4, 3, stride, 1)


def identity(self: By, x: Tensor) -> Tensor:
    return x + self.parts[0](x)  # type: ignore[no-any-return]


def in_place(self: By, x: Tensor) -> Tensor:
    y: Tensor = self.parts[0](x)
    y += x
    return y.relu_()


def downsampled(self: By, x: Tensor) -> Tensor:
    return (self.parts[1](self.parts[0](x)) + self.parts[2](x)).relu()  # type: ignore[no-any-return]


def norm_after(self: By, x: Tensor) -> Tensor:
    return self.parts[1](x + self.parts[0](x))  # type: ignore[no-any-return]


def by_helper(self: By, x: Tensor) -> Tensor:
    return self.parts[1](self.parts[0](x), x)  # type: ignore[no-any-return]


def skip_inside(self: By, x: Tensor) -> Tensor:
    return self.parts[1](x + self.parts[0](x))  # type: ignore[no-any-return]


def with_position(self: By, x: Tensor) -> Tensor:
    return self.parts[0](x) + self.position  # type: ignore[no-any-return]


def gate(self: By, x: Tensor) -> Tensor:
    return x * self.parts[0](x).sigmoid()  # type: ignore[no-any-return]


def doubled(self: By, x: Tensor) -> Tensor:
    y = self.parts[0](x)
    return y + y  # type: ignore[no-any-return]


def broadcast(self: By, x: Tensor) -> Tensor:
    return x + self.parts[0](x).mean((2, 3), keepdim=True)  # type: ignore[no-any-return]


def two_paths(self: By, x: Tensor) -> Tensor:
    return self.parts[0](x.exp(), x.sin())  # type: ignore[no-any-return]


def two_in_a_row(self: By, x: Tensor) -> Tensor:
    return x + self.parts[1](self.parts[0](x))  # type: ignore[no-any-return]


def add(self: By, x: Tensor, y: Tensor) -> Tensor:
    return x + y


def block() -> By:
    return By(identity, conv())


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        pytest.param(block(), ["0"], id="identity"),
        pytest.param(By(in_place, conv()), ["0"], id="in-place, activation after"),
        pytest.param(By(downsampled, conv(2), conv(), conv(2)), ["0"], id="downsampled path"),
        pytest.param(By(norm_after, conv(), nn.BatchNorm2d(4)), ["0"], id="norm after"),
        pytest.param(By(by_helper, conv(), By(add)), ["0"], id="added by a helper module"),
        pytest.param(By(two_paths, By(add)), ["0"], id="two paths, both transformed"),
        pytest.param(By(two_in_a_row, block(), block()), ["0.parts.0", "0.parts.1"], id="nested: the innermost"),
        pytest.param(By(skip_inside, conv(), conv()), [], id="a convolution after the addition"),
        pytest.param(By(with_position, conv()), [], id="a parameter added"),
        pytest.param(By(gate, conv()), [], id="multiplied"),
        pytest.param(By(doubled, conv()), [], id="added to itself"),
        pytest.param(By(broadcast, conv()), [], id="broadcast"),
        pytest.param(conv(), [], id="no addition"),
    ],
)
def test_structures(module: nn.Module, expected: list[str]) -> None:
    assert residual_paths(traced(nn.Sequential(module), (2, 4, 8, 8))) == expected


def test_the_model_itself_is_no_block() -> None:
    assert residual_paths(traced(block(), (2, 4, 8, 8))) == []


def test_a_block_called_twice_is_there_twice() -> None:
    shared = block()
    assert residual_paths(traced(nn.Sequential(shared, shared), (2, 4, 8, 8))) == ["0", "0"]


def test_an_lstm_over_a_sequence_is_no_block() -> None:
    assert residual_paths(traced(nn.Sequential(nn.LSTM(8, 8)), (5, 2, 8))) == []


@pytest.mark.parametrize("norm_first", [True, False])
def test_a_transformer_layer_is_one(norm_first: bool) -> None:
    layer = nn.TransformerEncoderLayer(8, 2, batch_first=True, norm_first=norm_first)
    assert residual_paths(traced(nn.Sequential(layer), (2, 5, 8))) == ["0"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet18", 2 + 2 + 2 + 2),  # He et al., 2015, table 1
        ("resnet50", 3 + 4 + 6 + 3),
        ("mobilenet_v2", 1 + 2 + 3 + 4 + 3 + 3 + 1),  # Sandler et al., 2018, table 2, those that stride included
        ("convnext_tiny", 3 + 3 + 9 + 3),  # Liu et al., 2022, section 3
        ("vit_b_32", 12),  # Dosovitskiy et al., 2021, table 1
        ("swin_t", 2 + 2 + 6 + 2),  # Liu et al., 2021, section 3.3
        ("densenet121", 0),  # joins by concatenation
        ("vgg11", 0),
    ],
)
def test_number_of_blocks_is_the_papers(name: str, expected: int) -> None:
    with torch.device("meta"):
        model = torchvision.models.get_model(name)
        image = torch.empty(1, 3, 224, 224)
    assert len(residual_paths(traced(model, image))) == expected
