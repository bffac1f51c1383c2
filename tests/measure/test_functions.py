"""Function calls are recorded by the names that tools patch, as the model made them, and nothing stays behind."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from function_cases import Run
from helpers import OnRealTensors
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.functional import relu as imported_relu
from torch.overrides import TorchFunctionMode
from twins import FUNCTIONS, loaded, recorded

from effbench.measure import functions
from effbench.measure.functions import functions_recorded
from effbench.measure.trace import trace
from effbench.records import Argument, FunctionCall, Record
from effbench.store import Store, Stored


def calls(function: Any, *shapes: Any) -> list[str]:
    found = recorded(loaded(Run(function), *shapes)).functions
    assert found is not None
    return [call.name for call in found]


def places() -> dict[str, Any]:
    """Every attribute that tools patch, and whether it is its holder's own."""
    return {
        place.name: (getattr(place.holder, place.attribute), place.attribute in vars(place.holder))
        for place in functions._places()
    }


def test_a_trace_has_none_unless_they_are_asked_for() -> None:
    assert trace(loaded(nn.ReLU(), (2, 3))).functions is None
    assert recorded(loaded(nn.Tanh(), (2, 3))).functions == ()


def test_a_call_with_its_arguments() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1))
    (call,) = recorded(loaded(model, (2, 3, 8, 8))).functions or ()
    tensor = "Tensor"
    assert call == FunctionCall(
        "torch.nn.functional.conv2d",
        "0",
        (
            Argument(tensor, (2, 3, 8, 8)),
            Argument(tensor, (4, 3, 3, 3)),
            Argument(tensor, (4,)),
            Argument("tuple", (1, 1)),
            Argument("tuple", (1, 1)),
            Argument("tuple", (1, 1)),
            Argument("int", 1),
        ),
        {},
    )


def test_kinds_of_arguments_are_kept_apart() -> None:
    model = Run(lambda x: F.interpolate(x, size=[4, 5], mode="nearest", scale_factor=None))
    (call,) = recorded(loaded(model, (2, 3, 8, 8))).functions or ()
    assert call.module == ""
    assert call.args == (Argument("Tensor", (2, 3, 8, 8)),)
    assert call.kwargs == {
        "size": Argument("list", (4, 5)),
        "mode": Argument("str", "nearest"),
        "scale_factor": Argument("NoneType", None),
    }


def test_numbers_of_numpy_become_plain() -> None:
    numpy = pytest.importorskip("numpy")
    model = Run(lambda x: F.interpolate(x, size=(numpy.int64(4), 5)).mul(numpy.float64(0.5)))
    resize, times = recorded(loaded(model, (2, 3, 8, 8))).functions or ()
    assert resize.kwargs["size"] == Argument("tuple", (4, 5))
    assert times.args[1] == Argument("float64", 0.5)


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (lambda x, y: x + y, []),
        (lambda x, y: x.add(y), ["torch.Tensor.add"]),
        (lambda x, y: torch.add(x, y), ["torch.add"]),
        (lambda x, y: x @ y.T, ["torch.Tensor.__matmul__"]),
        (lambda x, y: x.matmul(y.T), ["torch.Tensor.matmul"]),
        (lambda x, y: F.relu(x) + imported_relu(y) + torch.relu(x), ["torch.nn.functional.relu"]),
        (lambda x, y: torch.einsum("ij,kj->ik", x, y), ["torch.einsum"]),
        (torch.add, []),
    ],
)
def test_what_goes_through_a_patched_name(function: Any, names: list[str]) -> None:
    assert calls(function, (5, 6), (5, 6)) == names


def test_nested_calls_are_all_recorded() -> None:
    """As torch writes it: squares, their mean over channels, times alpha plus k."""
    inner = ["torch.Tensor.mul", "torch.nn.functional.avg_pool3d", "torch.Tensor.mul", "torch.Tensor.add"]
    assert calls(lambda x: F.local_response_norm(x, 2), (2, 4, 8, 8)) == inner


def test_the_module_that_calls() -> None:
    model = nn.Sequential(nn.Sequential(nn.ReLU(), nn.Tanh()), nn.Linear(3, 3))
    found = recorded(loaded(model, (2, 3))).functions or ()
    assert [(call.name.rpartition(".")[2], call.module) for call in found] == [("relu", "0.0"), ("linear", "1")]


