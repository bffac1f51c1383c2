"""Models are called in many ways: whatever goes in and out, the pass is recorded and its ops stand in their rows."""

import copy
import inspect
from collections import OrderedDict, UserDict, namedtuple
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest
import torch
from helpers import Call, OnRealTensors, counted, load, macs, params, traced, traced_for_real
from torch import Tensor, nn
from torch.nn import functional as F

import effbench as eb
from effbench.errors import Incomplete, InputError
from effbench.judge.work import formulas
from effbench.measure.trace import trace
from effbench.records import Trace


def rows(found: Trace) -> dict[str, int]:
    """MACs by path, where there are any."""
    return {layer.path: layer.amount.value for layer in counted(found).layers if layer.amount}


def calls(found: Trace) -> dict[str, int]:
    return {layer.path: layer.calls for layer in counted(found).layers if layer.calls}


def notes(found: Trace) -> dict[str, str]:
    return {note.code: note.subject for note in found.notes}


# What goes in


@dataclass
class Batch:
    image: Tensor
    scale: float = 1.0
    more: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Frozen:
    image: Tensor


class Slotted(UserDict[str, Any]):
    """A mapping that is no dict, as tokenizers return."""


Pair = namedtuple("Pair", ["image", "name"])

IMAGE = torch.rand(3, 4)


@pytest.mark.parametrize(
    ("given", "read", "names"),
    [
        pytest.param(IMAGE, lambda b: b, [None], id="tensor"),
        pytest.param([IMAGE, "text", None, 3], lambda b: b[0], ["0.0"], id="list"),
        pytest.param({"a": {"b": [IMAGE]}}, lambda b: b["a"]["b"][0], ["0.a.b.0"], id="nested"),
        pytest.param(Pair(IMAGE, "x"), lambda b: b.image, ["0.image"], id="named-tuple"),
        pytest.param(Batch(IMAGE), lambda b: b.image * b.scale, ["0.image"], id="dataclass"),
        pytest.param(
            Batch(IMAGE, 2.0, {"mask": torch.ones(3, 4)}),
            lambda b: b.image * b.more["mask"],
            ["0.image", "0.more.mask"],
            id="nested-dataclass",
        ),
        pytest.param(Frozen(IMAGE), lambda b: b.image, ["0.image"], id="frozen-dataclass"),
        pytest.param(OrderedDict(image=IMAGE), lambda b: b["image"], ["0.image"], id="ordered-dict"),
        pytest.param(Slotted(image=IMAGE), lambda b: b["image"], ["0.image"], id="user-dict"),
        pytest.param([Slotted(image=Batch(IMAGE))], lambda b: b[0]["image"].image, ["0.0.image.image"], id="mixed"),
        pytest.param(SimpleNamespace(image=IMAGE, n=1), lambda b: b.image, ["0.image"], id="object"),
        pytest.param(torch.zeros(3, 4, dtype=torch.int64), lambda b: b.float(), [None], id="integers"),
    ],
)
def test_inputs(given: Any, read: Callable[[Any], Tensor], names: list[str | None]) -> None:
    """With data and without: every tensor in it is stood in for, named, and left as it was."""
    layer = nn.Linear(4, 5)

    def forward(batch: Any) -> Any:
        image = read(batch)
        seen.append(image.device.type)
        assert read(given).device.type == "cpu"
        return layer(image)

    seen: list[str] = []
    model = Call(forward)
    model.layer = layer
    found = traced(model, given)
    assert seen == ["meta"]
    assert counted(found).total == 60
    assert [item.name for item in found.inputs] == names
    assert not notes(found)
    assert eb.profile(model, (given,)).macs == 60
    if not isinstance(given, list):  # a list is the arguments
        assert eb.profile(model, given).macs == 60


def test_a_model_may_write_to_what_it_is_given() -> None:
    def forward(batch: Batch, table: Mapping[str, Tensor]) -> Tensor:
        batch.image.add_(1)
        batch.more["new"] = batch.image
        batch.image = batch.image * 2
        table["x"].zero_()
        assert batch.image.sum().item() > 0
        return batch.image @ table["x"]

    batch, table = Batch(torch.ones(3, 4)), MappingProxyType({"x": torch.ones(4, 4)})
    assert macs(forward, batch, dict(table)) == 48
    assert torch.equal(batch.image, torch.ones(3, 4))
    assert batch.more == {}
    assert torch.equal(table["x"], torch.ones(4, 4))


