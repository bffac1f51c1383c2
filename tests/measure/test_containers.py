"""Tensors in what a model takes: one that stands in several places is one tensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from helpers import Call, counted, load, traced, traced_for_real
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence

import effbench as eb
from effbench.judge.liveness import memory
from effbench.measure.allocator import allocated
from effbench.measure.containers import mapped, tensors_in
from effbench.measure.state import private_copy, to_meta


@dataclass(frozen=True)
class Batch:
    image: Tensor
    mask: Tensor | None


class Bag:
    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


X = torch.rand(4, 8)
PACKED: PackedSequence = pack_sequence([X, X])

TREES: dict[str, Any] = {
    "twice": (X, X),
    "deep": ({"a": [X]}, (X,)),
    "dataclass": (Batch(X, X), X),
    "object": (Bag(X), Bag(X), X),
    "keyword": ((X,), {"mask": X}),
}


@pytest.mark.parametrize("swap", [to_meta, private_copy])
@pytest.mark.parametrize("name", TREES)
def test_a_tensor_in_several_places_has_one_stand_in(name: str, swap: Any) -> None:
    copies = tensors_in(mapped(TREES[name], swap))
    assert len(copies) == len(tensors_in(TREES[name])) > 1
    assert len(set(map(id, copies))) == 1
    assert copies[0] is not X


def test_equal_tensors_stay_two() -> None:
    first, second = tensors_in(mapped((X, X.clone()), to_meta))
    assert first is not second


def test_a_packed_sequence_and_its_data_share() -> None:
    packed, data = mapped((PACKED, PACKED.data), private_copy)
    assert packed.data is data
    assert packed.batch_sizes is PACKED.batch_sizes


class TwoTables(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x @ y.t()


@pytest.mark.parametrize("trace_it", [traced, traced_for_real])
def test_memory_and_macs_of_a_tensor_passed_twice(trace_it: Any) -> None:
    one, two = trace_it(TwoTables(), X, X), trace_it(TwoTables(), X, X.clone())
    assert [item.value for item in one.inputs] == [one.inputs[0].value] * 2
    assert two.inputs[0].value != two.inputs[1].value
    # 4 × 8 floats in, a view of them, 4 × 4 floats out; MACs are as of two.
    assert memory(one).peak.nbytes == 4 * (4 * 8 + 4 * 4)
    assert memory(two).peak.nbytes == 4 * (2 * 4 * 8 + 4 * 4)
    assert counted(one).total == counted(two).total == 4 * 4 * 8


def test_the_allocators_peak_of_a_tensor_passed_twice_is_the_traces() -> None:
    given = load(TwoTables(), X, X)
    assert allocated(given).peak_without_scratch_bytes == memory(traced(TwoTables(), X, X)).peak.nbytes


def test_what_is_written_to_one_is_read_from_the_other() -> None:
    class Writes(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            x.zero_()
            return torch.zeros(4 if y.sum() == 0 else 2, 3) @ torch.zeros(3, 3)

    kept = X.clone()
    assert eb.profile(Writes(), (kept, kept)).macs == 4 * 3 * 3
    assert eb.profile(Writes(), (kept, kept.clone())).macs == 2 * 3 * 3
    assert torch.equal(kept, X)


def test_a_sparse_input_is_not_measured() -> None:
    with pytest.raises(eb.EffbenchError, match="dense inputs only"):
        allocated(load(Call(lambda x: x.to_dense()), X.to_sparse()))
