"""Activation memory beside parameters and buffers, in bytes added up by hand from what is alive at each op."""

from collections.abc import Callable, Mapping

import pytest
import torch
from helpers import traced
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from effbench.judge.liveness import Place, memory, peak_activation_bytes, residual_paths

X = 2 * 3 * 4  # a (2, 3) input of float32


def freed(x: Tensor) -> Tensor:
    y = x + 1
    y = y * 2
    y = y.exp()
    return y.sin()


def kept(x: Tensor) -> Tensor:
    a = x + 1
    b = a * 2
    c = b.exp()
    return a + b + c


def view_keeps(x: Tensor) -> Tensor:
    flat = (x + 1).view(-1)
    doubled = flat * 2
    return doubled + flat


@pytest.mark.parametrize(
    ("function", "peak"),
    [
        pytest.param(freed, X + 2 * X, id="freed"),  # the input, what is read and what is written
        pytest.param(kept, X + 5 * X, id="kept"),  # a, b, c, a + b, and the sum
        pytest.param(view_keeps, X + 3 * X, id="view"),
        pytest.param(lambda x: (x + 1).relu_().add_(1), X + X, id="in-place"),
        pytest.param(lambda x: x.view(-1), X, id="nothing-made"),
        pytest.param(lambda x: x.double(), X + 2 * X, id="wider"),
        pytest.param(lambda x: x.expand(100, 2, 3), X, id="expanded"),
        pytest.param(lambda x: torch.cat([x, x]), X + 2 * X, id="joined"),
        pytest.param(lambda x: x + torch.tensor([1.0, 2.0, 3.0]), X + 3 * 4 + X, id="a-constant-written-in-forward"),
        pytest.param(lambda x: torch.exp(x, out=torch.empty_like(x)), X + X, id="out="),
    ],
)
def test_peak(function: Callable[[Tensor], Tensor], peak: int) -> None:
    assert peak_activation_bytes(traced(function, (2, 3))) == peak


def test_weights_and_buffers_are_no_activations() -> None:
    """2 rows of 4 in, 2 rows of 8 out; the weight, its transposed view and the bias stand elsewhere."""
    assert peak_activation_bytes(traced(nn.Linear(4, 8), (2, 4))) == (2 * 4 + 2 * 8) * 4


def test_each_layer_s_input_dies_when_its_output_is_there() -> None:
    net = nn.Sequential(nn.Linear(4, 100), nn.Linear(100, 1), nn.Linear(1, 50))
    # the input stays; at the second layer 100 are read and 1 written
    found = memory(traced(net, (1, 4)))
    assert found.peak == Place((4 + 100 + 1) * 4, "aten::addmm", "1")
    # freed after its last use the input is gone by then: 4 and 100 at the first layer, 100 and 1 at the second
    assert found.floor == found.largest_op == Place((4 + 100) * 4, "aten::addmm", "0")


def returns_early(x: Tensor) -> tuple[Tensor, Tensor]:
    first = x + 1
    return first, (first * 2).exp().sin()


class HoldsLong(nn.Module):
    """Keeps in its frame what it no longer needs, as a Python forward does."""

    def forward(self, x: Tensor) -> Tensor:
        wide = torch.cat([x, x, x])
        narrow = wide.sum(0)
        for _ in range(2):
            narrow = narrow.exp()
        return narrow


