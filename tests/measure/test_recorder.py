"""What a Trace holds: modules and their calls, ops, tensors with their memory, inputs and outputs."""

import dataclasses
import gc
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from helpers import Call, Net, load, macs, params, traced, traced_for_real
from torch import Tensor, nn
from torch.nn import functional as F

from effbench.measure.trace import trace

# Modules


def test_module_calls_come_in_the_order_of_their_returns() -> None:
    found = traced(Net(), (2, 4))
    assert [call.path for call in found.modules] == ["features.0", "features.1", "features", "head", ""]
    assert found.modules[0].type == "torch.nn.modules.linear.Linear"
    assert found.modules[0].attrs == {"in_features": 4, "out_features": 4}
    assert found.modules[0].outputs == found.modules[1].inputs
    assert {call.module for call in found.ops} == {"features.0", "features.1", "head"}


def test_ops_of_a_functional_call_stand_at_the_module_that_makes_it() -> None:
    class Head(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.rand(4, 4))

        def forward(self, x: Tensor) -> Tensor:
            return F.linear(x, self.weight)

    found = traced(nn.Sequential(nn.Linear(4, 4), Head()), (2, 4))
    assert [call.module for call in found.ops if call.op == "aten::mm"] == ["1"]


def test_modules_never_called_are_a_note() -> None:
    net = Net()
    net.register_module("spare", nn.Linear(4, 4))
    (note,) = traced(net, (2, 4)).notes
    assert (note.code, note.subject) == ("not-called", "spare")
    assert traced(Net(), (2, 4)).notes == ()


def test_many_modules_never_called_are_counted() -> None:
    net = Net()
    net.register_module("spare", nn.ModuleList(nn.Linear(4, 4) for _ in range(5)))
    (note,) = traced(net, (2, 4)).notes
    assert note.subject == "spare.0, spare.1, spare.2 and 2 more"


def test_shared_modules_and_parameters_are_told_apart_from_equal_ones() -> None:
    shared = nn.Linear(4, 4)
    net = nn.Sequential(shared, nn.Sequential(shared), nn.Linear(4, 4, bias=False))
    net[2].weight = shared.weight
    found = traced(net, (2, 4))
    identities = {node.path: node.identity for node in found.tree}
    assert identities["0"] == identities["1.0"] != identities["2"]
    assert [(param.name, param.alias_of) for param in found.params] == [
        ("0.weight", None),
        ("0.bias", None),
        ("1.0.weight", "0.weight"),
        ("1.0.bias", "0.bias"),
        ("2.weight", "0.weight"),
    ]
    assert {node.path: node.params for node in found.tree}["2"] == (("weight", "0.weight"),)
    assert [call.path for call in found.modules] == ["0", "0", "1", "2", ""]
    assert params(found) == 20


def test_the_tree_knows_the_torch_classes_behind_a_class() -> None:
    class Block(nn.Sequential):
        pass

    found = traced(Block(nn.ReLU()), (2,))
    assert found.tree[0].type.endswith("Block")
    assert found.tree[0].bases == ("torch.nn.modules.container.Sequential", "torch.nn.modules.module.Module")
    assert found.tree[0].children == ("0",)


def test_parameters_and_buffers_are_facts() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False, dtype=torch.float16), nn.BatchNorm2d(4))
    net[0].requires_grad_(False)
    found = trace(load(net, (1, 3, 2, 2)))
    first = found.params[0]
    assert (first.shape, first.dtype, first.trainable, first.nbytes) == ((4, 3, 1, 1), "float16", False, 24)
    assert [(item.name, item.shape, item.nbytes) for item in found.buffers] == [
        ("1.running_mean", (4,), 16),
        ("1.running_var", (4,), 16),
        ("1.num_batches_tracked", (), 8),
    ]


# Values