def test_rules_of_meta_tensors_call_nothing() -> None:
    """They are written in Python and call torch.mul and others; the same pass for real shows what the model does."""
    model = nn.Sequential(nn.BatchNorm2d(4), nn.GELU(), nn.Upsample(scale_factor=2, mode="bicubic"), nn.Hardswish())
    hollow = recorded(loaded(model, (2, 4, 8, 8)))
    real = recorded(loaded(OnRealTensors(model), (2, 4, 8, 8)))
    assert hollow.functions is not None
    assert real.functions is not None
    names = ["batch_norm", "gelu", "interpolate"]
    assert [call.name.rpartition(".")[2] for call in hollow.functions] == names
    assert [(call.name, call.args, call.kwargs) for call in hollow.functions] == [
        (call.name, call.args, call.kwargs) for call in real.functions
    ]


class Raises(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        F.relu(x)
        raise RuntimeError("on purpose")


@pytest.mark.parametrize("model", [nn.ReLU(), Raises()])
def test_every_attribute_is_put_back(model: nn.Module) -> None:
    # Tests that run the tools themselves leave attributes of theirs, so what counts is that none comes or goes.
    before, own = places(), set(vars(torch.Tensor))
    found = trace(loaded(model, (2, 3)), needs=FUNCTIONS)
    assert [call.name for call in found.functions or ()] == ["torch.nn.functional.relu"]
    assert places() == before
    assert set(vars(torch.Tensor)) == own


def test_attributes_that_another_patch_put_there_are_put_back_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.Tensor, "add", lambda self, other: self.sub(-other))
    before = places()
    assert calls(lambda x: x.add(x), (2, 3)) == ["torch.Tensor.add"]
    assert places() == before


class Forwarding(TorchFunctionMode):
    """A function mode that hands on what it is given, as a default device does."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


def test_modes_of_the_caller_add_nothing() -> None:
    def function(x: Tensor) -> Tensor:
        return F.relu(x) + x.add(x)

    alone = calls(function, (2, 3))
    with Forwarding(), torch.device("cpu"):
        assert calls(function, (2, 3)) == alone == ["torch.nn.functional.relu", "torch.Tensor.add"]


def test_a_mode_of_the_model_makes_the_tools_see_calls_twice() -> None:
    def function(x: Tensor) -> Tensor:
        with Forwarding():
            return x.add(x)

    assert calls(function, (2, 3)) == ["torch.Tensor.add"] * 2
    names: list[str] = []
    original = torch.Tensor.add

    def patched(*args: Any, **kwargs: Any) -> Any:
        names.append("torch.Tensor.add")
        return original(*args, **kwargs)

    torch.Tensor.add = patched  # type: ignore[method-assign]
    try:
        function(torch.zeros(2, 3))
    finally:
        del torch.Tensor.add
    assert names == ["torch.Tensor.add"] * 2


def test_a_ragged_tensor_has_no_shape() -> None:
    ragged = torch.nested.nested_tensor([torch.zeros(2, 3), torch.zeros(4, 3)], layout=torch.jagged)
    with functions_recorded(lambda: "here") as found:
        ragged.mul(2)
    assert found[0] == FunctionCall("torch.Tensor.mul", "here", (Argument("Tensor", None), Argument("int", 2)), {})


def test_einops_is_seen_where_the_model_uses_it() -> None:
    einops = pytest.importorskip("einops")
    names = calls(lambda x: einops.einsum(x, x, "i j, k j -> i k"), (5, 6))
    assert names == ["einops.einsum", "torch.einsum"]


def test_they_are_part_of_the_digest_and_of_what_is_stored(tmp_path: Any) -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Upsample(scale_factor=2.0))
    found = recorded(loaded(model, (2, 3, 3)))
    assert found.digest() != trace(loaded(model, (2, 3, 3))).digest()
    Store(tmp_path).save(Record("net", trace=found.digest()), found)
    ((stored,), notes) = Store(tmp_path).load()
    assert isinstance(stored, Stored)
    assert stored.trace == found
    assert notes == ()
