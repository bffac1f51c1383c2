"""Bytes moved, by hand: 4 bytes a float32, 8 an int64, 2 a bfloat16."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from helpers import traced
from torch import Tensor, nn

from effbench.judge.traffic import compulsory_bytes, traffic


def moved(function: Callable[..., Any], *inputs: Any, op: str) -> tuple[int, int] | None:
    """Bytes read and written by the only call of an op."""
    trace = traced(function, *inputs)
    (call,) = [call for call in trace.ops if call.op == f"aten::{op}"]
    found = traffic(call, trace.values)
    return None if found is None else (found.read, found.written)


def test_a_linear_layer_reads_input_weight_and_bias_and_writes_its_output() -> None:
    assert moved(nn.Linear(4, 8), (5, 4), op="addmm") == (4 * (5 * 4 + 4 * 8 + 8), 4 * 5 * 8)


def test_a_view_moves_nothing() -> None:
    assert moved(nn.Linear(4, 8), (5, 4), op="t") == (0, 0)


def test_what_hands_back_its_input_moves_nothing_though_no_schema_calls_it_a_view() -> None:
    assert moved(lambda x: torch.ops.aten._unsafe_view(x, [6]), (2, 3), op="_unsafe_view") == (0, 0)


def test_in_place_is_read_and_written() -> None:
    assert moved(lambda x: (x + 1).relu_(), (3, 5), op="relu_") == (60, 60)


def test_what_overwrites_does_not_read() -> None:
    assert moved(lambda x, y: x.copy_(y), (3, 5), (3, 5), op="copy_") == (60, 60)
    assert moved(lambda x: x.fill_(1.0), (3, 5), op="fill_") == (0, 60)


def test_a_storage_given_twice_is_read_once() -> None:
    assert moved(lambda x: x * x, (3, 5), op="mul") == (60, 60)
    assert moved(lambda x: x[:2] * x[1:], (3, 5), op="mul") == (60, 40)  # rows 0 and 1, rows 1 and 2: all three


def test_a_slice_counts_as_itself_and_an_expanded_tensor_as_what_is_there() -> None:
    assert moved(lambda x: x[:2].sin(), (10, 5), op="sin") == (40, 40)
    assert moved(lambda x, y: x.expand(100, 5) * y, (1, 5), (100, 5), op="mul") == (20 + 2000, 2000)


def test_a_new_tensor_is_written_and_an_empty_one_is_not() -> None:
    assert moved(lambda x: x + torch.zeros(3, 5), (3, 5), op="zeros") == (0, 60)
    assert moved(lambda x: x.new_empty(3, 5), (3, 5), op="new_empty") == (0, 0)


def test_an_embedding_reads_the_rows_it_looks_up() -> None:
    ids = torch.tensor([1, 2, 1])
    assert moved(nn.Embedding(1000, 8), ids, op="embedding") == (3 * 8 + 3 * 8 * 4, 3 * 8 * 4)
    many = torch.zeros(50, dtype=torch.int64)
    assert moved(nn.Embedding(10, 8), many, op="embedding") == (50 * 8 + 10 * 8 * 4, 50 * 8 * 4)  # at most the table


def test_a_bag_of_embeddings_reads_every_row_it_adds() -> None:
    bag = nn.EmbeddingBag(1000, 8, mode="sum")
    found = moved(bag, torch.tensor([[1, 2, 3], [4, 5, 6]]), op="_embedding_bag")
    assert found is not None
    assert found[0] == 6 * 8 + 2 * 8 + 6 * 8 * 4  # indices, offsets, six rows


def test_what_puts_rows_into_a_cache_touches_these_rows() -> None:
    rows = torch.tensor([3, 4])
    assert moved(lambda x, y: x.index_copy_(0, rows, y), (100, 5), (2, 5), op="index_copy_") == (16 + 40, 40)
    assert moved(lambda x, y: x.index_add_(0, rows, y), (100, 5), (2, 5), op="index_add_") == (16 + 40 + 40, 40)


def test_a_narrower_dtype_moves_less() -> None:
    assert moved(lambda x: x.sin(), torch.rand(3, 5, dtype=torch.bfloat16), op="sin") == (30, 30)


def test_the_bytes_of_a_sparse_tensor_are_not_known() -> None:
    weight = torch.eye(4).to_sparse()
    trace = traced(lambda x: torch.mm(weight, x), (4, 4))
    assert [traffic(call, trace.values) for call in trace.ops if "mm" in call.op] == [None]
    assert compulsory_bytes(trace) is None


@pytest.mark.parametrize(
    ("asked", "read", "written"),
    [
        # The gradient of y (2, 4, 8, 8) with x (2, 3, 8, 8) and the weight (4, 3, 3, 3) gives those of all three.
        ((True, True, True), 512 + 384 + 108, 384 + 108 + 4),
        ((True, False, False), 512 + 108, 384),
        ((False, True, False), 512 + 384, 108),
        ((False, False, True), 512, 4),
    ],
)
def test_a_convolution_s_gradients_read_what_they_need(asked: tuple[bool, ...], read: int, written: int) -> None:
    def gradients(g: Tensor, x: Tensor, weight: Tensor) -> Any:
        ones, noughts = [1, 1], [0, 0]
        return torch.ops.aten.convolution_backward(g, x, weight, [4], ones, ones, ones, False, noughts, 1, list(asked))

    shapes = (2, 4, 8, 8), (2, 3, 8, 8), (4, 3, 3, 3)
    assert moved(gradients, *shapes, op="convolution_backward") == (4 * read, 4 * written)


def test_a_pooling_s_gradient_needs_its_input_s_shape_alone() -> None:
    def gradient(g: Tensor, x: Tensor) -> Any:
        return torch.ops.aten.avg_pool2d_backward(g, x, [2, 2], [2, 2], [0, 0], False, True, None)

    assert moved(gradient, (1, 3, 4, 4), (1, 3, 8, 8), op="avg_pool2d_backward") == (4 * 48, 4 * 192)


def test_compulsory_bytes_leave_out_what_lies_between() -> None:
    model = nn.Sequential(nn.Linear(4, 100), nn.ReLU(), nn.Linear(100, 3))
    weights = 4 * 100 + 100 + 100 * 3 + 3
    assert compulsory_bytes(traced(model, (5, 4))) == 4 * (5 * 4 + weights + 5 * 3)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(1000, 8)

    def forward(self, ids: Tensor) -> Tensor:
        return self.table(ids) @ self.table.weight.t()  # type: ignore[no-any-return]


def test_a_table_looked_up_in_and_multiplied_with_counts_whole_and_once() -> None:
    ids = torch.tensor([1, 2, 3])
    assert compulsory_bytes(traced(Tied(), ids)) == 3 * 8 + 4 * 1000 * 8 + 4 * 3 * 1000
    assert compulsory_bytes(traced(nn.Embedding(1000, 8), ids)) == 3 * 8 + 4 * 3 * 8 + 4 * 3 * 8


@pytest.mark.parametrize("inplace", [False, True])
def test_an_output_made_in_place_is_written_once(inplace: bool) -> None:
    model = nn.Sequential(nn.Linear(4, 3, bias=False), nn.ReLU(inplace))
    assert compulsory_bytes(traced(model, (5, 4))) == 4 * (5 * 4 + 4 * 3 + 5 * 3)