def test_a_view_shares_its_storage_and_a_copy_does_not() -> None:
    found = traced(lambda x: (x.view(-1), x[0], x.clone()), (2, 3))
    given = found.values[found.inputs[0].value]
    flat, row, copy = (found.values[number] for number in found.modules[-1].outputs)
    assert flat.storage == row.storage == given.storage != copy.storage
    assert (given.shape, given.strides, given.dtype, given.nbytes) == ((2, 3), (3, 1), "float32", 24)
    assert (row.shape, row.nbytes) == ((3,), 24)


@pytest.mark.parametrize("real", [False, True])
def test_a_view_that_its_schema_hides_shares_its_storage_too(real: bool) -> None:
    """The product of a batch by a matrix is one matrix product, viewed as a batch again by `_unsafe_view`."""
    net = Call(lambda x: x @ torch.ones(4, 5, device=x.device))
    found = traced_for_real(net, (2, 3, 4)) if real else traced(net, (2, 3, 4))
    product, viewed = (found.values[call.outputs[0]] for call in found.ops[-2:])
    assert (product.shape, viewed.shape) == ((6, 5), (2, 3, 5))
    assert product.storage == viewed.storage
    assert found.ops[-2].frees == ()


def test_an_expanded_tensor_is_as_large_as_its_storage() -> None:
    found = traced(lambda x: x.expand(1000, 3), (1, 3))
    (out,) = found.modules[-1].outputs
    assert (found.values[out].numel, found.values[out].nbytes) == (3000, 12)


def test_an_in_place_op_keeps_the_value() -> None:
    found = traced(lambda x: (x * 2).add_(1).relu_(), (2, 3))
    product, added, rectified = found.ops
    assert product.outputs == added.outputs == rectified.outputs == (added.inputs["self"],)
    assert (product.mutates, added.mutates) == ((), ("self",))


def test_an_op_has_its_inputs_attributes_and_defaults_by_name() -> None:
    (call,) = traced(lambda x, w: F.conv2d(x, w, stride=2), (1, 3, 8, 8), (4, 3, 3, 3)).ops
    assert call.op == "aten::convolution"
    assert set(call.inputs) == {"input", "weight"}
    assert call.attrs == {
        "bias": None,
        "stride": (2, 2),
        "padding": (0, 0),
        "dilation": (1, 1),
        "transposed": False,
        "output_padding": (0, 0),
        "groups": 1,
    }
    (call,) = traced(lambda x: torch.cat([x, x]), (2, 3)).ops
    assert (call.inputs, call.attrs) == ({"tensors": (0, 0)}, {"dim": 0})
    (call,) = traced(lambda x: x.relu(), (2, 3)).ops
    assert "pointwise" in call.tags


def test_a_view_op_says_so() -> None:
    assert [call.is_view for call in traced(lambda x: x.view(-1).neg().neg_(), (2, 3)).ops] == [True, False, False]


def test_storages_are_freed_when_their_last_tensor_dies() -> None:
    def chain(x: Tensor) -> Tensor:
        a = x + 1
        b = a.view(-1)
        del a  # the view keeps the storage
        c = b * 2
        del b  # frees the storage of a
        d = c.exp()
        del c
        return d.sin()

    found = traced(chain, (2, 3))
    storage = {call.op: found.values[call.outputs[0]].storage for call in found.ops}
    assert [(call.op, call.frees) for call in found.ops] == [
        ("aten::add", ()),
        ("aten::view", ()),
        ("aten::mul", (storage["aten::add"],)),
        ("aten::exp", (storage["aten::mul"],)),
        ("aten::sin", (storage["aten::exp"], storage["aten::sin"])),
    ]


def test_no_storage_is_freed_twice_nor_one_that_outlives_the_pass() -> None:
    found = traced(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(inplace=True)), (2, 4))
    freed = [storage for call in found.ops for storage in call.frees]
    assert len(freed) == len(set(freed)) == 3
    read = {number for call in found.ops for number in call.inputs.values() if isinstance(number, int)}
    made = {number for call in found.ops for number in call.outputs if not call.is_view}
    assert set(freed) == {found.values[number].storage for number in made}
    assert read