FLOORS: Mapping[str, tuple[Callable[..., object], int, int, int]] = {
    # x is read by the first op alone; after that one tensor is read and one written
    "freed": (freed, 3 * X, 2 * X, 2 * X),
    # x, a | a, b | a, b, c | a, b, c, a + b | c, a + b, sum
    "kept": (kept, 6 * X, 4 * X, 3 * X),
    # first stays although the last op that reads it is the second: first, *2 | first, *2, exp | first, exp, sin
    "returned-early": (returns_early, 4 * X, 3 * X, 2 * X),
    # as run x and wide stay beside two narrow ones of 3 elements; they need not: x, wide | wide, narrow
    "held-by-the-frame": (HoldsLong(), X + 3 * X + 2 * 12, X + 3 * X, X + 3 * X),
    # x is read again at the end
    "in-place": (lambda x: (x + 1).relu_().mul_(x), 2 * X, 2 * X, 2 * X),
    # both halves keep the whole alive
    "halves": (lambda x: x.exp().chunk(2)[0].sin(), X + X + X // 2, X + X, X + X),
    "unused-input": (lambda x: torch.zeros(3), X + 12, X + 12, 12),
}


@pytest.mark.parametrize("name", FLOORS)
def test_floor_and_largest_op(name: str) -> None:
    function, peak, floor, largest = FLOORS[name]
    found = memory(traced(function, (2, 3)))
    assert (found.peak.nbytes, found.floor.nbytes, found.largest_op.nbytes) == (peak, floor, largest)
    assert found.largest_block == found.largest_op


STEPS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=12)


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_floor_of_generated_programs(program: list[tuple[int, int]]) -> None:
    """Each step adds two earlier tensors; the same liveness is worked out here from the program's text."""

    def run(x: Tensor) -> Tensor:
        made = [x]
        for left, right in program:
            made.append(made[left % len(made)] + made[right % len(made)])
        return made[-1]

    reads = [{left % (step + 1), right % (step + 1)} for step, (left, right) in enumerate(program)]
    last_read = {
        tensor: max(step for step, read in enumerate(reads) if tensor in read) for tensor in set().union(*reads)
    }

    def alive(tensor: int, step: int) -> bool:
        """Tensor 0 is the input, there from the start; tensor n is made by step n - 1."""
        unused_input = tensor == 0 and 0 not in last_read
        return tensor - 1 <= step and (last_read.get(tensor, tensor - 1) >= step or unused_input)

    steps = range(len(program))
    floor = max(sum(alive(tensor, step) for tensor in range(len(program) + 1)) for step in steps)
    found = memory(traced(run, (2, 3)))
    assert found.floor.nbytes == floor * X
    assert found.largest_op.nbytes == max(len(read) + 1 for read in reads) * X
    assert found.peak.nbytes == (len(program) + 1) * X  # the list keeps every tensor
    assert found.largest_op.nbytes <= found.floor.nbytes <= found.peak.nbytes


class InvertedResidual(nn.Module):
    """Sandler et al., MobileNetV2, 2018, table 1: 1×1 to 6 times the channels, 3×3 depth-wise, linear 1×1."""

    def __init__(self, channels: int, out: int, stride: int = 1) -> None:
        super().__init__()
        hidden = 6 * channels
        self.is_residual = stride == 1 and channels == out
        self.path = nn.Sequential(
            nn.Conv2d(channels, hidden, 1, bias=False),
            nn.ReLU6(inplace=True),
            nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False),
            nn.ReLU6(inplace=True),
            nn.Conv2d(hidden, out, 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.path(x)
        return x + y if self.is_residual else y


def test_inverted_residual_by_hand() -> None:
    """24 channels of 8 × 8 widened to 144: 1,536 and 9,216 elements, 4 bytes each."""
    narrow, wide = 24 * 8 * 8 * 4, 144 * 8 * 8 * 4
    found = memory(traced(nn.Sequential(InvertedResidual(24, 24)), (1, 24, 8, 8)))
    assert found.peak == Place(narrow + 2 * wide, "aten::convolution", "0.path.2")  # x waits for the addition
    assert found.floor == found.peak
    assert found.largest_op == Place(2 * wide, "aten::convolution", "0.path.2")
    assert found.largest_block == Place(2 * narrow, "InvertedResidual", "0")  # the paper's s²k + s'²k'


def test_a_block_that_strides_is_one_where_its_class_is_residual_elsewhere() -> None:
    """24 × 8 × 8 to 40 × 4 × 4, without a shortcut; a stem and a head stand beside the blocks."""
    net = nn.Sequential(nn.Conv2d(3, 24, 1), InvertedResidual(24, 24), InvertedResidual(24, 40, 2), nn.Flatten())
    assert residual_paths(traced(net, (1, 3, 8, 8))) == ["1", "2"]
    assert memory(traced(net, (1, 3, 8, 8))).largest_block == Place(2 * 24 * 64 * 4, "InvertedResidual", "1")
    alone = nn.Sequential(InvertedResidual(24, 40, 2))
    assert residual_paths(traced(alone, (1, 24, 8, 8))) == []
    found = memory(traced(alone, (1, 24, 8, 8)))
    assert found.largest_block == found.largest_op == Place(144 * (64 + 16) * 4, "aten::convolution", "0.path.2")