def test_keywords_and_defaults() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 5)

        def forward(self, x: Tensor, *more: Tensor, mask: Tensor | None = None, times: int = 1, **rest: Any) -> Any:
            for _ in range(times):
                y = self.layer(x)
            return y if mask is None else y * mask

    assert macs(Net(), (3, 4)) == 60
    assert macs(Net(), (3, 4), (1,), mask=torch.ones(3, 5), times=2, other={"deep": [torch.ones(2)]}) == 120
    assert eb.profile(Net(), torch.rand(3, 4), {"times": 3, "mask": torch.ones(5)}).macs == 180


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors is in prototype stage:UserWarning")
def test_nested_tensors_without_shapes_are_refused_in_one_line() -> None:
    ragged = torch.nested.nested_tensor([torch.rand(2, 4), torch.rand(5, 4)])
    with pytest.raises(InputError, match=r"strided layout has no shape: build it with layout=torch\.jagged"):
        traced(nn.Linear(4, 5), ragged)


# What comes out


class ModelOutput(OrderedDict[str, Any]):
    """A dict whose items are attributes too, as transformers' outputs are; not known to PyTorch's pytree."""

    def __post_init__(self) -> None:
        for item in fields(self):  # type: ignore[arg-type]
            value = getattr(self, item.name)
            if value is not None:
                super().__setitem__(item.name, value)


@dataclass
class Answer(ModelOutput):
    logits: Tensor | None = None
    hidden: tuple[Tensor, ...] | None = None


@pytest.mark.parametrize(
    ("make", "tensors"),
    [
        pytest.param(lambda x: Answer(x, (x + 1, x + 2)), 3, id="model-output"),
        pytest.param(lambda x: Batch(x), 1, id="dataclass"),
        pytest.param(lambda x: {"a": [x, (x + 1, None)], "b": Frozen(x + 2)}, 3, id="nested"),
        pytest.param(lambda x: None, 0, id="none"),
        pytest.param(lambda x: (x, None, "text", 3), 1, id="mixed"),
        pytest.param(lambda x: SimpleNamespace(y=x), 1, id="object"),
        pytest.param(lambda x: iter([x]), 0, id="iterator"),
        pytest.param(lambda x: Pair(x, "n"), 1, id="named-tuple"),
        pytest.param(lambda x: x.shape, 0, id="shape"),
    ],
)
def test_outputs(make: Callable[[Tensor], Any], tensors: int) -> None:
    layer = nn.Linear(4, 5)
    inner = Call(lambda x: make(layer(x)))
    inner.layer = layer
    found = traced(nn.Sequential(inner), (3, 4))
    assert counted(found).total == 60
    assert [len(call.outputs) for call in found.modules if call.path == "0"] == [tensors]
    assert eb.profile(nn.Sequential(inner), torch.rand(3, 4)).to_dict()["macs"] == 60


def test_arrays_come_out_of_a_real_run() -> None:
    found = traced(Call(lambda x: (x @ x).numpy()), (3, 3))
    assert counted(found).total == 27
    assert "real-run" in notes(found)


# How modules are called


class Past(nn.Module):
    """Calls its parts' forward past the parts."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.pool = nn.Linear(4, 5), nn.Linear(5, 6), nn.AvgPool1d(2)
        self.block = nn.Sequential(nn.Linear(3, 2))

    def forward(self, x: Tensor) -> Any:
        x = self.pool.forward(self.second(self.first.forward(x)))
        return self.block.forward(x) @ x.new_ones(2, 2)  # type: ignore[no-untyped-call]


def test_a_forward_called_past_its_module_counts_in_the_module_s_row() -> None:
    found = traced(Past(), (3, 4))
    assert rows(found) == {"": 3 * 2 * 2, "first": 60, "second": 90, "block.0": 3 * 3 * 2}
    assert rows(found) == rows(traced_for_real_rows(Past(), (3, 4)))
    assert calls(found) == {"": 1, "second": 1, "block.0": 1}  # hooks see no more
    assert notes(found) == {"called-directly": "block, first, pool"}
    assert counted(found).total == 12 + 60 + 90 + 18


def traced_for_real_rows(model: nn.Module, shape: tuple[int, ...]) -> Trace:
    """A real run whose paths are those of the model itself."""

    def reads(module: nn.Module, args: Any) -> None:
        assert args[0].sum().item() is not None

    hook = model.register_forward_pre_hook(reads)
    try:
        return traced(model, shape)
    finally:
        hook.remove()


def test_forwards_are_given_back_and_look_as_they_did() -> None:
    class Curious(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)
            self.own = nn.Linear(4, 4)
            self.own.forward = self.layer.forward  # type: ignore[method-assign]

        def forward(self, x: Tensor) -> Any:
            assert list(inspect.signature(self.layer.forward).parameters) == ["input"]
            twin = copy.deepcopy(self.layer)
            assert twin.weight is not self.layer.weight
            return twin(self.own(x))

    model = Curious()
    patched = vars(model.own)["forward"]
    for way in (model, OnRealTensors(model)):
        assert macs(way, (3, 4)) == 2 * 48
        assert vars(model.own)["forward"] is patched
        assert "forward" not in vars(model.layer)
        assert "forward" not in vars(model)


class Recursive(nn.Module):
    """Calls itself, as a tree does."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4, bias=False)

    def forward(self, x: Tensor, depth: int = 3) -> Tensor:
        return self(self.layer(x), depth - 1) if depth else self.layer.forward(x)