def test_recording_keeps_no_tensor_alive() -> None:
    alive: list[bool] = []

    def forward(x: Tensor) -> Tensor:
        big = x + 1
        witness = weakref.ref(big)
        x = big.sum()
        del big
        alive.append(witness() is not None)
        return x

    traced(forward, (2, 3))
    assert alive == [False]


def test_a_trace_keeps_neither_model_nor_input_alive() -> None:
    net, x = Net(), torch.rand(2, 4)
    found = traced(net, x)
    watched: list[weakref.ref[Any]] = [weakref.ref(net), weakref.ref(x), weakref.ref(net.head.weight)]
    del net, x
    gc.collect()
    assert [ref() for ref in watched] == [None] * 3
    assert found.ops


# Inputs and outputs


def test_inputs_of_every_kind() -> None:
    ids = torch.zeros(2, 7, dtype=torch.int64)

    def forward(x: Tensor, pair: Any, batch: Any, *, mask: Any, flag: bool, scale: float, none: None) -> Tensor:
        assert flag
        assert scale == 0.5
        assert none is None
        parts: list[Tensor] = [x, pair[0], pair[1][0], batch["ids"].sum(), mask["inner"][0]]
        return sum(parts, start=torch.zeros((), device=x.device))

    pair = (torch.ones(3), [torch.ones(3)])
    found = traced(
        forward, (2, 3), pair, {"ids": ids}, mask={"inner": [torch.ones(3)]}, flag=True, scale=0.5, none=None
    )
    assert [(item.name, item.shape, item.dtype) for item in found.inputs] == [
        (None, (2, 3), "float32"),
        ("1.0", (3,), "float32"),
        ("1.1.0", (3,), "float32"),
        ("2.ids", (2, 7), "int64"),
        ("mask.inner.0", (3,), "float32"),
    ]
    assert found.batch == 2


def test_keyword_inputs_go_by_their_names() -> None:
    found = traced(lambda ids, mask: mask * ids, ids=torch.ones(4, 7), mask=torch.ones(4, 7))
    assert [item.name for item in found.inputs] == ["ids", "mask"]
    assert found.batch == 4


def test_integer_ids_reach_an_embedding() -> None:
    net = nn.Sequential(nn.Embedding(100, 8), nn.Linear(8, 100))
    assert macs(net, torch.zeros(2, 5, dtype=torch.int64)) == 2 * 5 * 800


@dataclasses.dataclass
class Result:
    logits: Tensor


class Named(NamedTuple):
    logits: Tensor
    hidden: Tensor


OUTPUTS = [
    pytest.param(lambda x: x + 1, "tensor", 1, id="tensor"),
    pytest.param(lambda x: (x + 1, [x + 2, None], 3), "sequence", 2, id="nested"),
    pytest.param(lambda x: [x], "sequence", 1, id="list"),
    pytest.param(lambda x: Named(x + 1, x + 2), "sequence", 2, id="named-tuple"),
    pytest.param(lambda x: {"a": x + 1, "b": {"c": x + 2}}, "mapping", 2, id="dict"),
    pytest.param(lambda x: None, "none", 0, id="none"),
    pytest.param(lambda x: Result(x + 1), "other", 1, id="dataclass"),
    pytest.param(lambda x: 3.5, "other", 0, id="number"),
    pytest.param(lambda x: "text", "other", 0, id="text"),
]


@pytest.mark.parametrize(("function", "kind", "tensors"), OUTPUTS)
def test_outputs_of_every_kind(function: Callable[[Tensor], Any], kind: str, tensors: int) -> None:
    call = traced(nn.Sequential(nn.Identity(), Call(function)), (2, 3)).modules[1]
    assert (call.path, call.output_kind, len(call.outputs)) == ("1", kind, tensors)