def test_a_module_that_calls_itself() -> None:
    found = traced(Recursive(), (2, 4))
    assert rows(found) == {"layer": 4 * 2 * 16}
    assert calls(found) == {"": 4, "layer": 3}


class Shared(nn.Module):
    """One layer at two places, called three times; a block nested in itself by a second name."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
        self.again = nn.ModuleList([self.block, self.block[0]])

    def forward(self, x: Tensor) -> Any:
        x = self.block(x)
        for part in self.again:
            x = part(x)
        return x


def test_shared_and_nested_modules_count_every_call_once() -> None:
    found = traced(Shared(), (2, 4))
    assert counted(found).total == 3 * 2 * 16
    assert params(found) == 20
    assert rows(found) == {"block.0": 3 * 2 * 16}
    assert calls(found) == {"": 1, "block": 2, "block.0": 3, "block.1": 2}


@pytest.mark.parametrize("times", [1, 2, 7])
def test_called_k_times(times: int) -> None:
    layer = nn.Linear(4, 4)

    def forward(x: Tensor) -> Any:
        for _ in range(times):
            x = layer(x)
        return x

    model = Call(forward)
    model.layer = layer
    found = traced(model, (2, 4))
    assert (rows(found), calls(found)) == ({"layer": times * 32}, {"": 1, "layer": times})
    assert params(found) == 20


class Lazy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.LazyConv2d(8, 3), nn.LazyLinear(5)
        self.norm = nn.LazyBatchNorm2d()

    def forward(self, x: Tensor) -> Any:
        return (
            self.second.forward(self.norm(self.first(x)).flatten(1))
            if False
            else self.second(self.norm(self.first(x)).flatten(1))
        )


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature:UserWarning")
def test_lazy_modules_of_every_kind_stay_lazy() -> None:
    model = Lazy()
    for size in (8, 6):
        found = traced(model, (2, 3, size, size))
        inner = (size - 2) ** 2
        assert counted(found).total == 2 * (inner * 8 * 27 + 8 * inner * 5)
        assert params(found) == (8 * 27 + 8) + 16 + (8 * inner * 5 + 5)
        assert notes(found)["lazy"] == "model"
        assert isinstance(model.second, nn.LazyLinear)
        assert isinstance(model.second.weight, nn.UninitializedParameter)


def test_containers_of_modules_that_are_indexed_and_chosen() -> None:
    class Chooses(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.ModuleDict({"a": nn.Linear(4, 5), "b": nn.Linear(4, 6)})
            self.weights = nn.ParameterList([torch.rand(6, 2)])

        def forward(self, x: Tensor, name: str) -> Any:
            y = self.table[name](x)
            return y @ self.weights[0] if name == "b" else y

    model = Chooses()
    assert rows(traced(model, (3, 4), "a")) == {"table.a": 60}
    assert rows(traced(model, (3, 4), "b")) == {"table.b": 72, "": 36}
    assert notes(traced(model, (3, 4), "a"))["not-called"] == "table.b, weights"


def test_places_marked_for_a_profiler_and_wrappers_for_several_devices() -> None:
    def forward(x: Tensor) -> Any:
        with torch.profiler.record_function("mark"):
            return x @ x

    assert macs(forward, (3, 3)) == 27
    parallel: nn.Module = nn.DataParallel(nn.Linear(4, 5))
    found = traced(parallel, (3, 4))
    assert rows(found) == {"module": 60}


def test_a_model_made_of_tensors_that_pretend() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        model, x = nn.Sequential(nn.Linear(4, 5), nn.ReLU()), torch.rand(3, 4)
    found = traced(model, x)
    assert counted(found).total == 60
    assert params(found) == 25


# Functions as arguments: ops of a higher order


def test_a_condition_runs_its_branch() -> None:
    def forward(x: Tensor) -> Any:
        return torch.cond(x.sum() > 0, lambda y: y @ y, lambda y: y + y, (x,))

    assert macs(forward, torch.ones(3, 3)) == 27
    assert macs(forward, -torch.ones(3, 3)) == 0
    assert "real-run" in notes(traced(forward, torch.ones(3, 3)))


def test_a_while_loop_runs_its_rounds() -> None:
    from torch._higher_order_ops import while_loop as loop

    while_loop: Any = loop

    def forward(x: Tensor) -> Any:
        start = torch.zeros((), dtype=torch.int64)
        return while_loop(lambda i, y: i < 4, lambda i, y: (i + 1, y @ y), (start, x))

    assert counted(traced_for_real(Call(forward), torch.ones(3, 3))).total == 4 * 27


def test_checkpointing_a_function_and_autograd_functions_of_one_s_own() -> None:
    class Scaled(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x @ x

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            raise AssertionError("never")

    assert macs(Call(Scaled.apply), (3, 3)) == 27


# Ops of one's own


@torch.library.custom_op("effbench_ways::scan", mutates_args=())
def scan(x: Tensor, a: Tensor, steps: int) -> Tensor:
    return x.clone()


@scan.register_fake
def _(x: Tensor, a: Tensor, steps: int) -> Tensor:
    return torch.empty_like(x)


class Scans(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.inner = Call(lambda x: scan(x, x.new_ones(4, 7), 3))

    def forward(self, x: Tensor) -> Any:
        return self.inner(self.layer(x))


def test_an_op_of_one_s_own_takes_three_lines() -> None:
    unknown = eb.profile(Scans(), torch.rand(2, 5, 4))
    assert unknown.macs is None
    assert unknown.coverage.unknown == {"effbench_ways::scan": 1}
    with pytest.raises(Incomplete, match="effbench_ways::scan"):
        eb.profile(Scans(), torch.rand(2, 5, 4), strict=True)

    @eb.formula("effbench_ways::scan")
    def scanned(x: Any, a: Any, steps: int) -> int:
        return x[0] * x[1] * a[-1] * steps  # type: ignore[no-any-return]

    try:
        known = eb.profile(Scans(), torch.rand(2, 5, 4))
        assert known.macs == 2 * 5 * 16 + 2 * 5 * 7 * 3
        assert {layer.path: layer.amount.value for layer in known.layers if layer.amount} == {
            "layer": 160,
            "inner": 210,
        }
        with pytest.raises(InputError, match="effbench_ways::scan"):
            eb.formula("effbench_ways::scan")(scanned)
    finally:
        formulas._entries.pop("effbench_ways::scan")


# A tensor subclass of one's own


class Tagged(Tensor):
    """A tensor with a name."""


def test_tensor_subclasses_are_tensors() -> None:
    x = torch.rand(3, 4).as_subclass(Tagged)
    assert macs(nn.Linear(4, 5), x) == 60
    assert counted(trace(load(OnRealTensors(nn.Linear(4, 5)), x))).total == 60


class Doubled(Tensor):
    """A tensor made of two, as quantised and distributed tensors are: it says itself what an op does."""

    a: Tensor
    b: Tensor

    @staticmethod
    def __new__(cls, a: Tensor, b: Tensor) -> "Doubled":
        return Tensor._make_wrapper_subclass(cls, a.shape, dtype=a.dtype, device=a.device)

    def __init__(self, a: Tensor, b: Tensor) -> None:
        self.a, self.b = a, b

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["a", "b"], None

    @staticmethod
    def __tensor_unflatten__(inner: dict[str, Tensor], meta: Any, size: Any, stride: Any) -> "Doubled":
        return Doubled(inner["a"], inner["b"])

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        from torch.utils._pytree import tree_map

        def part(name: str) -> Any:
            return tree_map(lambda item: getattr(item, name) if isinstance(item, cls) else item, (args, kwargs or {}))

        (first, options), (second, more) = part("a"), part("b")
        a, b = func(*first, **options), func(*second, **more)
        return cls(a, b) if isinstance(a, Tensor) else a


def test_a_tensor_made_of_tensors_costs_what_these_cost() -> None:
    def forward(x: Tensor) -> Any:
        return F.relu(Doubled(x, x + 1) @ torch.ones(4, 5, device=x.device))

    assert counted(traced_for_real(Call(forward), (3, 4))).total == 2 * 60
    assert macs(forward, (3, 4)) == 2 * 60
